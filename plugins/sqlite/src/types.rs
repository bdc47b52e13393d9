//! Values: which form each kind has in SQLite, how it is declared and bound, and what the
//! documentation says of it: [`Form::of`] decides all of it.
//!
//! SQLite converts a value to its column's *affinity* where it can. A column of a user's own table
//! therefore has to have one that leaves the form alone: text that looks like a number survives in
//! `TEXT` and untyped columns only. A `TEXT` column takes PostgreSQL's text of whatever it is.

use rusqlite::{Statement, types::Null};
use tahr_plugin_api::{Column, Rule, RuleTable, Value, ValueKind};

/// What SQLite makes of values in a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Affinity {
    Integer,
    Real,
    Text,
    Numeric,
    /// None: everything stays as it is.
    Blob,
}

impl Affinity {
    /// The affinity of a declared type, by SQLite's own rules in their order.
    pub(crate) fn of(declared: &str, is_strict: bool) -> Self {
        let declared = declared.to_ascii_uppercase();
        let has = |part: &str| declared.contains(part);
        if is_strict && declared == "ANY" {
            Self::Blob
        } else if has("INT") {
            Self::Integer
        } else if has("CHAR") || has("CLOB") || has("TEXT") {
            Self::Text
        } else if declared.is_empty() || has("BLOB") {
            Self::Blob
        } else if has("REAL") || has("FLOA") || has("DOUB") {
            Self::Real
        } else {
            Self::Numeric
        }
    }
}

/// The form in which a column's values are declared and bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// 0 or 1.
    Bool,
    Integer,
    Real,
    Blob,
    /// PostgreSQL's text.
    Text,
}

impl Form {
    /// The form of values of `column` in a table that is made for them.
    pub(crate) fn of(column: &Column) -> Self {
        match column.kind {
            ValueKind::Bool => Self::Bool,
            ValueKind::Int => Self::Integer,
            ValueKind::Float => Self::Real,
            ValueKind::Bytes => Self::Blob,
            _ => Self::Text,
        }
    }

    /// The form of values of `column` in a column with `affinity`.
    pub(crate) fn within(column: &Column, affinity: Affinity) -> Self {
        match Self::of(column) {
            Self::Blob => Self::Blob,
            _ if affinity == Affinity::Text => Self::Text,
            form => form,
        }
    }

    /// The type to declare for a column with such values.
    pub(crate) fn declared(self) -> &'static str {
        match self {
            Self::Bool | Self::Integer => "INTEGER",
            Self::Real => "REAL",
            Self::Blob => "BLOB",
            Self::Text => "TEXT",
        }
    }

    /// What the documentation says of it.
    fn rule(self) -> Rule {
        let rule = Rule::exact(self.declared());
        match self {
            Self::Bool => rule.form("`0`, `1`"),
            Self::Integer => rule.form("integer"),
            Self::Real => rule
                .form("the number, `Infinity` included; `NaN` as text")
                .except("`-0` becomes `0`, counted"),
            Self::Blob => rule.form("the bytes"),
            Self::Text => rule.form("PostgreSQL's text"),
        }
    }
}

/// The rules of tables that the writer makes.
pub(crate) fn rules() -> Vec<RuleTable> {
    vec![RuleTable::of("", |column| Form::of(column).rule())]
}

/// Whether a column with `affinity` keeps the values of `column` exactly.
pub(crate) fn keeps(column: &Column, affinity: Affinity) -> bool {
    const INT8: u32 = 20;
    match (column.kind, affinity) {
        (_, Affinity::Text | Affinity::Blob) | (ValueKind::Bytes, _) => true,
        (ValueKind::Bool | ValueKind::Int, Affinity::Integer | Affinity::Numeric) => true,
        // A float has 53 bits.
        (ValueKind::Bool | ValueKind::Int, Affinity::Real) => column.type_oid != INT8,
        (ValueKind::Float, _) => true,
        // Their texts are never those of numbers.
        (
            ValueKind::Date
            | ValueKind::Time
            | ValueKind::TimeTz
            | ValueKind::Timestamp
            | ValueKind::TimestampTz
            | ValueKind::Interval
            | ValueKind::Uuid
            | ValueKind::Array,
            _,
        ) => true,
        _ => false,
    }
}

/// Binds `value` to parameter `index` of `statement`. True where a rule changed it: `-0` is `0`
/// in SQLite's files.
pub(crate) fn bind(
    statement: &mut Statement<'_>,
    index: usize,
    value: Value<'_>,
    form: Form,
) -> rusqlite::Result<bool> {
    let text = match value {
        Value::Text(_, text) => text,
        Value::Bytes(bytes) => {
            statement.raw_bind_parameter(index, bytes)?;
            return Ok(false);
        }
        Value::Null | Value::Unchanged => {
            statement.raw_bind_parameter(index, Null)?;
            return Ok(false);
        }
    };
    match form {
        Form::Text | Form::Blob => statement.raw_bind_parameter(index, text)?,
        Form::Bool => statement.raw_bind_parameter(index, i64::from(text == "t"))?,
        Form::Integer => match text.parse::<i64>() {
            Ok(number) => statement.raw_bind_parameter(index, number)?,
            Err(_) => statement.raw_bind_parameter(index, text)?,
        },
        Form::Real => match text.parse::<f64>() {
            Ok(number) if !number.is_nan() => {
                statement.raw_bind_parameter(index, number)?;
                return Ok(number == 0.0 && number.is_sign_negative());
            }
            _ => statement.raw_bind_parameter(index, text)?,
        },
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(kind: ValueKind, type_oid: u32) -> Column {
        Column {
            kind,
            type_oid,
            ..Column::default()
        }
    }

    #[test]
    fn affinities_are_those_of_sqlite() {
        for (declared, expected) in [
            ("bigint", Affinity::Integer),
            ("FLOATING POINT", Affinity::Integer),
            ("varchar(20)", Affinity::Text),
            ("", Affinity::Blob),
            ("double precision", Affinity::Real),
            ("decimal(10,2)", Affinity::Numeric),
            ("STRING", Affinity::Numeric),
            ("timestamp", Affinity::Numeric),
        ] {
            assert_eq!(Affinity::of(declared, false), expected, "{declared}");
        }
        assert_eq!(Affinity::of("ANY", true), Affinity::Blob);
        assert_eq!(Affinity::of("ANY", false), Affinity::Numeric);
    }

    #[test]
    fn lossy_columns_are_known() {
        let decimal = column(ValueKind::Decimal, 1700);
        assert!(keeps(&decimal, Affinity::Text) && !keeps(&decimal, Affinity::Numeric));
        let text = column(ValueKind::Text, 25);
        assert!(keeps(&text, Affinity::Blob) && !keeps(&text, Affinity::Integer));
        let timestamp = column(ValueKind::Timestamp, 1114);
        assert!(keeps(&timestamp, Affinity::Numeric));
        assert!(!keeps(&column(ValueKind::Int, 20), Affinity::Real));
        assert!(keeps(&column(ValueKind::Int, 23), Affinity::Real));
    }

    #[test]
    fn every_declared_type_keeps_its_kind() {
        for kind in [
            ValueKind::Bool,
            ValueKind::Int,
            ValueKind::Float,
            ValueKind::Bytes,
            ValueKind::Decimal,
            ValueKind::Json,
            ValueKind::Other,
        ] {
            let column = column(kind, 20);
            let form = Form::of(&column);
            let affinity = Affinity::of(form.declared(), false);
            assert!(keeps(&column, affinity), "{kind:?}");
            assert_eq!(Form::within(&column, affinity), form, "{kind:?}");
        }
    }
}
