//! Errors that tests order: the file `x.faults` beside the database `x.db`.
//!
//! One line an error, `#` begins a comment:
//!
//! ```text
//! call count ORA-code [after] [in words of the statement]
//! call count wait milliseconds [in words of the statement]
//! ```
//!
//! | call | counted |
//! |---|---|
//! | `attach`, `login` | attempts to reach the server, and to log in |
//! | `execute` | executions of a statement, whatever the number of rows |
//! | `row` | rows of an array: that row alone has the error |
//! | `fetch`, `commit`, `rollback`, `ping` | as they say |
//!
//! `commit 1 ORA-03113 after` lets the first commit take effect, and then loses the answer. An error
//! that ends a session ends it. The file is shared by all processes: whoever makes the call that a
//! line waits for has the error and removes the line.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::OraError;

/// What is to happen at a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The call does nothing and fails.
    Before(OraError),
    /// The call does its work and fails.
    After(OraError),
    /// The call waits first.
    Wait(Duration),
}

/// The faults of a database.
#[derive(Debug, Clone)]
pub struct Faults {
    path: PathBuf,
}

impl Faults {
    pub(crate) fn of(database: &Path) -> Self {
        Self {
            path: database.with_extension("faults"),
        }
    }

    /// Counts a call; the statement is that which is executed, if any.
    pub(crate) fn at(&self, call: &str, statement: &str) -> Option<Fault> {
        if !self.path.exists() {
            return None;
        }
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&self.path)
            .ok()?;
        file.lock().ok()?;
        let mut text = String::new();
        file.read_to_string(&mut text).ok()?;
        let (mut left, mut due) = (String::new(), None);
        for line in text.lines() {
            match count(line, call, statement) {
                Counted::Not => left.push_str(line),
                Counted::Less(line) => left.push_str(&line),
                Counted::Due(fault) if due.is_none() => {
                    due = Some(fault);
                    continue;
                }
                // One error a call: the next call has the other.
                Counted::Due(_) => left.push_str(line),
            }
            left.push('\n');
        }
        if left.trim_end() != text.trim_end() {
            rewrite(&mut file, &left).ok()?;
        }
        due
    }
}

fn rewrite(file: &mut File, text: &str) -> std::io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(text.as_bytes())
}

enum Counted {
    Not,
    /// The line with its count lowered.
    Less(String),
    Due(Fault),
}

fn count(line: &str, call: &str, statement: &str) -> Counted {
    let mut words = line.splitn(3, ' ');
    let (Some(found), Some(count), Some(rest)) = (words.next(), words.next(), words.next()) else {
        return Counted::Not;
    };
    let (what, within) = rest.split_once(" in ").unwrap_or((rest, ""));
    let (true, Ok(count), true) = (
        found == call,
        count.parse::<u32>(),
        statement.contains(within),
    ) else {
        return Counted::Not;
    };
    if count > 1 {
        return Counted::Less(format!("{found} {} {rest}", count - 1));
    }
    let mut words = what.split_ascii_whitespace();
    match (words.next(), words.next()) {
        (Some("wait"), Some(milliseconds)) => Counted::Due(Fault::Wait(Duration::from_millis(
            milliseconds.parse().unwrap_or(0),
        ))),
        (Some(code), after) => {
            let code = code
                .strip_prefix("ORA-")
                .and_then(|code| code.parse().ok())
                .unwrap_or(600);
            let error = OraError::of_code(code);
            Counted::Due(if after == Some("after") {
                Fault::After(error)
            } else {
                Fault::Before(error)
            })
        }
        _ => Counted::Not,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_counted_down_and_then_removed() {
        let database = std::env::temp_dir().join(format!("tahr-faults-{}.db", std::process::id()));
        let faults = Faults::of(&database);
        std::fs::write(
            &faults.path,
            "commit 2 ORA-03113 after\nexecute 1 ORA-00060 in MERGE\n",
        )
        .unwrap();
        assert_eq!(faults.at("execute", "INSERT INTO t"), None);
        assert_eq!(faults.at("commit", ""), None);
        assert!(
            matches!(faults.at("execute", "MERGE INTO t"), Some(Fault::Before(error)) if error.code == 60)
        );
        assert!(matches!(faults.at("commit", ""), Some(Fault::After(error)) if error.is_fatal));
        assert_eq!(faults.at("commit", ""), None);
        std::fs::remove_file(&faults.path).unwrap();
    }
}
