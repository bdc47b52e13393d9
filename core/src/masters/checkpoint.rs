//! The row that marks tahr's own transactions on a source.
//!
//! Each apply first updates its sync's row in `tahr.checkpoint`, and with it what the others need to
//! know: [`Notes`]. The table is published, so the stream shows the row's change inside the
//! transaction that it marks, and WAL order says what came before it and what after.

use serde::{Deserialize, Serialize};

use crate::reconcile::{Blob, Key, Origin};

/// The schema of tahr's own table on a source of several.
pub const SCHEMA: &str = "tahr";
/// The table.
pub const TABLE: &str = "checkpoint";

/// What an apply tells beside its rows, in the column `notes` of its row: written by the last
/// statement of the transaction, where there is anything to tell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notes {
    /// Keys of the plan that were left out.
    pub left: Vec<Left>,
    /// Where each row came from, for the other syncs of this source; empty where it has none.
    pub origins: Vec<(Key, Origin)>,
}

/// A key that an apply left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// The key.
    pub key: Key,
    /// The key and the row that has what this one may not have too, and when it was committed;
    /// none where the row was locked.
    pub holder: Option<(Key, Blob, Option<i64>)>,
}

impl Notes {
    /// As they are stored; nothing where there is nothing to tell.
    #[must_use]
    pub fn encode(&self) -> Option<Vec<u8>> {
        if self.left.is_empty() && self.origins.is_empty() {
            return None;
        }
        postcard::to_stdvec(self).ok()
    }

    /// What was stored; none where these are no notes of this version of tahr.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        postcard::from_bytes(bytes).ok()
    }
}
