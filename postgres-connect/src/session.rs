//! The session settings that tahr depends on.
//!
//! A database or role may have defaults of its own for any of these (`ALTER ROLE … SET`), and a
//! value printed under another `DateStyle` is another text, so each session sets them all.

/// Settings of every session, by name and value.
pub const SESSION: &[(&str, &str)] = &[
    ("client_encoding", "UTF8"),
    ("DateStyle", "ISO"),
    ("IntervalStyle", "postgres"),
    ("TimeZone", "UTC"),
    ("extra_float_digits", "3"),
    ("bytea_output", "hex"),
    ("standard_conforming_strings", "on"),
    ("statement_timeout", "0"),
    ("lock_timeout", "0"),
    ("idle_in_transaction_session_timeout", "0"),
];

/// Further settings of sessions that read a source.
///
/// With an empty `search_path` names of types and `regclass` values print with their schema, the
/// same in the stream as in the copy. With `row_security` off a policy that would hide rows from
/// the copy is an error instead.
pub const SOURCE_SESSION: &[(&str, &str)] = &[
    ("search_path", ""),
    ("row_security", "off"),
    ("quote_all_identifiers", "off"),
    ("lc_monetary", "C"),
];

/// Timeouts that only some server versions know; switched off where they exist.
const NEWER_TIMEOUTS: &str = "SELECT pg_catalog.set_config(name, '0', false) FROM \
     pg_catalog.pg_settings WHERE name IN ('idle_session_timeout', 'transaction_timeout')";

/// The statements that pin `settings` in an open session.
pub(crate) fn statements(settings: &[&[(&str, &str)]]) -> String {
    let mut sql: String = settings
        .iter()
        .flat_map(|list| list.iter())
        .map(|(name, value)| format!("SET {name} = '{value}'; "))
        .collect();
    sql.push_str(NEWER_TIMEOUTS);
    sql
}

/// The same for the startup packet's `options`: `-c name=value …`.
pub(crate) fn startup_options(settings: &[&[(&str, &str)]]) -> String {
    settings
        .iter()
        .flat_map(|list| list.iter())
        .map(|(name, value)| {
            format!(
                "-c {name}={}",
                value.replace('\\', "\\\\").replace(' ', "\\ ")
            )
        })
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::{SESSION, SOURCE_SESSION, startup_options, statements};

    #[test]
    fn both_forms_hold_every_setting() {
        let (sql, options) = (
            statements(&[SESSION, SOURCE_SESSION]),
            startup_options(&[SESSION, SOURCE_SESSION]),
        );
        for (name, value) in SESSION.iter().chain(SOURCE_SESSION) {
            assert!(sql.contains(&format!("SET {name} = '{value}';")), "{name}");
            assert!(
                format!("{options} ").contains(&format!("-c {name}={value} ")),
                "{name}"
            );
        }
    }

    #[test]
    fn spaces_and_backslashes_in_options_are_escaped() {
        assert_eq!(startup_options(&[&[("a", r"x \y")]]), r"-c a=x\ \\y");
    }
}
