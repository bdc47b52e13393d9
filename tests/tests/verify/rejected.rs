//! Rows that a lane has set aside are known to a verification, and never half done by a repair.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tahr::lane::State;
use tahr_tests::{Database, Engine, MariaDb, Postgres, Run, Running, eventually};

const SOON: Duration = Duration::from_secs(30);

/// An engine that copies `t` into a file, which refuses `v = 'bad'`.
async fn streaming() -> (Database, PathBuf, Engine, Running) {
    let source = Postgres::shared().database().await;
    let file = Run::current().make_folder("sqlite").join("target.db");
    source
        .execute(
            "CREATE TABLE t (id int PRIMARY KEY, v text);
             INSERT INTO t SELECT g, 'good' FROM generate_series(1, 5) g",
        )
        .await;
    let config = format!(
        "[sources.src]\nurl = '{}'\n\
         [targets.lite]\nplugin = 'sqlite'\noptions = {{ path = '{}' }}\n\
         [syncs.s]\nsources = ['src']\ntargets = ['lite']\ntables = ['public.*']\n\
         on_rejected = 'set_aside'\n",
        source.url(),
        file.display()
    );
    let engine = Engine::builder().config(config).build();
    let running = engine.start();
    engine.await_lane("lite", State::Streaming).await;
    on(
        &file,
        "CREATE TRIGGER bad_i BEFORE INSERT ON t WHEN NEW.v = 'bad'
           BEGIN SELECT RAISE(ABORT, 'bad'); END;
         CREATE TRIGGER bad_u BEFORE UPDATE ON t WHEN NEW.v = 'bad'
           BEGIN SELECT RAISE(ABORT, 'bad'); END",
    );
    (source, file, engine, running)
}

fn on(file: &Path, statements: &str) {
    let file = rusqlite::Connection::open(file).expect("open the file");
    file.busy_timeout(SOON).expect("be patient");
    file.execute_batch(statements).expect("change the file");
}

fn mend(file: &Path) {
    on(file, "DROP TRIGGER bad_i; DROP TRIGGER bad_u");
}

/// Waits until the file has these rows.
async fn await_rows(file: &Path, expected: &str) {
    eventually(SOON, "the rows", async || {
        let file = rusqlite::Connection::open(file).map_err(|error| error.to_string())?;
        let sql = "SELECT group_concat(id || v, ' ') FROM (SELECT id, v FROM t ORDER BY id)";
        let found: String = file
            .query_row(sql, [], |row| row.get(0))
            .map_err(|error| error.to_string())?;
        (found == expected).then_some(()).ok_or(found)
    })
    .await;
}

async fn await_rejected(engine: &Engine, target: &str, rows: u64) {
    eventually(SOON, format!("{rows} rows are set aside"), async || {
        let found = engine.lane(target)?.rejected;
        (found == rows).then_some(()).ok_or(format!("{found}"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repair_leaves_rows_that_are_set_aside_to_their_retry() {
    let (source, file, engine, running) = streaming().await;
    source
        .execute(
            "INSERT INTO t VALUES (6, 'bad'), (7, 'bad'); UPDATE t SET v = 'bad', id = 20 WHERE id = 2",
        )
        .await;
    await_rejected(&engine, "lite", 3).await;
    on(&file, "UPDATE t SET v = 'planted' WHERE id = 1");
    mend(&file);
    let verified = engine.tahr(&["verify", "s", "--repair", "--json"]);
    verified.assert_code(1);
    let json = verified.json();
    let table = &json["lanes"][0]["tables"][0];
    assert_eq!(
        (&table["set_aside"], &table["repaired"]),
        (&4.into(), &1.into()),
        "6, 7, and 20 in the place of 2: {table}"
    );
    let shown = engine.tahr(&["verify", "s"]);
    shown.assert_code(1);
    assert!(
        shown
            .stdout
            .contains("4 set aside, see `tahr rejected s/lite`")
            && shown.stderr.contains("tahr rejected retry s/lite --all"),
        "{}{}",
        shown.stdout,
        shown.stderr
    );
    // Whatever follows finds the target as it was left.
    source.execute("DELETE FROM t WHERE id IN (6, 20)").await;
    await_rejected(&engine, "lite", 1).await;
    await_rows(&file, "1good 3good 4good 5good").await;
    engine
        .tahr(&["rejected", "retry", "s", "--all"])
        .assert_success();
    engine.tahr(&["verify", "s"]).assert_success();
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_retried_before_a_repair_stays_so() {
    let (source, file, engine, running) = streaming().await;
    source.execute("INSERT INTO t VALUES (6, 'bad')").await;
    await_rejected(&engine, "lite", 1).await;
    mend(&file);
    engine
        .tahr(&["rejected", "retry", "s", "--all"])
        .assert_success();
    on(&file, "UPDATE t SET v = 'planted' WHERE id = 1");
    engine.tahr(&["verify", "s", "--repair"]).assert_success();
    let listed = || engine.tahr(&["rejected", "list", "s", "--json"]).json()[0]["number"].clone();
    running.kill9();
    assert!(listed().is_null(), "{}", listed());
    let running = engine.start();
    engine.await_lane("lite", State::Streaming).await;
    await_rejected(&engine, "lite", 0).await;
    assert!(listed().is_null(), "{}", listed());
    source.execute("DELETE FROM t WHERE id = 6").await;
    await_rows(&file, "1good 2good 3good 4good 5good").await;
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_copies_a_table_whose_schema_has_brought_values() {
    let (source, file, engine, running) = streaming().await;
    source.execute("INSERT INTO t VALUES (6, 'bad')").await;
    await_rejected(&engine, "lite", 1).await;
    mend(&file);
    // No change of the table tells the lane; a verification makes the engine look.
    source
        .execute("ALTER TABLE t ADD COLUMN c int DEFAULT 5")
        .await;
    engine.tahr(&["verify", "s"]).assert_code(1);
    engine.tahr(&["rejected", "retry", "s", "--all"]);
    await_rejected(&engine, "lite", 0).await;
    source.execute("UPDATE t SET v = 'new' WHERE id = 1").await;
    eventually(SOON, "all is equal", async || {
        let verified = engine.tahr(&["verify", "s"]);
        verified
            .stdout
            .contains("6 rows: equal")
            .then_some(())
            .ok_or(verified.stdout)
    })
    .await;
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_the_target_can_not_hold_is_missing_and_no_obstacle() {
    let source = Postgres::shared().database().await;
    let pg = Postgres::shared().database().await;
    let maria = MariaDb::shared().database().await;
    source
        .execute(
            "CREATE TABLE t (id int PRIMARY KEY, n numeric(10,2), at timestamptz);
             INSERT INTO t SELECT g, g * 40, now() FROM generate_series(1, 3) g",
        )
        .await;
    let config = format!(
        "[sources.src]\nurl = '{}'\n\
         [targets.pg]\nplugin = 'postgres'\noptions = {{ url = '{}' }}\n\
         [targets.maria]\nplugin = 'mysql'\noptions = {{ url = '{}' }}\n\
         [syncs.s]\nsources = ['src']\ntargets = ['pg', 'maria']\ntables = ['public.*']\n\
         on_rejected = 'set_aside'\n",
        source.url(),
        pg.url(),
        maria.url()
    );
    let engine = Engine::builder().config(config).build();
    let running = engine.start();
    for target in ["pg", "maria"] {
        engine.await_lane(target, State::Streaming).await;
    }
    source
        .execute("INSERT INTO t VALUES (4, 4, 'infinity'), (5, 5, now())")
        .await;
    await_rejected(&engine, "maria", 1).await;
    engine.tahr(&["verify", "s/pg"]).assert_success();
    pg.execute("DELETE FROM t WHERE id = 3; ALTER TABLE t ALTER n TYPE numeric(4,2)")
        .await;
    let verified = engine.tahr(&["verify", "s"]);
    verified.assert_code(1);
    for line in [
        "s/pg  public.t  5 rows: 0 differing, 1 missing, 0 extra\n    missing: id = 3\n",
        "s/maria  public.t  5 rows: 0 differing, 1 missing, 0 extra; 1 set aside, see",
    ] {
        assert!(verified.stdout.contains(line), "{}", verified.stdout);
    }
    running.terminate().assert_success();
}
