//! What a log shows of itself.

use serde::{Deserialize, Serialize};

use super::{lanes::holders, state::State};
use crate::fault::Fault;

/// What a log holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogUsage {
    /// Bytes in memory.
    pub memory: u64,
    /// Bytes of segment files.
    pub disk: u64,
    /// Bytes of what was set aside, which nobody needs any more.
    #[serde(default)]
    pub aside: u64,
    /// How many files and folders that is.
    #[serde(default)]
    pub aside_count: u64,
    /// How many bytes of all of these files there may be.
    pub limit: u64,
    /// Lanes whose changes the source's WAL has to keep, since the log could not.
    pub cut_off: u32,
    /// Why it is not written to disk, and since when.
    pub fault: Option<Fault>,
}

impl State {
    pub(super) fn usage(&self) -> LogUsage {
        let cut_off = holders(&self.lanes).filter(|lane| lane.is_cut_off).count();
        let is_faulty = cut_off > 0 || !self.disk.is_empty();
        let fault = self.quota.fault.clone().filter(|_| is_faulty);
        LogUsage {
            memory: self.memory as u64,
            disk: self.disk.bytes(),
            aside: self.aside.bytes(),
            aside_count: self.aside.count() as u64,
            limit: self.quota.limit,
            cut_off: u32::try_from(cut_off).unwrap_or(u32::MAX),
            fault: fault.map(|(message, since)| Fault {
                since,
                ..Fault::new(message, "")
            }),
        }
    }
}
