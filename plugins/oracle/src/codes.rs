//! Oracle's error numbers: whether waiting helps, what they say in words that hold no value, and what
//! to do.

/// Whether an error with the number passes by itself: locks, lost connections, servers that start or
/// stop, full disks.
pub(crate) fn is_transient(code: i32) -> bool {
    matches!(
        code,
        18..=20 | 28 | 51 | 54 | 60 | 1012 | 1013 | 1033..=1035 | 1089..=1092 | 1536 | 1552 | 1555
            | 1650..=1659 | 1691..=1693 | 2049 | 2391 | 2396 | 3113 | 3114 | 3135 | 3136
            | 4020 | 4021 | 4031 | 4061..=4068 | 8177 | 12170 | 12514 | 12516..=12520 | 12528
            | 12535..=12537 | 12541 | 12543 | 12545 | 12547 | 12560..=12571 | 12599..=12612
            | 12838 | 25402..=25409 | 30006 | 30036
    )
}

/// What an error with the number says; empty where it isn't known.
pub(crate) fn words(code: i32) -> &'static str {
    match code {
        1 => "a unique constraint is violated",
        28 => "the session was killed",
        54 | 4020 | 4021 => "the table is locked by another session",
        60 => "a deadlock with another session",
        942 => "the table does not exist, or its owner gave no right to it",
        955 => "another object has the name already",
        1005 => "no password was given",
        1012
        | 3113
        | 3114
        | 3135
        | 3136
        | 12535..=12537
        | 12547
        | 12560..=12571
        | 12599..=12612 => "the connection is lost",
        1013 => "cancelled",
        1017 => "user or password is wrong",
        1031 => "the user has no right to do so",
        1033 | 1034 | 12528 => "the database is starting or stopping",
        1035 => "the database takes no users now",
        1045 => "the user may not connect",
        1089..=1092 => "the database is stopping",
        1400 | 1407 => "a NULL for a column that is NOT NULL",
        1426 => "a number is out of range",
        1438 => "a number has more digits than its column takes",
        1450 => "the key has more bytes than an index takes",
        1461 | 12899 => "a text is longer than its column takes",
        1536 => "the quota of the tablespace is used up",
        1650..=1659 | 1691..=1693 => "a tablespace is full",
        1722 => "a text that is no number, for a column that is one",
        1839..=1858 => "a date that is none",
        1950 => "the user has no right to the tablespace",
        2049 | 30006 => "a lock was not given in time",
        2290 => "a check constraint is violated",
        2291 => "a foreign key is violated: the row it names is absent",
        2292 => "a foreign key is violated: rows name this one",
        2396 => "the session was ended for being idle",
        4088 => "a trigger failed",
        8177 => "another session changed the same rows",
        12154 => "the connect name is not known",
        12170 => "no answer in time",
        12505 => "the listener doesn't know the SID",
        12514 => "the listener doesn't know the service (yet)",
        12516..=12520 => "the listener has no free handler",
        12541 => "nobody listens there",
        12543 => "the host can't be reached",
        12545 => "the host is not known",
        20_000..=20_999 => "a trigger or procedure refused",
        25402..=25409 => "the connection moved to another server",
        28000 => "the account is locked",
        28001 => "the password has expired",
        29275 => "text that is broken",
        30036 => "the undo tablespace is full",
        32795 => "the target generates a column by itself",
        54013..=54017 => "the target computes a column by itself",
        _ => "",
    }
}

/// What to do about an error with the number; may be empty.
pub(crate) fn hint(code: i32) -> &'static str {
    match code {
        1 => "rows were put there by others, or the constraint is not the source's",
        18..=20 | 12516..=12520 => "raise the server's SESSIONS and PROCESSES",
        1005 | 1017 => "check `user` and `password`",
        1031 => {
            "GRANT CREATE SESSION, CREATE TABLE TO …; and on tables of others: GRANT SELECT, INSERT, \
             UPDATE, DELETE ON … TO …"
        }
        1045 => "GRANT CREATE SESSION TO …",
        1400 | 1407 => {
            "ALTER TABLE … MODIFY (… NULL); empty text counts as NULL in Oracle, see `empty_text`"
        }
        1426 | 1438 | 1461 | 12899 => "make the column wider: ALTER TABLE … MODIFY (…)",
        1450 => "create the table by hand, with shorter columns in its key",
        1536 | 1950 => "ALTER USER … QUOTA UNLIMITED ON …",
        1650..=1659 | 1691..=1693 | 30036 => "add a data file; the lane tries again by itself",
        2290 => "the constraint is not the source's, or refuses what a rule changed",
        2291 | 2292 => "replicate the other table too, or ALTER TABLE … DISABLE CONSTRAINT …",
        2391 => "raise SESSIONS_PER_USER of the user's profile",
        4088 => "the trigger sees tahr's changes; ALTER TRIGGER … DISABLE",
        12154 => {
            "write `connect` as //host:1521/service, or set TNS_ADMIN to the folder of tnsnames.ora"
        }
        12505 | 12514 => "check the service's name: `lsnrctl services` on the server lists them",
        12170 | 12535..=12537 | 12541 | 12543 | 12545 | 12547 => {
            "check host and port of the target, and that its listener runs"
        }
        20_000..=20_999 => {
            "a trigger of the target raised it; its text may hold values and is not shown"
        }
        28000 => "ALTER USER … ACCOUNT UNLOCK",
        28001 => "ALTER USER … IDENTIFIED BY …",
        32795 => "make it GENERATED BY DEFAULT, or exclude it",
        54013..=54017 => "exclude it from the table in the sync",
        _ => "",
    }
}

/// What to do about an error of the driver itself; none where the error should not exist.
pub(crate) fn driver_hint(code: i32) -> Option<&'static str> {
    Some(match code {
        1047 => {
            "install Oracle Instant Client (Basic or Basic Light, and the package libaio1) and name \
             its folder: client_dir = \"/opt/oracle/instantclient\"; or add it to LD_LIBRARY_PATH"
        }
        1049 | 1050 | 1072 => "install Oracle Instant Client 19 or later",
        _ => return None,
    })
}

/// Whether an error of the driver says that the connection is gone: it is not open, a call took too
/// long, the server closed it.
pub(crate) fn is_driver_transient(code: i32) -> bool {
    matches!(code, 1010 | 1067 | 1080)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locks_and_lost_connections_pass() {
        for code in [
            54, 60, 1033, 1034, 1089, 3113, 3114, 12170, 12514, 12537, 12541, 12571, 1653,
        ] {
            assert!(is_transient(code), "{code}");
        }
        for code in [
            1, 904, 942, 1017, 1031, 1400, 1438, 2290, 12154, 12899, 20_001,
        ] {
            assert!(!is_transient(code), "{code}");
        }
    }
}
