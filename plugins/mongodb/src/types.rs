//! Types: what each PostgreSQL type becomes, and which values that can't hold.
//!
//! [`form`] is the one place that decides; documents are written by it, and [`rules`] says what it
//! says. Types by their names in `$type`:
//!
//! | PostgreSQL | BSON |
//! |---|---|
//! | `boolean` | `bool` |
//! | `smallint`, `integer` | `int` |
//! | `bigint`, `oid` | `long` |
//! | `real`, `double precision` | `double` |
//! | `numeric(p,s)`, p up to 34 | `decimal`, with its scale |
//! | other `numeric` | `string`, or `decimal` |
//! | `bytea`, `uuid` | `binData`, a UUID with subtype 4 |
//! | `date`, `timestamp`, `timestamp with time zone` | `string`, or `date` |
//! | `jsonb` | the value itself, or `string` |
//! | arrays | `array` of what the elements become |
//! | all else | `string`: PostgreSQL's text |

use tahr_plugin_api::{Column, Rule, RuleTable, ValueKind};

use crate::options::{Dates, Json, Numeric, Types};

/// Digits of a decimal.
pub(crate) const DIGITS: usize = 34;

/// How the values of a column are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Bool,
    Int32,
    Int64,
    Double,
    Decimal,
    /// PostgreSQL's text.
    Text,
    Bytes,
    Uuid,
    /// A `date` as the instant of its midnight in UTC.
    Day,
    /// A timestamp, as UTC where it has no time zone.
    Instant,
    /// `jsonb` as what it stands for.
    Document,
    Array {
        items: Box<Self>,
        delimiter: u8,
    },
}

impl Form {
    /// The form inside an `_id`. Arrays are refused there, and two keys must never become one, as
    /// timestamps without their microseconds would: those are text.
    pub(crate) fn of_key(&self) -> &Self {
        match self {
            Self::Array { .. } | Self::Document | Self::Day | Self::Instant => &Self::Text,
            form => form,
        }
    }

    /// Its name as `$type` knows it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Int32 => "int",
            Self::Int64 => "long",
            Self::Double => "double",
            Self::Decimal => "decimal",
            Self::Text => "string",
            Self::Bytes | Self::Uuid => "binData",
            Self::Day | Self::Instant => "date",
            Self::Document => "document",
            Self::Array { .. } => "array",
        }
    }

    fn rule(&self, column: &Column) -> Rule {
        let rule = Rule::exact(self.name());
        match self {
            Self::Decimal if has_room(column.type_modifier) => rule.form("with its scale"),
            Self::Decimal => rule
                .form("with its scale")
                .except("more than 34 significant digits"),
            Self::Text if column.kind != ValueKind::Text => rule.form("PostgreSQL's text"),
            Self::Uuid => rule.form("subtype 4"),
            Self::Day => rule
                .form("midnight in UTC; text in `_id`")
                .except("±infinity"),
            Self::Instant => rule.form("UTC; text in `_id`").except(
                "±infinity; microseconds are cut to milliseconds, counted as `microseconds_cut`",
            ),
            Self::Document => rule
                .form(
                    "the value itself; its numbers are `int` or `long`, `double` where that prints \
                     the same digits, else `decimal`; text in `_id`",
                )
                .except(
                    "a number of more than 34 significant digits, more than 100 levels; `null` by \
                     itself becomes null, counted as `json_nulls`",
                ),
            Self::Array { items, .. } => {
                let form = format!(
                    "of {}; the literal, a `string`, in `_id` and where bounds don't start at 1",
                    items.name()
                );
                rule.form(form).except(items.rule(column).except)
            }
            _ => rule,
        }
    }
}

/// How the values of `column` are written under these options.
pub(crate) fn form(column: &Column, types: Types) -> Form {
    match column.kind {
        ValueKind::Bool => Form::Bool,
        ValueKind::Int if matches!(column.type_oid, 21 | 23) => Form::Int32,
        ValueKind::Int => Form::Int64,
        ValueKind::Float => Form::Double,
        ValueKind::Decimal if has_room(column.type_modifier) => Form::Decimal,
        ValueKind::Decimal if types.numeric == Numeric::Decimal => Form::Decimal,
        ValueKind::Bytes => Form::Bytes,
        ValueKind::Uuid => Form::Uuid,
        ValueKind::Date if types.dates == Dates::Date => Form::Day,
        ValueKind::Timestamp | ValueKind::TimestampTz if types.dates == Dates::Date => {
            Form::Instant
        }
        // `json` keeps what a document can't: blanks, order, keys that come twice.
        ValueKind::Json if column.type_oid == 3802 && types.json == Json::Document => {
            Form::Document
        }
        ValueKind::Array => {
            let type_oid = element(column.type_oid);
            let items = Column {
                kind: ValueKind::of_type(type_oid),
                type_oid,
                type_modifier: column.type_modifier,
                ..Column::default()
            };
            Form::Array {
                items: Box::new(form(&items, types)),
                delimiter: if column.type_oid == 1020 { b';' } else { b',' },
            }
        }
        _ => Form::Text,
    }
}

/// What `tahr plugins describe` says.
pub(crate) fn rules() -> Vec<RuleTable> {
    let table = |setting: &str, types: Types| {
        RuleTable::of(setting, move |column| form(column, types).rule(column))
    };
    let other = Types {
        dates: Dates::Date,
        json: Json::Text,
        numeric: Numeric::Decimal,
        ..Types::default()
    };
    vec![
        table("", Types::default()),
        table(
            "dates = \"date\", json = \"text\", numeric = \"decimal\"",
            other,
        ),
    ]
}

/// Whether every value of a `numeric` with this modifier has few enough digits.
fn has_room(modifier: i32) -> bool {
    const HEADER: i32 = 4;
    modifier >= HEADER && (modifier - HEADER) >> 16 <= 34
}

/// The type of the elements of a built-in array type; 0 where they are text anyway.
fn element(array: u32) -> u32 {
    match array {
        1000 => 16,
        1001 => 17,
        1002 => 18,
        1003 => 19,
        1005 => 21,
        1007 => 23,
        1009 => 25,
        1014 => 1042,
        1015 => 1043,
        1016 => 20,
        1021 => 700,
        1022 => 701,
        1028 => 26,
        1115 => 1114,
        1182 => 1082,
        1185 => 1184,
        1231 => 1700,
        2951 => 2950,
        3807 => 3802,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use tahr_plugin_api::rules::source_types;

    use super::*;

    fn form_of(type_name: &str, types: Types) -> Form {
        let mut columns = source_types();
        let column = columns.find(|column| column.type_name == type_name);
        form(&column.unwrap(), types)
    }

    #[test]
    fn a_numeric_is_a_decimal_where_all_of_its_values_are() {
        let types = Types::default();
        assert_eq!(form_of("numeric(10,2)", types), Form::Decimal);
        assert_eq!(form_of("numeric(100,50)", types), Form::Text);
        assert_eq!(form_of("numeric", types), Form::Text);
        let types = Types {
            numeric: Numeric::Decimal,
            ..types
        };
        assert_eq!(form_of("numeric", types), Form::Decimal);
    }

    #[test]
    fn an_array_holds_what_its_elements_become() {
        let Form::Array { items, .. } = form_of("integer[]", Types::default()) else {
            panic!("no array");
        };
        assert_eq!(*items, Form::Int32);
    }

    #[test]
    fn every_type_has_a_rule_and_only_named_ones_have_exceptions() {
        let tables = rules();
        for (name, rule) in &tables[0].rules {
            assert!(!rule.target.is_empty());
            assert_eq!(!rule.except.is_empty(), name == "jsonb", "{name}");
        }
        let excepted = tables[1]
            .rules
            .iter()
            .filter(|(_, rule)| !rule.except.is_empty());
        assert_eq!(excepted.count(), 5);
    }
}
