//! Intakes of logs that are made up.

mod gathering;
mod reading;
mod speed;

use std::{sync::Arc, time::Duration};

use tahr_plugin_api::{
    Change as StreamChange, Column, Lsn, Op as StreamOp, Position, Relation, ReplicaIdentity,
    TableName, ValueKind,
    abi::{Arena, ArenaBuilder},
};
use tahr_postgres_connect::Url;
use tempfile::TempDir;
use tokio::{runtime::Runtime, sync::mpsc};

use super::*;
use crate::{
    masters::rows::{self, Field, Packer},
    reconcile::{Blob, Change, Key, Op, TableId},
    source::Table,
};

/// The OIDs of `public.t` on the first member and on the second, and of `tahr.checkpoint`.
const OIDS: [u32; 2] = [7, 70];
const CHECKPOINT: u32 = 9;

fn relation(oid: u32, name: (&str, &str), columns: &[&str], key: &[&str]) -> Relation {
    let name = TableName::new(name.0, name.1);
    let column = |(source_index, name): (u32, &&str)| Column {
        name: (*name).to_owned(),
        kind: ValueKind::Text,
        type_name: "text".to_owned(),
        in_identity: key.contains(name),
        source_index,
        ..Column::default()
    };
    let place = |name: &&str| columns.iter().position(|column| column == name).unwrap();
    Relation {
        oid,
        source: name.clone(),
        target: name,
        columns: (0..).zip(columns).map(column).collect(),
        primary_key: key.iter().map(place).collect(),
        ..Relation::default()
    }
}

/// The table as the first member has it; the second has the columns in another order.
fn table(member: usize) -> Relation {
    let columns = [["note", "id", "shop"], ["shop", "note", "id"]];
    relation(
        OIDS[member],
        ("public", "t"),
        &columns[member],
        &["shop", "id"],
    )
}

fn full(mut relation: Relation) -> Relation {
    relation.replica_identity = ReplicaIdentity::Full;
    for column in &mut relation.columns {
        column.in_identity = true;
    }
    relation
}

fn checkpoint() -> Relation {
    let columns = ["engine", "sync", "sequence", "notes"];
    relation(
        CHECKPOINT,
        ("tahr", "checkpoint"),
        &columns,
        &["engine", "sync"],
    )
}

/// A member of the sync `ring` of the engine `e`, and what its intake says.
struct Member {
    _folder: TempDir,
    runtime: Runtime,
    relations: Arc<Relations>,
    log: Arc<Log>,
    tables: Arc<Tables>,
    index: usize,
    cut: u64,
}

impl Member {
    fn new(index: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = Log::new(folder.path(), 1 << 20, Position::default()).unwrap();
        let of = |member| {
            let relation = table(member);
            vec![Table {
                relation,
                ..Table::default()
            }]
        };
        let members = ["one", "two"].map(str::to_owned).into_iter();
        let members: Vec<_> = members.zip([of(0), of(1)]).collect();
        Self {
            _folder: folder,
            runtime: Runtime::new().unwrap(),
            relations: Arc::default(),
            log: Arc::new(log),
            tables: Arc::new(Tables::agree(&members).unwrap()),
            index,
            cut: 0,
        }
    }

    fn setup(&self) -> (Setup, mpsc::Receiver<Seen>) {
        let (sink, seen) = mpsc::channel(4);
        let setup = Setup {
            member: self.index,
            log: Arc::clone(&self.log),
            lane: LaneId(3),
            relations: Arc::clone(&self.relations),
            tables: Arc::clone(&self.tables),
            engine: "e".to_owned(),
            sync: "ring".to_owned(),
            cut: Lsn(self.cut),
            url: Url::parse("postgres://nobody@127.0.0.1:1/none").unwrap(),
            application: "tahr e".to_owned(),
            runtime: self.runtime.handle().clone(),
            stop: Stop::default(),
            sink,
        };
        (setup, seen)
    }

    fn version(&self, relation: Relation) -> u32 {
        self.relations.version_of(relation).version
    }

    /// What a gatherer makes of these arenas.
    fn gather(&self, arenas: &[Arena]) -> Vec<Transaction> {
        let (setup, _seen) = self.setup();
        let mut gatherer = Gatherer::new(&setup);
        let mut transactions = Vec::new();
        for arena in arenas {
            let taken = gatherer.take(arena, (0, 0));
            assert_eq!(taken.end, None);
            assert!(taken.incomplete.is_empty());
            transactions.extend(gatherer.finish(taken.transactions));
        }
        transactions
    }

    /// The changes of one transaction, which `build` writes.
    fn changes(&self, build: impl FnOnce(&mut Writing)) -> Vec<Change> {
        let mut transactions = self.gather(&[whole(1, build)]);
        let transaction = transactions.pop().unwrap();
        assert!(transactions.is_empty() && transaction.marker.is_none());
        transaction.changes
    }
}

/// An arena in the making.
#[derive(Default)]
struct Writing {
    builder: ArenaBuilder,
    ordinal: u64,
}

/// A value of a row.
#[derive(Clone, Copy)]
enum V<'a> {
    T(&'a str),
    B(&'a [u8]),
    Null,
    Unchanged,
}
use V::T;

impl Writing {
    fn row(&mut self, values: &[V<'_>]) -> u32 {
        let row = self.builder.start_row();
        for value in values {
            match value {
                T(text) => self.builder.push_text(text),
                V::B(bytes) => self.builder.push_bytes(bytes),
                V::Null => self.builder.push_null(),
                V::Unchanged => self.builder.push_unchanged(),
            }
        }
        row
    }

    fn change(&mut self, op: StreamOp, flags: u8, version: u32, rows: [Option<&[V<'_>]>; 2]) {
        let relation = self.builder.relation(version);
        let [old, new] = rows.map(|row| row.map(|row| self.row(row)));
        self.builder
            .change(op, flags, relation, old, new, self.ordinal);
        self.ordinal += 1;
    }

    fn insert(&mut self, version: u32, new: &[V<'_>]) {
        self.change(StreamOp::Insert, 0, version, [None, Some(new)]);
    }

    fn update(&mut self, version: u32, new: &[V<'_>]) {
        self.change(StreamOp::Update, 0, version, [None, Some(new)]);
    }
}

/// Transaction `n`, which commits from `100 n` to `100 n + 50` at the time `n`.
fn whole(n: u64, build: impl FnOnce(&mut Writing)) -> Arena {
    let mut writing = Writing::default();
    add(&mut writing, n, build);
    writing.builder.finish()
}

fn add(writing: &mut Writing, n: u64, build: impl FnOnce(&mut Writing)) {
    writing.ordinal = 0;
    writing
        .builder
        .begin(n * 100, i64::try_from(n).unwrap(), 5, None);
    build(writing);
    writing.builder.commit(n * 100 + 50, writing.ordinal);
}

fn end(n: u64) -> Lsn {
    Lsn(n * 100 + 50)
}

fn packed(values: &[Field<'_>]) -> Blob {
    let mut packer = Packer::default();
    values.iter().for_each(|value| packer.field(*value));
    packer.take()
}

/// The key of `public.t`, whose columns are in order of their names.
fn key(id: &str, shop: &str) -> Key {
    let table = TableId::of(&TableName::new("public", "t"));
    Key::new(table, packed(&[Field::Text(id), Field::Text(shop)]))
}

fn row(id: &str, note: &str, shop: &str) -> crate::reconcile::Row {
    rows::row(packed(&[id, note, shop].map(Field::Text)))
}

fn change(key: Key, op: Op) -> Change {
    Change {
        key,
        op,
        previous: None,
        origin: None,
    }
}
