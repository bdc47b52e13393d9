//! Under `on_rejected = "set_aside"` a row that a target refuses leaves its transaction, stays to be
//! seen, and gets where it belongs once the target takes it.

use std::{os::unix::fs::PermissionsExt as _, path::Path, time::Duration};

use serde_json::Value;
use tahr::lane::State;
use tahr_tests::{Database, Engine, MariaDb, Postgres, Rows, Run, Running, Scripted, eventually};

const SOON: Duration = Duration::from_secs(30);
const SET_ASIDE: &str = "on_rejected = \"set_aside\"";
const BAD: &str = "write reject table=public.t value=bad";

/// An engine that copies `t` into a scripted target, streaming.
async fn streaming(extra: &str) -> (Database, Scripted, Engine, Running) {
    let setup = "CREATE TABLE t (id int PRIMARY KEY, v text, big text);
         ALTER TABLE t ALTER big SET STORAGE EXTERNAL;
         INSERT INTO t VALUES (1, 'good', repeat('x', 3000)), (2, 'good', 'small')";
    let one = Scripted::new();
    let extra = format!("{SET_ASIDE}\n{extra}");
    let targets = [("one", &one)];
    let streaming = Engine::builder().streaming(setup, &targets, &extra);
    let (database, engine, running) = streaming.await;
    (database, one, engine, running)
}

/// What `tahr rejected list --json` shows.
fn listed(engine: &Engine) -> Vec<Value> {
    let finished = engine.tahr(&["rejected", "list", "--json"]);
    finished.assert_success();
    finished.json().as_array().expect("a list").clone()
}

async fn await_rejected(engine: &Engine, target: &str, rows: u64) {
    eventually(SOON, format!("{rows} rows are set aside"), async || {
        let found = engine.lane(target)?.rejected;
        (found == rows).then_some(()).ok_or(format!("{found}"))
    })
    .await;
}

async fn await_all(database: &Database, target: &Scripted) {
    eventually(SOON, "the target holds all", async || {
        target.holds(database, "t", &["id", "v", "big"]).await
    })
    .await;
    target.batches();
}

/// The IDs that the target holds, and those of the source.
fn ids(target: &Scripted) -> usize {
    target.rows("public.t", &["id"]).len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_row_leaves_its_transaction_and_what_follows_brings_it_along() {
    let (database, one, engine, running) = streaming("").await;
    one.script(BAD);
    database
        .execute(
            "BEGIN; INSERT INTO t VALUES (3, 'good', 'c'), (4, 'bad', repeat('secret', 600)), (5, 'good', 'e');
             UPDATE t SET v = 'bad' WHERE id = 1; DELETE FROM t WHERE id = 2; COMMIT",
        )
        .await;
    await_rejected(&engine, "one", 2).await;
    assert_eq!(ids(&one), 3, "1 as it was, 3 and 5");
    let lane = engine.lane("one").expect("the lane");
    assert_eq!(lane.state, State::Streaming);
    let rows = listed(&engine);
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0]["op"], "insert");
    assert_eq!(rows[0]["new"]["id"], "4");
    assert_eq!(rows[1]["op"], "update");
    assert_eq!(rows[1]["new"]["big"]["unchanged"], true);
    assert_eq!(rows[0]["error"]["message"], "scripted: rejected (no)");
    let text = engine.tahr(&["rejected", "s/one"]).stdout;
    assert!(
        text.contains("id=4 v=bad") && text.contains("hint: take"),
        "{text}"
    );
    let status = engine.tahr(&["status"]).stdout;
    assert!(status.contains("2 rows are set aside"), "{status}");
    let ping = engine.tahr(&["ping"]);
    ping.assert_code(1);
    assert!(
        ping.stdout.contains("has set 2 rows aside"),
        "{}",
        ping.stdout
    );
    let file = engine
        .folder()
        .join("tahr-state/lanes/s.one.rejected.jsonl");
    let mode = file.metadata().expect("the file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(!running.stderr().contains("secret"), "no row is in the log");

    // What is still refused joins it; what is taken brings along what was missed.
    database
        .execute("UPDATE t SET id = 40 WHERE id = 4; UPDATE t SET v = 'good' WHERE id = 1")
        .await;
    await_rejected(&engine, "one", 1).await;
    let rows = listed(&engine);
    assert_eq!(
        (&rows[0]["new"]["id"], &rows[0]["changes"]),
        (&"40".into(), &2.into())
    );
    database
        .execute("UPDATE t SET v = 'mended' WHERE id = 40")
        .await;
    await_rejected(&engine, "one", 0).await;
    await_all(&database, &one).await;
    assert!(!running.stderr().contains("secret"), "no row is in the log");
    running.terminate().assert_success();
    assert_eq!(listed(&engine), Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_was_set_aside_is_neither_lost_nor_repeated_by_kills() {
    let (database, one, engine, running) = streaming("").await;
    // Killed after it is noted, and before the target has the rest.
    one.script(&format!("{BAD}\nwrite hold"));
    database
        .execute("INSERT INTO t VALUES (3, 'good', ''), (4, 'bad', '')")
        .await;
    eventually(SOON, "the rest is held", async || one.called("write held")).await;
    running.kill9();
    assert_eq!(ids(&one), 2);
    one.script(BAD);
    let running = engine.start();
    // What was noted before the kill is there at first, and goes until the lane comes to it again.
    eventually(SOON, "the rest is there", async || {
        let found = (ids(&one), listed(&engine).len());
        (found == (3, 1)).then_some(()).ok_or(format!("{found:?}"))
    })
    .await;
    running.kill9();
    assert_eq!(listed(&engine).len(), 1, "listed without an engine");
    let running = engine.start();
    await_rejected(&engine, "one", 1).await;

    // Mended in the meantime, it isn't set aside at all.
    one.script(&format!("{BAD}\nwrite hold"));
    let held = one.calls().len();
    database
        .execute("INSERT INTO t VALUES (5, 'bad', '')")
        .await;
    eventually(SOON, "the rest is held", async || {
        let calls = one.calls();
        let is_held = calls[held..].iter().any(|call| call == "write held");
        is_held.then_some(()).ok_or(format!("{:?}", calls.last()))
    })
    .await;
    running.kill9();
    one.script("");
    let running = engine.start();
    await_rejected(&engine, "one", 1).await;
    eventually(SOON, "5 is there", async || {
        (ids(&one) == 4).then_some(()).ok_or(ids(&one).to_string())
    })
    .await;

    // Killed in a retry, before the target has done it, and after it has.
    let mut running = running;
    for (script, left) in [
        ("write hold", 1),
        ("write fail_after times=1\ncheckpoint hold", 0),
    ] {
        let before = one.calls().len();
        one.script(script);
        let retry = engine.spawn(&["rejected", "retry", "s", "--all"]);
        eventually(SOON, "it is held", async || {
            let calls = one.calls();
            let is_held = calls[before..].iter().any(|call| call.ends_with(" held"));
            is_held.then_some(()).ok_or(format!("{:?}", calls.last()))
        })
        .await;
        running.kill9();
        // It is told that the engine is gone, or that nobody knows.
        retry
            .wait_exit(SOON)
            .assert_code(if left == 0 { 1 } else { 5 });
        one.script("");
        running = engine.start();
        engine.await_lane("one", State::Streaming).await;
        await_rejected(&engine, "one", left).await;
        assert_eq!(ids(&one), if left == 0 { 5 } else { 4 });
    }
    await_all(&database, &one).await;
    database
        .execute("DELETE FROM t WHERE id = 4; INSERT INTO t VALUES (4, 'new', '')")
        .await;
    await_all(&database, &one).await;
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn retries_tell_what_is_still_refused_and_discarded_rows_stay_as_they_are() {
    let (database, one, engine, running) = streaming("").await;
    one.script(&format!("{BAD}\nwrite reject table=public.t value=worse"));
    database
        .execute("INSERT INTO t VALUES (3, 'bad', ''), (4, 'worse', ''), (5, 'bad', ''), (6, 'good', '')")
        .await;
    await_rejected(&engine, "one", 3).await;
    one.script("write reject table=public.t value=worse");
    let retried = engine.tahr(&["rejected", "retry", "s/one", "--all"]);
    retried.assert_code(4);
    assert!(
        retried.stdout.contains("lane s/one: applied 2 rows"),
        "{}",
        retried.stdout
    );
    assert!(
        retried.stderr.contains("s/one 2: scripted: rejected"),
        "{}",
        retried.stderr
    );
    assert_eq!((ids(&one), listed(&engine).len()), (5, 1));
    engine
        .tahr(&["rejected", "discard", "s/one"])
        .assert_code(2);
    engine
        .tahr(&["rejected", "discard", "s/one", "7"])
        .assert_code(1);
    let discarded = engine.tahr(&["rejected", "discard", "s/one", "2"]);
    discarded.assert_success();
    assert_eq!(discarded.stdout, "lane s/one: discarded 1 row\n");
    assert_eq!((ids(&one), listed(&engine).len()), (5, 0));

    // A paused lane retries nothing, but its rows can be given up; so they can without an engine.
    database
        .execute("INSERT INTO t VALUES (7, 'worse', ''), (8, 'worse', '')")
        .await;
    await_rejected(&engine, "one", 2).await;
    engine.tahr(&["pause", "s"]).assert_success();
    let retried = engine.tahr(&["rejected", "retry", "s", "--all"]);
    retried.assert_code(1);
    assert!(
        retried.stderr.contains("the lane is paused"),
        "{}",
        retried.stderr
    );
    let number = listed(&engine)[0]["number"].to_string();
    engine
        .tahr(&["rejected", "discard", "s", &number])
        .assert_success();
    assert_eq!(listed(&engine).len(), 1);
    running.terminate().assert_success();
    engine
        .tahr(&["rejected", "discard", "s", "--all"])
        .assert_success();
    engine
        .tahr(&["rejected", "retry", "s", "--all"])
        .assert_code(5);
    let running = engine.start();
    engine.await_lane("one", State::Paused).await;
    engine.tahr(&["resume", "s"]).assert_success();
    engine.await_lane("one", State::Streaming).await;
    await_rejected(&engine, "one", 0).await;
    assert_eq!(ids(&one), 5);
    running.terminate().assert_success();
    engine.tahr(&["drop", "--yes"]).assert_success();
    assert!(!engine.folder().join("tahr-state").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_that_has_set_enough_rows_aside_parks_and_goes_on_where_there_is_room() {
    let (database, one, engine, running) = streaming("rejected_limit = 2").await;
    one.script(BAD);
    database
        .execute("INSERT INTO t SELECT g, CASE WHEN g % 2 = 0 THEN 'bad' ELSE 'good' END, '' FROM generate_series(3, 8) g")
        .await;
    let lane = engine.await_lane("one", State::Parked).await;
    let fault = lane.fault.expect("why it is parked");
    assert!(
        fault
            .message
            .contains("as many rows as may be are set aside"),
        "{fault:?}"
    );
    assert!(fault.hint.contains("rejected_limit"), "{fault:?}");
    assert_eq!(
        (ids(&one), listed(&engine).len()),
        (2, 0),
        "its transaction is not stored"
    );
    let config = engine
        .config()
        .replace("rejected_limit = 2", "rejected_limit = 3");
    engine.write_config(&config);
    engine.tahr(&["reload"]).assert_success();
    await_rejected(&engine, "one", 3).await;
    assert_eq!(ids(&one), 5);
    one.script("");
    engine
        .tahr(&["rejected", "retry", "s", "--all"])
        .assert_success();
    await_all(&database, &one).await;

    // A truncate is never set aside, and ends what is.
    one.script(BAD);
    database
        .execute("INSERT INTO t VALUES (9, 'bad', '')")
        .await;
    await_rejected(&engine, "one", 1).await;
    database
        .execute("TRUNCATE t; INSERT INTO t VALUES (1, 'good', '')")
        .await;
    await_rejected(&engine, "one", 0).await;
    await_all(&database, &one).await;
    one.script("write reject table=public.t");
    database.execute("TRUNCATE t").await;
    engine.await_lane("one", State::Parked).await;
    running.terminate().assert_success();
}

/// `t` of the source, as every target prints it.
const ROWS: &str = "SELECT id, v, big FROM t";

async fn compare(source: &Database, pg: &Database, maria: &str, lite: &Path, but: &str) {
    let query = format!("{ROWS} {but}");
    eventually(SOON, "the targets hold the rows", async || {
        let expected = Rows::postgres(source, &query).await?;
        let told = |name: &'static str| move |report| format!("{name}: {report}");
        let found = Rows::postgres(pg, &query).await?;
        expected.same_as(&found).map_err(told("postgres"))?;
        let found = Rows::mysql(maria, &query).await?;
        expected.same_as(&found).map_err(told("mysql"))?;
        let found = Rows::sqlite(lite, &query)?;
        expected.same_as(&found).map_err(told("sqlite"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_real_targets_forbid_follow_when_they_are_allowed() {
    let source = Postgres::shared().database().await;
    let pg = Postgres::shared().database().await;
    let maria = MariaDb::shared().database().await;
    let lite = Run::current().make_folder("sqlite").join("target.db");
    source
        .execute(
            "CREATE TABLE t (id int PRIMARY KEY, v text, big text);
             ALTER TABLE t ALTER big SET STORAGE EXTERNAL;
             INSERT INTO t SELECT g, 'short', repeat('x', 3000) FROM generate_series(1, 50) g",
        )
        .await;
    let config = format!(
        "[sources.src]\nurl = '{}'\n[targets.pg]\nplugin = 'postgres'\noptions = {{ url = '{}' }}\n\
         [targets.maria]\nplugin = 'mysql'\noptions = {{ url = '{}' }}\n\
         [targets.lite]\nplugin = 'sqlite'\noptions = {{ path = '{}' }}\n\
         [syncs.s]\nsources = ['src']\ntargets = ['pg', 'maria', 'lite']\ntables = ['*.*']\n{SET_ASIDE}\n",
        source.url(),
        pg.url(),
        maria.url(),
        lite.display()
    );
    let engine = Engine::builder().config(config).build();
    let running = engine.start();
    let targets = ["pg", "maria", "lite"];
    for target in targets {
        engine.await_lane(target, State::Streaming).await;
    }
    pg.execute("ALTER TABLE t ADD CONSTRAINT narrow CHECK (length(v) <= 5)")
        .await;
    maria
        .execute("ALTER TABLE t ADD CONSTRAINT narrow CHECK (char_length(v) <= 5)")
        .await;
    sqlite(
        &lite,
        "CREATE TRIGGER narrow_i BEFORE INSERT ON t WHEN length(NEW.v) > 5
           BEGIN SELECT RAISE(ABORT, 'too long'); END;
         CREATE TRIGGER narrow_u BEFORE UPDATE ON t WHEN length(NEW.v) > 5
           BEGIN SELECT RAISE(ABORT, 'too long'); END",
    );
    // Enough for the ways in which writers write many rows at once.
    source
        .execute(
            "BEGIN; INSERT INTO t SELECT g, CASE WHEN g % 100 = 0 THEN 'much too long' ELSE 'fits' END, ''
               FROM generate_series(51, 400) g;
             UPDATE t SET v = 'far too long' WHERE id = 1; UPDATE t SET v = 'tiny' WHERE id = 2; COMMIT",
        )
        .await;
    for target in targets {
        await_rejected(&engine, target, 5).await;
    }
    let but = "WHERE id % 100 <> 0 AND id <> 1";
    compare(&source, &pg, maria.url(), &lite, but).await;
    // Nothing of what is set aside arrives in part.
    source
        .execute(
            "UPDATE t SET big = repeat('y', 3000) WHERE id = 200; UPDATE t SET v = 'even longer' WHERE id = 200;
             UPDATE t SET id = 3000 WHERE id = 300; DELETE FROM t WHERE id = 400; UPDATE t SET v = 'ok' WHERE id = 1",
        )
        .await;
    for target in targets {
        await_rejected(&engine, target, 3).await;
    }
    let but = "WHERE id % 100 <> 0";
    compare(&source, &pg, maria.url(), &lite, but).await;
    running.kill9();
    let running = engine.start();
    pg.execute("ALTER TABLE t DROP CONSTRAINT narrow").await;
    maria.execute("ALTER TABLE t DROP CONSTRAINT narrow").await;
    sqlite(&lite, "DROP TRIGGER narrow_i; DROP TRIGGER narrow_u");
    for target in targets {
        engine.await_lane(target, State::Streaming).await;
        await_rejected(&engine, target, 3).await;
    }
    engine
        .tahr(&["rejected", "retry", "s", "--all"])
        .assert_success();
    compare(&source, &pg, maria.url(), &lite, "").await;
    source
        .execute("UPDATE t SET v = 'a long value again', big = 'b' WHERE id < 5")
        .await;
    compare(&source, &pg, maria.url(), &lite, "").await;
    for target in targets {
        await_rejected(&engine, target, 0).await;
    }
    running.terminate().assert_success();
}

fn sqlite(file: &Path, statements: &str) {
    let connection = rusqlite::Connection::open(file).expect("open the file");
    connection
        .busy_timeout(SOON)
        .and_then(|()| connection.execute_batch(statements))
        .expect("alter the file");
}
