//! Keys, and rows that are to be as they are, as arenas.
//!
//! For verification: what is asked by key, and what a repair puts in order.

use tahr_plugin_api::{
    Change, Lsn, Op, Relation, Value,
    abi::{Arena, ArenaBuilder},
};

use super::value;

/// Rows of `source` as changes that bring them about: each of `rows` (arenas of inserts) is put,
/// whatever is under its key, and the rows under `absent` go. Columns of the key are named by their
/// places in the row.
#[must_use]
pub fn arena_of<'k>(
    source: &Relation,
    key: &[usize],
    rows: &[Arena],
    absent: impl IntoIterator<Item = &'k [Box<str>]>,
) -> Option<Arena> {
    let bytes_columns = value::bytes_columns(source);
    let mut builder = ArenaBuilder::default();
    let nowhere = Lsn::ZERO.0;
    builder.begin(nowhere, 0, 0, None);
    let relation = builder.relation(source.version);
    let mut ordinal = 0;
    for rows in rows {
        for change in rows.changes() {
            let start = builder.start_row();
            for (index, column) in source.columns.iter().enumerate() {
                match rows.value(change.new as usize + index, column.kind) {
                    Value::Null | Value::Unchanged => builder.push_null(),
                    Value::Text(_, text) => builder.push_text(text),
                    Value::Bytes(bytes) => builder.push_bytes(bytes),
                }
            }
            builder.change(Op::Update, 0, relation, None, Some(start), ordinal);
            ordinal += 1;
        }
    }
    for values in absent {
        let start = builder.start_row();
        for (index, &is_bytes) in bytes_columns.iter().enumerate() {
            let place = key.iter().position(|&column| column == index);
            match place.and_then(|place| values.get(place)) {
                Some(text) => value::push(&mut builder, is_bytes, text.as_bytes()),
                None => builder.push_null(),
            }
        }
        let flags = Change::KEY_ONLY;
        builder.change(Op::Delete, flags, relation, Some(start), None, ordinal);
        ordinal += 1;
    }
    if builder.is_empty() {
        return None;
    }
    builder.commit(nowhere, ordinal);
    Some(builder.finish())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tahr_plugin_api::{Column, ValueKind};

    use super::*;
    use crate::record::{CopyDecoder, Limits};

    #[test]
    fn rows_are_put_and_keys_go() {
        let column = |kind| Column {
            kind,
            ..Column::default()
        };
        let columns = vec![
            column(ValueKind::Text),
            column(ValueKind::Bytes),
            column(ValueKind::Int),
        ];
        let source = Arc::new(Relation {
            version: 3,
            columns,
            ..Relation::default()
        });
        let mut decoder = CopyDecoder::new(Arc::clone(&source), Lsn(9), Limits::default());
        decoder.row(b"x\t\\\\x00ff\t\\N\n").unwrap();
        let rows = decoder.finish().unwrap();
        let gone: [Box<str>; 2] = ["7".into(), "\\x01".into()];
        let arena = arena_of(&source, &[2, 1], &[rows], [&gone[..]]).unwrap();
        let [put, gone] = arena.changes() else {
            panic!("{arena:?}")
        };
        assert_eq!((put.op, gone.op), (Op::Update as u8, Op::Delete as u8));
        let value = |start: u32, index: usize, kind| arena.value(start as usize + index, kind);
        assert_eq!(value(put.new, 1, ValueKind::Bytes), Value::Bytes(&[0, 255]));
        assert_eq!(value(put.new, 2, ValueKind::Int), Value::Null);
        assert_eq!(value(gone.old, 0, ValueKind::Text), Value::Null);
        assert_eq!(value(gone.old, 1, ValueKind::Bytes), Value::Bytes(&[1]));
        assert_eq!(
            value(gone.old, 2, ValueKind::Int),
            Value::Text(ValueKind::Int, "7")
        );
        assert!(arena_of(&source, &[2], &[], []).is_none());
    }
}
