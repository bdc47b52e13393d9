//! Rows of a `COPY … TO STDOUT` in text format into arenas.

use std::sync::Arc;

use tahr_plugin_api::{
    Lsn, Op, Relation,
    abi::{Arena, ArenaBuilder},
};

use super::{assemble::Limits, value};

/// A row of a copy was not what the table's columns promise.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a copied row of {table} is malformed: {problem}")]
pub struct CopyError {
    table: String,
    problem: &'static str,
}

/// Builds arenas of inserts from copied rows of one relation.
#[derive(Debug)]
pub struct CopyDecoder {
    relation: Arc<Relation>,
    bytes_columns: Box<[bool]>,
    copied_to: Lsn,
    builder: ArenaBuilder,
    limits: Limits,
    rows: u64,
    scratch: Vec<u8>,
}

impl CopyDecoder {
    /// A decoder for rows of `relation` as of `copied_to`, in the relation's column order.
    #[must_use]
    pub fn new(relation: Arc<Relation>, copied_to: Lsn, limits: Limits) -> Self {
        let bytes_columns = value::bytes_columns(&relation);
        Self {
            relation,
            bytes_columns,
            copied_to,
            builder: ArenaBuilder::default(),
            limits,
            rows: 0,
            scratch: Vec::new(),
        }
    }

    /// Takes one row as PostgreSQL sends it, its newline included; returns an arena when one is
    /// full.
    ///
    /// # Errors
    ///
    /// It is no row of this relation.
    pub fn row(&mut self, line: &[u8]) -> Result<Option<Arena>, CopyError> {
        let Some(line) = line.strip_suffix(b"\n") else {
            return Err(self.error("no newline at its end"));
        };
        if !self.builder.has_transactions() {
            self.builder.begin(self.copied_to.0, 0, 0, None);
        }
        let start = self.builder.start_row();
        let mut rest = Some(line);
        for &is_bytes in &self.bytes_columns {
            let Some(text) = rest else {
                return Err(Self::of(&self.relation, "too few values"));
            };
            let tab = text.iter().position(|&byte| byte == b'\t');
            let field = &text[..tab.unwrap_or(text.len())];
            rest = tab.map(|tab| &text[tab + 1..]);
            if field == b"\\N" {
                self.builder.push_null();
            } else if field.contains(&b'\\') {
                if !unescape(field, &mut self.scratch) {
                    return Err(Self::of(
                        &self.relation,
                        "a backslash at the end of a value",
                    ));
                }
                value::push(&mut self.builder, is_bytes, &self.scratch);
            } else {
                value::push(&mut self.builder, is_bytes, field);
            }
        }
        // A table without columns sends an empty line.
        if rest.is_some_and(|rest| !(self.bytes_columns.is_empty() && rest.is_empty())) {
            return Err(self.error("too many values"));
        }
        let relation = self.builder.relation(self.relation.version);
        self.builder
            .change(Op::Insert, 0, relation, None, Some(start), self.rows);
        self.rows += 1;
        let is_full = self.builder.changes() >= self.limits.changes
            || self.builder.used() >= self.limits.bytes;
        Ok(if is_full { self.finish() } else { None })
    }

    /// The rows that have not left in an arena yet.
    pub fn finish(&mut self) -> Option<Arena> {
        if self.builder.is_empty() {
            return None;
        }
        self.builder.commit(self.copied_to.0, self.rows);
        let (changes, values, bytes) = (
            self.builder.changes(),
            self.builder.values(),
            self.builder.data_len(),
        );
        let arena = self.builder.finish();
        // A single large row makes no difference to the next arena.
        let bytes = bytes.min(self.limits.bytes);
        self.builder = ArenaBuilder::with_capacity(changes, values, bytes);
        Some(arena)
    }

    fn error(&self, problem: &'static str) -> CopyError {
        Self::of(&self.relation, problem)
    }

    fn of(relation: &Relation, problem: &'static str) -> CopyError {
        CopyError {
            table: relation.source.to_string(),
            problem,
        }
    }
}

/// Undoes the escapes that PostgreSQL writes; false where the last backslash escapes nothing.
fn unescape(field: &[u8], into: &mut Vec<u8>) -> bool {
    into.clear();
    let mut bytes = field.iter();
    while let Some(&byte) = bytes.next() {
        if byte != b'\\' {
            into.push(byte);
            continue;
        }
        into.push(match bytes.next() {
            Some(b'b') => 8,
            Some(b'f') => 12,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'v') => 11,
            Some(&other) => other,
            None => return false,
        });
    }
    true
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests {
    use tahr_plugin_api::{Column, Value, ValueKind};

    use super::*;

    fn relation(kinds: &[ValueKind]) -> Arc<Relation> {
        let columns = kinds
            .iter()
            .map(|&kind| Column {
                kind,
                ..Column::default()
            })
            .collect();
        Arc::new(Relation {
            version: 1,
            columns,
            ..Relation::default()
        })
    }

    #[test]
    fn escapes_nulls_and_bytes_are_decoded() {
        let relation = relation(&[ValueKind::Text, ValueKind::Bytes, ValueKind::Text]);
        let mut decoder = CopyDecoder::new(relation, Lsn(9), Limits::default());
        assert!(
            decoder
                .row(b"a\\tb\\\\c\\n\\r\\N\t\\\\x00ff\t\\N\n")
                .unwrap()
                .is_none()
        );
        assert!(decoder.row(b"\t\\N\t\xc3\xa4\n").unwrap().is_none());
        let arena = decoder.finish().unwrap();
        let value = |index, kind| arena.value(index, kind);
        assert_eq!(
            value(0, ValueKind::Text),
            Value::Text(ValueKind::Text, "a\tb\\c\n\rN")
        );
        assert_eq!(value(1, ValueKind::Bytes), Value::Bytes(&[0, 255]));
        assert_eq!(value(2, ValueKind::Text), Value::Null);
        assert_eq!(value(3, ValueKind::Text), Value::Text(ValueKind::Text, ""));
        assert_eq!(value(4, ValueKind::Bytes), Value::Null);
        assert_eq!(value(5, ValueKind::Text), Value::Text(ValueKind::Text, "ä"));
        assert_eq!(arena.changes().len(), 2);
    }

    #[test]
    fn rows_of_another_width_are_refused() {
        let new = || {
            let relation = relation(&[ValueKind::Text, ValueKind::Text]);
            CopyDecoder::new(relation, Lsn(9), Limits::default())
        };
        for wrong in [&b"a\n"[..], b"a\tb\tc\n", b"a\tb", b"a\tb\\\n"] {
            assert!(new().row(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn rows_come_in_arenas_of_their_own_and_are_counted_through() {
        let limits = Limits {
            changes: 2,
            ..Limits::default()
        };
        let mut decoder = CopyDecoder::new(relation(&[ValueKind::Text]), Lsn(9), limits);
        let mut arenas = Vec::new();
        for line in [&b"a\n"[..], b"\n", b"\\.\n", b"d\n", b"e\n"] {
            arenas.extend(decoder.row(line).unwrap());
        }
        arenas.extend(decoder.finish());
        assert!(decoder.finish().is_none());
        let ordinals: Vec<Vec<_>> = arenas
            .iter()
            .map(|arena| {
                arena
                    .changes()
                    .iter()
                    .map(|change| change.ordinal)
                    .collect()
            })
            .collect();
        assert_eq!(ordinals, [vec![0, 1], vec![2, 3], vec![4]]);
        assert_eq!(
            arenas[1].value(0, ValueKind::Text),
            Value::Text(ValueKind::Text, ".")
        );
    }

    #[test]
    fn a_table_without_columns_has_rows() {
        let mut decoder = CopyDecoder::new(relation(&[]), Lsn(9), Limits::default());
        decoder.row(b"\n").unwrap();
        decoder.row(b"\n").unwrap();
        assert!(decoder.row(b"a\n").is_err());
        let mut decoder = CopyDecoder::new(relation(&[]), Lsn(9), Limits::default());
        decoder.row(b"\n").unwrap();
        assert_eq!(decoder.finish().unwrap().changes().len(), 1);
    }
}
