//! A target that lags holds up nobody: what it lacks is on disk, and the source's slot moves on.

use std::{fs, path::PathBuf, time::Duration};

use tahr::lane::State;
use tahr::source::SourceStatus;
use tahr_plugin_api::Lsn;
use tahr_tests::{Database, Engine, Postgres, Running, Scripted, eventually, sync};

use crate::scene::limit_files;

const SOON: Duration = Duration::from_secs(60);
const COLUMNS: &[&str] = &["id", "v"];
const MIB: u64 = 1 << 20;
/// The script of a target that is out of reach.
const DOWN: &str = "open transient\ncheckpoint transient\nwrite transient\nflush transient";

async fn lsn(database: &Database, sql: &str) -> Lsn {
    database.value(sql).await.parse().expect("an LSN")
}

/// Bytes of WAL that the slot holds back.
async fn held(database: &Database) -> u64 {
    let end = lsn(database, "SELECT pg_current_wal_lsn()").await;
    let name = database.name();
    let sql =
        format!("SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE database = '{name}'");
    end.bytes_since(lsn(database, &sql).await)
}

/// A source with a table, two scripted targets `up` and `down`, and `lines` in the source's section.
async fn start(up: &Scripted, down: &Scripted, lines: &str) -> (Database, Engine, Running) {
    let database = Postgres::shared().database().await;
    database
        .execute("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (0, 'copied')")
        .await;
    let config = sync(database.url(), &[("up", up), ("down", down)], "");
    let config = config.replace("redo = \"200ms\"", &format!("redo = \"200ms\"\n{lines}"));
    let engine = Engine::builder()
        .config(config)
        .setting("memory = \"1MiB\"")
        .build();
    let running = engine.start();
    for name in ["up", "down"] {
        engine.await_lane(name, State::Streaming).await;
    }
    (database, engine, running)
}

/// Rows `from..to`, a hundred to a transaction, about 1 KiB each.
async fn insert(database: &Database, from: u32, to: u32) {
    for start in (from..to).step_by(100) {
        let end = to.min(start + 100) - 1;
        let sql = format!(
            "INSERT INTO t SELECT i, repeat(md5(i::text), 32) FROM generate_series({start}, {end}) i"
        );
        database.execute(&sql).await;
    }
}

async fn both_hold(database: &Database, targets: &[&Scripted], what: &str) {
    eventually(SOON, what, async || {
        for target in targets {
            target.holds(database, "t", COLUMNS).await?;
        }
        Ok(())
    })
    .await;
}

fn source(engine: &Engine) -> Result<SourceStatus, String> {
    let report = engine.report()?;
    report
        .sources
        .into_iter()
        .next()
        .ok_or_else(|| "no source".to_owned())
}

/// Where the engine keeps its log.
fn folder(engine: &Engine) -> PathBuf {
    engine.folder().join("tahr-state/log/src")
}

fn files(engine: &Engine, suffix: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder(engine)) else {
        return Vec::new();
    };
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut paths: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|found| found == suffix))
        .collect();
    paths.sort();
    paths
}

async fn slot_moves_on(database: &Database) {
    eventually(SOON, "the slot holds little", async || {
        match held(database).await {
            held if held < 4 * MIB => Ok(()),
            held => Err(format!("{held} bytes")),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_target_is_down_the_others_and_the_slot_go_on_and_it_catches_up() {
    let (up, down) = (Scripted::new(), Scripted::new());
    let (database, engine, running) = start(&up, &down, "").await;
    assert_eq!(files(&engine, "segment").len(), 0, "nobody lags");
    down.script(DOWN);
    insert(&database, 1, 12_000).await;
    both_hold(&database, &[&up], "the other target holds all").await;
    slot_moves_on(&database).await;
    let status = source(&engine).expect("the source's status");
    assert!(status.log.disk > 10 * MIB, "{:?}", status.log);
    assert!(status.log.fault.is_none() && status.log.cut_off == 0);
    // WAL that is not for it doesn't stay for its sake either.
    database
        .execute(
            "CREATE SCHEMA other; CREATE TABLE other.big AS
             SELECT repeat('x', 1000) FROM generate_series(1, 12000)",
        )
        .await;
    slot_moves_on(&database).await;
    down.script("");
    // It tries again by itself, sooner or later.
    engine.tahr(&["kick", "s"]).assert_success();
    both_hold(&database, &[&up, &down], "it has caught up").await;
    // Without waiting for the lanes to store a bare advance, which they do once a minute.
    eventually(SOON / 3, "the log is empty", async || {
        match files(&engine, "segment").len() {
            0 => Ok(()),
            files => Err(format!("{files} files")),
        }
    })
    .await;
    up.batches();
    down.batches();
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_target_lacks_outlives_the_engine() {
    let (up, down) = (Scripted::new(), Scripted::new());
    let (database, engine, running) = start(&up, &down, "").await;
    down.script(DOWN);
    insert(&database, 1, 3000).await;
    // The log has rows of another version of the table, too.
    database
        .execute("ALTER TABLE t ADD COLUMN w text; UPDATE t SET w = 'new' WHERE id < 50")
        .await;
    insert(&database, 3000, 6000).await;
    both_hold(&database, &[&up], "the other target holds all").await;
    slot_moves_on(&database).await;
    running.kill9();
    insert(&database, 6000, 7000).await;
    let running = engine.start();
    both_hold(&database, &[&up], "the other target holds all again").await;
    slot_moves_on(&database).await;
    // A clean end in between changes nothing.
    running.terminate().assert_success();
    database
        .execute("DELETE FROM t WHERE id BETWEEN 100 AND 200")
        .await;
    let running = engine.start();
    down.script("");
    both_hold(&database, &[&up, &down], "it has caught up").await;
    down.holds(&database, "t", &["id", "w"])
        .await
        .expect("the new column's values");
    up.batches();
    down.batches();
    assert!(!running.stderr().contains("set aside"));
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_lane_goes_on_from_the_log_after_a_restart() {
    let (up, down) = (Scripted::new(), Scripted::new());
    let (database, engine, running) = start(&up, &down, "").await;
    engine.tahr(&["pause", "s/down"]).assert_success();
    engine.await_lane("down", State::Paused).await;
    insert(&database, 1, 6000).await;
    both_hold(&database, &[&up], "the other target holds all").await;
    slot_moves_on(&database).await;
    running.kill9();
    let running = engine.start();
    engine.await_lane("down", State::Paused).await;
    slot_moves_on(&database).await;
    engine.tahr(&["resume", "s/down"]).assert_success();
    both_hold(&database, &[&up, &down], "it has caught up").await;
    down.batches();
    running.terminate().assert_success();
}

/// Flips a bit in the middle of the file.
fn damage(path: &PathBuf) {
    let mut bytes = fs::read(path).expect("read a segment");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).expect("write a segment");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_segment_is_read_again_from_the_slot_and_is_a_gap_where_that_has_moved_on() {
    for has_slot in [true, false] {
        let (up, down) = (Scripted::new(), Scripted::new());
        let (database, engine, running) = start(&up, &down, "log_limit = \"8MiB\"").await;
        if has_slot {
            running.terminate().assert_success();
            let config = engine.config().replace("redo = \"200ms\"", "redo = \"1h\"");
            engine.write_config(&config);
            let running = engine.start();
            run_damaged(&database, &engine, running, (&up, &down), true).await;
        } else {
            run_damaged(&database, &engine, running, (&up, &down), false).await;
        }
    }
}

async fn run_damaged(
    database: &Database,
    engine: &Engine,
    running: Running,
    (up, down): (&Scripted, &Scripted),
    has_slot: bool,
) {
    for name in ["up", "down"] {
        engine.await_lane(name, State::Streaming).await;
    }
    down.script(DOWN);
    insert(database, 1, 4000).await;
    both_hold(database, &[up], "the other target holds all").await;
    eventually(SOON, "some segments are there", async || {
        match files(engine, "segment").len() {
            found if found > 2 => Ok(()),
            found => Err(format!("{found} segments")),
        }
    })
    .await;
    if !has_slot {
        slot_moves_on(database).await;
    }
    damage(&files(engine, "segment")[1]);
    down.script("");
    if has_slot {
        both_hold(database, &[up, down], "both hold all").await;
    } else {
        let lane = engine.await_lane("down", State::Parked).await;
        let fault = lane.fault.expect("why it is parked");
        assert!(fault.message.starts_with("gap:"), "{fault:?}");
    }
    assert_eq!(files(engine, "damaged").len(), 1);
    assert!(
        running
            .stderr()
            .contains("segment file of the log is damaged")
    );
    database.execute("INSERT INTO t VALUES (100000, 'x')").await;
    both_hold(database, &[up], "the other target goes on").await;
    up.batches();
    down.batches();
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn at_log_limit_what_a_target_lacks_stays_in_the_source_and_the_others_go_on() {
    let (up, down) = (Scripted::new(), Scripted::new());
    let (database, engine, running) = start(&up, &down, "log_limit = \"4MiB\"").await;
    down.script(DOWN);
    insert(&database, 1, 12_000).await;
    both_hold(&database, &[&up], "the other target holds all").await;
    let status = source(&engine).expect("the source's status");
    assert!(status.log.disk <= 4 * MIB, "{:?}", status.log);
    assert_eq!(status.log.cut_off, 1);
    let fault = status.log.fault.expect("why").message;
    assert!(fault.contains("log_limit"), "{fault}");
    assert!(held(&database).await > 4 * MIB);
    let shown = engine.tahr(&["status"]).stdout;
    assert!(shown.contains("log_limit"), "{shown}");
    // It outlives the engine, too.
    running.kill9();
    let running = engine.start();
    insert(&database, 12_000, 13_000).await;
    down.script("");
    both_hold(&database, &[&up, &down], "both hold all").await;
    slot_moves_on(&database).await;
    up.batches();
    down.batches();
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn at_log_limit_the_lane_is_parked_if_it_shall_and_holds_nothing_back() {
    let (up, down) = (Scripted::new(), Scripted::new());
    let lines = "log_limit = \"4MiB\"\non_log_limit = \"park\"";
    let (database, engine, running) = start(&up, &down, lines).await;
    down.script(DOWN);
    insert(&database, 1, 12_000).await;
    both_hold(&database, &[&up], "the other target holds all").await;
    let lane = engine.await_lane("down", State::Parked).await;
    let fault = lane.fault.expect("why it is parked");
    assert!(fault.message.contains("log_limit"), "{fault:?}");
    assert!(fault.hint.contains("tahr resync s/down"), "{fault:?}");
    slot_moves_on(&database).await;
    assert_eq!(files(&engine, "segment").len(), 0);
    // The way out that the hint names.
    down.script("");
    engine.tahr(&["resync", "s/down"]).assert_success();
    both_hold(&database, &[&up, &down], "it was copied again").await;
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_the_matter_of_the_target_that_lags() {
    // Their own files are on another disk.
    let server = Postgres::shared();
    let (database, copy) = (server.database().await, server.database().await);
    let down = server.database().await;
    database
        .execute("CREATE TABLE t (id int PRIMARY KEY, v text)")
        .await;
    let config = format!(
        "[sources.src]\nurl = '{}'\nredo = '200ms'\n\
         [targets.up]\nplugin = 'postgres'\noptions = {{ url = '{}' }}\n\
         [targets.down]\nplugin = 'postgres'\noptions = {{ url = '{}' }}\n\
         [syncs.s]\nsources = ['src']\ntargets = ['up', 'down']\ntables = ['public.*']\n",
        database.url(),
        copy.url(),
        down.url(),
    );
    let engine = Engine::builder()
        .config(config)
        .setting("memory = \"1MiB\"")
        .build();
    let running = engine.start();
    for name in ["up", "down"] {
        engine.await_lane(name, State::Streaming).await;
    }
    let holds = async |target: &Database, what: &str| {
        eventually(SOON, what, async || {
            let sql = "SELECT count(*), sum(hashtext(v)) FROM t";
            let (expected, found) = (database.query(sql).await, target.try_query(sql).await?);
            (expected == found)
                .then_some(())
                .ok_or_else(|| format!("{found:?}"))
        })
        .await;
    };
    // The target waits for somebody who has locked its table.
    let lock = down.connect().await;
    lock.batch_execute("BEGIN; LOCK TABLE t")
        .await
        .expect("lock");
    limit_files(&running, Some(300_000));
    insert(&database, 0, 8000).await;
    holds(&copy, "the other target holds all").await;
    let status = source(&engine).expect("the source's status");
    let fault = status.log.fault.expect("why").message;
    assert!(fault.contains("can't be written to disk"), "{fault}");
    assert!(status.is_streaming && status.log.cut_off == 1);
    assert!(held(&database).await > 4 * MIB, "the source keeps it");
    limit_files(&running, None);
    lock.batch_execute("ROLLBACK").await.expect("unlock");
    holds(&down, "it has caught up").await;
    insert(&database, 8000, 9000).await;
    for target in [&copy, &down] {
        holds(target, "both go on").await;
    }
    running.terminate().assert_success();
}
