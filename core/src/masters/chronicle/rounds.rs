//! The history of rounds.

use std::{collections::BTreeMap, io, path::Path};

use serde::{Deserialize, Serialize};

use super::{
    Moment,
    lines::{Lines, last},
};

const NAME: &str = "rounds";

/// Bytes in each of its two files.
const LIMIT: u64 = 1 << 20;

/// More rounds in a second than this are summed.
const PER_SECOND: u64 = 10;

/// A round, or all rounds of a busy second.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RoundEntry {
    /// When it was; of several the first.
    pub at: Moment,
    /// The sync.
    pub sync: String,
    /// The round's number; of several the last one's.
    pub number: u64,
    /// How many rounds it tells of.
    pub rounds: u64,
    /// How long it took, from what came in to what was stored; of several together.
    pub took_ms: f64,
    /// Transactions that were taken in.
    pub transactions: u64,
    /// Rows that were taken in, by the source that changed them.
    pub rows_in: BTreeMap<String, u64>,
    /// Rows that were sent, by the source that they were sent to.
    pub rows_out: BTreeMap<String, u64>,
    /// Conflicts that were decided.
    pub conflicts: u64,
}

impl RoundEntry {
    /// Whether nothing came in, went out or was decided.
    fn is_idle(&self) -> bool {
        let rows = self.rows_in.values().chain(self.rows_out.values());
        self.transactions == 0 && self.conflicts == 0 && rows.sum::<u64>() == 0
    }

    fn add(&mut self, later: Self) {
        self.number = later.number;
        self.rounds += later.rounds;
        self.took_ms += later.took_ms;
        self.transactions += later.transactions;
        self.conflicts += later.conflicts;
        for (sum, more) in [
            (&mut self.rows_in, later.rows_in),
            (&mut self.rows_out, later.rows_out),
        ] {
            for (source, rows) in more {
                *sum.entry(source).or_default() += rows;
            }
        }
    }
}

/// The rounds of one sync, newest last, in bounded files. Rounds that did nothing are not in it, and
/// while there are more than ten in a second, one line tells of all rounds of that second.
#[derive(Debug)]
pub struct History {
    lines: Lines,
    /// The second that rounds are counted in, and how many it had so far.
    second: i64,
    count: u64,
    /// Whether the second before had too many for a line each.
    is_busy: bool,
    /// The last line, where it is still added to, and where it begins.
    open: Option<(u64, RoundEntry)>,
    scratch: Vec<u8>,
}

impl History {
    /// Opens the history in a sync's `folder`, which is made where it is absent.
    ///
    /// # Errors
    ///
    /// The folder or the history in it can't be used.
    pub fn open(folder: &Path) -> io::Result<Self> {
        Ok(Self {
            lines: Lines::open(folder, NAME, LIMIT)?,
            second: 0,
            count: 0,
            is_busy: false,
            open: None,
            scratch: Vec::new(),
        })
    }

    /// Adds a round, unless it did nothing.
    ///
    /// # Errors
    ///
    /// The disk failed: the round is not in the history. Nothing else is harmed.
    pub fn append(&mut self, round: RoundEntry) -> io::Result<()> {
        if round.is_idle() {
            return Ok(());
        }
        let second = round.at.second();
        if second != self.second {
            self.is_busy = second == self.second + 1 && self.count > PER_SECOND;
            (self.second, self.count, self.open) = (second, 0, None);
        }
        self.count += 1;
        if let Some((begin, mut sum)) = self.open.take() {
            sum.add(round);
            self.encode(&sum)?;
            self.lines.replace(begin, &self.scratch)?;
            self.open = Some((begin, sum));
            return Ok(());
        }
        self.encode(&round)?;
        self.lines.push(&self.scratch)?;
        if self.is_busy || self.count > PER_SECOND {
            let begin = self.lines.end() - self.scratch.len() as u64;
            self.open = Some((begin, round));
        }
        Ok(())
    }

    fn encode(&mut self, round: &RoundEntry) -> io::Result<()> {
        self.scratch.clear();
        serde_json::to_writer(&mut self.scratch, round)?;
        self.scratch.push(b'\n');
        Ok(())
    }

    /// The last `limit` lines of the history in a sync's `folder`, the newest last; also while the
    /// engine adds to it.
    ///
    /// # Errors
    ///
    /// The history is there and can't be read.
    pub fn read(folder: &Path, limit: usize) -> io::Result<Vec<RoundEntry>> {
        last(folder, NAME, limit, |_| true)
    }
}
