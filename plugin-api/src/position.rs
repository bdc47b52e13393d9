//! How far a lane has come, and what its target remembers of it.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::Lsn;

/// A place in a stream: between two transactions, or inside one that was split.
///
/// Between transactions `lsn` is the *end* LSN of the last one's commit record and `ordinal` is 0.
/// Inside a split transaction `lsn` is the *start* of that transaction's commit record, the only
/// LSN of it that is known before its end, and `ordinal` says how many of its row messages are
/// in. No transaction's commit record starts before the previous one's ends, so positions are
/// ordered by `(lsn, ordinal)`.
///
/// As text `16/B374D848`, or `16/B374D848+500` inside a transaction; `;` and opaque text follow
/// where a stream has several sources.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// See above.
    pub lsn: Lsn,
    /// Row messages of the open transaction that are in; 0 between transactions.
    pub ordinal: u64,
    /// Whatever a stream of several sources adds; writers store it and never look inside.
    pub opaque: String,
}

impl Position {
    /// The position between transactions that ends at `end_lsn`.
    #[must_use]
    pub fn at(end_lsn: Lsn) -> Self {
        Self {
            lsn: end_lsn,
            ..Self::default()
        }
    }

    /// The position inside the transaction that will commit at `commit_lsn`, after `ordinal` of
    /// its row messages.
    #[must_use]
    pub fn inside(commit_lsn: Lsn, ordinal: u64) -> Self {
        Self {
            lsn: commit_lsn,
            ordinal,
            opaque: String::new(),
        }
    }

    /// Whether it lies inside a transaction.
    #[must_use]
    pub fn is_inside(&self) -> bool {
        self.ordinal != 0
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.lsn)?;
        if self.ordinal != 0 {
            write!(f, "+{}", self.ordinal)?;
        }
        if !self.opaque.is_empty() {
            write!(f, ";{}", self.opaque)?;
        }
        Ok(())
    }
}

/// The text was not a position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParsePositionError(String);

impl fmt::Display for ParsePositionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a position: {:?}", self.0)
    }
}

impl std::error::Error for ParsePositionError {}

impl FromStr for Position {
    type Err = ParsePositionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParsePositionError(text.to_owned());
        let (place, opaque) = text.split_once(';').unwrap_or((text, ""));
        let (lsn, ordinal) = match place.split_once('+') {
            Some((lsn, ordinal)) => (lsn, ordinal.parse().map_err(|_| error())?),
            None => (place, 0),
        };
        let lsn = lsn.parse().map_err(|_| error())?;
        Ok(Self {
            lsn,
            ordinal,
            opaque: opaque.to_owned(),
        })
    }
}

impl Serialize for Position {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Position {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

/// Which stream a checkpoint belongs to. A target stores it beside the position, so that a
/// recreated slot, a restored source or a second engine is noticed rather than believed.
///
/// `sync` and `source` are the key under which a target keeps the checkpoint; the rest must be
/// equal for the checkpoint to be used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamId {
    /// Name of the sync.
    pub sync: String,
    /// Name of the source.
    pub source: String,
    /// The source cluster's system identifier, decimal.
    pub system_id: String,
    /// The timeline that the source was on.
    pub timeline: u32,
    /// OID of the source database.
    pub database: u32,
    /// The replication slot.
    pub slot: String,
    /// Version of the checkpoint's own form.
    pub format: u32,
}

/// What a target remembers of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The stream as it was when the checkpoint was made.
    pub stream: StreamId,
    /// Everything before it is stored in the target; none before the first
    /// [`Writer::flush`](crate::Writer::flush).
    pub position: Option<Position>,
    /// Per source table (`schema.table` as [`TableName`](crate::TableName) prints it), the point
    /// that its copy stands for; [`Lsn::ZERO`] where a copy was begun and not ended.
    pub copied_to: BTreeMap<String, Lsn>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_ordered_through_a_split_transaction() {
        let end = Position::at(Lsn(0x100));
        let first = Position::inside(Lsn(0x100), 1);
        let second = Position::inside(Lsn(0x100), 900);
        let after = Position::at(Lsn(0x130));
        assert!(end < first && first < second && second < after);
    }

    #[test]
    fn position_text_is_read_back() {
        for text in [
            "0/0",
            "16/B374D848",
            "16/B374D848+500",
            "1/2;a=3,b=4",
            "1/2+3;x",
        ] {
            assert_eq!(text.parse::<Position>().unwrap().to_string(), text);
        }
        for wrong in ["", "+1", "1/2+", "1/2+x", "x;y"] {
            assert!(wrong.parse::<Position>().is_err(), "{wrong}");
        }
    }
}
