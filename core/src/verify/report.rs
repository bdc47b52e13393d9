//! What a verification has found.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// In what a row differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Source and target have it with other values.
    Differing,
    /// The target doesn't have it.
    Missing,
    /// Only the target has it.
    Extra,
}

impl Kind {
    /// As it is shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Differing => "differs",
            Self::Missing => "missing",
            Self::Extra => "extra",
        }
    }
}

/// A row that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Differing {
    /// In what.
    pub kind: Kind,
    /// The values of its key, by column.
    pub key: BTreeMap<String, String>,
    /// Whether it was repaired.
    #[serde(default)]
    pub repaired: bool,
}

/// What was found in one table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableReport {
    /// The table in the source.
    pub table: String,
    /// Rows of the source that were compared.
    pub rows: u64,
    /// Rows with other values.
    pub differing: u64,
    /// Rows that the target doesn't have.
    pub missing: u64,
    /// Rows that only the target has.
    pub extra: u64,
    /// How many of these were repaired.
    pub repaired: u64,
    /// How many of them the lane has set aside, since the target refused them.
    #[serde(default)]
    pub set_aside: u64,
    /// Rows that kept changing while they were looked at, so that nothing can be said of them.
    pub moving: u64,
    /// Columns that were left out: they were added in the source, hold no values as far as the lane
    /// has come, and the target gets them with the table's next change.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub new_columns: Vec<String>,
    /// Why it can't be compared by its nature, which is no fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skipped: Option<String>,
    /// Why the table was not compared, or not to the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unable: Option<String>,
    /// Why rows were not repaired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unrepaired: Option<String>,
    /// The keys of the first rows that were found.
    pub keys: Vec<Differing>,
}

impl TableReport {
    /// Rows that differ, repaired or not.
    #[must_use]
    pub fn found(&self) -> u64 {
        self.differing + self.missing + self.extra
    }

    /// Rows that differ still.
    #[must_use]
    pub fn stays(&self) -> u64 {
        self.found().saturating_sub(self.repaired)
    }

    pub(super) fn count(&mut self, kind: Kind) {
        *match kind {
            Kind::Differing => &mut self.differing,
            Kind::Missing => &mut self.missing,
            Kind::Extra => &mut self.extra,
        } += 1;
    }
}

/// What was found in one target.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneReport {
    /// `sync/target`.
    pub lane: String,
    /// Why it was not compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unable: Option<String>,
    /// Its tables.
    pub tables: Vec<TableReport>,
}

/// What a verification has found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    /// By lane.
    pub lanes: Vec<LaneReport>,
}

/// How far a verification is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// `sync/target`.
    pub lane: String,
    /// The table of the source.
    pub table: String,
    /// What is done with it.
    pub doing: String,
    /// Rows of it that were read in the source, or keys that were looked at.
    pub rows: u64,
    /// How many there are; a guess.
    pub expected_rows: u64,
    /// Tables that are done, and all of them, all lanes together.
    pub tables_done: usize,
    /// See `tables_done`.
    pub tables: usize,
    /// Rows found to differ so far.
    pub found: u64,
}
