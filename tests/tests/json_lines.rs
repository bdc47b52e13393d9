//! A folder of lines, written by a simple writer: what the lines come to is the source, wherever the
//! engine was killed.

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use serde_json::Value;
use tahr::lane::State;
use tahr_tests::{Database, Engine, Postgres, Random, eventually};

const SOON: Duration = Duration::from_secs(30);
const KILLS: usize = 12;

/// What the committed lines of `lane` come to: the names by ID.
fn rows(folder: &Path, lane: &str) -> Result<BTreeMap<i64, String>, String> {
    // First the state: what is committed behind it does no harm.
    let state = fs::read_to_string(folder.join(format!("{lane}.state")));
    let state = state.map_err(|error| format!("{lane}.state: {error}"))?;
    let bytes: usize = state
        .lines()
        .next()
        .unwrap_or_default()
        .parse()
        .expect("a number");
    let lines = fs::read(folder.join(format!("{lane}.jsonl"))).expect("the lines");
    let mut rows = BTreeMap::new();
    for line in lines[..bytes].split_inclusive(|&byte| byte == b'\n') {
        let line: Value = serde_json::from_slice(line).expect("a whole line of JSON");
        let id = line["key"]["id"].as_i64();
        let name = || line["new"]["name"].as_str().expect("a name").to_owned();
        match (line["op"].as_str().expect("an operation"), id) {
            ("truncate", _) => rows.clear(),
            ("insert", Some(id)) => {
                assert_eq!(rows.insert(id, name()), None, "row {id} is inserted twice");
            }
            ("update", Some(id)) => {
                assert!(
                    rows.insert(id, name()).is_some(),
                    "row {id} is updated and not there"
                );
            }
            ("delete", Some(id)) => {
                assert!(
                    rows.remove(&id).is_some(),
                    "row {id} is deleted and not there"
                );
            }
            other => panic!("{other:?}"),
        }
    }
    Ok(rows)
}

async fn expected(source: &Database, table: &str) -> BTreeMap<i64, String> {
    let rows = source
        .query(&format!("SELECT id::text, name FROM {table}"))
        .await;
    let row = |row: &Vec<Option<String>>| {
        let id = row[0].as_deref().and_then(|id| id.parse().ok());
        (id.expect("an ID"), row[1].clone().expect("a name"))
    };
    rows.iter().map(row).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_come_to_the_source_however_often_the_engine_was_killed() {
    let source = Postgres::shared().database().await;
    source
        .execute(
            "CREATE TABLE items (id int PRIMARY KEY, name text NOT NULL);
             INSERT INTO items SELECT g, 'copied' FROM generate_series(1, 20000) g;
             CREATE TABLE others (LIKE items INCLUDING ALL);
             INSERT INTO others SELECT * FROM items",
        )
        .await;
    // Two lanes of one folder.
    let config = format!(
        "[sources.src]\nurl = '{}'\n[targets.lines]\nplugin = 'jsonl'\noptions = {{ folder = 'lines' }}\n\
         [syncs.one]\nsources = ['src']\ntargets = ['lines']\ntables = ['public.items']\n\
         [syncs.two]\nsources = ['src']\ntargets = ['lines']\ntables = ['public.others']\n",
        source.url()
    );
    let engine = Engine::builder().config(config).build();
    let folder = engine.folder().join("lines");
    fs::create_dir(&folder).expect("make the target's folder");

    let session = source.connect().await;
    let mut dice = Random::new();
    let load = tokio::spawn(async move {
        for round in 0..1500 {
            let (id, new) = (dice.below(20_000) + 1, 20_001 + round);
            let statements = format!(
                "BEGIN; UPDATE items SET name = 'round {round}' WHERE id = {id};
                 DELETE FROM items WHERE id = {id} + 1; INSERT INTO items VALUES ({new}, 'new');
                 DELETE FROM others WHERE id = {id}; INSERT INTO others VALUES ({new}, 'new'); COMMIT"
            );
            session
                .batch_execute(&statements)
                .await
                .expect("a transaction");
            tokio::time::sleep(Duration::from_millis(dice.below(4))).await;
        }
    });
    let mut dice = Random::new();
    for kill in 0..KILLS {
        let running = engine.start();
        // Some die while they copy, some in the stream.
        if kill % 3 == 2 {
            engine.await_lane("lines", State::Streaming).await;
        }
        tokio::time::sleep(Duration::from_millis(dice.below(500))).await;
        running.kill9();
    }
    load.await.expect("the load");
    // One transaction that comes in parts.
    source
        .execute("UPDATE items SET name = repeat('long ', 2000) WHERE id > 100")
        .await;
    let running = engine.start();
    for (lane, table) in [("one.src", "items"), ("two.src", "others")] {
        let expected = expected(&source, table).await;
        eventually(
            SOON,
            format!("the lines of {lane} come to the source"),
            async || {
                let found = rows(&folder, lane)?;
                match found == expected {
                    true => Ok(()),
                    false => Err(format!("{} rows of {}", found.len(), expected.len())),
                }
            },
        )
        .await;
    }
    running.terminate().assert_success();
    let dropped = engine.tahr(&["drop", "--yes"]);
    dropped.assert_success();
    let left = fs::read_dir(&folder).expect("the folder");
    let mut left: Vec<_> = left
        .map(|entry| entry.expect("a file").file_name())
        .collect();
    left.sort();
    assert_eq!(left, ["one.src.jsonl", "two.src.jsonl"]);
}
