//! What was written, and what each write had seen: causality, for the test only.

use super::source::Content;

/// One write of one row by a local transaction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Write {
    pub(crate) slot: usize,
    /// Commit time, different for any two transactions.
    pub(crate) time: i64,
    /// What it made of the row, 0 for none.
    pub(crate) content: Content,
    /// The write that the row held before, on that source.
    pub(crate) parent: Option<usize>,
}

/// All writes, oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Writes(pub(crate) Vec<Write>);

impl Writes {
    /// The write of a row that a version came from.
    pub(crate) fn find(&self, slot: usize, time: i64) -> Option<usize> {
        self.0
            .iter()
            .rposition(|write| write.slot == slot && write.time == time)
    }

    /// A write of `slot` that had seen the write `winner`, directly or through others.
    pub(crate) fn later(&self, slot: usize, winner: usize) -> Option<usize> {
        let saw = |mut at: usize| loop {
            match self.0[at].parent {
                Some(parent) if parent == winner => return true,
                Some(parent) => at = parent,
                None => return false,
            }
        };
        (0..self.0.len()).find(|&at| self.0[at].slot == slot && saw(at))
    }

    /// The last write of a row when every one of them had seen the one before: nobody can have won
    /// against it.
    pub(crate) fn undisputed(&self, slot: usize) -> Option<&Write> {
        let mut before = None;
        for (index, write) in self
            .0
            .iter()
            .enumerate()
            .filter(|(_, write)| write.slot == slot)
        {
            if write.parent != before {
                return None;
            }
            before = Some(index);
        }
        before.map(|index| &self.0[index])
    }

    /// The latest write of a row, the first so many not counted.
    pub(crate) fn latest(&self, slot: usize, skip: usize) -> Option<&Write> {
        self.0
            .iter()
            .skip(skip)
            .filter(|write| write.slot == slot)
            .max_by_key(|write| write.time)
    }
}
