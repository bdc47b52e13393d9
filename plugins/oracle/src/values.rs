//! Values: each bound in its column's form, or changed by a rule that is counted, or refused.

use tahr_plugin_api::{Column, Host, Unfit, Value, ValueKind, WriteError};

use crate::{
    moment::{Moment, moment},
    number,
    options::EmptyText,
    table::TableColumn,
    types::{Form, Limit},
};

/// A value as it is sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Bind<'a> {
    Null,
    Text(&'a str),
    Float(f32),
    Double(f64),
    Bytes(&'a [u8]),
    Moment(Moment),
}

/// How often rules changed values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) empty_texts: u64,
    pub(crate) empty_bytes: u64,
    pub(crate) nulls: u64,
    pub(crate) clamped: u64,
    pub(crate) negative_zeros: u64,
    /// Deletes of rows that weren't there.
    pub(crate) missing_rows: u64,
}

impl Counts {
    /// Tells the engine.
    pub(crate) fn report(self, host: &Host) {
        for (name, count) in [
            ("empty_texts_set_null", self.empty_texts),
            ("empty_bytes_set_null", self.empty_bytes),
            ("values_set_null", self.nulls),
            ("values_clamped", self.clamped),
            ("float_negative_zero", self.negative_zeros),
            ("deletes_of_missing_rows", self.missing_rows),
        ] {
            if count != 0 {
                host.count(name, count);
            }
        }
    }
}

/// What the options say of values.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    pub(crate) unfit: Unfit,
    pub(crate) empty_text: EmptyText,
}

/// Why a value doesn't fit, and the nearest one that does.
pub(crate) struct Misfit<'a> {
    pub(crate) what: &'static str,
    pub(crate) nearest: Bind<'a>,
}

impl Misfit<'_> {
    pub(crate) fn new(what: &'static str) -> Self {
        Misfit {
            what,
            nearest: Bind::Null,
        }
    }
}

/// The value to send for `value` of `column`, which is `target` in the table `table`.
pub(crate) fn bind<'a>(
    value: Value<'a>,
    column: &Column,
    table: &str,
    target: &'a TableColumn,
    policy: &'a Policy,
    counts: &mut Counts,
) -> Result<Bind<'a>, WriteError> {
    let refused = |what: &str, hint: &str| {
        let declared = &target.kind.declared;
        let message = format!(
            "column {:?} ({}) of table {table:?} can't hold {what} in {declared}",
            target.name, column.type_name
        );
        WriteError::rejected(message)
            .hint(hint)
            .table(table)
            .column(&target.name)
    };
    let fitted = match value {
        Value::Null | Value::Unchanged => return Ok(Bind::Null),
        Value::Bytes([]) | Value::Text(_, "") if target.kind.form_takes_text() => {
            return match &policy.empty_text {
                _ if target.is_key => {
                    let hint =
                        "Oracle's keys have no empty text; exclude the table or give the row a key";
                    Err(refused("an empty text", hint))
                }
                EmptyText::Error => {
                    let hint = "empty_text = \"null\" stores NULL; empty_text = { sentinel = \"…\" } stores that";
                    Err(refused("an empty text", hint))
                }
                EmptyText::Sentinel(text) if target.kind.form == Form::Text => Ok(Bind::Text(text)),
                EmptyText::Null | EmptyText::Sentinel(_) => {
                    match target.kind.form {
                        Form::Text => counts.empty_texts += 1,
                        _ => counts.empty_bytes += 1,
                    }
                    Ok(Bind::Null)
                }
            };
        }
        Value::Bytes(bytes) if target.kind.form == Form::Bytes => match target.kind.limit {
            Limit::Bytes(most) if bytes.len() > most as usize => Err(Misfit::new("so many bytes")),
            _ => Ok(Bind::Bytes(bytes)),
        },
        Value::Bytes(_) => Err(Misfit::new("text that is not UTF-8")),
        Value::Text(_, text) => {
            if let EmptyText::Sentinel(sentinel) = &policy.empty_text
                && target.kind.form == Form::Text
                && sentinel == text
            {
                let hint = "choose a sentinel for `empty_text` that the source doesn't have";
                return Err(refused("the text that stands for the empty one", hint));
            }
            fit(text, value, target, counts)
        }
    };
    match fitted {
        Ok(bind) => Ok(bind),
        // Rows under a changed key would be other rows.
        Err(misfit) if target.is_key => {
            let hint = "a key is never altered: exclude the table, or use a column of another type";
            Err(refused(misfit.what, hint))
        }
        Err(Misfit {
            nearest: Bind::Null,
            ..
        }) if policy.unfit == Unfit::Clamp => {
            counts.nulls += 1;
            Ok(Bind::Null)
        }
        Err(misfit) => match policy.unfit {
            Unfit::Null => {
                counts.nulls += 1;
                Ok(Bind::Null)
            }
            Unfit::Clamp => {
                counts.clamped += 1;
                Ok(misfit.nearest)
            }
            Unfit::Error | Unfit::Text => {
                let hint = "unfit = \"null\" stores NULL, unfit = \"clamp\" the nearest value; unfit = \
                    \"text\" makes new tables with text columns that hold all";
                Err(refused(misfit.what, hint))
            }
        },
    }
}

fn fit<'a>(
    text: &'a str,
    value: Value<'a>,
    target: &TableColumn,
    counts: &mut Counts,
) -> Result<Bind<'a>, Misfit<'a>> {
    match target.kind.form {
        Form::Text => fit_text(text, value.kind(), target.kind.limit),
        Form::Bool => Ok(Bind::Text(if text == "t" { "1" } else { "0" })),
        Form::Number => match target.kind.limit {
            Limit::Number(bounds) if number::fits(text, bounds) => Ok(Bind::Text(trimmed(text))),
            Limit::Number(_) if !text.ends_with(|last: char| last.is_ascii_digit()) => {
                Err(Misfit::new(special(text)))
            }
            Limit::Number(_) => Err(Misfit::new("a number of so many digits")),
            _ if text.ends_with(|last: char| last.is_ascii_digit()) => Ok(Bind::Text(text)),
            _ => Err(Misfit::new(special(text))),
        },
        Form::Float => match text.parse::<f32>() {
            Ok(number) => {
                counts.negative_zeros += u64::from(number == 0.0 && number.is_sign_negative());
                Ok(Bind::Float(number))
            }
            Err(_) => Err(Misfit::new("text that is no number")),
        },
        Form::Double => match text.parse::<f64>() {
            Ok(number) => {
                counts.negative_zeros += u64::from(number == 0.0 && number.is_sign_negative());
                Ok(Bind::Double(number))
            }
            Err(_) => Err(Misfit::new("text that is no number")),
        },
        Form::Date | Form::Timestamp | Form::TimestampTz => moment(value.typed()),
        Form::Bytes => Err(Misfit::new("text among bytes")),
    }
}

fn special(text: &str) -> &'static str {
    match text {
        "NaN" => "NaN",
        "Infinity" => "infinity",
        "-Infinity" => "-infinity",
        _ => "text that is no number",
    }
}

/// Without zeros that say nothing, of which the client library would count too many.
fn trimmed(text: &str) -> &str {
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        text
    }
}

fn fit_text(text: &str, kind: Option<ValueKind>, limit: Limit) -> Result<Bind<'_>, Misfit<'_>> {
    let cut = match limit {
        Limit::Bytes(most) if text.len() > most as usize => {
            let mut end = most as usize;
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            Some(end)
        }
        Limit::Characters(most) if text.len() > most as usize => {
            text.char_indices().nth(most as usize).map(|(end, _)| end)
        }
        _ => None,
    };
    match cut {
        None => Ok(Bind::Text(text)),
        Some(end) => Err(Misfit {
            what: "so long a text",
            // Half a number is another number.
            nearest: match kind {
                Some(ValueKind::Text) => Bind::Text(&text[..end]),
                _ => Bind::Null,
            },
        }),
    }
}

#[cfg(test)]
mod tests {
    use tahr_plugin_api::testing::relation;

    use super::*;
    use crate::types;

    fn bound(
        type_name: &str,
        text: &str,
        unfit: Unfit,
        is_key: bool,
    ) -> Result<(String, Counts), WriteError> {
        let relation = relation("t").column("c", type_name).build();
        let column = &relation.columns[0];
        let share = is_key.then(|| types::key_share(1));
        let target = TableColumn {
            name: "c".to_owned(),
            kind: types::made(column, share, Unfit::Error),
            is_key,
        };
        let policy = Policy {
            unfit,
            empty_text: EmptyText::Null,
        };
        let mut counts = Counts::default();
        let value = Value::Text(column.kind, text);
        let bind = bind(value, column, "t", &target, &policy, &mut counts)?;
        Ok((format!("{bind:?}"), counts))
    }

    #[test]
    fn what_does_not_fit_is_an_error_that_names_all() {
        for (type_name, text, what) in [
            ("numeric(10,2)", "NaN", "can't hold NaN in NUMBER(10,2)"),
            ("date", "infinity", "can't hold infinity in DATE"),
            ("date", "4713-01-01 BC", "before 4712 BC"),
            ("date", "1582-10-10", "calendar"),
            ("date", "0005-02-29 BC", "29th of February"),
            (
                "timestamp without time zone",
                "10000-01-01 00:00:00",
                "after 9999",
            ),
            (
                "timestamp with time zone",
                "-infinity",
                "-infinity in TIMESTAMP(6) WITH",
            ),
        ] {
            let error = bound(type_name, text, Unfit::Error, false).unwrap_err();
            assert!(error.message.contains(what), "{error}");
            assert!(error.hint.contains("unfit"), "{}", error.hint);
            assert_eq!(
                (error.table.as_deref(), error.column.as_deref()),
                (Some("t"), Some("c"))
            );
            let (null, counts) = bound(type_name, text, Unfit::Null, false).unwrap();
            assert_eq!((null.as_str(), counts.nulls), ("Null", 1));
            assert!(
                bound(type_name, text, Unfit::Null, true).is_err(),
                "in a key"
            );
        }
    }

    #[test]
    fn the_nearest_value_is_counted() {
        let (bind, counts) = bound("date", "infinity", Unfit::Clamp, false).unwrap();
        assert!(bind.contains("year: 9999, month: 12, day: 31"), "{bind}");
        assert_eq!(counts.clamped, 1);
        let (bind, counts) = bound("numeric(3,1)", "NaN", Unfit::Clamp, false).unwrap();
        assert_eq!((bind.as_str(), counts.nulls), ("Null", 1));
    }

    #[test]
    fn years_have_no_zero() {
        let (bind, _) = bound("date", "0044-03-15 BC", Unfit::Error, false).unwrap();
        assert!(bind.contains("year: -44, month: 3, day: 15"), "{bind}");
        let (bind, _) = bound("date", "0001-01-01", Unfit::Error, false).unwrap();
        assert!(bind.contains("year: 1,"), "{bind}");
    }

    #[test]
    fn empty_text_is_counted_and_no_key() {
        let (bind, counts) = bound("text", "", Unfit::Error, false).unwrap();
        assert_eq!((bind.as_str(), counts.empty_texts), ("Null", 1));
        let error = bound("text", "", Unfit::Null, true).unwrap_err();
        assert!(error.message.contains("an empty text"), "{error}");
        assert!(bound("text", &"ä".repeat(1000), Unfit::Error, true).is_ok());
        assert!(bound("text", &"ä".repeat(1001), Unfit::Error, true).is_err());
    }

    #[test]
    fn negative_zero_is_counted() {
        let (_, counts) = bound("double precision", "-0", Unfit::Error, false).unwrap();
        assert_eq!(counts.negative_zeros, 1);
    }
}
