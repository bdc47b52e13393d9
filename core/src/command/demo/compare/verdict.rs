//! What came of comparing one target.

use crate::progress::grouped;

/// How many differences are named.
const NAMED: usize = 5;

/// Rows compared, and what differs.
#[derive(Debug)]
pub(in crate::command::demo) struct Verdict {
    /// The target's name.
    pub(in crate::command::demo) target: &'static str,
    pub(super) compared: u64,
    differences: u64,
    named: Vec<String>,
}

impl Verdict {
    pub(super) fn new(target: &'static str) -> Self {
        Self {
            target,
            compared: 0,
            differences: 0,
            named: Vec::new(),
        }
    }

    /// Whether nothing differs.
    pub(in crate::command::demo) fn is_equal(&self) -> bool {
        self.differences == 0
    }

    pub(super) fn note(&mut self, row: &[u8], what: &str) {
        self.differences += 1;
        if self.named.len() < NAMED {
            let name = String::from_utf8_lossy(row);
            let short: String = name.chars().take(60).flat_map(char::escape_debug).collect();
            self.named.push(format!("{short} {what}"));
        }
    }

    /// What it says.
    pub(in crate::command::demo) fn lines(&self) -> Vec<String> {
        let compared = grouped(self.compared);
        let target = self.target;
        if self.is_equal() {
            return vec![format!(
                "{target:9} {compared:>11} rows compared   ✔ all equal"
            )];
        }
        let count = grouped(self.differences);
        let mut lines = vec![format!(
            "{target:9} {compared:>11} rows compared   ✘ {count} differ"
        )];
        lines.extend(self.named.iter().map(|name| format!("{:9} {name}", "")));
        if self.differences > NAMED as u64 {
            lines.push(format!(
                "{:9} … and {} more",
                "",
                grouped(self.differences - NAMED as u64)
            ));
        }
        lines
    }
}
