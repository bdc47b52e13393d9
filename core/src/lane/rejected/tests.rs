//! Rows are set aside, joined, retried, and in the end where they belong: random histories against a
//! target that forgives nothing.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use tahr_plugin_api::{
    Batch, Lsn, Op, Part, Position, Relation, StreamId, Value,
    testing::{BatchBuilder, Cell as Given, fuzz, relation},
};

use super::{
    book::{Book, End, seal_json},
    cell::Cell,
    deed::{Deed, Verb},
    entry::Reason,
    retry::{batch_of, beyond},
    sift::{Refused, Room, Why, blocker, sift},
};

/// Room enough.
const ROOM: Room = Room {
    rows: 1000,
    size: 1 << 20,
};

type Row = Vec<Cell>;

struct Random(u64);

impl Random {
    /// Seeded by `TAHR_TEST_SEED` or by the clock; the seed is printed.
    #[expect(clippy::print_stderr, reason = "shown with a failure")]
    fn new() -> Self {
        let clock = || {
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            now.map_or(0, |now| now.as_nanos() as u64)
        };
        let seed = match std::env::var("TAHR_TEST_SEED") {
            Ok(text) => text.parse().expect("TAHR_TEST_SEED is a number"),
            Err(_) => clock(),
        };
        eprintln!("to repeat: TAHR_TEST_SEED={seed}");
        Self(seed)
    }

    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % limit.max(1) as u64) as usize
    }

    fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }
}

/// The table's kinds of identity.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Key,
    KeyAndFull,
    Keyless,
}

fn table(kind: Kind) -> Arc<Relation> {
    let table = relation("public.t");
    let table = table
        .column("id", "integer")
        .column("v", "text")
        .column("doc", "bytea");
    match kind {
        Kind::Key => table.key(["id"]),
        Kind::KeyAndFull => table.full().key(["id"]),
        Kind::Keyless => table.full(),
    }
    .build()
}

/// A target that takes no change which doesn't fit what it holds.
#[derive(Clone, Debug)]
struct Target {
    rows: Vec<Row>,
    at: Position,
    /// What `v` must not begin with.
    bad: String,
}

impl Target {
    /// Applies a batch; the index of the change that it rejects otherwise.
    fn write(&mut self, batch: &Batch, key: &[usize]) -> Result<(), usize> {
        assert_eq!(self.at, *batch.previous(), "compare and set");
        let mut rows = self.rows.clone();
        for (index, change) in batch.changes().enumerate() {
            if change.op() == Op::Truncate {
                rows.clear();
                continue;
            }
            let deed = Deed::of(&change).expect("a row");
            let place = |rows: &[Row], wanted: &Row| {
                let selected = |row: &Row| -> Row {
                    match key {
                        [] => row.clone(),
                        _ => key.iter().map(|&column| row[column].clone()).collect(),
                    }
                };
                rows.iter().position(|row| selected(row) == *wanted)
            };
            if let Some(new) = &deed.new
                && matches!(&new[1], Cell::Text(v) if !self.bad.is_empty() && v.starts_with(&self.bad))
            {
                return Err(index);
            }
            let before = deed.before(key).map(|before| place(&rows, &before));
            // One that is nowhere may be deleted by its key.
            if before == Some(None) && deed.verb == Verb::Delete && !key.is_empty() {
                continue;
            }
            let before =
                before.map(|at| at.unwrap_or_else(|| panic!("no row for {deed:?} in {rows:?}")));
            let old = before.map(|at| rows.swap_remove(at));
            if let Some(mut new) = deed.new.clone() {
                for (column, cell) in new.iter_mut().enumerate() {
                    if cell.is_unchanged() {
                        let old = old.as_ref().expect("what stays is there");
                        cell.clone_from(&old[column]);
                    }
                }
                let after = deed.after(key).expect("a key");
                assert!(
                    key.is_empty() || place(&rows, &after).is_none(),
                    "a second row {new:?} beside {rows:?}"
                );
                rows.push(new);
            }
        }
        self.rows = rows;
        self.at = batch.position().clone();
        Ok(())
    }
}

/// The source: its rows, and its transactions as batches of one.
struct Source {
    kind: Kind,
    relation: Arc<Relation>,
    rows: Vec<[String; 3]>,
    made: Vec<Batch>,
}

impl Source {
    fn transaction(&mut self, random: &mut Random) {
        let at = self.made.last().map(|batch| batch.position().clone());
        let mut batch = BatchBuilder::after(&at.unwrap_or(Position::at(Lsn(0x1000))));
        for _ in 0..=random.below(4) {
            batch = self.change(random, batch);
        }
        self.made.push(batch.build());
    }

    fn change(&mut self, random: &mut Random, batch: BatchBuilder) -> BatchBuilder {
        let relation = Arc::clone(&self.relation);
        let value = ["ba", "bb", "c", "d"][random.below(4)].to_owned();
        let doc = format!("\\x{:02x}", random.below(3));
        let is_known = |rows: &[[String; 3]], id: &str| rows.iter().any(|row| row[0] == id);
        let id = random.below(6).to_string();
        if random.percent(3) {
            self.rows.clear();
            return batch.truncate(&relation);
        }
        if self.rows.is_empty() || random.percent(30) {
            if self.kind != Kind::Keyless && is_known(&self.rows, &id) {
                return batch;
            }
            let row = [id, value, doc];
            let batch = batch.insert(&relation, row.iter().map(String::as_str));
            self.rows.push(row);
            return batch;
        }
        let at = random.below(self.rows.len());
        let old = self.rows[at].clone();
        let old_cells = || old.iter().map(String::as_str);
        if random.percent(25) {
            self.rows.remove(at);
            return match self.kind {
                Kind::Key => batch.delete(&relation, [old[0].as_str()]),
                _ => batch.delete_full(&relation, old_cells()),
            };
        }
        let moves =
            random.percent(25) && (self.kind == Kind::Keyless || !is_known(&self.rows, &id));
        let leaves = random.percent(50);
        let new = [
            if moves { id } else { old[0].clone() },
            value,
            if leaves { old[2].clone() } else { doc },
        ];
        let cells = [
            Given::Text(&new[0]),
            Given::Text(&new[1]),
            if leaves {
                Given::Unchanged
            } else {
                Given::Text(&new[2])
            },
        ];
        let batch = match self.kind {
            Kind::Key if moves => batch.update_moved(&relation, [old[0].as_str()], cells),
            Kind::Key => batch.update(&relation, cells),
            _ => batch.update_full(&relation, old_cells(), cells),
        };
        self.rows[at] = new;
        batch
    }

    fn sorted(&self) -> Vec<Row> {
        let row = |row: &[String; 3]| {
            let bytes = row[2].trim_start_matches("\\x").to_owned();
            vec![
                Cell::Text(row[0].clone()),
                Cell::Text(row[1].clone()),
                Cell::Bytes { bytes },
            ]
        };
        sorted(self.rows.iter().map(row).collect())
    }
}

fn sorted(mut rows: Vec<Row>) -> Vec<Row> {
    rows.sort_by_key(|row| format!("{row:?}"));
    rows
}

/// The lane, as far as it matters here.
struct Lane {
    path: PathBuf,
    book: Book,
    refused: Refused,
    target: Target,
    key: Vec<usize>,
    relation: Arc<Relation>,
}

impl Lane {
    fn open(path: &std::path::Path) -> Book {
        let mut book = Book::open(path).expect("the file");
        book.belong_to(&StreamId::default()).expect("write");
        book
    }

    /// The engine dies and starts again.
    fn crash(&mut self) {
        self.book = Self::open(&self.path);
        self.refused.clear();
        self.book.rewind(&self.target.at).expect("rewind");
    }

    /// Brings the target on by some of the transactions that it has not got.
    fn go_on(&mut self, random: &mut Random, made: &[Batch]) {
        let first = made.partition_point(|batch| *batch.position() <= self.target.at);
        let count = 1 + random.below(3);
        let some = &made[first..made.len().min(first + count)];
        let Some(last) = some.last() else { return };
        let segments = some.iter().flat_map(|batch| batch.segments().to_vec());
        let (previous, position) = (self.target.at.clone(), last.position().clone());
        let batch = Batch::new(segments.collect(), previous, position, Part::Whole);
        loop {
            self.book.rewind(&self.target.at).expect("rewind");
            let sifted = sift(&mut self.book, &batch, &self.refused, ROOM).expect("room");
            let sifted = sifted.as_ref().unwrap_or(&batch);
            self.book.sync().expect("sync");
            if random.percent(10) {
                return self.crash();
            }
            let before = self.target.clone();
            match self.target.write(sifted, &self.key) {
                Ok(()) => break,
                Err(index) => {
                    let change = sifted.changes().nth(index).expect("a change");
                    let reason = Reason::default();
                    let known = self.refused.insert(super::entry::id_of(&change), reason);
                    assert!(known.is_none(), "the same one again");
                    self.target = before;
                }
            }
            if random.percent(5) {
                return self.crash();
            }
        }
        if random.percent(10) {
            return self.crash();
        }
        self.refused.clear();
        let reach = Lsn(self.target.at.lsn.0.saturating_sub(0x400));
        self.book.tidy(reach, self.target.at.lsn).expect("tidy");
    }

    fn retry(&mut self, random: &mut Random) {
        let numbers: Vec<u64> = self.book.entries().keys().copied().collect();
        for number in numbers {
            let Some(entry) = self.book.entries().get(&number).map(Arc::clone) else {
                continue;
            };
            let deed = entry.deed_in(&self.relation).expect("the same table");
            if blocker(&self.book, &self.relation, &deed, Some(number)).is_some() {
                continue;
            }
            let previous = self.target.at.clone();
            let position = beyond(&previous);
            self.book.end(number, position.clone(), End::Retried);
            self.book.sync().expect("sync");
            if random.percent(10) {
                return self.crash();
            }
            let due = [(entry, Arc::clone(&self.relation), deed)];
            let batch = batch_of(&due, previous.clone(), position);
            if self.target.write(&batch, &self.key).is_err() {
                self.book.rewind(&previous).expect("rewind");
            } else if random.percent(10) {
                return self.crash();
            }
        }
    }
}

fn history(random: &mut Random, kind: Kind) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = super::rejected_path(folder.path(), "s", "t");
    let relation = table(kind);
    let mut source = Source {
        kind,
        relation: Arc::clone(&relation),
        rows: Vec::new(),
        made: Vec::new(),
    };
    let mut lane = Lane {
        book: Lane::open(&path),
        path,
        refused: Refused::new(),
        target: Target {
            rows: Vec::new(),
            at: Position::at(Lsn(0x1000)),
            bad: "b".to_owned(),
        },
        key: relation.key(),
        relation,
    };
    let mut backup: Option<Target> = None;
    for _ in 0..60 {
        match random.below(20) {
            0 => lane.retry(random),
            1 => lane.target.bad = ["b", "ba", ""][random.below(3)].to_owned(),
            2 => lane.crash(),
            3 => backup = Some(lane.target.clone()),
            4 => {
                // The target is restored, no further back than the source can be read again.
                if let Some(old) = backup.take()
                    && old.at.lsn.0 + 0x400 > lane.target.at.lsn.0
                {
                    lane.target = old;
                    lane.crash();
                }
            }
            5..10 => source.transaction(random),
            _ => lane.go_on(random, &source.made),
        }
    }
    lane.target.bad.clear();
    while source
        .made
        .last()
        .is_some_and(|last| lane.target.at < *last.position())
    {
        lane.go_on(random, &source.made);
    }
    while !lane.book.entries().is_empty() {
        lane.retry(random);
    }
    assert_eq!(
        sorted(lane.target.rows.clone()),
        source.sorted(),
        "{kind:?}"
    );
    lane.book.tidy(Lsn(u64::MAX), Lsn(u64::MAX)).expect("tidy");
    assert!(!lane.path.exists(), "nothing is left of a book of nothing");
}

#[test]
fn whatever_is_rejected_and_whenever_the_engine_dies_a_retry_makes_the_target_whole() {
    let mut random = Random::new();
    for round in 0..60 {
        let kinds = [Kind::Key, Kind::KeyAndFull, Kind::Keyless];
        history(&mut random, kinds[round % 3]);
    }
}

fn put(book: &mut Book, at: u64, id: &str) -> u64 {
    let table = table(Kind::Key);
    let batch = BatchBuilder::after(&Position::at(Lsn(at)))
        .insert(&table, [id, "b", "\\x00"])
        .build();
    let change = batch.changes().next().expect("a change");
    let deed = Deed::of(&change).expect("a row");
    let number = book.next_number();
    let entry = super::Entry::new(number, &change, deed, Reason::default());
    book.put(entry);
    number
}

#[test]
fn what_the_file_holds_is_for_its_owner_only_and_survives_a_cut_end() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().expect("a folder");
    let path = super::rejected_path(folder.path(), "s", "t");
    let mut book = Lane::open(&path);
    put(&mut book, 0x1000, "1");
    book.sync().expect("sync");
    put(&mut book, 0x2000, "2");
    book.sync().expect("sync");
    let mode = path.metadata().expect("the file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let whole = fs_err::read(&path).expect("the file");
    let first = whole.len()
        - whole
            .split_inclusive(|&b| b == b'\n')
            .next_back()
            .map_or(0, <[u8]>::len);
    for end in first..whole.len() {
        fs_err::write(&path, &whole[..end]).expect("write");
        let mut cut = Lane::open(&path);
        assert_eq!(cut.entries().len(), 1, "{end} bytes");
        // What follows stands behind what counts.
        cut.rewind(&Position::at(Lsn(u64::MAX))).expect("rewind");
        put(&mut cut, 0x3000, "3");
        cut.sync().expect("sync");
        assert_eq!(Lane::open(&path).entries().len(), 2);
    }
    for at in (0..first).filter(|&at| whole[at] != b'\n') {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        fs_err::write(&path, &damaged).expect("write");
        let error = Book::open(&path).expect_err("it is damaged");
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
    }
}

#[test]
fn a_copy_of_its_table_holds_a_row_and_another_source_gives_it_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = super::rejected_path(folder.path(), "s", "t");
    let mut book = Lane::open(&path);
    put(&mut book, 0x1000, "1");
    put(&mut book, 0x9000, "2");
    let name = table(Kind::Key).source.clone();
    book.copied(1, &name, Lsn(0x5000));
    assert_eq!(book.entries().len(), 1, "the one of before");
    book.sync().expect("sync");
    let mut book = Lane::open(&path);
    assert_eq!(book.entries().len(), 1);
    let other = StreamId {
        system_id: "7".to_owned(),
        ..StreamId::default()
    };
    assert_eq!(book.belong_to(&other).expect("write"), 1);
    assert!(book.entries().is_empty() && !path.exists());
}

#[test]
fn what_was_discarded_stays_so_where_the_target_goes_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = super::rejected_path(folder.path(), "s", "t");
    let mut book = Lane::open(&path);
    let first = put(&mut book, 0x1000, "1");
    put(&mut book, 0x2000, "2");
    book.sync().expect("sync");
    super::discard_in(&path, &super::Choice::Numbers([first].into()), "s/t").expect("discard");
    let mut book = Lane::open(&path);
    book.rewind(&Position::at(Lsn(0x1fff))).expect("rewind");
    assert!(book.entries().is_empty(), "the second one was not passed");
    book.sync().expect("sync");
    assert!(Lane::open(&path).entries().is_empty());
    let before = Lane::open(&path).seen_from(&Position::at(Lsn(0x1500)));
    assert!(before.entries().is_empty());
}

#[test]
fn an_entry_follows_its_table_through_other_versions() {
    let old = table(Kind::Key);
    let batch = BatchBuilder::after(&Position::at(Lsn(1)))
        .insert(&old, ["1", "a", "\\x00"])
        .update(&old, [Given::Text("1"), Given::Text("b"), Given::Unchanged])
        .build();
    let entries: Vec<_> = batch
        .changes()
        .map(|change| {
            let deed = Deed::of(&change).expect("a row");
            super::Entry::new(1, &change, deed, Reason::default())
        })
        .collect();
    let new = relation("public.t")
        .column("doc", "bytea")
        .column("id", "integer")
        .column("more", "text")
        .key(["id"])
        .build();
    let rows = entries.iter().map(|entry| {
        let deed = entry.deed_in(&new).expect("the same key");
        deed.new.expect("a row")
    });
    let rows: Vec<_> = rows.collect();
    let id = Cell::from(Value::Text(tahr_plugin_api::ValueKind::Int, "1"));
    let doc = Cell::Bytes { bytes: "00".into() };
    assert_eq!(rows[0], [doc, id.clone(), Cell::Null]);
    assert_eq!(rows[1], [Cell::UNCHANGED, id, Cell::UNCHANGED]);
    let other = relation("public.t").column("v", "text").key(["v"]).build();
    assert!(entries[0].deed_in(&other).is_none(), "another key");
}

#[test]
fn no_file_of_rejected_rows_makes_its_reader_panic() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = super::rejected_path(folder.path(), "s", "t");
    let mut book = Lane::open(&path);
    put(&mut book, 0x1000, "1");
    put(&mut book, 0x2000, "2");
    book.end(1, Position::at(Lsn(0x2800)), End::Overtaken);
    put(&mut book, 0x3000, "3");
    book.sync().expect("sync");
    let text = fs_err::read_to_string(&path).expect("the file");
    // The checksums are made anew, so that what stands behind them is met.
    let bare: Vec<&str> = text.lines().map(|line| &line[9..]).collect();
    let samples = [bare.join("\n").into_bytes()];
    fuzz("rejected rows", &samples, |bytes| {
        let mut sealed = Vec::new();
        let lines = bytes.split(|&byte| byte == b'\n');
        lines.for_each(|line| seal_json(&mut sealed, line));
        let _ = Book::of_bytes(&path, bytes);
        let Ok(mut book) = Book::of_bytes(&path, &sealed) else {
            return false;
        };
        book.copied(0, &table(Kind::Key).source, Lsn(0x1800));
        let _ = (book.newest(), book.size());
        let book = book.seen_from(&Position::at(Lsn(0x2400)));
        let relation = table(Kind::Key);
        for entry in book.entries().values() {
            let _ = (entry.place(), entry.row(), entry.deed_in(&relation));
        }
        true
    });
}

/// A book of `folder`, and a position to begin behind.
fn begun(folder: &tempfile::TempDir) -> (Book, Position) {
    let book = Lane::open(&super::rejected_path(folder.path(), "s", "t"));
    (book, Position::at(Lsn(0x1000)))
}

/// Sets aside all that `batch` does.
fn set_aside(book: &mut Book, batch: &Batch, room: Room) -> Result<(), Why> {
    let ids = batch.changes().map(|change| super::entry::id_of(&change));
    let refused = ids.map(|id| (id, Reason::default())).collect();
    sift(book, batch, &refused, room)
        .map(drop)
        .map_err(|unfit| unfit.why)
}

#[test]
fn a_row_that_somebody_put_in_the_place_of_one_set_aside_goes_with_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut book, at) = begun(&folder);
    let table = table(Kind::Key);
    let new = BatchBuilder::after(&at).insert(&table, ["1", "b", "\\x00"]);
    set_aside(&mut book, &new.build(), ROOM).expect("it is set aside");
    let gone = BatchBuilder::after(&Position::at(Lsn(0x2000)))
        .delete(&table, ["1"])
        .build();
    let sifted = sift(&mut book, &gone, &Refused::new(), ROOM).expect("room");
    assert!(sifted.is_none(), "it is deleted in the target");
    assert!(book.entries().is_empty());

    // Where the target has another row in its place, that one is to stay.
    let swapped = BatchBuilder::after(&Position::at(Lsn(0x3000)))
        .update_moved(
            &table,
            ["1"],
            [Given::Text("2"), Given::Text("b"), Given::Text("\\x00")],
        )
        .insert(&table, ["1", "b", "\\x00"])
        .build();
    set_aside(&mut book, &swapped, ROOM).expect("they are set aside");
    let gone = BatchBuilder::after(&Position::at(Lsn(0x4000)))
        .delete(&table, ["1"])
        .build();
    let sifted = sift(&mut book, &gone, &Refused::new(), ROOM).expect("room");
    let sifted = sifted.expect("it is left out");
    assert_eq!(sifted.changes().count(), 0);
    assert_eq!(book.entries().len(), 1, "the one that has left its key");
}

#[test]
fn a_row_under_another_key_of_the_same_value_is_not_the_one_set_aside() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut book, at) = begun(&folder);
    let by = |key: &str| {
        let table = relation("public.t").column("id", "integer");
        let table = table.column("uid", "integer");
        match key {
            "id" => table.key(["id"]),
            _ => table.key(["uid"]),
        }
    };
    let old = by("id").build();
    let mut new = by("uid").build().as_ref().clone();
    new.oid = old.oid;
    let new = Arc::new(new);
    let batch = BatchBuilder::after(&at).insert(&old, ["5", "1"]).build();
    set_aside(&mut book, &batch, ROOM).expect("it is set aside");
    let other = BatchBuilder::after(&Position::at(Lsn(0x2000)))
        .update(&new, ["9", "5"])
        .build();
    let sifted = sift(&mut book, &other, &Refused::new(), ROOM).expect("room");
    assert!(sifted.is_none(), "another row goes its way");
    assert_eq!(book.entries().len(), 1, "what was set aside stays");
}

#[test]
fn a_key_of_several_spellings_is_not_left_in_the_target() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut book, at) = begun(&folder);
    let by = |kind: &str| {
        let table = relation("public.t").column("id", kind);
        table.column("v", "text").key(["id"]).build()
    };
    let numbers = by("numeric");
    let new = BatchBuilder::after(&at).insert(&numbers, ["1.0", "b"]);
    set_aside(&mut book, &new.build(), ROOM).expect("the target has no such row");
    let gone = BatchBuilder::after(&at).delete(&numbers, ["2.0"]).build();
    let why = set_aside(&mut book, &gone, ROOM).expect_err("2.00 may come");
    assert!(matches!(why, Why::Spelling), "{why:?}");
    let gone = BatchBuilder::after(&at)
        .delete(&by("integer"), ["2"])
        .build();
    set_aside(&mut book, &gone, ROOM).expect("it can't");
}

#[test]
fn rows_that_wait_for_others_are_counted_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut book, at) = begun(&folder);
    let table = table(Kind::Key);
    let room = Room { rows: 1, ..ROOM };
    let moved = BatchBuilder::after(&at).update_moved(
        &table,
        ["1"],
        [Given::Text("2"), Given::Text("b"), Given::Text("\\x00")],
    );
    set_aside(&mut book, &moved.build(), room).expect("there is room");
    let waits = BatchBuilder::after(&Position::at(Lsn(0x2000)))
        .insert(&table, ["1", "c", "\\x00"])
        .build();
    let unfit = sift(&mut book, &waits, &Refused::new(), room).expect_err("there is none");
    assert!(matches!(unfit.why, Why::NoRoom), "{unfit:?}");
    assert!(unfit.reason.message.contains("change 1") && !unfit.reason.hint.is_empty());
}

#[test]
fn a_copy_holds_the_rows_of_a_table_that_was_renamed() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut book, _) = begun(&folder);
    put(&mut book, 0x1000, "1");
    let oid = book.entries()[&1].oid;
    let name = tahr_plugin_api::TableName::new("public", "renamed");
    book.copied(oid + 1, &name, Lsn(0x5000));
    assert_eq!(book.entries().len(), 1, "of another table");
    book.copied(oid, &name, Lsn(0x5000));
    assert!(book.entries().is_empty());
}

#[test]
fn what_was_noted_at_once_counts_whole_or_not_at_all() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = super::rejected_path(folder.path(), "s", "t");
    let mut book = Lane::open(&path);
    put(&mut book, 0x1000, "1");
    book.sync().expect("sync");
    let first = fs_err::read(&path).expect("the file").len();
    for id in ["2", "3", "4"] {
        put(&mut book, 0x2000, id);
    }
    book.sync().expect("sync");
    let whole = fs_err::read(&path).expect("the file");
    // The machine has lost power with a part of it on disk.
    for at in first..whole.len() {
        let mut torn = whole.clone();
        let end = torn.len().min(at + 64);
        torn[at..end].fill(0);
        fs_err::write(&path, &torn).expect("write");
        assert_eq!(Lane::open(&path).entries().len(), 1, "torn at {at}");
    }
    // A target that was restored to between them keeps the ones before.
    fs_err::write(&path, &whole).expect("write");
    let mut book = Lane::open(&path);
    let three = book.entries()[&3].at.clone();
    for number in [2, 3] {
        book.end(number, three.clone(), End::Overtaken);
    }
    put(&mut book, 0x9000, "5");
    book.sync().expect("sync");
    let mut book = Lane::open(&path);
    book.rewind(&three).expect("rewind");
    let left = |book: &Book| book.entries().keys().copied().collect::<Vec<_>>();
    assert_eq!(left(&book), [1, 4]);
    assert_eq!(left(&Lane::open(&path)), [1, 4]);
}

#[test]
fn a_file_is_looked_through_only_when_it_has_grown() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = super::rejected_path(folder.path(), "s", "t");
    let mut book = Lane::open(&path);
    let all = Lsn(u64::MAX);
    for at in 0..20_000 {
        let number = put(&mut book, 0x1000 + at, "1");
        if at > 0 {
            book.end(number - 1, Position::at(Lsn(0x1000 + at)), End::Overtaken);
        }
        if at % 100 == 0 {
            book.sync().expect("sync");
            book.tidy(all, all).expect("tidy");
            let size = path.metadata().expect("the file").len();
            assert!(
                size < 2 << 20,
                "{size} bytes for {} rows",
                book.entries().len()
            );
        }
    }
    assert_eq!(book.entries().len(), 1);
    book.sync().expect("sync");
    assert_eq!(Lane::open(&path).entries().len(), 1);
}
