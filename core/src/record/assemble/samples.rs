//! Streams as PostgreSQL sends them, for the tests: written as bytes, decoded, put together.

use std::sync::Arc;

use tahr_plugin_api::{Column, Position, Relation, Value, ValueKind, abi::Arena};

use super::{Assembler, AssemblyError, Limits};
use crate::pgoutput::decode;

pub(super) const WIDE: Limits = Limits {
    changes: 1000,
    bytes: 1 << 20,
};

pub(super) enum Step {
    Relation(Arc<Relation>),
    Message(Vec<u8>),
}

#[derive(Clone, Copy)]
pub(super) enum Sent<'a> {
    Null,
    Unchanged,
    Text(&'a [u8]),
}

pub(super) fn table(oid: u32, version: u32, kinds: &[ValueKind]) -> Arc<Relation> {
    let columns = kinds.iter().enumerate().map(|(index, &kind)| Column {
        kind,
        in_identity: index == 0,
        ..Column::default()
    });
    Arc::new(Relation {
        oid,
        version,
        columns: columns.collect(),
        ..Relation::default()
    })
}

pub(super) fn tuple(values: &[Sent<'_>]) -> Vec<u8> {
    let mut bytes = u16::try_from(values.len()).unwrap().to_be_bytes().to_vec();
    for value in values {
        match value {
            Sent::Null => bytes.push(b'n'),
            Sent::Unchanged => bytes.push(b'u'),
            Sent::Text(text) => {
                bytes.push(b't');
                bytes.extend(u32::try_from(text.len()).unwrap().to_be_bytes());
                bytes.extend_from_slice(text);
            }
        }
    }
    bytes
}

pub(super) fn message(tag: u8, parts: &[&[u8]]) -> Step {
    Step::Message([&[tag], parts.concat().as_slice()].concat())
}

/// The transaction `n` commits from `100 n` to `100 n + 50`.
pub(super) fn begin(n: u64) -> Step {
    message(
        b'B',
        &[
            &(n * 100).to_be_bytes(),
            &7i64.to_be_bytes(),
            &9u32.to_be_bytes(),
        ],
    )
}

pub(super) fn commit(n: u64) -> Step {
    let (start, end) = ((n * 100).to_be_bytes(), (n * 100 + 50).to_be_bytes());
    message(b'C', &[&[0], &start, &end, &7i64.to_be_bytes()])
}

pub(super) fn insert(oid: u32, values: &[Sent<'_>]) -> Step {
    message(b'I', &[&oid.to_be_bytes(), b"N", &tuple(values)])
}

pub(super) fn update(oid: u32, kind: &[u8], old: &[Sent<'_>], new: &[Sent<'_>]) -> Step {
    message(
        b'U',
        &[&oid.to_be_bytes(), kind, &tuple(old), b"N", &tuple(new)],
    )
}

pub(super) fn delete(oid: u32, kind: &[u8], old: &[Sent<'_>]) -> Step {
    message(b'D', &[&oid.to_be_bytes(), kind, &tuple(old)])
}

pub(super) fn truncate(flags: u8, oids: &[u32]) -> Step {
    let count = u32::try_from(oids.len()).unwrap();
    let oids: Vec<u8> = oids.iter().flat_map(|oid| oid.to_be_bytes()).collect();
    message(b'T', &[&count.to_be_bytes(), &[flags], &oids])
}

pub(super) fn row(n: u64) -> Step {
    insert(1, &[Sent::Text(n.to_string().as_bytes())])
}

pub(super) fn one_column() -> Step {
    Step::Relation(table(1, 1, &[ValueKind::Text]))
}

pub(super) fn take(assembler: &mut Assembler, step: &Step) -> Result<Option<Arena>, AssemblyError> {
    match step {
        Step::Relation(relation) => Ok(assembler.relation(Arc::clone(relation))),
        Step::Message(bytes) => assembler.message(&decode(bytes).unwrap()),
    }
}

/// All arenas of `steps`, the last one by a pause.
pub(super) fn assemble(limits: Limits, resume: Position, steps: &[Step]) -> Vec<Arena> {
    let mut assembler = Assembler::new(limits, resume);
    let mut arenas: Vec<Arena> = steps
        .iter()
        .filter_map(|step| take(&mut assembler, step).unwrap())
        .collect();
    arenas.extend(assembler.pause());
    arenas
}

/// The row of `arena` that begins at `start`, as text.
pub(super) fn values(arena: &Arena, start: u32, kinds: &[ValueKind]) -> Vec<String> {
    let show = |value: Value<'_>| match value {
        Value::Null => "null".to_owned(),
        Value::Unchanged => "unchanged".to_owned(),
        Value::Text(_, text) => text.to_owned(),
        Value::Bytes(bytes) => format!("{bytes:?}"),
    };
    let at = |index: usize| arena.value(start as usize + index, kinds[index]);
    (0..kinds.len()).map(|index| show(at(index))).collect()
}

/// A piece of a transaction: its number, flags, position behind it, ordinals of its changes.
pub(super) type Piece = (u64, u32, String, Vec<u64>);

/// Per arena, its pieces of transactions.
pub(super) fn pieces(arenas: &[Arena]) -> Vec<Vec<Piece>> {
    let piece = |arena: &Arena, index: usize| {
        let transaction = arena.transactions()[index];
        let (first, end) = arena.changes_of(index);
        let changes = &arena.changes()[first as usize..end as usize];
        let ordinals = changes.iter().map(|change| change.ordinal).collect();
        let n = transaction.commit_lsn / 100;
        (
            n,
            transaction.flags,
            place(&arena.position_after(index)),
            ordinals,
        )
    };
    let of = |arena: &Arena| {
        (0..arena.transactions().len())
            .map(|at| piece(arena, at))
            .collect()
    };
    arenas.iter().map(of).collect()
}

/// `3` behind transaction 3, `3+2` inside it.
pub(super) fn place(position: &Position) -> String {
    match position.is_inside() {
        true => format!("{}+{}", position.lsn.0 / 100, position.ordinal),
        false => format!("{}", position.lsn.0 / 100),
    }
}

pub(super) fn piece(n: u64, flags: u32, place: &str, ordinals: &[u64]) -> Piece {
    (n, flags, place.to_owned(), ordinals.to_vec())
}
