//! Batches that are interrupted: by a crash of the server, by another client, by the engine.

mod target;
#[path = "target/transaction.rs"]
mod transaction;

use std::{
    thread,
    time::{Duration, Instant},
};

use mongodb::bson::{Document, doc};
use serde_json::json;
use tahr_mongodb::MongodbWriter;
use tahr_plugin_api::{
    Role, Written,
    testing::{
        Cell::{Text, Unchanged},
        open, relation, stream,
    },
};
use tahr_tests::{Mongod, Signal};
use target::{START, failed, items, next, rejected, started};
use transaction::Transaction;

#[test]
fn a_document_that_another_holds_makes_the_lane_try_again() {
    let (database, items) = (Mongod::shared().database(), items());
    let (mut writer, _) = started(&json!({ "url": database.url() }), &[&items]);
    let first = next(&START).insert(&items, ["1", "a", "b"]).build();
    writer.write(&first).unwrap();
    let mut other = Transaction::begin(database.url());
    other.set("items", doc! { "_id": 1 }, doc! { "name": "theirs" });
    let batch = next(first.position())
        .update(&items, ["1", "mine", "b"])
        .build();
    assert!(failed(writer.write(&batch)).is_transient());
    other.abort();
    writer.reset().unwrap();
    let found = writer.checkpoint(&stream()).unwrap().unwrap();
    assert_eq!(found.position.as_ref(), Some(first.position()));
    writer.write(&batch).unwrap();
    assert_eq!(
        database.documents("items")[0].get_str("name").unwrap(),
        "mine"
    );
}

#[test]
fn a_transaction_that_a_dead_engine_left_open_is_ended_by_the_next() {
    let (database, items) = (Mongod::shared().database(), items());
    let options = json!({ "url": database.url() });
    let (mut writer, _) = started(&options, &[&items]);
    let first = next(&START).insert(&items, ["1", "a", "b"]).build();
    writer.write(&first).unwrap();
    drop(writer);
    let mut dead = Transaction::begin(database.url());
    let mine = doc! { "_id.table": "" };
    let update = doc! { "q": mine.clone(), "u": { "$set": { "session": dead.session() } } };
    database.command(doc! { "update": "tahr_checkpoint", "updates": [update] });
    dead.set("tahr_checkpoint", mine, doc! { "position": "0/FFFF" });
    let begun = Instant::now();
    let (mut writer, _, _) = open::<MongodbWriter>(&options, Role::Stream).unwrap();
    let found = writer.checkpoint(&stream()).unwrap().unwrap();
    assert_eq!(found.position.as_ref(), Some(first.position()));
    let batch = next(first.position())
        .update(&items, ["1", "new", "b"])
        .build();
    writer.prepare(&items).unwrap();
    writer.write(&batch).unwrap();
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn a_server_killed_while_batches_come_holds_each_of_them_once() {
    for is_member in [true, false] {
        let mut server = if is_member {
            Mongod::own(&[])
        } else {
            Mongod::standalone(&[])
        };
        let database = server.database();
        // Rows that walk from key to key and keep what only their documents hold.
        let items = items();
        let log = relation("public.log")
            .column("line", "integer")
            .full()
            .build();
        let options = json!({ "url": database.url(), "connect_timeout": "1s", "timeout": "5s" });
        let (mut writer, _) = started(&options, &[&items]);
        let mut batch = next(&START);
        for id in 0..50 {
            let note = format!("of {id}");
            batch = batch.insert(&items, [id.to_string().as_str(), "0", &note]);
        }
        let mut position = batch.build();
        writer.write(&position).unwrap();
        for round in 1..=30 {
            let (from, to) = ((round - 1) * 100, round * 100);
            let mut batch = next(position.position());
            for id in 0..50 {
                let (old, new, round) = (
                    (from + id).to_string(),
                    (to + id).to_string(),
                    round.to_string(),
                );
                let row = [Text(&new), Text(&round), Unchanged];
                batch = batch.update_moved(&items, [&old], row);
            }
            if is_member {
                batch = batch.insert(&log, [round.to_string().as_str()]);
            }
            let batch = batch.build();
            if round % 10 == 5 {
                let process = server.process().unwrap();
                thread::spawn(move || {
                    thread::sleep(Duration::from_millis(3));
                    process.signal(Signal::Kill);
                });
                let written = writer.write(&batch);
                server.kill();
                server.start();
                assert!(written.is_ok() || written.unwrap_err().is_transient());
                writer.reset().unwrap();
                let found = writer
                    .checkpoint(&stream())
                    .unwrap()
                    .unwrap()
                    .position
                    .unwrap();
                if found != *batch.position() {
                    assert_eq!(found, *position.position());
                    writer.write(&batch).unwrap();
                }
            } else {
                writer.write(&batch).unwrap();
            }
            position = batch;
        }
        let row = |id: i32| {
            doc! { "_id": 3000 + id, "id": 3000 + id, "name": "30", "notes": format!("of {id}") }
        };
        let expected: Vec<Document> = (0..50).map(row).collect();
        assert_eq!(database.documents("items"), expected);
        if is_member {
            let lines = database.documents("log");
            let mut lines: Vec<i32> = lines
                .iter()
                .map(|line| line.get_i32("line").unwrap())
                .collect();
            lines.sort_unstable();
            assert_eq!(lines, (1..=30).collect::<Vec<_>>());
        }
    }
}

#[test]
fn a_server_by_itself_ends_a_batch_that_was_committed_and_not_applied() {
    let server = Mongod::standalone(&[]);
    let (database, items) = (server.database(), items());
    let options = json!({ "url": database.url() });
    let (mut writer, recorder) = started(&options, &[&items]);
    let long = "long ".repeat(300_000);
    let batch = next(&START)
        .insert(&items, ["1", "a", &long])
        .insert(&items, ["2", "b", "short"])
        .build();
    writer.write(&batch).unwrap();
    database.command(doc! { "collMod": "items", "validator": { "_id": { "$ne": 2 } } });
    // Two rows swap their keys, and keep values that were not sent.
    let swap = next(batch.position())
        .update_moved(&items, ["1"], [Text("-1"), Text("aa"), Unchanged])
        .update_moved(&items, ["2"], [Text("1"), Text("bb"), Unchanged])
        .update_moved(&items, ["-1"], [Text("2"), Text("aaa"), Unchanged])
        .build();
    let error = rejected(writer.write(&swap));
    assert_eq!(error.table.as_deref(), Some("items"));
    for _ in 0..2 {
        writer.reset().unwrap();
        rejected(writer.checkpoint(&stream()));
    }
    database.command(doc! { "collMod": "items", "validator": {} });
    drop(writer);
    let (mut writer, _, _) = open::<MongodbWriter>(&options, Role::Stream).unwrap();
    let found = writer.checkpoint(&stream()).unwrap().unwrap();
    assert_eq!(found.position.as_ref(), Some(swap.position()));
    let row = |id: i32, name: &str, notes: &str| doc! { "_id": id, "id": id, "name": name, "notes": notes };
    assert_eq!(
        database.documents("items"),
        [row(1, "bb", "short"), row(2, "aaa", &long)]
    );
    assert_eq!(database.documents("tahr_redo").len(), 0);
    assert_eq!(recorder.counter("deletes_of_missing_rows"), 0);
    let keyless = relation("public.log").column("line", "text").full().build();
    assert!(
        rejected(writer.prepare(&keyless))
            .hint
            .contains("--replSet")
    );
}

#[test]
fn a_call_that_is_blocked_ends_when_it_is_cancelled() {
    let mut server = Mongod::own(&[]);
    let (database, items) = (server.database(), items());
    let options = json!({ "url": database.url() });
    let (mut writer, canceller, _) = open::<MongodbWriter>(&options, Role::Stream).unwrap();
    writer.checkpoint(&stream()).unwrap();
    writer.prepare(&items).unwrap();
    writer.flush(&START).unwrap();
    let process = server.process().unwrap();
    process.signal(Signal::Stop);
    let batch = next(&START).insert(&items, ["1", "a", "b"]).build();
    thread::scope(|scope| {
        let begun = Instant::now();
        let writing = scope.spawn(|| failed(writer.write(&batch)));
        thread::sleep(Duration::from_millis(100));
        canceller.cancel();
        assert!(writing.join().unwrap().is_transient());
        assert!(
            begun.elapsed() < Duration::from_secs(10),
            "{:?}",
            begun.elapsed()
        );
    });
    process.signal(Signal::Cont);
    writer.reset().unwrap();
    writer.checkpoint(&stream()).unwrap();
    assert_eq!(
        writer.write(&batch).unwrap(),
        Written::Stored(batch.position().clone())
    );
}
