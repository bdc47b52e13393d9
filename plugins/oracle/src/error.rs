//! What Oracle's errors mean for a lane.
//!
//! Newer servers put row values into their texts ("row with column values (ID:1) already exists"), and
//! so may triggers. So only the first line is shown, without what is quoted, and of the errors that
//! speak of data none of Oracle's words at all.

use tahr_plugin_api::WriteError;

use crate::session::{Error, RowError};

/// What follows from a code.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Transient,
    Rejected,
}

/// What is known of a code: from one to another, what follows, words in place of Oracle's, a hint.
/// Empty words: Oracle's first line. The first that fits counts.
const KNOWN: &[(i32, i32, Fate, &str, &str)] = {
    use Fate::{Rejected, Transient};
    const LISTENER: &str = "check host and port of the target, and that its listener runs";
    const SERVICE: &str = "check the service's name: `lsnrctl services` on the server lists them";
    const NARROW: &str = "make the column wider: ALTER TABLE … MODIFY (…)";
    const FOREIGN: &str = "replicate the other table too, or disable the constraint: ALTER TABLE … DISABLE CONSTRAINT …";
    &[
        (
            1,
            1,
            Rejected,
            "a unique constraint is violated",
            "rows were put there by others, or the constraint is not the source's",
        ),
        (
            54,
            54,
            Transient,
            "the table is locked by another session",
            "",
        ),
        (60, 60, Transient, "a deadlock with another session", ""),
        (51, 51, Transient, "", ""),
        (
            18,
            20,
            Transient,
            "",
            "raise the server's SESSIONS and PROCESSES",
        ),
        (28, 28, Transient, "the session was killed", ""),
        (
            942,
            942,
            Rejected,
            "the table does not exist, or its owner gave no right to it",
            "",
        ),
        (
            955,
            955,
            Rejected,
            "another object has the name already",
            "",
        ),
        (
            1005,
            1005,
            Rejected,
            "no password was given",
            "set `user` and `password`",
        ),
        (1013, 1013, Transient, "cancelled", ""),
        (
            1017,
            1017,
            Rejected,
            "user or password is wrong",
            "check `user` and `password`",
        ),
        (
            1031,
            1031,
            Rejected,
            "the user has no right to do so",
            "GRANT CREATE SESSION, CREATE TABLE TO …; and on tables of others: GRANT SELECT, INSERT, UPDATE, DELETE ON … TO …",
        ),
        (
            1033,
            1034,
            Transient,
            "the database is starting or stopping",
            "",
        ),
        (1035, 1035, Transient, "the database takes no users now", ""),
        (
            1045,
            1045,
            Rejected,
            "the user may not connect",
            "GRANT CREATE SESSION TO …",
        ),
        (1089, 1092, Transient, "the database is stopping", ""),
        (1012, 1012, Transient, "the connection is lost", ""),
        (
            1400,
            1400,
            Rejected,
            "a NULL for a column that is NOT NULL",
            "ALTER TABLE … MODIFY (… NULL); empty text counts as NULL in Oracle, see `empty_text`",
        ),
        (
            1407,
            1407,
            Rejected,
            "a NULL for a column that is NOT NULL",
            "ALTER TABLE … MODIFY (… NULL); empty text counts as NULL in Oracle, see `empty_text`",
        ),
        (1426, 1426, Rejected, "a number is out of range", NARROW),
        (
            1438,
            1438,
            Rejected,
            "a number has more digits than its column takes",
            NARROW,
        ),
        (
            1450,
            1450,
            Rejected,
            "the key has more bytes than an index takes",
            "create the table by hand, with shorter columns in its key",
        ),
        (
            1461,
            1461,
            Rejected,
            "a text is longer than its column takes",
            NARROW,
        ),
        (
            1536,
            1536,
            Transient,
            "the quota of the tablespace is used up",
            "ALTER USER … QUOTA UNLIMITED ON …",
        ),
        (
            1950,
            1950,
            Rejected,
            "the user has no right to the tablespace",
            "ALTER USER … QUOTA UNLIMITED ON …",
        ),
        (1552, 1552, Transient, "", ""),
        (1555, 1555, Transient, "", ""),
        (
            1650,
            1659,
            Transient,
            "a tablespace is full",
            "add a data file; the lane tries again by itself",
        ),
        (
            1691,
            1693,
            Transient,
            "a tablespace is full",
            "add a data file; the lane tries again by itself",
        ),
        (
            30036,
            30036,
            Transient,
            "the undo tablespace is full",
            "add a data file; the lane tries again by itself",
        ),
        (
            1722,
            1722,
            Rejected,
            "a text that is no number, for a column that is one",
            "",
        ),
        (1839, 1858, Rejected, "a date that is none", ""),
        (2049, 2049, Transient, "a lock was not given in time", ""),
        (
            2290,
            2290,
            Rejected,
            "a check constraint is violated",
            "the constraint is not the source's, or refuses what a rule changed",
        ),
        (
            2291,
            2291,
            Rejected,
            "a foreign key is violated: the row it names is absent",
            FOREIGN,
        ),
        (
            2292,
            2292,
            Rejected,
            "a foreign key is violated: rows name this one",
            FOREIGN,
        ),
        (
            2391,
            2391,
            Transient,
            "",
            "raise SESSIONS_PER_USER of the user's profile",
        ),
        (
            2396,
            2396,
            Transient,
            "the session was ended for being idle",
            "",
        ),
        (3113, 3114, Transient, "the connection is lost", ""),
        (3135, 3136, Transient, "the connection is lost", ""),
        (
            4020,
            4021,
            Transient,
            "the table is locked by another session",
            "",
        ),
        (4031, 4031, Transient, "", ""),
        (4061, 4068, Transient, "", ""),
        (
            4088,
            4088,
            Rejected,
            "a trigger failed",
            "the trigger sees tahr's changes; disable it: ALTER TRIGGER … DISABLE",
        ),
        (
            8177,
            8177,
            Transient,
            "another session changed the same rows",
            "",
        ),
        (
            12154,
            12154,
            Rejected,
            "the connect name is not known",
            "write `connect` as //host:1521/service, or set TNS_ADMIN to the folder of tnsnames.ora",
        ),
        (
            12514,
            12514,
            Transient,
            "the listener doesn't know the service (yet)",
            SERVICE,
        ),
        (
            12505,
            12505,
            Rejected,
            "the listener doesn't know the SID",
            SERVICE,
        ),
        (
            12516,
            12520,
            Transient,
            "the listener has no free handler",
            "raise the server's PROCESSES",
        ),
        (
            12528,
            12528,
            Transient,
            "the database is starting or stopping",
            "",
        ),
        (12541, 12541, Transient, "nobody listens there", LISTENER),
        (
            12543,
            12543,
            Transient,
            "the host can't be reached",
            LISTENER,
        ),
        (12545, 12545, Transient, "the host is not known", LISTENER),
        (12170, 12170, Transient, "no answer in time", LISTENER),
        (12535, 12537, Transient, "the connection is lost", LISTENER),
        (12547, 12547, Transient, "the connection is lost", LISTENER),
        (12560, 12571, Transient, "the connection is lost", LISTENER),
        (12599, 12612, Transient, "the connection is lost", ""),
        (12838, 12838, Transient, "", ""),
        (
            12899,
            12899,
            Rejected,
            "a text is longer than its column takes",
            NARROW,
        ),
        (24381, 24381, Rejected, "", ""),
        (
            25402,
            25409,
            Transient,
            "the connection moved to another server",
            "",
        ),
        (
            28000,
            28000,
            Rejected,
            "the account is locked",
            "ALTER USER … ACCOUNT UNLOCK",
        ),
        (
            28001,
            28001,
            Rejected,
            "the password has expired",
            "ALTER USER … IDENTIFIED BY …",
        ),
        (29275, 29275, Rejected, "text that is broken", ""),
        (30006, 30006, Transient, "a lock was not given in time", ""),
        (
            32795,
            32795,
            Rejected,
            "the target generates a column by itself",
            "make it GENERATED BY DEFAULT, or exclude it",
        ),
        (
            54013,
            54017,
            Rejected,
            "the target computes a column by itself",
            "exclude it from the table in the sync",
        ),
    ]
};

/// Errors of the driver itself: number, what follows, hint.
const DRIVER: &[(i32, Fate, &str)] = &[
    (
        1047,
        Fate::Rejected,
        "install Oracle Instant Client (Basic or Basic Light) and name its folder: client_dir = \
         \"/opt/oracle/instantclient\"; or add it to LD_LIBRARY_PATH. It needs the package libaio1",
    ),
    (
        1049,
        Fate::Rejected,
        "install Oracle Instant Client 19 or later",
    ),
    (
        1050,
        Fate::Rejected,
        "install Oracle Instant Client 19 or later",
    ),
    (
        1072,
        Fate::Rejected,
        "install Oracle Instant Client 19 or later",
    ),
    (1010, Fate::Transient, ""),
    (1067, Fate::Transient, ""),
    (1080, Fate::Transient, ""),
];

/// The driver's error as the engine knows errors; `doing` says what failed: `commit`, `create table
/// "t"`.
pub(crate) fn failed(doing: &str, error: &Error) -> WriteError {
    let text = error.to_string();
    if let Some(code) = error.dpi_code() {
        let known = DRIVER.iter().find(|known| known.0 == code);
        // DPI-1080: the connection was closed by ORA-…
        let inner = text.split_once("ORA-").map(|(_, rest)| rest);
        if let (1080, Some(inner)) = (code, inner) {
            let message = format!("ORA-{inner}");
            return explained(doing, number(inner).unwrap_or(3113), &message);
        }
        let message = format!("{doing}: {}", first_line(&text));
        let code = format!("DPI-{code:04}");
        return match known {
            Some((_, Fate::Transient, hint)) => WriteError::transient(message).hint(*hint),
            Some((_, Fate::Rejected, hint)) => WriteError::rejected(message).hint(*hint),
            None => WriteError::fatal(message),
        }
        .code(code);
    }
    match error.oci_code() {
        Some(code) => explained(doing, code, &text),
        None => WriteError::fatal(format!("{doing}: {}", first_line(&text))),
    }
}

/// As [`failed`], for one of many rows.
pub(crate) fn row_failed(doing: &str, error: &RowError) -> WriteError {
    explained(doing, error.code, &error.message)
}

fn explained(doing: &str, code: i32, text: &str) -> WriteError {
    let known = KNOWN
        .iter()
        .find(|known| (known.0..=known.1).contains(&code));
    let (fate, words, hint) = match known {
        Some(&(_, _, fate, words, hint)) => (fate, words, hint),
        None if (20_000..21_000).contains(&code) => {
            let hint =
                "a trigger of the target raised it; its text may hold values and is not shown";
            (Fate::Rejected, "a trigger or procedure refused", hint)
        }
        None => (Fate::Rejected, "", ""),
    };
    let names = names(text);
    let mut message = format!("{doing}: ");
    match words {
        "" => message.push_str(&first_line(text)),
        words => message.push_str(words),
    }
    // A constraint's name says which.
    if let (1 | 2290..=2292, [name, ..]) = (code, &*names)
        && let Some(name) = name.rsplit('.').next()
    {
        message.push_str(&format!(" ({name})"));
    }
    let error = match fate {
        Fate::Transient => WriteError::transient(message),
        Fate::Rejected => WriteError::rejected(message),
    };
    let error = error.hint(hint).code(format!("ORA-{code:05}"));
    match column(code, text) {
        Some((table, column)) => error.table(table).column(column),
        None => error,
    }
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

/// What stands in parentheses in the first line.
fn names(text: &str) -> Vec<&str> {
    let line = text.lines().next().unwrap_or_default();
    let parts = line.split('(').skip(1);
    parts.filter_map(|part| part.split(')').next()).collect()
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

fn number(text: &str) -> Option<i32> {
    text.split(|c: char| !c.is_ascii_digit())
        .next()?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use tahr_plugin_api::ErrorKind;

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
    fn locks_and_lost_connections_pass() {
        for code in [
            54, 60, 1033, 1034, 1089, 3113, 3114, 12170, 12514, 12537, 12541, 12571, 1653,
        ] {
            assert!(row(code, "ORA-x").is_transient(), "{code}");
        }
        for code in [
            1, 942, 1017, 1031, 1400, 1438, 2290, 12154, 12899, 20_001, 904,
        ] {
            assert_eq!(row(code, "ORA-x").kind, ErrorKind::Rejected, "{code}");
        }
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
