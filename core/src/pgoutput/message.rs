//! The messages of pgoutput, borrowed from the bytes they came in.
//!
//! `Debug` shows the shape of a message (relations, column counts, lengths) and never what is in
//! a row, so a message may be logged.

use std::{fmt, iter::FusedIterator};

use tahr_plugin_api::{Lsn, ReplicaIdentity};

/// One message of protocol version 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// A transaction begins. PostgreSQL sends transactions whole and in commit order.
    Begin {
        /// The *start* of the transaction's commit record: PostgreSQL's "final LSN".
        commit_lsn: Lsn,
        /// When it committed, in microseconds since 2000-01-01 00:00 UTC.
        commit_time_micros: i64,
        /// Its transaction ID, without the epoch.
        xid: u32,
    },
    /// The transaction ends.
    Commit {
        /// Unused by PostgreSQL, always 0 so far.
        flags: u8,
        /// The start of its commit record, as in [`Begin`](Self::Begin).
        commit_lsn: Lsn,
        /// The end of its commit record: what a checkpoint after it holds.
        end_lsn: Lsn,
        /// When it committed, in microseconds since 2000-01-01 00:00 UTC.
        commit_time_micros: i64,
    },
    /// The transaction was itself replicated, from this origin.
    Origin {
        /// The commit LSN on the origin server.
        commit_lsn: Lsn,
        /// The replication origin's name.
        name: &'a str,
    },
    /// What the following rows of a table look like; sent before its first change, and again
    /// when it changed.
    Relation(RelationMessage<'a>),
    /// The name of a type that isn't built in, sent before the relation that uses it.
    Type {
        /// The type's OID; for a domain its own, while the names are those of the base type.
        oid: u32,
        /// Its schema; empty means `pg_catalog`.
        schema: &'a str,
        /// Its name.
        name: &'a str,
    },
    /// A row was inserted.
    Insert {
        /// The table's OID.
        relation: u32,
        /// The row.
        new: Tuple<'a>,
    },
    /// A row was updated.
    Update {
        /// The table's OID.
        relation: u32,
        /// What PostgreSQL sent of the old row: the key where an identity column changed, the
        /// whole row under `REPLICA IDENTITY FULL`, otherwise nothing.
        old: Option<OldTuple<'a>>,
        /// The row after the update.
        new: Tuple<'a>,
    },
    /// A row was deleted.
    Delete {
        /// The table's OID.
        relation: u32,
        /// What names the row.
        old: OldTuple<'a>,
    },
    /// Tables were emptied together, by one statement.
    Truncate {
        /// `CASCADE` was given.
        cascade: bool,
        /// `RESTART IDENTITY` was given.
        restart_identity: bool,
        /// The tables' OIDs.
        relations: Vec<u32>,
    },
    /// A message written with `pg_logical_emit_message`.
    Logical(LogicalMessage<'a>),
}

/// A table's identity and columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelationMessage<'a> {
    /// The table's OID.
    pub oid: u32,
    /// Its schema; empty means `pg_catalog`.
    pub schema: &'a str,
    /// Its name.
    pub table: &'a str,
    /// How updates and deletes name their row.
    pub replica_identity: ReplicaIdentity,
    /// Its columns, in the order of every tuple.
    pub columns: Vec<RelationColumn<'a>>,
}

/// A column of a [`RelationMessage`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RelationColumn<'a> {
    /// Whether it belongs to the replica identity (every column does under `FULL`).
    pub in_key: bool,
    /// Its name.
    pub name: &'a str,
    /// The OID of its type.
    pub type_oid: u32,
    /// The type's modifier, -1 without one.
    pub type_modifier: i32,
}

/// A message written with `pg_logical_emit_message`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct LogicalMessage<'a> {
    /// Whether it belongs to the transaction around it; others come outside of transactions.
    pub transactional: bool,
    /// Where it was written.
    pub lsn: Lsn,
    /// What its sender named it.
    pub prefix: &'a str,
    /// Any bytes.
    pub content: &'a [u8],
}

impl fmt::Debug for LogicalMessage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogicalMessage")
            .field("transactional", &self.transactional)
            .field("lsn", &self.lsn)
            .field("prefix", &self.prefix)
            .field("content_bytes", &self.content.len())
            .finish()
    }
}

/// What an [`OldTuple`] holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OldTupleKind {
    /// The identity columns; the others are placeholders, null without meaning it.
    Key,
    /// The whole row, as `REPLICA IDENTITY FULL` asks for.
    Full,
}

/// The row before an update or delete, as far as PostgreSQL sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OldTuple<'a> {
    /// Which columns count.
    pub kind: OldTupleKind,
    /// A value for each column of the relation.
    pub tuple: Tuple<'a>,
}

/// A row as sent: one value for each column of its relation.
///
/// Only the decoder makes one, after checking its bytes, so that reading the values can't fail.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Tuple<'a> {
    columns: u16,
    bytes: &'a [u8],
}

impl<'a> Tuple<'a> {
    /// `bytes` must hold exactly `columns` well-formed values.
    pub(super) fn checked(columns: u16, bytes: &'a [u8]) -> Self {
        Self { columns, bytes }
    }

    /// How many values it has.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::from(self.columns)
    }

    /// Whether it has no value at all, as a row of a table without columns.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.columns == 0
    }

    /// How many bytes it takes in the message: a good estimate of its weight in memory.
    #[must_use]
    pub fn byte_len(&self) -> usize {
        self.bytes.len()
    }

    /// Its values, in the relation's order.
    #[must_use]
    pub fn values(&self) -> TupleValues<'a> {
        TupleValues {
            left: self.columns,
            bytes: self.bytes,
        }
    }
}

impl<'a> IntoIterator for Tuple<'a> {
    type Item = TupleValue<'a>;
    type IntoIter = TupleValues<'a>;

    fn into_iter(self) -> TupleValues<'a> {
        self.values()
    }
}

impl fmt::Debug for Tuple<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Tuple({} columns, {} bytes)",
            self.columns,
            self.bytes.len()
        )
    }
}

/// One value of a [`Tuple`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum TupleValue<'a> {
    /// SQL's NULL.
    Null,
    /// A TOAST value that the update didn't touch and PostgreSQL therefore didn't send.
    Unchanged,
    /// As PostgreSQL prints it, in the session's encoding; not checked to be UTF-8.
    Text(&'a [u8]),
    /// As the type's binary send function writes it; only where asked for.
    Binary(&'a [u8]),
}

impl fmt::Debug for TupleValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("Null"),
            Self::Unchanged => f.write_str("Unchanged"),
            Self::Text(bytes) => write!(f, "Text({} bytes)", bytes.len()),
            Self::Binary(bytes) => write!(f, "Binary({} bytes)", bytes.len()),
        }
    }
}

/// The values of a [`Tuple`], in order.
#[derive(Clone)]
pub struct TupleValues<'a> {
    left: u16,
    bytes: &'a [u8],
}

impl fmt::Debug for TupleValues<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TupleValues({} left)", self.left)
    }
}

impl<'a> Iterator for TupleValues<'a> {
    type Item = TupleValue<'a>;

    fn next(&mut self) -> Option<TupleValue<'a>> {
        self.left = self.left.checked_sub(1)?;
        // The decoder has checked the bytes; were it wrong, this would end early, not panic.
        let (&tag, rest) = self.bytes.split_first()?;
        if let b'n' | b'u' = tag {
            self.bytes = rest;
            return Some(if tag == b'n' {
                TupleValue::Null
            } else {
                TupleValue::Unchanged
            });
        }
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let (value, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        self.bytes = rest;
        Some(if tag == b't' {
            TupleValue::Text(value)
        } else {
            TupleValue::Binary(value)
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (usize::from(self.left), Some(usize::from(self.left)))
    }
}

impl ExactSizeIterator for TupleValues<'_> {}
impl FusedIterator for TupleValues<'_> {}
