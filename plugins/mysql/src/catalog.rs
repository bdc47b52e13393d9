//! What the target's own catalog says of a table.

use mysql_async::{Error, Row, prelude::Queryable as _};

use crate::{
    holds::{Declared, Holds},
    names::{folded, literal},
    session::Session,
};

/// A table as it is in the target.
#[derive(Clone, Debug, Default)]
pub(crate) struct Existing {
    pub(crate) columns: Vec<ExistingColumn>,
    /// For each unique index its columns' names, folded and sorted; none for an index of part of a
    /// column, or of an expression.
    pub(crate) unique: Vec<Option<Vec<String>>>,
    pub(crate) is_view: bool,
    /// Whether its engine has transactions.
    pub(crate) is_transactional: bool,
    pub(crate) has_triggers: bool,
    /// Whether it has foreign keys, or is the target of some.
    pub(crate) has_foreign_keys: bool,
}

/// A column as it is in the target.
#[derive(Clone, Debug)]
pub(crate) struct ExistingColumn {
    pub(crate) name: String,
    /// As MySQL prints it.
    pub(crate) type_name: String,
    pub(crate) holds: Holds,
    pub(crate) is_nullable: bool,
    /// Whether a row must be given a value for it.
    pub(crate) needs_value: bool,
    pub(crate) is_generated: bool,
}

impl Existing {
    /// The table `name` of the session's database, if there is one.
    pub(crate) async fn find(session: &mut Session, name: &str) -> Result<Option<Self>, Error> {
        let folds = session.server.folds_names;
        let is_ours = |found: &str| found == name || (folds && folded(found) == folded(name));
        let name = literal(name);
        let conn = &mut session.conn;
        let sql = format!(
            "SELECT TABLE_NAME, TABLE_TYPE, ENGINE FROM information_schema.TABLES \
             WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = {name}"
        );
        let tables: Vec<(String, String, Option<String>)> = conn.query(sql).await?;
        // The catalog may compare names more freely than the server itself.
        let Some((_, kind, engine)) = tables.into_iter().find(|(found, ..)| is_ours(found)) else {
            return Ok(None);
        };
        let mut table = Self {
            is_view: kind.contains("VIEW"),
            is_transactional: engine.is_some_and(|engine| {
                ["innodb", "rocksdb", "ndbcluster"].contains(&&*engine.to_ascii_lowercase())
            }),
            ..Self::default()
        };
        let sql = format!(
            "SELECT TABLE_NAME, COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, CHARACTER_MAXIMUM_LENGTH, \
             CHARACTER_OCTET_LENGTH, NUMERIC_PRECISION, NUMERIC_SCALE, DATETIME_PRECISION, \
             CHARACTER_SET_NAME, COLLATION_NAME, IS_NULLABLE, COLUMN_DEFAULT IS NOT NULL, EXTRA \
             FROM information_schema.COLUMNS \
             WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = {name} ORDER BY ORDINAL_POSITION"
        );
        let columns: Vec<Row> = conn.query(sql).await?;
        let columns = columns.into_iter();
        table.columns = columns
            .filter_map(|mut row| {
                let found: String = take(&mut row, 0)?;
                is_ours(&found).then(|| column(&mut row)).flatten()
            })
            .collect();
        let sql = format!(
            "SELECT TABLE_NAME, INDEX_NAME, COLUMN_NAME, SUB_PART IS NOT NULL \
             FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = DATABASE() \
             AND TABLE_NAME = {name} AND NON_UNIQUE = 0 ORDER BY INDEX_NAME, SEQ_IN_INDEX"
        );
        let mut last = None;
        let parts: Vec<(String, String, Option<String>, bool)> = conn.query(sql).await?;
        for (found, index, column, is_prefix) in parts {
            if !is_ours(&found) {
                continue;
            }
            if last.as_ref() != Some(&index) {
                table.unique.push(Some(Vec::new()));
                last = Some(index);
            }
            let Some(key) = table.unique.last_mut() else {
                continue;
            };
            match column.filter(|_| !is_prefix) {
                Some(column) => {
                    if let Some(columns) = key {
                        columns.push(folded(&column));
                    }
                }
                None => *key = None,
            }
        }
        for columns in table.unique.iter_mut().flatten() {
            columns.sort();
        }
        let sql = format!(
            "SELECT EXISTS (SELECT 1 FROM information_schema.TRIGGERS \
               WHERE EVENT_OBJECT_SCHEMA = DATABASE() AND EVENT_OBJECT_TABLE = {name}), \
             EXISTS (SELECT 1 FROM information_schema.KEY_COLUMN_USAGE \
               WHERE REFERENCED_TABLE_NAME IS NOT NULL \
               AND ((TABLE_SCHEMA = DATABASE() AND TABLE_NAME = {name}) \
                 OR (REFERENCED_TABLE_SCHEMA = DATABASE() AND REFERENCED_TABLE_NAME = {name})))"
        );
        if let Some((triggers, foreign_keys)) = conn.query_first(sql).await? {
            table.has_triggers = triggers;
            table.has_foreign_keys = foreign_keys;
        }
        Ok(Some(table))
    }

    /// The column `name`, in whatever case.
    pub(crate) fn column(&self, name: &str) -> Option<&ExistingColumn> {
        let name = folded(name);
        self.columns
            .iter()
            .find(|column| folded(&column.name) == name)
    }

    /// Whether exactly `columns` are a unique key.
    pub(crate) fn has_key<'a>(&self, columns: impl IntoIterator<Item = &'a str>) -> bool {
        let mut columns: Vec<String> = columns.into_iter().map(folded).collect();
        columns.sort();
        self.unique.iter().flatten().any(|key| *key == columns)
    }
}

fn take<T: mysql_async::prelude::FromValue>(row: &mut Row, index: usize) -> Option<T> {
    row.take_opt(index)?.ok()
}

fn column(row: &mut Row) -> Option<ExistingColumn> {
    let mut text = |index| take::<Option<String>>(row, index).flatten();
    let name = text(1)?;
    let (data_type, column_type) = (text(2)?, text(3)?);
    let (charset, collation) = (text(9), text(10));
    let is_nullable = text(11).as_deref() == Some("YES");
    let extra = text(13).unwrap_or_default().to_ascii_lowercase();
    let mut number = |index| take::<Option<u64>>(row, index).flatten();
    let declared = Declared {
        data_type,
        column_type,
        characters: number(4),
        octets: number(5),
        precision: number(6).and_then(|number| i32::try_from(number).ok()),
        scale: number(7).and_then(|number| i32::try_from(number).ok()),
        decimals: number(8).and_then(|number| u8::try_from(number).ok()),
        charset,
        collation,
    };
    let has_default = number(12) == Some(1);
    let is_generated = extra.contains("generated") && !extra.contains("default_generated");
    Some(ExistingColumn {
        holds: Holds::of(&declared),
        type_name: declared.column_type,
        is_nullable,
        needs_value: !is_nullable
            && !has_default
            && !is_generated
            && !extra.contains("auto_increment"),
        is_generated,
        name,
    })
}

/// The tables of the session's database whose names begin with `prefix`.
pub(crate) async fn tables_with_prefix(
    session: &mut Session,
    prefix: &str,
) -> Result<Vec<String>, Error> {
    let sql = "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE()";
    let mut tables: Vec<String> = session.conn.query(sql).await?;
    tables.retain(|table| table.starts_with(prefix));
    Ok(tables)
}
