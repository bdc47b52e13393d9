//! What a column that is there already holds, and whether that is enough.

use tahr_plugin_api::{Column, ValueKind};

use crate::{
    columns::Wanted,
    types::{Form, Type, decimal, is_plain_text, text_width},
};

/// What the values of a column of the target can be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Holds {
    Int {
        bits: u8,
        is_unsigned: bool,
    },
    Bit,
    Decimal {
        precision: i32,
        scale: i32,
    },
    Double,
    Text {
        /// Characters.
        length: u64,
        /// Whether trailing spaces are lost (`CHAR`).
        is_padded: bool,
        /// Whether it takes every character.
        is_unicode: bool,
        /// Whether two different texts always differ.
        is_exact: bool,
    },
    Bytes {
        length: u64,
        /// Whether trailing zeros are added (`BINARY`).
        is_padded: bool,
    },
    Date,
    DateTime {
        decimals: u8,
    },
    Time {
        decimals: u8,
    },
    Json,
    Uuid,
    /// What no value of PostgreSQL's goes into without being altered.
    Other,
}

/// A column's type as `information_schema` tells it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Declared {
    /// `varchar`.
    pub(crate) data_type: String,
    /// `varchar(20)`, `int(10) unsigned`.
    pub(crate) column_type: String,
    pub(crate) characters: Option<u64>,
    pub(crate) octets: Option<u64>,
    pub(crate) precision: Option<i32>,
    pub(crate) scale: Option<i32>,
    pub(crate) decimals: Option<u8>,
    pub(crate) charset: Option<String>,
    pub(crate) collation: Option<String>,
}

/// Characters or bytes of PostgreSQL's longest value: a `LONGTEXT` of four-byte characters.
const UNLIMITED: u64 = 1_073_741_823;

impl Holds {
    /// What a column of that type holds.
    pub(crate) fn of(declared: &Declared) -> Self {
        let is_unsigned = declared.column_type.contains("unsigned");
        let int = |bits| Self::Int { bits, is_unsigned };
        let decimals = declared.decimals.unwrap_or(0);
        let octets = declared.octets.unwrap_or(0);
        match declared.data_type.to_ascii_lowercase().as_str() {
            "tinyint" => int(8),
            "smallint" => int(16),
            "mediumint" => int(24),
            "int" => int(32),
            "bigint" => int(64),
            "bit" => Self::Bit,
            "decimal" if !is_unsigned => Self::Decimal {
                precision: declared.precision.unwrap_or(0),
                scale: declared.scale.unwrap_or(0),
            },
            "double" if !is_unsigned => Self::Double,
            name @ ("char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext") => {
                let charset = declared.charset.as_deref().unwrap_or("");
                let collation = declared.collation.as_deref().unwrap_or("");
                let is_unicode = matches!(charset, "utf8mb4" | "utf16" | "utf16le" | "utf32");
                Self::Text {
                    length: match name {
                        "char" | "varchar" => declared.characters.unwrap_or(0),
                        _ if is_unicode => octets / 4,
                        _ => octets,
                    },
                    is_padded: name == "char",
                    is_unicode,
                    is_exact: collation.ends_with("_nopad_bin") || collation.ends_with("_0900_bin"),
                }
            }
            name @ ("binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob") => {
                Self::Bytes {
                    length: octets,
                    is_padded: name == "binary",
                }
            }
            "date" => Self::Date,
            "datetime" => Self::DateTime { decimals },
            "time" => Self::Time { decimals },
            "json" => Self::Json,
            "uuid" => Self::Uuid,
            _ => Self::Other,
        }
    }

    /// The form in which values of `column` are written here; none where not every one of them would
    /// stay what it is.
    pub(crate) fn form(&self, column: &Column, wanted: &Wanted) -> Option<Form> {
        let kind = column.kind;
        let fits = |fits: bool, form| fits.then_some(form);
        match *self {
            Self::Int { bits, is_unsigned } => match (kind, column.type_oid) {
                (ValueKind::Bool, _) => Some(Form::Bool),
                (_, 26 | 28) if is_unsigned => fits(bits >= 32, Form::Int),
                (_, 5069) => fits(is_unsigned && bits == 64, Form::Int),
                (ValueKind::Int, oid) => fits(!is_unsigned && bits >= int_bits(oid), Form::Int),
                (_, 28) => fits(bits == 64, Form::Int),
                _ => None,
            },
            Self::Bit => fits(kind == ValueKind::Bool, Form::Bool),
            Self::Decimal { precision, scale } => match (kind, decimal(column)) {
                (ValueKind::Decimal, Some((from_precision, from_scale))) => fits(
                    scale >= from_scale && precision - scale >= from_precision - from_scale,
                    Form::Decimal,
                ),
                (ValueKind::Int, _) => fits(scale == 0 && precision >= 19, Form::Int),
                _ => None,
            },
            Self::Double => fits(kind == ValueKind::Float, Form::Float),
            Self::Text {
                length,
                is_padded,
                is_unicode,
                is_exact,
            } => {
                let is_plain = is_plain_text(column);
                let keeps_all = is_unicode && !is_padded && (is_exact || !wanted.is_key);
                let keeps = is_plain || keeps_all;
                fits(keeps && length >= needed(column, wanted), Form::Text)
            }
            Self::Bytes { length, is_padded } => {
                let (needed, form) = match kind {
                    ValueKind::Bytes => (needed(column, wanted), Form::Bytes),
                    _ if is_plain_text(column) => (needed(column, wanted), Form::Text),
                    // Bytes of a character.
                    _ => (needed(column, wanted) * 4, Form::Text),
                };
                fits(!is_padded && length >= needed.min(UNLIMITED), form)
            }
            Self::Date => fits(kind == ValueKind::Date, Form::Date),
            Self::DateTime { decimals } => {
                let is_instant = matches!(kind, ValueKind::Timestamp | ValueKind::TimestampTz);
                fits(
                    is_instant && decimals >= decimals_of(column),
                    Form::DateTime,
                )
            }
            Self::Time { decimals } => fits(
                kind == ValueKind::Time && decimals >= decimals_of(column),
                Form::Time,
            ),
            Self::Json => fits(kind == ValueKind::Json && !wanted.is_key, Form::Text),
            Self::Uuid => fits(kind == ValueKind::Uuid, Form::Text),
            Self::Other => None,
        }
    }

    /// Whether every value here is still the same once the column has the type that `wanted` declares,
    /// so that a table which is replicated to may be altered without asking.
    pub(crate) fn widens_to(&self, wanted: &Wanted) -> bool {
        match (self, &wanted.mapping.declared) {
            (Self::Int { bits, is_unsigned }, Type::Plain(name)) => match name.as_str() {
                "SMALLINT" => *bits < 16 && !is_unsigned,
                "INT" => *bits < 32,
                "BIGINT" => *bits < 64,
                _ => false,
            },
            (Self::Decimal { .. }, Type::Plain(name)) => name.starts_with("DECIMAL"),
            (Self::DateTime { .. }, Type::Plain(name)) => name == "DATETIME(6)",
            (Self::Time { .. }, Type::Plain(name)) => name == "TIME(6)",
            (
                Self::Text { .. } | Self::Int { .. } | Self::Decimal { .. },
                Type::Text(_) | Type::Uuid,
            ) => true,
            (Self::Bytes { .. }, Type::Bytes) => true,
            _ => false,
        }
    }

    /// Whether `<=>` on such a column, with a value in its form, is equality of the value.
    pub(crate) fn compares_exactly(&self, form: Form) -> bool {
        match self {
            Self::Text { is_exact, .. } => *is_exact,
            Self::Json => false,
            _ => form != Form::Text || matches!(self, Self::Bytes { .. } | Self::Uuid),
        }
    }
}

fn int_bits(oid: u32) -> u8 {
    match oid {
        21 => 16,
        23 => 32,
        // An `oid` has no sign; one bit more in a type that has.
        _ => 64,
    }
}

/// The length that a column for text or bytes must have.
fn needed(column: &Column, wanted: &Wanted) -> u64 {
    let width = text_width(column).unwrap_or(UNLIMITED);
    wanted.limit.map_or(width, |limit| limit.min(width))
}

/// Decimals of seconds.
fn decimals_of(column: &Column) -> u8 {
    u8::try_from(column.type_modifier).map_or(6, |decimals| decimals.min(6))
}

#[cfg(test)]
mod tests {
    use tahr_plugin_api::{Unfit, testing::relation};

    use super::*;
    use crate::{columns::wanted, session::Server};

    fn text(length: u64) -> Holds {
        Holds::Text {
            length,
            is_padded: false,
            is_unicode: true,
            is_exact: true,
        }
    }

    fn form(type_name: &str, holds: &Holds, is_key: bool) -> Option<Form> {
        let table = relation("public.t").column("c", type_name);
        let table = if is_key { table.key(["c"]) } else { table };
        let table = table.build();
        let wanted = wanted(&table, Unfit::Error, &Server::default());
        holds.form(&table.columns[0], &wanted[0])
    }

    #[test]
    fn wider_columns_do() {
        let int = |bits, is_unsigned| Holds::Int { bits, is_unsigned };
        let decimal = |precision, scale| Holds::Decimal { precision, scale };
        for (type_name, holds, expected) in [
            ("smallint", int(64, false), Form::Int),
            ("oid", int(32, true), Form::Int),
            ("oid", int(64, false), Form::Int),
            ("boolean", int(8, false), Form::Bool),
            ("numeric(10,2)", decimal(12, 4), Form::Decimal),
            ("bigint", text(20), Form::Text),
            ("timestamp with time zone", text(255), Form::Text),
            ("numeric", text(UNLIMITED), Form::Text),
            ("text", text(UNLIMITED), Form::Text),
            ("character varying(20)", text(30), Form::Text),
            (
                "timestamp without time zone",
                Holds::DateTime { decimals: 6 },
                Form::DateTime,
            ),
            ("jsonb", Holds::Json, Form::Text),
            ("uuid", Holds::Uuid, Form::Text),
        ] {
            assert_eq!(
                form(type_name, &holds, false),
                Some(expected),
                "{type_name}"
            );
        }
    }

    #[test]
    fn narrower_columns_do_not() {
        let int = |bits, is_unsigned| Holds::Int { bits, is_unsigned };
        for (type_name, holds) in [
            ("bigint", int(32, false)),
            ("integer", int(32, true)),
            ("oid", int(32, false)),
            ("double precision", Holds::Other),
            (
                "numeric",
                Holds::Decimal {
                    precision: 65,
                    scale: 30,
                },
            ),
            (
                "numeric(10,2)",
                Holds::Decimal {
                    precision: 10,
                    scale: 4,
                },
            ),
            ("text", text(255)),
            ("text", text(16_383)),
            ("character varying(20)", text(10)),
            ("date", Holds::DateTime { decimals: 6 }),
            ("timestamp with time zone", Holds::DateTime { decimals: 0 }),
            ("text", Holds::Json),
        ] {
            assert_eq!(
                form(type_name, &holds, false),
                None,
                "{type_name} {holds:?}"
            );
        }
    }

    #[test]
    fn keys_of_text_need_a_collation_that_tells_all_apart() {
        assert_eq!(form("text", &text(768), true), Some(Form::Text));
        assert_eq!(form("text", &text(767), true), None);
        let folding = Holds::Text {
            length: 768,
            is_padded: false,
            is_unicode: true,
            is_exact: false,
        };
        assert_eq!(form("text", &folding, true), None);
        assert_eq!(form("uuid", &folding, true), Some(Form::Text));
        assert_eq!(form("date", &folding, true), Some(Form::Text));
    }
}
