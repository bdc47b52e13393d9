//! What commands ask about the past, and where the answer is found.

use std::{io, path::Path};

use serde::{Deserialize, Serialize};

use super::{ConflictLog, Entry, Filter, History, RoundEntry};
use crate::state_file;

/// What is wanted of the past.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// Of this sync only.
    pub sync: Option<String>,
    /// Of this table only, `schema.table`.
    pub table: Option<String>,
    /// The newest, so many at the most.
    pub limit: usize,
}

impl Question {
    /// The conflicts that the syncs in `state_dir` tell of, the newest last.
    ///
    /// # Errors
    ///
    /// A log is there and can't be read.
    pub fn conflicts(&self, state_dir: &Path) -> io::Result<Vec<Entry>> {
        let filter = Filter {
            table: self.table.clone(),
            limit: self.limit,
        };
        let read = |folder: &Path| ConflictLog::read(folder, &filter);
        self.gather(state_dir, read, |entry| entry.when)
    }

    /// The rounds that the syncs in `state_dir` tell of, the newest last.
    ///
    /// # Errors
    ///
    /// A history is there and can't be read.
    pub fn rounds(&self, state_dir: &Path) -> io::Result<Vec<RoundEntry>> {
        let read = |folder: &Path| History::read(folder, self.limit);
        self.gather(state_dir, read, |round| round.at)
    }

    fn gather<T, K: Ord>(
        &self,
        state_dir: &Path,
        read: impl Fn(&Path) -> io::Result<Vec<T>>,
        when: impl Fn(&T) -> K,
    ) -> io::Result<Vec<T>> {
        let mut all = Vec::new();
        for folder in state_file::entries(&state_dir.join("masters"))? {
            // A name is looked for, and never made a path of: it comes from outside.
            let sync = self.sync.as_ref();
            if sync.is_none_or(|sync| folder.file_name() == Some(sync.as_ref())) {
                all.extend(read(&folder)?);
            }
        }
        if self.sync.is_none() {
            all.sort_by_key(when);
        }
        all.drain(..all.len().saturating_sub(self.limit));
        Ok(all)
    }
}
