//! Tables that change their shape while they are replicated.

use std::time::Duration;

use tahr::lane::State;
use tahr_tests::{Postgres, Random};

use crate::scene::{Scene, Site};

const SETUP: &str = "CREATE TABLE t (id int PRIMARY KEY, v varchar(10), n int);
     CREATE TABLE u (id int PRIMARY KEY, v text);
     INSERT INTO t SELECT g, 'v' || g, g FROM generate_series(1, 10) g;
     INSERT INTO u SELECT g, 'v' || g FROM generate_series(1, 10) g;";

/// Part of a hint, in a log that quotes it.
const RENAMED: &str = r#"RENAME COLUMN \"v\" TO \"w\""#;

#[tokio::test(flavor = "multi_thread")]
async fn an_added_column_is_added_at_the_targets() {
    let scene = Scene::of(SETUP).await;
    scene
        .change("ALTER TABLE t ADD extra text; INSERT INTO t VALUES (11, 'v11', 11, 'more')")
        .await;
    scene
        .change(
            "UPDATE t SET extra = 'x' WHERE id <= 3; UPDATE t SET v = 'y' WHERE id = 11;
             ALTER TABLE t ADD \"Odd name\" jsonb, ADD list int[], ADD d date;
             INSERT INTO t VALUES (12, NULL, NULL, NULL, '{\"a\":1}', '{1,2}', '2020-02-02')",
        )
        .await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_added_with_a_default_has_it_in_the_rows_that_were_there() {
    let scene = Scene::of(SETUP).await;
    scene
        .change(
            "ALTER TABLE t ADD extra text DEFAULT 'it''s here', ADD m numeric(10,2) NOT NULL DEFAULT 1.5;
             INSERT INTO t (id, extra) VALUES (11, NULL)",
        )
        .await;
    scene
        .change("UPDATE t SET extra = 'new' WHERE id = 1; UPDATE t SET n = 0 WHERE id = 2")
        .await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_column_ends_at_the_targets_without_a_stop() {
    let scene = Scene::of(SETUP).await;
    scene
        .change(
            "ALTER TABLE t DROP n; INSERT INTO t VALUES (11, 'v11'); UPDATE t SET v = 'x' WHERE id = 1;
             DELETE FROM t WHERE id = 2",
        )
        .await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_widened_type_is_widened_at_the_targets() {
    let scene = Scene::of(SETUP).await;
    scene
        .change(
            "ALTER TABLE t ALTER n TYPE bigint; ALTER TABLE t ALTER v TYPE varchar(100);
             INSERT INTO t VALUES (11, repeat('w', 100), 9223372036854775807);
             UPDATE t SET v = repeat('z', 50), n = n + 5000000000 WHERE id < 3",
        )
        .await;
    scene
        .change(
            "ALTER TABLE t ALTER v TYPE text; ALTER TABLE t ALTER id TYPE bigint;
             INSERT INTO t VALUES (5000000000, repeat('w', 1000), 1); UPDATE t SET n = 7 WHERE id = 4",
        )
        .await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_may_hold_data_before_and_after_a_change_of_shape() {
    let scene = Scene::of(SETUP).await;
    scene
        .change(
            "BEGIN; INSERT INTO t VALUES (11, 'a', 1); INSERT INTO u VALUES (11, 'a');
             ALTER TABLE t ADD extra text; INSERT INTO t VALUES (12, 'b', 2, 'extra');
             UPDATE t SET extra = 'set' WHERE id = 11; ALTER TABLE t ADD another int;
             INSERT INTO t VALUES (13, 'c', 3, NULL, 4); UPDATE u SET v = 'u' WHERE id = 1; COMMIT",
        )
        .await;
    scene
        .change(
            "BEGIN; ALTER TABLE t ADD never int; INSERT INTO t VALUES (14); ROLLBACK;
             INSERT INTO t VALUES (15, 'd', 5, 'e', 6); INSERT INTO u VALUES (15, 'u')",
        )
        .await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shapes_that_came_and_went_are_understood_by_an_engine_that_comes_later() {
    let scene = Scene::of(SETUP).await;
    scene
        .source
        .execute(
            "INSERT INTO t VALUES (11, 'a', 1); ALTER TABLE t ADD brief numeric(10,2);
             INSERT INTO t VALUES (12, 'b', 2, 3.5); ALTER TABLE t DROP brief;
             INSERT INTO t VALUES (13, 'c', 3); INSERT INTO u VALUES (11, 'u')",
        )
        .await;
    scene.settle().await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renamed_column_parks_the_lane_with_the_statement_that_follows_it() {
    let mut scene = Scene::of(SETUP).await;
    scene
        .source
        .execute("ALTER TABLE t RENAME v TO w; INSERT INTO t VALUES (11, 'after', 1)")
        .await;
    let running = scene.running.take().expect("the live engine runs");
    let log = scene.live.parks(&running, 2).await;
    assert_eq!(log.matches(RENAMED).count(), 2, "{log}");
    running.terminate();
    // A person does as told; nothing was lost meanwhile.
    let rename = r#"ALTER TABLE "t" RENAME COLUMN "v" TO "w""#;
    scene.live.postgres.execute(rename).await;
    let sqlite = rusqlite::Connection::open(&scene.live.sqlite).expect("open the file");
    sqlite.execute_batch(rename).expect("rename the column");
    let running = scene.live.start().await;
    scene.live.settle(&running, &scene.source).await;
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_made_later_is_copied_at_the_next_start() {
    let scene = Scene::of(SETUP).await;
    scene
        .source
        .execute(
            "CREATE TABLE later (id int PRIMARY KEY, v text); INSERT INTO later VALUES (1, 'a');
             INSERT INTO t VALUES (11, 'v11', 11)",
        )
        .await;
    let Scene {
        source,
        late,
        running,
        ..
    } = scene;
    drop(running);
    late.engine.run_once();
    late.compare(&source).await.expect("equal");
    source
        .execute("INSERT INTO later VALUES (2, 'b'); UPDATE later SET v = 'c' WHERE id = 1")
        .await;
    late.engine.run_once();
    late.compare(&source).await.expect("equal");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_table_is_no_trouble() {
    let scene = Scene::of(SETUP).await;
    scene
        .source
        .execute("UPDATE u SET v = 'last'; DROP TABLE u; INSERT INTO t VALUES (11, 'x', 1)")
        .await;
    let Scene {
        source,
        live,
        late,
        running,
    } = scene;
    let running = running.expect("the live engine runs");
    live.settle(&running, &source).await;
    late.engine.run_once();
    late.compare(&source).await.expect("equal");
    for target in [live.postgres, late.postgres] {
        let count = "SELECT count(*) FROM u WHERE v = 'last'";
        assert_eq!(target.value(count).await, "10");
    }
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_dropped_and_made_again_holds_nothing_of_before() {
    let scene = Scene::of(SETUP).await;
    scene
        .change("ALTER TABLE t DROP n; ALTER TABLE t ADD n int; INSERT INTO t VALUES (11, 'a', 1)")
        .await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_renamed_while_no_engine_ran_parks_the_lane_too() {
    let Scene {
        source,
        late,
        running,
        ..
    } = Scene::of(SETUP).await;
    drop(running);
    source
        .execute("ALTER TABLE t RENAME v TO w; INSERT INTO t VALUES (11, 'after', 1)")
        .await;
    let finished = late.engine.tahr(&["run", "--once"]);
    finished.assert_code(4);
    let parked = finished
        .stderr
        .lines()
        .filter(|line| line.contains("lane is parked"));
    let hints = parked.filter(|line| line.contains(RENAMED)).count();
    assert_eq!(hints, 2, "{}", finished.stderr);
    let rename = r#"ALTER TABLE "t" RENAME COLUMN "v" TO "w""#;
    late.postgres.execute(rename).await;
    let sqlite = rusqlite::Connection::open(&late.sqlite).expect("open the file");
    sqlite.execute_batch(rename).expect("rename the column");
    late.engine.run_once();
    late.compare(&source).await.expect("equal");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renamed_table_is_copied_under_its_new_name() {
    let scene = Scene::of(SETUP).await;
    scene
        .change(
            "BEGIN; INSERT INTO t VALUES (11, 'before', 1); ALTER TABLE t RENAME TO renamed;
             INSERT INTO renamed VALUES (12, 'after', 2); UPDATE renamed SET v = 'x' WHERE id = 1; COMMIT;
             DELETE FROM renamed WHERE id = 2",
        )
        .await;
    scene
        .change(
            "CREATE SCHEMA other; ALTER TABLE renamed SET SCHEMA other;
             INSERT INTO other.renamed VALUES (13, 'moved', 3); UPDATE u SET v = 'u' WHERE id = 1",
        )
        .await;
    // Each takes the other's place, as tools for migrations do it.
    scene
        .change(
            "BEGIN; ALTER TABLE u RENAME TO old_u; ALTER TABLE other.renamed SET SCHEMA public;
             ALTER TABLE renamed RENAME TO u; COMMIT; INSERT INTO u VALUES (14, 'in', 4);
             UPDATE u SET n = 0 WHERE id = 3; INSERT INTO old_u VALUES (14, 'out')",
        )
        .await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_renamed_more_than_once_before_it_is_read_arrives_under_its_last_name() {
    let Scene {
        source,
        live,
        running,
        ..
    } = Scene::of(SETUP).await;
    let running = running.expect("the live engine runs");
    running.terminate().assert_success();
    source
        .execute(
            "ALTER TABLE t RENAME TO first; INSERT INTO first VALUES (11, 'a', 1);
             UPDATE first SET v = 'x' WHERE id = 1; INSERT INTO u VALUES (11, 'u')",
        )
        .await;
    source
        .execute("ALTER TABLE first RENAME TO second; INSERT INTO second VALUES (12, 'b', 2)")
        .await;
    let running = live.start().await;
    source
        .execute("INSERT INTO second VALUES (13, 'c', 3)")
        .await;
    live.settle(&running, &source).await;
    // What joined is known to be there after a pause, a retry and a restart.
    let copied = |log: &str| log.matches("copying").count();
    let before = copied(&running.stderr());
    source
        .execute("ALTER TABLE u RENAME TO third; INSERT INTO third VALUES (12, 'u')")
        .await;
    live.settle(&running, &source).await;
    let joined = copied(&running.stderr());
    assert!(joined > before, "{}", running.stderr());
    live.engine.tahr(&["pause", "s"]).assert_success();
    live.engine.await_lane("pg", State::Paused).await;
    source.execute("INSERT INTO third VALUES (13, 'u')").await;
    live.engine.tahr(&["resume", "s"]).assert_success();
    live.settle(&running, &source).await;
    assert_eq!(copied(&running.stderr()), joined, "{}", running.stderr());
    running.kill9();
    source.execute("INSERT INTO third VALUES (14, 'u')").await;
    let running = live.start().await;
    live.settle(&running, &source).await;
    assert_eq!(copied(&running.stderr()), 0, "{}", running.stderr());
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn types_keys_and_identities_may_change_under_the_stream() {
    let scene = Scene::of(
        "CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE DOMAIN short AS varchar(5);
         CREATE TABLE t (id int PRIMARY KEY, code int NOT NULL UNIQUE, m mood, d short, v text);
         INSERT INTO t SELECT g, g + 100, 'ok', 'd', 'v' || g FROM generate_series(1, 20) g",
    )
    .await;
    scene
        .change("ALTER TYPE mood ADD VALUE 'happy'; UPDATE t SET v = 'enum' WHERE id = 1")
        .await;
    scene.change("UPDATE t SET m = 'happy' WHERE id = 1").await;
    scene
        .change(
            "ALTER TYPE mood RENAME VALUE 'sad' TO 'gloomy'; ALTER DOMAIN short ADD CHECK (VALUE <> 'x');
             ALTER TABLE t ALTER v SET NOT NULL, ADD CHECK (id <> 0); CREATE INDEX ON t (v);
             INSERT INTO t VALUES (21, 121, 'gloomy', 'dd', 'v'); UPDATE t SET v = 'w' WHERE id = 2",
        )
        .await;
    for identity in ["FULL", "DEFAULT"] {
        scene
            .change(&format!(
                "BEGIN; UPDATE t SET v = 'before' WHERE id IN (3, 4);
                 ALTER TABLE t REPLICA IDENTITY {identity}; UPDATE t SET v = v || '{identity}' WHERE id < 6;
                 UPDATE t SET id = -id WHERE id = 7; UPDATE t SET code = -code WHERE id = 8;
                 DELETE FROM t WHERE id = 9; INSERT INTO t VALUES (9, 109, 'ok', '', 'again'); COMMIT"
            ))
            .await;
    }
    // A key that the target can't find rows by.
    let mut scene = scene;
    scene
        .source
        .execute("ALTER TABLE t REPLICA IDENTITY USING INDEX t_code_key; UPDATE t SET v = 'by code' WHERE id = 3")
        .await;
    let running = scene.running.take().expect("the live engine runs");
    let log = scene.live.parks(&running, 1).await;
    assert!(log.contains("CREATE UNIQUE INDEX ON"), "{log}");
    running.terminate().assert_success();
    scene
        .live
        .postgres
        .execute("CREATE UNIQUE INDEX ON t (code)")
        .await;
    let running = scene.live.start().await;
    scene
        .source
        .execute("UPDATE t SET code = 1000 WHERE id = 3; UPDATE t SET id = 500, v = 'w' WHERE id = 4; DELETE FROM t WHERE id = 5")
        .await;
    scene.live.settle(&running, &scene.source).await;
    running.terminate().assert_success();
}

/// In one transaction with data before and after it, and with a crash around it.
const CRASHED: [&str; 9] = [
    "ADD added text",
    "ADD filled int NOT NULL DEFAULT 7",
    "DROP n",
    "ALTER w TYPE bigint",
    "ALTER v TYPE text",
    "ALTER w TYPE int USING w * 2",
    "DROP added, ADD added int",
    "ALTER filled SET DEFAULT 8, ALTER w SET NOT NULL",
    "RENAME TO t",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_around_any_change_of_shape_loses_and_repeats_nothing() {
    let mut random = Random::new();
    let server = Postgres::shared();
    let source = server.database().await;
    source
        .execute(
            "CREATE TABLE s (id int PRIMARY KEY, v varchar(20), n int, w int NOT NULL DEFAULT 1);
             INSERT INTO s SELECT g, 'v', g, g FROM generate_series(1, 100) g;
             CREATE TABLE log (n int, v text); ALTER TABLE log REPLICA IDENTITY FULL",
        )
        .await;
    let site = Site::new(&server, &source, "tables = ['*.*']").await;
    let mut running = site.start().await;
    for (round, change) in CRASHED.into_iter().enumerate() {
        let after = if change.starts_with("RENAME") {
            "t"
        } else {
            "s"
        };
        source
            .execute(&format!(
                "BEGIN; INSERT INTO s (id, v) VALUES (200 + {round}, 'before'); UPDATE s SET v = 'b' WHERE id < 9;
                 INSERT INTO log VALUES ({round}, 'before'); ALTER TABLE s {change};
                 INSERT INTO {after} (id, v) VALUES (300 + {round}, 'after');
                 UPDATE {after} SET v = 'a{round}' WHERE id < 5; DELETE FROM {after} WHERE id = 50 + {round};
                 INSERT INTO log VALUES ({round}, 'after'); COMMIT"
            ))
            .await;
        tokio::time::sleep(Duration::from_millis(random.below(150))).await;
        running.kill9();
        running = site.engine.start();
        tokio::time::sleep(Duration::from_millis(random.below(500))).await;
        if random.below(2) == 0 {
            running.kill9();
            running = site.engine.start();
        }
        site.settle(&running, &source).await;
    }
    running.terminate().assert_success();
}
