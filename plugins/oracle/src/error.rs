//! What Oracle's errors mean for a lane.
//!
//! Newer servers put row values into their texts ("row with column values (ID:1) already exists"), and
//! so may triggers. So only the first line is shown, without what is quoted, and of the errors that
//! speak of data none of Oracle's words at all.

use tahr_plugin_api::WriteError;

use crate::{
    codes,
    session::{Error, RowError},
};

/// The driver's error as the engine knows errors; `doing` says what failed: `commit`, `create table
/// "t"`.
pub(crate) fn failed(doing: &str, error: &Error) -> WriteError {
    let text = error.to_string();
    let message = || format!("{doing}: {}", first_line(&text));
    match (error.dpi_code(), error.oci_code()) {
        (Some(code), _) => {
            // DPI-1080: the connection was closed by ORA-…
            if let Some((_, inner)) = text.split_once("ORA-") {
                return explained(doing, number(inner), &format!("ORA-{inner}"));
            }
            let error = match codes::driver_hint(code) {
                Some(hint) => WriteError::rejected(message()).hint(hint),
                None if codes::is_driver_transient(code) => WriteError::transient(message()),
                None => WriteError::fatal(message()),
            };
            error.code(format!("DPI-{code:04}"))
        }
        (None, Some(code)) => explained(doing, code, &text),
        (None, None) => WriteError::fatal(message()),
    }
}

/// As [`failed`], for one of many rows.
pub(crate) fn row_failed(doing: &str, error: &RowError) -> WriteError {
    explained(doing, error.code, &error.message)
}

fn explained(doing: &str, code: i32, text: &str) -> WriteError {
    let mut message = match codes::words(code) {
        "" => format!("{doing}: {}", first_line(text)),
        words => format!("{doing}: {words}"),
    };
    // A constraint's name says which.
    if matches!(code, 1 | 2290..=2292)
        && let Some(name) = constraint(text)
    {
        message.push_str(&format!(" ({name})"));
    }
    let error = if codes::is_transient(code) {
        WriteError::transient(message)
    } else {
        WriteError::rejected(message)
    };
    let error = error.hint(codes::hint(code)).code(format!("ORA-{code:05}"));
    match column(code, text) {
        Some((table, column)) => error.table(table).column(column),
        None => error,
    }
}

/// `(SCHEMA.NAME)` in the first line, without the schema.
fn constraint(text: &str) -> Option<&str> {
    let line = text.lines().next()?;
    let (_, rest) = line.split_once('(')?;
    let (name, _) = rest.split_once(')')?;
    name.rsplit('.').next()
}

/// `("S"."T"."C")` and `"S"."T"."C" (actual: …` name a column.
fn column(code: i32, text: &str) -> Option<(&str, &str)> {
    if !matches!(code, 1400 | 1407 | 12899) {
        return None;
    }
    let start = text.find('"')?;
    let mut parts = text[start + 1..].split('"').step_by(2);
    let (_, table, column) = (parts.next()?, parts.next()?, parts.next()?);
    Some((table, column))
}

/// Oracle's first line, without its code, a full stop or what is quoted in it.
fn first_line(text: &str) -> String {
    let text = text.strip_prefix("OCI Error: ").unwrap_or(text);
    let text = text.strip_prefix("DPI Error: ").unwrap_or(text);
    let line = text.lines().next().unwrap_or_default();
    let line = match line.split_once(": ") {
        Some((code, rest)) if code.starts_with("ORA-") => rest,
        _ => line,
    };
    let parts = line.split('\'').enumerate();
    let shown: Vec<&str> = parts
        .map(|(index, part)| if index % 2 == 0 { part } else { "…" })
        .collect();
    shown.join("'").trim_end_matches('.').to_owned()
}

/// The number that `text` begins with; without one, that of a lost connection.
fn number(text: &str) -> i32 {
    let digits = text.split(|c: char| !c.is_ascii_digit()).next();
    digits
        .and_then(|digits| digits.parse().ok())
        .unwrap_or(3113)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(code: i32, message: &str) -> WriteError {
        let message = message.to_owned();
        row_failed(
            "insert into table \"t\"",
            &RowError {
                row: 0,
                code,
                message,
            },
        )
    }

    #[test]
    fn table_and_column_are_named() {
        for (code, text) in [
            (
                1400,
                "ORA-01400: cannot insert NULL into (\"SHOP\".\"items\".\"name\")",
            ),
            (
                12899,
                "ORA-12899: value too large for column \"SHOP\".\"items\".\"name\" (actual: 9, maximum: 5)",
            ),
        ] {
            let error = row(code, text);
            assert_eq!(error.table.as_deref(), Some("items"));
            assert_eq!(error.column.as_deref(), Some("name"));
        }
        let error = row(1, "ORA-00001: unique constraint (SHOP.ITEMS_PK) violated");
        assert!(error.message.ends_with("violated (ITEMS_PK)"), "{error}");
        assert_eq!(error.code, "ORA-00001");
    }

    #[test]
    fn no_value_is_told() {
        for (code, text) in [
            (
                1,
                "ORA-00001: unique constraint (S.PK) violated on table S.T columns (ID)\nORA-03301: (ORA-00001 details) row with column values (ID:secret) already exists",
            ),
            (
                1722,
                "ORA-01722: unable to convert string value containing secret to a number",
            ),
            (20_001, "ORA-20001: the customer secret is unknown"),
            (4711, "ORA-04711: something with 'secret' in it"),
        ] {
            let error = row(code, text);
            assert!(!error.message.contains("secret"), "{error}");
        }
    }
}
