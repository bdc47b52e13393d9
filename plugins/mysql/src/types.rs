//! Which of MySQL's types the values of a column get, and in which form they are written.
//!
//! | PostgreSQL | MySQL | form |
//! |---|---|---|
//! | `boolean` | `TINYINT(1)` | 0 or 1 |
//! | integers, `oid`, `xid`, `xid8` | `SMALLINT` … `BIGINT UNSIGNED` | number |
//! | `real`, `double precision` | `DOUBLE` | number; `FLOAT` would print six digits of it |
//! | `numeric(p,s)` up to 65 and 30 digits | `DECIMAL(p,s)` | number |
//! | `date`, `timestamp`, `timestamp with time zone` | `DATE`, `DATETIME(6)` (in UTC) | date |
//! | `time` | `TIME(6)` | time |
//! | `bytea` | `LONGBLOB` | bytes |
//! | `uuid` | `CHAR(36)` | PostgreSQL's text |
//! | texts of a limited length | `VARCHAR(n)` | PostgreSQL's text |
//! | all else | `LONGTEXT` | PostgreSQL's text |
//!
//! Columns of keys, whose length is limited, and of very wide rows differ: see
//! [`columns`](crate::columns).

use tahr_plugin_api::{Column, Rule, RuleTable, Unfit, ValueKind};

/// The form in which a column's values are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// PostgreSQL's text, in quotes.
    Text,
    Bool,
    Int,
    Float,
    Decimal,
    Bytes,
    Date,
    DateTime,
    Time,
}

/// The type to declare for a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    /// Any that has no length of ours: `BIGINT`, `DECIMAL(10,2)`.
    Plain(String),
    /// Text of so many characters; none: of any length.
    Text(Option<u64>),
    /// Text of exactly 36 ASCII characters.
    Uuid,
    /// Bytes of any length.
    Bytes,
}

/// Where the values of a column go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mapping {
    pub(crate) form: Form,
    pub(crate) declared: Type,
    /// What the type can't hold, or alters; see [`Rule`].
    except: &'static str,
}

const NOT_FINITE: &str =
    "`NaN`, `Infinity` and `-Infinity`; `-0` becomes `0`, counted as `float_negative_zero`";
const NOT_A_NUMBER: &str = "`NaN`";
const NOT_IN_CALENDAR: &str = "`infinity`, `-infinity`, years before 1000 and after 9999";

/// `numeric`'s limits in MySQL.
const PRECISION: i32 = 65;
const SCALE: i32 = 30;

/// Longest text for which `VARCHAR` is considered; a longer one would leave little of a row's 65,535
/// bytes.
const VARCHAR: u64 = 4096;

/// Where the values of `column` go in a table that tahr makes.
pub(crate) fn mapping(column: &Column, unfit: Unfit) -> Mapping {
    let exact = |form, declared| Mapping {
        form,
        declared,
        except: "",
    };
    let plain = |form, name: &str| exact(form, Type::Plain(name.to_owned()));
    let text = || exact(Form::Text, Type::Text(text_width(column)));
    let limited = |form, name: &str, except| match unfit {
        Unfit::Text => text(),
        _ => Mapping {
            form,
            declared: Type::Plain(name.to_owned()),
            except,
        },
    };
    match (column.kind, column.type_oid) {
        (ValueKind::Bool, _) => plain(Form::Bool, "TINYINT(1)"),
        (ValueKind::Int, 21) => plain(Form::Int, "SMALLINT"),
        (ValueKind::Int, 23) => plain(Form::Int, "INT"),
        (ValueKind::Int, 26) | (_, 28) => plain(Form::Int, "INT UNSIGNED"),
        (ValueKind::Int, _) => plain(Form::Int, "BIGINT"),
        (_, 5069) => plain(Form::Int, "BIGINT UNSIGNED"),
        (ValueKind::Float, _) => limited(Form::Float, "DOUBLE", NOT_FINITE),
        (ValueKind::Decimal, _) => match decimal(column) {
            Some((precision, scale)) => {
                let name = format!("DECIMAL({precision},{scale})");
                limited(Form::Decimal, &name, NOT_A_NUMBER)
            }
            None => text(),
        },
        (ValueKind::Bytes, _) => exact(Form::Bytes, Type::Bytes),
        (ValueKind::Date, _) => limited(Form::Date, "DATE", NOT_IN_CALENDAR),
        (ValueKind::Timestamp | ValueKind::TimestampTz, _) => {
            limited(Form::DateTime, "DATETIME(6)", NOT_IN_CALENDAR)
        }
        (ValueKind::Time, _) => plain(Form::Time, "TIME(6)"),
        (ValueKind::Uuid, _) => exact(Form::Text, Type::Uuid),
        _ => text(),
    }
}

/// The rule that a column follows, for people.
pub(crate) fn rule(column: &Column, unfit: Unfit) -> Rule {
    let mapping = mapping(column, unfit);
    let rule = Rule::exact(mapping.declared.name()).except(mapping.except);
    match (mapping.form, column.kind) {
        (Form::Bool, _) => rule.form("0 or 1"),
        (Form::DateTime, ValueKind::TimestampTz) => rule.form("in UTC"),
        (Form::Text, ValueKind::Text | ValueKind::Json | ValueKind::Uuid) => rule,
        (Form::Text, _) => rule.form("PostgreSQL's text"),
        _ => rule,
    }
}

/// The rules under every setting that makes a difference.
pub(crate) fn rules() -> Vec<RuleTable> {
    let table = |setting: &str, unfit| RuleTable::of(setting, |column| rule(column, unfit));
    vec![
        table("unfit = \"error\", \"null\" or \"clamp\"", Unfit::default()),
        table("unfit = \"text\"", Unfit::Text),
    ]
}

impl Type {
    /// As MySQL spells it, without a character set.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Plain(name) => name.clone(),
            Self::Text(Some(length)) if *length <= VARCHAR => format!("VARCHAR({length})"),
            Self::Text(_) => "LONGTEXT".to_owned(),
            Self::Uuid => "CHAR(36)".to_owned(),
            Self::Bytes => "LONGBLOB".to_owned(),
        }
    }
}

/// Precision and scale of a `numeric` that `DECIMAL` holds exactly.
pub(crate) fn decimal(column: &Column) -> Option<(i32, i32)> {
    let modifier = column.type_modifier.checked_sub(4).filter(|&m| m >= 0)?;
    let precision = modifier >> 16 & 0xffff;
    // Eleven bits with a sign, since PostgreSQL 15; a negative one rounds before the point.
    let scale = ((modifier & 0x7ff) ^ 0x400) - 0x400;
    let (precision, scale) = if scale < 0 {
        (precision - scale, 0)
    } else {
        (precision.max(scale), scale)
    };
    (precision <= PRECISION && scale <= SCALE).then_some((precision, scale))
}

/// Characters of the longest text that the column's type has; none: no limit that counts.
pub(crate) fn text_width(column: &Column) -> Option<u64> {
    let modifier = || {
        u64::try_from(column.type_modifier - 4)
            .ok()
            .filter(|&m| m > 0)
    };
    Some(match (column.kind, column.type_oid) {
        (ValueKind::Bool, _) => 1,
        (ValueKind::Int, 21) => 6,
        (ValueKind::Int, 23 | 26) => 11,
        (ValueKind::Int, _) | (_, 28 | 5069) => 20,
        (ValueKind::Float, _) => 24,
        (ValueKind::Decimal, _) => match decimal(column) {
            // A sign, a point, and the zero before it.
            Some((precision, _)) => precision as u64 + 3,
            None => return None,
        },
        (ValueKind::Text, 1042 | 1043) => return modifier(),
        (ValueKind::Text, 19) => 63,
        (ValueKind::Date, _) => 16,
        (ValueKind::Time, _) => 15,
        (ValueKind::TimeTz, _) => 24,
        (ValueKind::Timestamp | ValueKind::TimestampTz, _) => 40,
        (ValueKind::Uuid, _) => 36,
        _ => return None,
    })
}

/// Whether the texts of the column's values are plain ASCII of one form and case, which every
/// character set holds and every collation tells apart.
pub(crate) fn is_plain_text(column: &Column) -> bool {
    matches!(
        column.kind,
        ValueKind::Bool
            | ValueKind::Int
            | ValueKind::Float
            | ValueKind::Decimal
            | ValueKind::Date
            | ValueKind::Time
            | ValueKind::TimeTz
            | ValueKind::Timestamp
            | ValueKind::TimestampTz
            | ValueKind::Interval
            | ValueKind::Uuid
    ) || matches!(column.type_oid, 28 | 5069)
}

#[cfg(test)]
mod tests {
    use tahr_plugin_api::rules::source_types;

    use super::*;

    fn target(type_name: &str, unfit: Unfit) -> String {
        let column = source_types().find(|column| column.type_name == type_name);
        rule(&column.expect("a source type"), unfit).target
    }

    #[test]
    fn types_are_the_narrowest_that_lose_nothing() {
        for (type_name, expected) in [
            ("boolean", "TINYINT(1)"),
            ("oid", "INT UNSIGNED"),
            ("xid8", "BIGINT UNSIGNED"),
            ("real", "DOUBLE"),
            ("numeric", "LONGTEXT"),
            ("numeric(10,2)", "DECIMAL(10,2)"),
            ("numeric(100,50)", "LONGTEXT"),
            ("character varying(20)", "VARCHAR(20)"),
            ("character(20)", "VARCHAR(20)"),
            ("text", "LONGTEXT"),
            ("bytea", "LONGBLOB"),
            ("uuid", "CHAR(36)"),
            ("timestamp with time zone", "DATETIME(6)"),
            ("interval", "LONGTEXT"),
            ("jsonb", "LONGTEXT"),
        ] {
            assert_eq!(target(type_name, Unfit::Error), expected, "{type_name}");
            assert_eq!(target(type_name, Unfit::Clamp), expected, "{type_name}");
        }
        assert_eq!(target("date", Unfit::Text), "VARCHAR(16)");
        assert_eq!(target("double precision", Unfit::Text), "VARCHAR(24)");
        assert_eq!(target("integer", Unfit::Text), "INT");
    }

    #[test]
    fn under_text_every_value_is_exact() {
        for column in source_types() {
            assert_eq!(
                rule(&column, Unfit::Text).except,
                "",
                "{}",
                column.type_name
            );
        }
    }

    #[test]
    fn scales_of_every_sort_are_decimals() {
        let column = |precision: i32, scale: i32| Column {
            kind: ValueKind::Decimal,
            type_oid: 1700,
            type_modifier: (precision << 16 | (scale & 0x7ff)) + 4,
            ..Column::default()
        };
        assert_eq!(decimal(&column(10, 2)), Some((10, 2)));
        assert_eq!(decimal(&column(2, -3)), Some((5, 0)));
        assert_eq!(decimal(&column(3, 5)), Some((5, 5)));
        assert_eq!(decimal(&column(65, 30)), Some((65, 30)));
        assert_eq!(decimal(&column(66, 0)), None);
        assert_eq!(decimal(&column(40, 31)), None);
    }
}
