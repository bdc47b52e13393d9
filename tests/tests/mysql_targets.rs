//! MySQL targets behind the real engine.

use tahr::lane::State;
use tahr_tests::{Engine, MariaDb, Postgres, Rows, eventually};

use crate::scene::{PATIENCE, clean};

/// The rows of each table as the source prints them, and as the target does.
const TABLES: [(&str, &str); 3] = [
    (
        "SELECT id, name, price, flag::int, at AT TIME ZONE 'UTC', big, encode(data, 'hex') FROM items",
        "SELECT id, name, price, flag, TRIM(TRAILING '.' FROM TRIM(TRAILING '0' FROM at)), big, \
         LOWER(HEX(data)) FROM items",
    ),
    ("SELECT line FROM log", "SELECT line FROM log"),
    (
        "SELECT a, b, n FROM other.pairs",
        "SELECT a, b, n FROM other_pairs",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_mysql_target_equals_the_source_after_copies_streams_kills_and_schema_changes() {
    let source = Postgres::shared().database().await;
    let target = MariaDb::shared().database().await;
    source
        .execute(
            "CREATE TABLE items (id int PRIMARY KEY, name text, price numeric(10,2), flag bool, at timestamptz,
               big text, data bytea);
             ALTER TABLE items ALTER big SET STORAGE EXTERNAL;
             INSERT INTO items SELECT g, 'it''s \\ ' || g, g / 100.0, g % 2 = 0,
               '2024-01-01 00:00:00.5+00'::timestamptz + g * interval '1 hour', repeat('x', 3000),
               decode(md5(g::text), 'hex') FROM generate_series(1, 20000) g;
             CREATE TABLE log (line text); ALTER TABLE log REPLICA IDENTITY FULL;
             INSERT INTO log SELECT 'line ' || g % 7 FROM generate_series(1, 50) g;
             CREATE SCHEMA other; CREATE TABLE other.pairs (a text, b int, n int, PRIMARY KEY (a, b));
             INSERT INTO other.pairs SELECT chr(64 + g), g, 0 FROM generate_series(1, 50) g",
        )
        .await;
    let config = format!(
        "[sources.src]\nurl = '{}'\n[targets.copy]\nplugin = 'mysql'\noptions = {{ url = '{}' }}\n\
         [syncs.s]\nsources = ['src']\ntargets = ['copy']\ntables = ['*.*']\n",
        source.url(),
        target.url()
    );
    let engine = Engine::builder().config(config).build();
    let running = engine.start();
    engine.await_lane("copy", State::Streaming).await;
    source
        .execute(
            "UPDATE items SET name = 'touched' WHERE id % 10 = 0; UPDATE items SET id = id + 100000 WHERE id < 50;
             DELETE FROM items WHERE id % 11 = 0; DELETE FROM log WHERE ctid = '(0,3)';
             UPDATE log SET line = NULL WHERE ctid = '(0,5)';
             BEGIN; UPDATE other.pairs SET b = b + 1000; UPDATE other.pairs SET n = b, a = lower(a); COMMIT",
        )
        .await;
    settle(&source, &target).await;
    // One transaction of several parts, in the middle of which the engine dies, and its table changes.
    source
        .execute(
            "BEGIN; INSERT INTO items SELECT g, repeat('y', 300), 1, true, now(), NULL, NULL
               FROM generate_series(200000, 260000) g;
             ALTER TABLE other.pairs ADD extra int; UPDATE other.pairs SET extra = 1, n = n + 1;
             ALTER TABLE items ALTER id TYPE bigint; INSERT INTO items (id, name) VALUES (5000000000, 'wide');
             COMMIT",
        )
        .await;
    running.kill9();
    let running = engine.start();
    settle(&source, &target).await;
    source
        .execute("TRUNCATE log; INSERT INTO log VALUES ('last')")
        .await;
    settle(&source, &target).await;
    clean(&running.terminate().stderr);
    engine.tahr(&["drop", "--yes", "s"]).assert_success();
    let left = "SELECT TABLE_NAME FROM information_schema.TABLES \
                WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME LIKE 'tahr%'";
    assert_eq!(target.query(left).await, Vec::<Vec<_>>::new());
}

async fn settle(source: &tahr_tests::Database, target: &tahr_tests::MariaDatabase) {
    for (there, here) in TABLES {
        let expected = Rows::postgres(source, there)
            .await
            .expect("the source's rows");
        eventually(PATIENCE, here, async || {
            expected.same_as(&Rows::mysql(target.url(), here).await?)
        })
        .await;
    }
}
