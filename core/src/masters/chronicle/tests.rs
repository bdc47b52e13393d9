//! What is written comes back, in words.

use std::{collections::BTreeMap, path::Path};

use fs_err::OpenOptions;
use serde_json::{Value, json};
use tahr_plugin_api::{Column, Relation, TableName};

use super::{ConflictLog, Entry, Filter, History, Moment, Question, RoundEntry, Scene};
use crate::{
    masters::{
        Tables,
        rows::{Field, Packer},
        store::Store,
    },
    reconcile::{
        Candidate, Conflict, Key, Origin, Quarrel, Row, SourceId, TableId, Version, Winner,
    },
    source::Table,
};

fn tables() -> Tables {
    let column = |name: &str| Column {
        name: name.into(),
        ..Column::default()
    };
    let relation = Relation {
        source: TableName::new("public", "t"),
        columns: ["name", "id", "note"].map(column).to_vec(),
        primary_key: vec![1],
        ..Relation::default()
    };
    let table = Table {
        relation,
        ..Table::default()
    };
    let member = |name: &str| (name.to_owned(), vec![table.clone()]);
    Tables::agree(&[member("a"), member("b")]).unwrap()
}

fn key(id: &str) -> Key {
    let mut packer = Packer::default();
    packer.field(Field::Text(id));
    Key::new(TableId::of(&TableName::new("public", "t")), packer.take())
}

/// A row, its columns in the shared order: id, name, note.
fn row(id: &str, name: &str) -> Row {
    let mut packer = Packer::default();
    for field in [Field::Text(id), Field::Text(name), Field::Null] {
        packer.field(field);
    }
    packer.take_row()
}

fn candidate(from: usize, origin: &str, time: i64, row: Option<Row>) -> Candidate {
    let origin = Origin {
        source: SourceId::of(origin),
        time,
        path: Vec::new(),
    };
    Candidate {
        version: Version {
            row,
            from,
            origin,
            moved: None,
            hops: 0,
        },
        previous: None,
        standing: false,
    }
}

fn conflict(winner: Winner) -> Conflict {
    Conflict {
        quarrel: Quarrel::Key,
        key: key("7"),
        other: None,
        candidates: vec![
            candidate(0, "a", 1_000_000, Some(row("7", "é \"x\"\n"))),
            candidate(1, "c", 2_000_000, None),
        ],
        winner,
        rule: "latest".into(),
        withdrawn: vec![key("8")],
    }
}

fn told(conflict: &Conflict, at: i64) -> Entry {
    let names = ["a", "b", "c"].map(|name| (SourceId::of(name), name.to_owned()));
    let scene = Scene {
        sync: "shakes",
        round: 12,
        at: Moment::committed(at),
        tables: &tables(),
        members: &["a".into(), "b".into()],
        sources: &BTreeMap::from(names),
    };
    Entry::of(conflict, &scene)
}

fn read(folder: &Path, limit: usize) -> Vec<Entry> {
    let filter = Filter { table: None, limit };
    ConflictLog::read(folder, &filter).unwrap()
}

#[test]
fn a_conflict_is_told_with_the_names_of_its_table_columns_and_sources() {
    let entry = told(&conflict(Winner::Candidate(1)), 3_000_000);
    let expected = json!({
        "number": 0, "when": "2000-01-01T00:00:03.000000Z", "round": 12, "sync": "shakes",
        "table": "public.t", "quarrel": "key", "key": {"id": "7"}, "other": null,
        "candidates": [
            {"source": "a", "origin_source": "a", "committed_at": "2000-01-01T00:00:01.000000Z",
             "standing": false, "won": false,
             "row": {"id": "7", "name": "é \"x\"\n", "note": null}},
            {"source": "b", "origin_source": "c", "committed_at": "2000-01-01T00:00:02.000000Z",
             "standing": false, "won": true, "row": null},
        ],
        "winner": "b", "merged": null, "rule": "latest", "withdrawn": [{"id": "8"}],
    });
    assert_eq!(serde_json::to_value(&entry).unwrap(), expected);
    assert_eq!(serde_json::from_value::<Entry>(expected).unwrap(), entry);
}

#[test]
fn merged_rows_set_aside_rows_and_truncates_are_told_too() {
    let merged = told(&conflict(Winner::Merged(Some(row("7", "both")))), 0);
    let value: Value = serde_json::to_value(&merged).unwrap();
    assert_eq!(
        (&value["winner"], &value["merged"]["name"]),
        (&json!("merged"), &json!("both"))
    );
    assert!(merged.candidates.iter().all(|candidate| !candidate.won));
    let mut unique = conflict(Winner::Nobody);
    (unique.quarrel, unique.other) = (Quarrel::Unique, Some(key("9")));
    let value = serde_json::to_value(told(&unique, 0)).unwrap();
    assert_eq!(
        (&value["winner"], &value["quarrel"], &value["other"]),
        (&json!("nobody"), &json!("unique"), &json!({"id": "9"}))
    );
    let mut truncated = conflict(Winner::Candidate(0));
    truncated.key = truncated.key.table_key();
    assert_eq!(told(&truncated, 0).key, None);
    // A table that the sync selects no more has no names.
    truncated.key = Key::new(TableId(5), key("7").row.unwrap());
    let entry = told(&truncated, 0);
    assert_eq!(entry.table, "table number 5");
    assert_eq!(
        entry.key.unwrap().0,
        [("column 1".to_owned(), Some("7".to_owned()))]
    );
}

#[test]
fn conflicts_are_numbered_counted_and_filtered_across_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let one = |at| told(&conflict(Winner::Candidate(0)), at);
    let mut log = ConflictLog::open(folder.path()).unwrap();
    log.append(&mut [one(1), one(2)]).unwrap();
    log.append(&mut []).unwrap();
    // A crash in the middle of a line.
    let file = OpenOptions::new()
        .append(true)
        .open(folder.path().join("conflicts.jsonl"));
    std::io::Write::write_all(&mut file.unwrap(), b"{\"number\": 3, \"when").unwrap();
    assert_eq!(read(folder.path(), 10).len(), 2);
    let mut log = ConflictLog::open(folder.path()).unwrap();
    assert_eq!(log.total(), 2);
    let mut other = one(3);
    other.table = "public.other".into();
    log.append(&mut [other]).unwrap();
    let numbers: Vec<u64> = read(folder.path(), 2).iter().map(|e| e.number).collect();
    assert_eq!((numbers, log.total()), (vec![2, 3], 3));
    let filter = Filter {
        table: Some("public.t".into()),
        limit: 1,
    };
    let found = ConflictLog::read(folder.path(), &filter).unwrap();
    assert_eq!(found[0].number, 2);
}

#[test]
fn the_log_is_bounded_and_goes_on_counting() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = ConflictLog::open(folder.path()).unwrap();
    let mut large = conflict(Winner::Candidate(0));
    large.candidates[0].version.row = Some(row("7", &"é".repeat(500_000)));
    let mut many: Vec<Entry> = (0..45).map(|at| told(&large, at)).collect();
    log.append(&mut many).unwrap();
    // Far too long for one line: its values are cut.
    large.candidates[0].version.row = Some(row("7", &"é".repeat(3_000_000)));
    log.append(&mut [told(&large, 0)]).unwrap();
    let files = ["conflicts.jsonl", "conflicts.older.jsonl"];
    for file in files {
        let length = fs_err::metadata(folder.path().join(file)).unwrap().len();
        assert!(length <= 16 << 20, "{file} has {length} bytes");
    }
    let found = read(folder.path(), 1000);
    assert!((16..46).contains(&found.len()), "{}", found.len());
    assert_eq!((found.last().unwrap().number, log.total()), (46, 46));
    let cut = found.last().unwrap().candidates[0].row.as_ref().unwrap();
    let text = cut.0[1].1.as_ref().unwrap();
    assert!(
        text.len() < 1100 && text.ends_with("… (6000000 bytes)"),
        "{}",
        text.len()
    );
    drop(log);
    assert_eq!(ConflictLog::open(folder.path()).unwrap().total(), 46);
}

fn round(at: i64, number: u64) -> RoundEntry {
    RoundEntry {
        at: Moment::committed(at),
        sync: "shakes".into(),
        number,
        rounds: 1,
        took_ms: 0.5,
        transactions: 2,
        rows_in: BTreeMap::from([("a".into(), 1)]),
        rows_out: BTreeMap::from([("b".into(), 1)]),
        conflicts: 1,
    }
}

#[test]
fn rounds_that_did_something_are_lines_and_others_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let mut history = History::open(folder.path()).unwrap();
    history.append(round(1, 1)).unwrap();
    let idle = RoundEntry {
        transactions: 0,
        rows_in: BTreeMap::from([("a".into(), 0)]),
        rows_out: BTreeMap::new(),
        conflicts: 0,
        ..round(2, 2)
    };
    history.append(idle.clone()).unwrap();
    let sending = RoundEntry {
        rows_out: BTreeMap::from([("b".into(), 1)]),
        ..idle
    };
    history.append(sending.clone()).unwrap();
    assert_eq!(
        History::read(folder.path(), 9).unwrap(),
        [round(1, 1), sending]
    );
}

#[test]
fn rounds_of_a_busy_second_share_a_line_and_none_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let mut history = History::open(folder.path()).unwrap();
    let second = 1_000_000;
    // Two busy seconds, a calm one, and after a pause a busy one again.
    for (begin, rounds) in [(0, 100), (1, 50), (2, 3), (9, 12)] {
        for at in 0..rounds {
            history.append(round(begin * second + at, 1)).unwrap();
        }
    }
    let lines = History::read(folder.path(), 1000).unwrap();
    let per_second = |wanted: i64| {
        lines
            .iter()
            .filter(|line| line.at.second() == wanted)
            .count()
    };
    // What comes after a busy second may be busy too.
    assert_eq!([0, 1, 2, 9].map(per_second), [11, 1, 1, 11]);
    assert_eq!(lines.iter().map(|line| line.rounds).sum::<u64>(), 165);
    assert_eq!(lines[11].rounds, 50);
    assert_eq!((lines[11].rows_in["a"], lines[11].conflicts), (50, 50));
    assert!((lines[11].took_ms - 25.0).abs() < 0.001);
    let size = |name: &str| fs_err::metadata(folder.path().join(name)).map_or(0, |m| m.len());
    for at in 10..20_000 {
        history.append(round(at * second, 7)).unwrap();
    }
    assert!(size("rounds.jsonl") <= 1 << 20 && size("rounds.older.jsonl") <= 1 << 20);
    assert!(size("rounds.older.jsonl") > 1 << 19);
}

#[test]
fn a_question_gathers_what_several_syncs_tell_in_order_of_time() {
    let state_dir = tempfile::tempdir().unwrap();
    let question = |sync: Option<&str>, limit| Question {
        sync: sync.map(str::to_owned),
        table: None,
        limit,
    };
    let all = question(None, 9);
    assert_eq!(all.conflicts(state_dir.path()).unwrap(), []);
    for (sync, times) in [("x", [1, 4]), ("y", [2, 3])] {
        let folder = Store::folder_of(state_dir.path(), sync);
        let mut log = ConflictLog::open(&folder).unwrap();
        let mut history = History::open(&folder).unwrap();
        for at in times {
            log.append(&mut [told(&conflict(Winner::Nobody), at)])
                .unwrap();
            history.append(round(at, 1)).unwrap();
        }
    }
    let times = |question: Question| {
        let found = question.conflicts(state_dir.path()).unwrap();
        let rounds = question.rounds(state_dir.path()).unwrap();
        let found: Vec<i64> = found.iter().map(|entry| entry.when.0.0).collect();
        let rounds: Vec<i64> = rounds.iter().map(|round| round.at.0.0).collect();
        assert_eq!(found, rounds);
        found
    };
    assert_eq!(times(all), [1, 2, 3, 4]);
    assert_eq!(times(question(None, 3)), [2, 3, 4]);
    assert_eq!(times(question(Some("x"), 9)), [1, 4]);
    assert_eq!(times(question(Some("x"), 1)), [4]);
    for outside in ["z", "../masters/x", ".", ""] {
        assert_eq!(times(question(Some(outside), 9)), [0_i64; 0]);
    }
}
