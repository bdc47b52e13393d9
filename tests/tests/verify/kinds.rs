//! Targets that are no SQL of PostgreSQL's kind: each compares in its own form.

use std::collections::BTreeSet;

use mongodb::bson::{self, Bson, Document, doc};
use tahr::lane::State;
use tahr_tests::{Database, Engine, MariaDb, Mongod, Postgres, Redis, Running};

use super::scene::{Load, found};
use crate::scene::clean;

const SETUP: &str = "
    CREATE TABLE items (id uuid PRIMARY KEY, name varchar(50), price numeric(10,2), ratio float8,
        at timestamptz, day date, ok bool, data bytea, note text);
    INSERT INTO items SELECT md5(g::text)::uuid, 'name ' || g, g / 3.0, g / 7.0,
        '2020-01-01'::timestamptz + g * interval '1.5 s', '2020-01-01'::date + g, g % 2 = 0,
        decode(md5(g::text), 'hex'), CASE WHEN g % 3 = 0 THEN repeat('ü\\ ''', g) END
      FROM generate_series(1, 1000) g;
    CREATE TABLE pairs (n int, b bigint, a varchar(20), PRIMARY KEY (a, b));
    INSERT INTO pairs SELECT g, g, 'p:' || g % 7 FROM generate_series(1, 1000) g;
    CREATE TABLE counters (id int PRIMARY KEY, n bigint);
    INSERT INTO counters SELECT g, 0 FROM generate_series(1, 20) g";

/// What keeps the source busy; rows beyond these stay as they are.
const LOAD: &[&str] = &[
    "UPDATE counters SET n = n + 1 WHERE id = 3",
    "UPDATE pairs SET n = n + 1 WHERE b = 950",
    "INSERT INTO items (id, name) VALUES (gen_random_uuid(), 'new')",
    "DELETE FROM items WHERE name = 'new'",
];

async fn start(target: &str) -> (Database, Engine, Running) {
    let source = Postgres::shared().database().await;
    source.execute(SETUP).await;
    let config = format!(
        "[sources.src]\nurl = '{}'\n{target}\n\
         [syncs.s]\nsources = ['src']\ntargets = ['t']\ntables = ['public.*']\n",
        source.url()
    );
    let engine = Engine::builder().config(config).build();
    let running = engine.start();
    engine.await_lane("t", State::Streaming).await;
    (source, engine, running)
}

fn differs(engine: &Engine, arguments: &[&str], code: i32) -> BTreeSet<String> {
    let verified = engine.tahr(&[&["verify", "--json"], arguments].concat());
    verified.assert_code(code);
    found(&verified.json())
}

fn set(rows: &[&str]) -> BTreeSet<String> {
    rows.iter().map(ToString::to_string).collect()
}

const FOUND: [&str; 6] = [
    "t items differing c4ca4238-a0b9-2382-0dcc-509a6f75849b",
    "t items missing c81e728d-9d4c-2f63-6f06-7f89cc14862c",
    "t items extra 00000000-0000-0000-0000-000000000001",
    "t pairs differing p:5|5",
    "t pairs missing p:6|6",
    "t pairs extra p:1|77777",
];

/// What `plant` does to the target is found, and repaired, while the source is busy.
async fn found_and_repaired(target: &str, plant: impl AsyncFnOnce()) {
    let (source, engine, running) = start(target).await;
    let load = Load::of(&source, LOAD).await;
    assert_eq!(differs(&engine, &[], 0), set(&[]));
    plant().await;
    assert_eq!(differs(&engine, &[], 1), set(&FOUND));
    assert_eq!(differs(&engine, &["--repair"], 0), set(&FOUND));
    assert_eq!(differs(&engine, &[], 0), set(&[]));
    load.end().await;
    clean(&running.terminate().stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_is_compared_and_repaired_under_load() {
    let redis = Redis::shared().database();
    let target = format!(
        "[targets.t]\nplugin = 'redis'\noptions = {{ url = '{}' }}",
        redis.url()
    );
    found_and_repaired(&target, async || {
        redis.command::<i64>("HSET items:c4ca4238-a0b9-2382-0dcc-509a6f75849b name x");
        // As in SQL targets, what no column has is no difference.
        redis.command::<i64>("HSET items:eccbc87e-4b5c-e2fe-2830-8fd9f2a7baf3 more x");
        redis.command::<i64>("DEL items:c81e728d-9d4c-2f63-6f06-7f89cc14862c");
        redis.command::<i64>("HSET items:00000000-0000-0000-0000-000000000001 name x");
        redis.command::<i64>("HSET pairs:p\\:5:5 n 0");
        redis.command::<i64>("DEL pairs:p\\:6:6");
        redis.command::<String>("SET pairs:p\\:1:77777 x");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mariadb_is_compared_and_repaired_under_load() {
    let maria = MariaDb::shared().database().await;
    let target = format!(
        "[targets.t]\nplugin = 'mysql'\noptions = {{ url = '{}' }}",
        maria.url()
    );
    found_and_repaired(&target, async || {
        maria
            .execute(
                "UPDATE items SET note = 'x' WHERE id = 'c4ca4238-a0b9-2382-0dcc-509a6f75849b';
             DELETE FROM items WHERE id = 'c81e728d-9d4c-2f63-6f06-7f89cc14862c';
             INSERT INTO items (id) VALUES ('00000000-0000-0000-0000-000000000001');
             UPDATE pairs SET n = -1 WHERE b = 5; DELETE FROM pairs WHERE b = 6;
             INSERT INTO pairs (a, b) VALUES ('p:1', 77777)",
            )
            .await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mongodb_is_compared_and_repaired_under_load() {
    let mongo = Mongod::shared().database();
    let target = format!(
        "[targets.t]\nplugin = 'mongodb'\noptions = {{ url = '{}' }}",
        mongo.url()
    );
    found_and_repaired(&target, async || {
    let id = |text: &str| Bson::from(bson::Uuid::parse_str(text).expect("a uuid"));
    let pair = |a: &str, b: i64| doc! { "a": a, "b": b };
    let change = |command: Document| {
        let done = mongo.command(command.clone());
        assert_eq!(done.get_i32("n").ok(), Some(1), "{command}: {done}");
    };
    change(doc! { "update": "items", "updates": [
    { "q": { "_id": id("c4ca4238-a0b9-2382-0dcc-509a6f75849b") }, "u": { "$set": { "name": "x" } } }] });
    // As in SQL targets, what no column has is no difference.
    change(doc! { "update": "items", "updates": [
    { "q": { "_id": id("eccbc87e-4b5c-e2fe-2830-8fd9f2a7baf3") }, "u": { "$set": { "more": 1 } } }] });
    change(doc! { "delete": "items", "deletes": [
    { "q": { "_id": id("c81e728d-9d4c-2f63-6f06-7f89cc14862c") }, "limit": 1 }] });
    change(doc! { "insert": "items", "documents": [
    { "_id": id("00000000-0000-0000-0000-000000000001") }] });
    // So is another type of the same number.
    change(doc! { "update": "pairs", "updates": [
    { "q": { "_id": pair("p:5", 5) }, "u": { "$set": { "n": 5_i64 } } }] });
    change(doc! { "delete": "pairs", "deletes": [{ "q": { "_id": pair("p:6", 6) }, "limit": 1 }] });
    change(doc! { "insert": "pairs", "documents": [{ "_id": pair("p:1", 77777) }] });
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_a_redis_lets_expire_are_no_differences() {
    let redis = Redis::shared().database();
    let target = format!(
        "[targets.t]\nplugin = 'redis'\noptions = {{ url = '{}', ttl = '1h' }}",
        redis.url()
    );
    let (_source, engine, running) = start(&target).await;
    redis.command::<i64>("DEL pairs:p\\:6:6");
    redis.command::<i64>("HSET pairs:p\\:5:5 n 0");
    assert_eq!(differs(&engine, &[], 1), set(&["t pairs differing p:5|5"]));
    clean(&running.terminate().stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_the_source_has_dropped_is_no_difference_in_any_target() {
    let (maria, mongo) = (
        MariaDb::shared().database().await,
        Mongod::shared().database(),
    );
    let (hashes, documents) = (Redis::shared().database(), Redis::shared().database());
    let source = Postgres::shared().database().await;
    source
        .execute(
            "CREATE TABLE t (id int PRIMARY KEY, flag text, price numeric, v text); \
             INSERT INTO t SELECT g, 'x', g / 3.0, 'a' FROM generate_series(1, 3) g",
        )
        .await;
    let config = format!(
        "[sources.src]\nurl = '{}'\n\
         [targets.maria]\nplugin = 'mysql'\noptions = {{ url = '{}' }}\n\
         [targets.mongo]\nplugin = 'mongodb'\noptions = {{ url = '{}' }}\n\
         [targets.hashes]\nplugin = 'redis'\noptions = {{ url = '{}' }}\n\
         [targets.documents]\nplugin = 'redis'\noptions = {{ url = '{}', format = 'json' }}\n\
         [syncs.s]\nsources = ['src']\ntargets = ['maria', 'mongo', 'hashes', 'documents']\n\
         tables = ['public.*']\n",
        source.url(),
        maria.url(),
        mongo.url(),
        hashes.url(),
        documents.url()
    );
    let engine = Engine::builder().config(config).build();
    let running = engine.start();
    for target in ["maria", "mongo", "hashes", "documents"] {
        engine.await_lane(target, State::Streaming).await;
    }
    source
        .execute("ALTER TABLE t DROP COLUMN flag; UPDATE t SET v = 'b' WHERE id = 1")
        .await;
    let kicked = engine.tahr(&["kick", "s", "--wait", "30"]);
    kicked.assert_success();
    assert_eq!(hashes.command::<String>("HGET t:2 flag"), "x");
    let held = documents.command::<String>("GET t:2");
    assert!(held.contains("flag"), "{held}");
    assert_eq!(differs(&engine, &[], 0), set(&[]));
    // The other values of such rows are compared all the same.
    hashes.command::<i64>("HSET t:2 v other");
    documents.command::<String>(&format!("SET t:2 {}", held.replace("\"a\"", "\"c\"")));
    let found = ["documents t differing 2", "hashes t differing 2"];
    assert_eq!(differs(&engine, &[], 1), set(&found));
    clean(&running.terminate().stderr);
}
