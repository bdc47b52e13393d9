//! A fault of a source, and the script that mends many.

use std::fmt;

/// What follows from a [`Finding`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It works, but perhaps not as meant.
    Warning,
    /// It doesn't work.
    Error,
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What follows from it.
    pub severity: Severity,
    /// What it is about: `setting wal_level`, `table public.t`.
    pub object: String,
    /// What is wrong with it, a lowercase fragment.
    pub message: String,
    /// SQL that mends it, where SQL can.
    pub fix: Option<String>,
}

impl Finding {
    pub(super) fn error(object: impl Into<String>, message: impl Into<String>) -> Self {
        let severity = Severity::Error;
        Self {
            severity,
            object: object.into(),
            message: message.into(),
            fix: None,
        }
    }

    pub(super) fn warning(object: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(object, message)
        }
    }

    pub(super) fn fix(mut self, sql: impl Into<String>) -> Self {
        self.fix = Some(sql.into());
        self
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.object, self.message)
    }
}

/// One SQL script for the DBA that mends all that SQL can mend; the rest are comments. Empty where
/// nothing is wrong.
#[must_use]
pub fn script(findings: &[Finding]) -> String {
    let errors: Vec<_> = findings
        .iter()
        .filter(|f| f.severity == Severity::Error)
        .collect();
    if errors.is_empty() {
        return String::new();
    }
    let mut sql = String::from(
        "-- Makes this database ready for tahr. Run it with psql, as a superuser, in that database.\n",
    );
    let mut done = Vec::new();
    for finding in errors {
        // A name may hold a line break, which would end the comment.
        let comment: String = finding
            .to_string()
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        sql.push_str(&format!("\n-- {comment}\n"));
        match &finding.fix {
            Some(fix) if done.contains(&fix) => sql.push_str("-- (mended above)\n"),
            Some(fix) => {
                sql.push_str(fix);
                sql.push('\n');
                done.push(fix);
            }
            None => sql.push_str("-- (nothing that SQL can mend)\n"),
        }
    }
    sql
}

#[cfg(test)]
mod tests {
    use super::{Finding, script};

    #[test]
    fn the_script_holds_each_fix_once_and_nothing_outside_of_comments() {
        let findings = [
            Finding::error("table a\n; DROP TABLE x", "has no key").fix("ALTER TABLE a;"),
            Finding::error("table b", "is foreign"),
            Finding::error("role r", "may not").fix("GRANT x TO r;"),
            Finding::error("role r", "may not either").fix("GRANT x TO r;"),
            Finding::warning("table c", "is odd").fix("NEVER;"),
        ];
        let sql = script(&findings);
        let statements: Vec<_> = sql
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with("--"))
            .collect();
        assert_eq!(statements, ["ALTER TABLE a;", "GRANT x TO r;"]);
        assert!(sql.contains("-- table b is foreign"));
    }

    #[test]
    fn no_fault_needs_no_script() {
        assert_eq!(
            script(&[Finding::warning("table c", "is odd").fix("x;")]),
            ""
        );
    }
}
