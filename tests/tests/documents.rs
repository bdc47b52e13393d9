//! Rows as documents: a MongoDB target under the whole engine.

use std::time::Duration;

use tahr_tests::{Engine, Mongod, Postgres, Rows, eventually};

const SOON: Duration = Duration::from_secs(60);

const QUERY: &str = "SELECT id::text, name, price::text, doc::text FROM items";
const FIELDS: [&str; 4] = ["_id", "name", "price", "doc"];

#[tokio::test(flavor = "multi_thread")]
async fn a_mongodb_holds_what_the_source_holds_through_copy_stream_and_kill() {
    let server = Postgres::shared();
    let source = server.database().await;
    source
        .execute(
            "CREATE TABLE items (id int PRIMARY KEY, name text, price numeric(10,2), doc jsonb);
             ALTER TABLE items ALTER doc SET STORAGE EXTERNAL;
             CREATE TABLE log (line text); ALTER TABLE log REPLICA IDENTITY FULL;
             INSERT INTO items SELECT g, 'n' || g, g / 4.0,
                 jsonb_build_object('n', g, 'long', repeat('x', 3000)) FROM generate_series(1, 3000) g",
        )
        .await;
    let target = Mongod::shared().database();
    let engine = Engine::builder()
        .config(format!(
            "[sources.main]\nurl = '{}'\n\
             [targets.documents]\nplugin = 'mongodb'\noptions = {{ url = '{}' }}\n\
             [syncs.shop]\nsources = ['main']\ntargets = ['documents']\ntables = ['*.*']\n\
             max_batch_rows = 1000\n",
            source.url(),
            target.url()
        ))
        .build();
    let same = async || {
        let expected = Rows::postgres(&source, QUERY).await?;
        expected.same_as(&Rows::mongodb(&target, "items", &FIELDS)?)?;
        let lines = Rows::postgres(&source, "SELECT line FROM log").await?;
        lines.same_as(&Rows::mongodb(&target, "log", &["line"])?)
    };
    let mut running = engine.start();
    eventually(SOON, "the copy", same).await;
    for round in 0..4 {
        // A large transaction in parts, keys that move and swap, values that are not sent.
        source
            .execute(&format!(
                "BEGIN;
                 UPDATE items SET id = -id WHERE id % 3 = {round} % 3;
                 UPDATE items SET name = name || '{round}' WHERE id % 2 = 0;
                 UPDATE items SET id = 100000 WHERE id = (SELECT max(id) FROM items);
                 UPDATE items SET id = (SELECT min(id) - 1 FROM items) WHERE id = 100000;
                 INSERT INTO log SELECT 'same' FROM generate_series(1, 5);
                 UPDATE log SET line = 'other' WHERE ctid = (SELECT max(ctid) FROM log);
                 COMMIT;
                 DELETE FROM items WHERE id % 17 = {round};
                 DELETE FROM log WHERE ctid = (SELECT min(ctid) FROM log)"
            ))
            .await;
        if round % 2 == 1 {
            drop(running.kill9());
            running = engine.start();
        }
    }
    eventually(SOON, "the stream", same).await;
    source
        .execute("TRUNCATE items; INSERT INTO items VALUES (1, 'new', 1, '[1.50]')")
        .await;
    eventually(SOON, "a truncate", same).await;
    running.terminate().assert_success();
    engine.tahr(&["drop", "shop", "--yes"]).assert_success();
    assert_eq!(target.collections(), ["items", "log"]);
}
