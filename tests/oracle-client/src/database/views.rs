//! Oracle's dictionary views, as queries of the catalog.

use crate::value::DataType;

/// A view: its columns, and a query that gives them in order.
pub(crate) struct View {
    pub(crate) columns: Vec<(&'static str, DataType)>,
    pub(crate) sql: String,
}

const TEXT: DataType = DataType::Varchar {
    length: 128,
    in_chars: false,
};
const NUMBER: DataType = DataType::Number {
    precision: None,
    scale: None,
};

/// A list of columns, `N` for numbers.
fn view(columns: &[(&'static str, char, &str)], from: &str, is_user: bool) -> View {
    // The views of USER_ lack the owner.
    let columns: Vec<_> = columns
        .iter()
        .filter(|(name, ..)| !(is_user && *name == "OWNER"))
        .collect();
    let selected: Vec<String> = columns
        .iter()
        .map(|(_, letter, sql)| {
            if *letter == 'N' {
                format!("ora_num({sql})")
            } else {
                (*sql).to_owned()
            }
        })
        .collect();
    let columns = columns
        .iter()
        .map(|(name, letter, _)| (*name, if *letter == 'N' { NUMBER } else { TEXT }));
    View {
        columns: columns.collect(),
        sql: format!("SELECT {} FROM {from}", selected.join(", ")),
    }
}

/// Numbers of a list of them, with their positions.
const EACH: &str = "json_each('[' || replace(x.columns, ' ', ',') || ']') e JOIN ora_columns c ON c.id = e.value \
    JOIN ora_tables t ON t.id = x.table_id";

/// The view of a name, if it is one that is known.
pub(crate) fn find(name: &str, version: &str) -> Option<View> {
    let (is_user, base) = match name.split_once('_') {
        Some(("USER", base)) => (true, base),
        Some(("ALL" | "DBA", base)) => (false, base),
        _ => return fixed(name, version),
    };
    let all = match base {
        "TABLES" => view(
            &[
                ("OWNER", 'T', "'TAHR'"),
                ("TABLE_NAME", 'T', "t.name"),
                ("TEMPORARY", 'T', "'N'"),
                ("STATUS", 'T', "'VALID'"),
            ],
            "ora_tables t",
            is_user,
        ),
        "OBJECTS" => view(
            &[
                ("OWNER", 'T', "'TAHR'"),
                ("OBJECT_NAME", 'T', "t.name"),
                ("OBJECT_TYPE", 'T', "'TABLE'"),
            ],
            "ora_tables t",
            is_user,
        ),
        "TAB_COLUMNS" | "TAB_COLS" => tab_columns(is_user),
        "CONSTRAINTS" => view(
            &[
                ("OWNER", 'T', "'TAHR'"),
                ("CONSTRAINT_NAME", 'T', "x.name"),
                ("CONSTRAINT_TYPE", 'T', "x.type"),
                ("TABLE_NAME", 'T', "t.name"),
                ("SEARCH_CONDITION", 'T', "x.condition"),
                ("R_OWNER", 'T', "CASE WHEN x.type = 'R' THEN 'TAHR' END"),
                (
                    "R_CONSTRAINT_NAME",
                    'T',
                    "(SELECT k.name FROM ora_constraints k WHERE k.table_id = x.other_table \
                    AND k.columns = x.other_columns AND k.type IN ('P', 'U'))",
                ),
                ("STATUS", 'T', "'ENABLED'"),
                ("DEFERRABLE", 'T', "'NOT DEFERRABLE'"),
                ("VALIDATED", 'T', "'VALIDATED'"),
                (
                    "INDEX_NAME",
                    'T',
                    "(SELECT i.name FROM ora_indexes i WHERE i.id = x.index_id)",
                ),
            ],
            "ora_constraints x JOIN ora_tables t ON t.id = x.table_id",
            is_user,
        ),
        "CONS_COLUMNS" => view(
            &[
                ("OWNER", 'T', "'TAHR'"),
                ("CONSTRAINT_NAME", 'T', "x.name"),
                ("TABLE_NAME", 'T', "t.name"),
                ("COLUMN_NAME", 'T', "c.name"),
                ("POSITION", 'N', "e.key + 1"),
            ],
            &format!("ora_constraints x JOIN {EACH}"),
            is_user,
        ),
        "INDEXES" => view(
            &[
                ("OWNER", 'T', "'TAHR'"),
                ("INDEX_NAME", 'T', "x.name"),
                ("INDEX_TYPE", 'T', "'NORMAL'"),
                ("TABLE_OWNER", 'T', "'TAHR'"),
                ("TABLE_NAME", 'T', "t.name"),
                (
                    "UNIQUENESS",
                    'T',
                    "CASE WHEN x.is_unique THEN 'UNIQUE' ELSE 'NONUNIQUE' END",
                ),
                ("STATUS", 'T', "'VALID'"),
                ("FUNCIDX_STATUS", 'T', "NULL"),
            ],
            "ora_indexes x JOIN ora_tables t ON t.id = x.table_id",
            is_user,
        ),
        "IND_COLUMNS" => view(
            &[
                ("INDEX_OWNER", 'T', "'TAHR'"),
                ("INDEX_NAME", 'T', "x.name"),
                ("TABLE_OWNER", 'T', "'TAHR'"),
                ("TABLE_NAME", 'T', "t.name"),
                ("COLUMN_NAME", 'T', "c.name"),
                ("COLUMN_POSITION", 'N', "e.key + 1"),
                ("DESCEND", 'T', "'ASC'"),
            ],
            &format!("ora_indexes x JOIN {EACH}"),
            is_user,
        ),
        _ => return None,
    };
    Some(all)
}

fn tab_columns(is_user: bool) -> View {
    view(
        &[
            ("OWNER", 'T', "'TAHR'"),
            ("TABLE_NAME", 'T', "t.name"),
            ("COLUMN_NAME", 'T', "c.name"),
            ("DATA_TYPE", 'T', "ora_type(c.type, 'type')"),
            ("DATA_LENGTH", 'N', "ora_type(c.type, 'bytes')"),
            ("CHAR_LENGTH", 'N', "ora_type(c.type, 'chars')"),
            ("CHAR_USED", 'T', "ora_type(c.type, 'used')"),
            ("DATA_PRECISION", 'N', "ora_type(c.type, 'precision')"),
            ("DATA_SCALE", 'N', "ora_type(c.type, 'scale')"),
            (
                "NULLABLE",
                'T',
                "CASE WHEN c.not_null THEN 'N' ELSE 'Y' END",
            ),
            ("COLUMN_ID", 'N', "c.position"),
            ("DEFAULT_LENGTH", 'N', "length(c.default_text)"),
            ("DATA_DEFAULT", 'T', "c.default_text"),
            (
                "IDENTITY_COLUMN",
                'T',
                "CASE WHEN c.is_identity THEN 'YES' ELSE 'NO' END",
            ),
            ("VIRTUAL_COLUMN", 'T', "'NO'"),
            ("HIDDEN_COLUMN", 'T', "'NO'"),
            ("USER_GENERATED", 'T', "'YES'"),
        ],
        "ora_columns c JOIN ora_tables t ON t.id = c.table_id",
        is_user,
    )
}

/// Views of the server itself.
fn fixed(name: &str, version: &str) -> Option<View> {
    let text = |columns: &[&'static str], sql: String| View {
        columns: columns.iter().map(|name| (*name, TEXT)).collect(),
        sql,
    };
    Some(match name {
        "DUAL" => text(&["DUMMY"], "SELECT 'X'".to_owned()),
        "PRODUCT_COMPONENT_VERSION" => text(
            &["PRODUCT", "VERSION", "VERSION_FULL", "STATUS"],
            format!("SELECT 'Oracle Database Stand-in', '{version}', '{version}', 'Test'"),
        ),
        "V$VERSION" => text(
            &["BANNER", "BANNER_FULL"],
            format!("SELECT 'Oracle Database Stand-in Release {version}', 'Oracle Database Stand-in Release {version}'"),
        ),
        "V$INSTANCE" => text(&["VERSION", "STATUS"], format!("SELECT '{version}', 'OPEN'")),
        "NLS_DATABASE_PARAMETERS" | "NLS_SESSION_PARAMETERS" => text(
            &["PARAMETER", "VALUE"],
            "SELECT 'NLS_CHARACTERSET', 'AL32UTF8' UNION ALL SELECT 'NLS_NCHAR_CHARACTERSET', 'AL16UTF16' \
             UNION ALL SELECT 'NLS_LENGTH_SEMANTICS', 'BYTE'"
                .to_owned(),
        ),
        "V$PARAMETER" => text(&["NAME", "VALUE"], "SELECT 'max_string_size', 'STANDARD'".to_owned()),
        _ => return None,
    })
}
