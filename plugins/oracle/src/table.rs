//! What is known of a relation version's table: its names, its columns' types, its statements.

use tahr_plugin_api::{Column, Relation, Unfit, ValueKind};

use crate::{
    catalog::{Existing, ExistingColumn},
    names::Names,
    number::Bounds,
    session::Sent,
    statements::{self, Condition},
    types::{self, Form, Limit, Type},
};

/// A column that is written.
#[derive(Clone, Debug)]
pub(crate) struct TableColumn {
    pub(crate) name: String,
    pub(crate) kind: Type,
    pub(crate) is_key: bool,
}

/// A table as [`apply`](crate::apply) needs to know it.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(crate) name: String,
    /// In the relation's order.
    pub(crate) columns: Vec<TableColumn>,
    /// The columns that name a row; empty: all of them do.
    pub(crate) key: Vec<usize>,
    /// All columns in the order of parameters: LOBs last.
    pub(crate) all: Vec<usize>,
    /// Those of them that are not in the key.
    pub(crate) others: Vec<usize>,
    /// Whether nothing but the key ties its rows to each other.
    pub(crate) is_free: bool,
    /// Whether foreign keys tie it to other tables.
    pub(crate) is_tied: bool,
    /// Inserts whole rows; parameters: `all`.
    pub(crate) insert: String,
    /// Inserts or updates whole rows; parameters: `merged`. None where a column is a LOB.
    pub(crate) merge: Option<String>,
    /// The key, then the others.
    pub(crate) merged: Vec<usize>,
}

impl Table {
    /// The table `name`, which has all columns of `relation`.
    pub(crate) fn new(
        relation: &Relation,
        name: String,
        existing: &Existing,
        names: Names,
    ) -> Self {
        let key = relation.key();
        let spelled = names.columns(relation);
        let columns: Vec<TableColumn> = (relation.columns.iter().zip(spelled).enumerate())
            .map(|(index, (column, name))| {
                let found = existing
                    .column(&name)
                    .and_then(|found| fits(column, found).ok());
                TableColumn {
                    kind: found.unwrap_or_else(|| types::made(column, None, Unfit::Error)),
                    is_key: key.contains(&index),
                    name,
                }
            })
            .collect();
        let mut all: Vec<usize> = (0..columns.len()).collect();
        all.sort_by_key(|&index| columns[index].kind.is_lob);
        let others: Vec<usize> = (all.iter().copied())
            .filter(|&index| !columns[index].is_key)
            .collect();
        let spell = |indexes: &[usize]| -> Vec<&str> {
            indexes.iter().map(|&index| &*columns[index].name).collect()
        };
        let has_lobs = columns.iter().any(|column| column.kind.is_lob);
        let further = existing.unique_keys.len() - usize::from(existing.has_key(spell(&key)));
        let is_tied = existing.has_foreign_keys;
        let insert = statements::insert(&name, &spell(&all));
        let merge = (!has_lobs && !key.is_empty())
            .then(|| statements::merge(&name, &spell(&key), &spell(&others)));
        Self {
            merged: key.iter().chain(&others).copied().collect(),
            is_free: !key.is_empty() && further == 0 && !is_tied,
            name,
            columns,
            key,
            all,
            others,
            is_tied,
            insert,
            merge,
        }
    }

    /// The types of parameters for these columns.
    pub(crate) fn sent(&self, columns: &[usize]) -> Vec<Sent> {
        let sent = |&index: &usize| Sent::As(self.columns[index].kind.form);
        columns.iter().map(sent).collect()
    }

    /// The names of these columns.
    pub(crate) fn spelled(&self, columns: &[usize]) -> Vec<&str> {
        columns
            .iter()
            .map(|&index| &*self.columns[index].name)
            .collect()
    }

    /// A row named by its key.
    pub(crate) fn by_key(&self) -> Vec<Condition<'_>> {
        let key = self.key.iter();
        key.map(|&index| Condition::Equal(&self.columns[index].name))
            .collect()
    }
}

/// The digits that numbers of the source have at most; none where they have no bounds.
fn source_bounds(column: &Column) -> Option<Bounds> {
    let whole = |precision| {
        Some(Bounds {
            precision,
            scale: 0,
        })
    };
    match (column.kind, column.type_oid) {
        (ValueKind::Int, 21) => whole(5),
        (ValueKind::Int, 23 | 26) | (ValueKind::Other, 28) => whole(10),
        (ValueKind::Int, _) => whole(19),
        (ValueKind::Other, 5069) => whole(20),
        _ => types::numeric_bounds(column),
    }
}

/// How the column `found` takes the values of `column`; an error says why it would alter them.
pub(crate) fn fits(column: &Column, found: &ExistingColumn) -> Result<Type, String> {
    let natural = types::made(column, None, Unfit::Error).form;
    let is_bytes = column.kind == ValueKind::Bytes;
    let kind = |form, limit| Type {
        declared: found.declared(),
        form,
        limit,
        is_lob: matches!(&*found.data_type, "CLOB" | "NCLOB" | "BLOB"),
    };
    let length = match found.characters {
        Some(characters) => Limit::Characters(characters),
        None => Limit::Bytes(found.bytes),
    };
    // `TIMESTAMP(6) WITH TIME ZONE`: digits of a second, and what follows.
    let (family, digits, zone) = match found.data_type.strip_prefix("TIMESTAMP(") {
        Some(rest) => {
            let (digits, zone) = rest.split_once(')').unwrap_or((rest, ""));
            ("TIMESTAMP", digits.parse().unwrap_or(0), zone.trim_start())
        }
        None => (&*found.data_type, 0, ""),
    };
    let fitting = match (family, natural) {
        ("VARCHAR2" | "NVARCHAR2", _) if !is_bytes => Some(kind(Form::Text, length)),
        ("CLOB" | "NCLOB", _) if !is_bytes => Some(kind(Form::Text, Limit::None)),
        ("BLOB", Form::Bytes) => Some(kind(Form::Bytes, Limit::None)),
        ("RAW", Form::Bytes) => Some(kind(Form::Bytes, length)),
        ("NUMBER", Form::Bool) => (found.bounds)
            .is_none_or(|bounds| bounds.precision > bounds.scale)
            .then(|| kind(Form::Bool, Limit::None)),
        ("NUMBER", _) if natural == Form::Number || column.kind == ValueKind::Decimal => {
            let source = source_bounds(column);
            let holds = match (found.bounds, source) {
                (Some(target), Some(source)) => target.hold(source),
                (None, Some(source)) => source.are_oracles(),
                (_, None) => false,
            };
            let limit = if holds {
                Limit::None
            } else {
                Limit::Number(found.bounds)
            };
            Some(kind(Form::Number, limit))
        }
        ("BINARY_FLOAT", Form::Float) => Some(kind(Form::Float, Limit::None)),
        ("BINARY_DOUBLE", Form::Float | Form::Double) => Some(kind(Form::Double, Limit::None)),
        ("DATE", Form::Date) => Some(kind(Form::Date, Limit::None)),
        ("TIMESTAMP", Form::Date | Form::Timestamp | Form::TimestampTz)
            if zone.is_empty() && digits >= 6 =>
        {
            Some(kind(Form::Timestamp, Limit::None))
        }
        ("TIMESTAMP", Form::TimestampTz) if !zone.is_empty() && digits >= 6 => {
            Some(kind(Form::TimestampTz, Limit::None))
        }
        _ => None,
    };
    fitting.ok_or_else(|| {
        let declared = found.declared();
        format!(
            "has type {declared}, which would alter values of {}",
            column.type_name
        )
    })
}

/// Whether values of the source are measured against the column one by one, since it is narrower than
/// their type.
pub(crate) fn is_narrow(column: &Column, share: Option<u32>, kind: &Type) -> bool {
    let made = types::made(column, share, Unfit::Error);
    match (kind.limit, made.limit) {
        (Limit::None, _) => false,
        (Limit::Number(_), _) => true,
        (Limit::Characters(most), Limit::Characters(own))
        | (Limit::Bytes(most), Limit::Bytes(own)) => most < own,
        (Limit::Characters(_) | Limit::Bytes(_), _) => {
            made.is_lob || lengths(&made.declared) > lengths(&kind.declared)
        }
    }
}

/// The bytes that a `VARCHAR2(…)` may have.
fn lengths(declared: &str) -> u32 {
    let inner = declared.split(['(', ')']).nth(1).unwrap_or_default();
    let (length, unit) = inner.split_once(' ').unwrap_or((inner, ""));
    let length: u32 = length.parse().unwrap_or(0);
    if unit == "CHAR" {
        length.saturating_mul(4)
    } else {
        length
    }
}

/// The type to which the column `found` may be widened, where `made` is a wider one of its family.
pub(crate) fn wider(found: &ExistingColumn, made: &Type) -> Option<String> {
    let is_wider = match &*found.data_type {
        "NUMBER" if made.declared.starts_with("NUMBER(") => {
            let parsed = bounds(&made.declared)?;
            found
                .bounds
                .is_some_and(|found| parsed.hold(found) && parsed != found)
        }
        "VARCHAR2" if made.declared.starts_with("VARCHAR2(") => {
            lengths(&made.declared) > lengths(&found.declared())
        }
        _ => false,
    };
    is_wider.then(|| made.declared.clone())
}

fn bounds(declared: &str) -> Option<Bounds> {
    let inner = declared.strip_prefix("NUMBER(")?.strip_suffix(')')?;
    let (precision, scale) = inner.split_once(',').unwrap_or((inner, "0"));
    Some(Bounds {
        precision: precision.parse().ok()?,
        scale: scale.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use tahr_plugin_api::testing::relation;

    use super::*;

    fn column(type_name: &str) -> Column {
        relation("t").column("c", type_name).build().columns[0].clone()
    }

    fn existing(data_type: &str, bytes: u32, bounds: Option<(i32, i32)>) -> ExistingColumn {
        ExistingColumn {
            name: "c".to_owned(),
            data_type: data_type.to_owned(),
            bytes,
            bounds: bounds.map(|(precision, scale)| Bounds { precision, scale }),
            ..ExistingColumn::default()
        }
    }

    #[test]
    fn columns_that_would_alter_values_are_refused() {
        for (type_name, data_type, bytes, bounds, expected) in [
            ("text", "CHAR", 10, None, false),
            ("text", "VARCHAR2", 10, None, true),
            ("bytea", "VARCHAR2", 4000, None, false),
            ("bytea", "RAW", 16, None, true),
            ("integer", "NUMBER", 22, Some((5, 0)), true),
            ("integer", "FLOAT", 22, None, false),
            ("integer", "CLOB", 4000, None, true),
            ("numeric", "NUMBER", 22, None, true),
            ("double precision", "NUMBER", 22, None, false),
            ("double precision", "BINARY_FLOAT", 4, None, false),
            ("real", "BINARY_DOUBLE", 8, None, true),
            ("timestamp without time zone", "DATE", 7, None, false),
            (
                "timestamp without time zone",
                "TIMESTAMP(3)",
                11,
                None,
                false,
            ),
            (
                "timestamp without time zone",
                "TIMESTAMP(9)",
                11,
                None,
                true,
            ),
            (
                "timestamp with time zone",
                "TIMESTAMP(6) WITH LOCAL TIME ZONE",
                11,
                None,
                true,
            ),
            (
                "timestamp without time zone",
                "TIMESTAMP(6) WITH TIME ZONE",
                13,
                None,
                false,
            ),
            ("date", "TIMESTAMP(6)", 11, None, true),
            ("jsonb", "XMLTYPE", 2000, None, false),
        ] {
            let found = fits(&column(type_name), &existing(data_type, bytes, bounds));
            assert_eq!(
                found.is_ok(),
                expected,
                "{type_name} in {data_type}: {found:?}"
            );
        }
    }

    #[test]
    fn a_number_is_measured_where_its_type_is_wider_than_the_column() {
        let limit = |type_name, bounds| {
            fits(&column(type_name), &existing("NUMBER", 22, bounds))
                .unwrap()
                .limit
        };
        let narrow = Some(Bounds {
            precision: 5,
            scale: 0,
        });
        assert_eq!(limit("integer", Some((5, 0))), Limit::Number(narrow));
        assert_eq!(limit("integer", Some((10, 0))), Limit::None);
        assert_eq!(limit("numeric(10,2)", None), Limit::None);
        assert_eq!(limit("numeric", None), Limit::Number(None));
    }

    #[test]
    fn wider_types_of_a_family_are_followed() {
        let number = existing("NUMBER", 22, Some((5, 0)));
        let made = |type_name| types::made(&column(type_name), None, Unfit::Error);
        assert_eq!(
            wider(&number, &made("bigint")).as_deref(),
            Some("NUMBER(19)")
        );
        assert_eq!(wider(&number, &made("numeric(5,2)")), None);
        assert_eq!(wider(&number, &made("text")), None);
        let text = existing("VARCHAR2", 80, None);
        let wide = made("character varying(40)");
        assert_eq!(wider(&text, &wide).as_deref(), Some("VARCHAR2(40 CHAR)"));
        assert_eq!(wider(&text, &made("character varying(20)")), None);
    }
}
