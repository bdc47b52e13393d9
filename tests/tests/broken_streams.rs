//! A stream that breaks goes on without loss and without repeating.

use std::time::Duration;

use tahr::lane::State;
use tahr_tests::{Database, Engine, Postgres, Proxy, Scripted, eventually, sync};

const SOON: Duration = Duration::from_secs(30);
const COLUMNS: &[&str] = &["id", "v"];

async fn table(server: &Postgres) -> Database {
    let database = server.database().await;
    database
        .execute("CREATE TABLE t (id serial PRIMARY KEY, v text)")
        .await;
    database
}

/// As short as it can be: a source that is silent for two seconds is out of reach.
const IMPATIENT: &str = "?keepalives_idle=1&keepalives_interval=1&keepalives_count=1";

/// Ends the walsender of the database's slot.
fn terminate(database: &Database) -> String {
    format!(
        "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots \
         WHERE database = '{}' AND active_pid IS NOT NULL",
        database.name()
    )
}

/// Waits until there are more such calls than `before`.
async fn called_again(one: &Scripted, start: &str, before: usize) {
    eventually(SOON, format!("{start} again"), async || {
        let calls = one.count(start);
        (calls > before).then_some(()).ok_or(format!("{calls}"))
    })
    .await;
}

/// What the running engine says is wrong with its source.
fn fault(engine: &Engine) -> Result<String, String> {
    let source = engine.report()?.sources.pop().ok_or("no source")?;
    source
        .fault
        .map(|fault| fault.message)
        .ok_or_else(|| "no fault".to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminated_walsender_loses_and_repeats_nothing() {
    let database = table(&Postgres::shared()).await;
    let one = Scripted::new();
    let engine = Engine::builder()
        .config(sync(database.url(), &[("one", &one)], ""))
        .build();
    let running = engine.start();
    engine.await_lane("one", State::Streaming).await;
    let terminate = terminate(&database);
    let mut terminated = 0;
    for round in 0..6 {
        database
            .execute("INSERT INTO t (v) SELECT 'a' FROM generate_series(1, 2000)")
            .await;
        if round % 2 == 0 {
            terminated += database.query(&terminate).await.len();
        }
    }
    assert!(terminated > 0);
    eventually(SOON, "one holds all", async || {
        one.holds(&database, "t", COLUMNS).await
    })
    .await;
    one.batches();
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_source_loses_and_repeats_nothing() {
    let mut server = Postgres::own(None, &[]);
    let database = table(&server).await;
    let one = Scripted::new();
    let engine = Engine::builder()
        .config(sync(database.url(), &[("one", &one)], ""))
        .build();
    let running = engine.start();
    engine.await_lane("one", State::Streaming).await;
    for round in 0..2 {
        database
            .execute("INSERT INTO t (v) SELECT 'a' FROM generate_series(1, 1000)")
            .await;
        if round == 0 {
            server.restart();
        } else {
            server.kill();
        }
        if round == 1 {
            eventually(SOON, "the fault is shown", async || fault(&engine)).await;
            server.start();
        }
        database.execute("INSERT INTO t (v) VALUES ('b')").await;
        eventually(SOON, "one holds all", async || {
            one.holds(&database, "t", COLUMNS).await
        })
        .await;
    }
    one.batches();
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_in_use_by_another_is_named_and_taken_once_it_is_free() {
    let database = table(&Postgres::shared()).await;
    let (one, other) = (Scripted::new(), Scripted::new());
    let config = sync(database.url(), &[("one", &one)], "");
    let engine = Engine::builder().config(config).build();
    let running = engine.start();
    engine.await_lane("one", State::Streaming).await;
    let second = Engine::builder().build();
    let head = format!("[engine]\nname = \"{}\"\n", engine.name());
    second.write_config(&(head + &sync(database.url(), &[("one", &other)], "")));
    let waiting = second.start();
    let slot = format!("tahr_{}_src", engine.name());
    eventually(SOON, "the slot is named", async || match waiting.stderr() {
        log if log.contains(&format!("slot \"{slot}\" is in use by pid")) => Ok(()),
        log => Err(log),
    })
    .await;
    running.terminate().assert_success();
    database.execute("INSERT INTO t (v) VALUES ('a')").await;
    eventually(SOON, "the second takes over", async || {
        other.holds(&database, "t", COLUMNS).await
    })
    .await;
    waiting.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_out_of_reach_at_the_start_is_tried_until_it_is_there() {
    let server = Postgres::shared();
    let database = table(&server).await;
    let proxy = Proxy::start(server.address()).await;
    let one = Scripted::new();
    let url = database.url_through(&proxy);
    proxy.refuse();
    let engine = Engine::builder()
        .config(sync(&url, &[("one", &one)], ""))
        .build();
    let running = engine.start();
    let address = proxy.address().to_string();
    eventually(SOON, "it says what it tried", async || {
        match running.stderr() {
            log if log.contains("can't be opened yet") && log.contains(&address) => Ok(()),
            log => Err(log),
        }
    })
    .await;
    proxy.resume();
    database.execute("INSERT INTO t (v) VALUES ('a')").await;
    eventually(SOON, "one holds it", async || {
        one.holds(&database, "t", COLUMNS).await
    })
    .await;
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_altered_on_the_way_are_reported_and_read_again() {
    let server = Postgres::shared();
    let database = table(&server).await;
    let proxy = Proxy::start(server.address()).await;
    let one = Scripted::new();
    let url = database.url_through(&proxy);
    let engine = Engine::builder()
        .config(sync(&url, &[("one", &one)], ""))
        .build();
    let running = engine.start();
    engine.await_lane("one", State::Streaming).await;
    // The kind of a column; its length; the number of columns.
    for (word, from, to) in [
        (
            "kind",
            b"t\0\0\0\x04kind".as_slice(),
            b"?\0\0\0\x04kind".as_slice(),
        ),
        (
            "length",
            b"t\0\0\0\x06length".as_slice(),
            b"t\0\x7f\0\x06length".as_slice(),
        ),
        (
            "shape",
            b"\0\x02t\0\0\0".as_slice(),
            b"\0\x09t\0\0\0".as_slice(),
        ),
    ] {
        proxy.alter(from, to);
        database
            .execute(&format!(
                "INSERT INTO t (v) VALUES ('before'), ('{word}'), ('after')"
            ))
            .await;
        eventually(SOON, "all is stored", async || {
            one.holds(&database, "t", COLUMNS).await
        })
        .await;
        assert!(proxy.has_altered(), "{word}");
        let fault = fault(&engine).expect("what was wrong");
        assert!(fault.contains("stream of the source"), "{word}: {fault}");
    }
    proxy.cut();
    database.execute("INSERT INTO t (v) VALUES ('cut')").await;
    eventually(SOON, "all is stored", async || {
        one.holds(&database, "t", COLUMNS).await
    })
    .await;
    one.batches();
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_stream_tells_the_slot_nothing_that_is_only_read() {
    let database = table(&Postgres::shared()).await;
    let one = Scripted::new();
    // Nothing is old enough to be told, whatever is stored.
    let config = sync(database.url(), &[("one", &one)], "");
    assert!(config.contains("redo = \"200ms\""), "{config}");
    let engine = Engine::builder()
        .config(config.replace("redo = \"200ms\"", "redo = \"1h\""))
        .build();
    let running = engine.start();
    engine.await_lane("one", State::Streaming).await;
    let of = |what: &str| {
        let name = database.name();
        format!("SELECT {what} FROM pg_replication_slots WHERE database = '{name}'")
    };
    let before = database.value(&of("confirmed_flush_lsn")).await;
    for _ in 0..3 {
        database
            .execute("INSERT INTO t (v) SELECT 'a' FROM generate_series(1, 2000)")
            .await;
        eventually(SOON, "one holds all", async || {
            one.holds(&database, "t", COLUMNS).await
        })
        .await;
        let server = database.value(&of("active_pid")).await;
        database
            .value(&of("pg_terminate_backend(active_pid)"))
            .await;
        eventually(SOON, "the stream is open again", async || {
            let now = database.value(&of("coalesce(active_pid, 0)")).await;
            let is_new = now != "0" && now != server;
            is_new.then_some(()).ok_or(now)
        })
        .await;
        // Its first word to the server may need a moment.
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert_eq!(database.value(&of("confirmed_flush_lsn")).await, before);
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_breaks_inside_a_large_transaction_stores_it_once() {
    let mut server = Postgres::own(None, &[("wal_sender_timeout", "2s")]);
    let database = table(&server).await;
    let proxy = Proxy::start(server.address()).await;
    let one = Scripted::new();
    let url = database.url_through(&proxy) + IMPATIENT;
    let engine = Engine::builder()
        .setting("memory = \"1MiB\"")
        .config(sync(&url, &[("one", &one)], ""))
        .build();
    let running = engine.start();
    engine.await_lane("one", State::Streaming).await;
    let mut broken = running
        .stderr()
        .matches("stream of the source broke")
        .count();
    for how in ["cut", "terminated", "restarted", "silent"] {
        let held = one.count("write held");
        let before = one.position();
        one.script("write hold part=middle");
        database
            .execute("INSERT INTO t (v) SELECT repeat('x', 600) FROM generate_series(1, 15000)")
            .await;
        called_again(&one, "write held", held).await;
        // The rest is on its way: there is no room for it in memory.
        match how {
            "cut" => proxy.cut(),
            "terminated" => {
                // A target that takes its time is no reason for the server to give up.
                tokio::time::sleep(Duration::from_secs(4)).await;
                let log = running.stderr();
                assert_eq!(
                    log.matches("stream of the source broke").count(),
                    broken,
                    "{log}"
                );
                assert_eq!(database.query(&terminate(&database)).await.len(), 1);
            }
            "restarted" => {
                let stopping = std::time::Instant::now();
                server.restart();
                let took = stopping.elapsed();
                assert!(
                    took < Duration::from_secs(15),
                    "the source took {took:?} to stop"
                );
            }
            _ => proxy.hold(),
        }
        one.script("");
        eventually(SOON, format!("it is noticed: {how}"), async || {
            let log = running.stderr();
            let count = log.matches("stream of the source broke").count();
            (count > broken).then_some(()).ok_or(log)
        })
        .await;
        if how == "silent" {
            let fault = fault(&engine).expect("what is wrong");
            assert!(
                fault.contains("has not answered for 2 s") || fault.contains("no answer"),
                "{fault}"
            );
            proxy.resume();
        }
        eventually(SOON, format!("it is stored: {how}"), async || {
            let now = one.position();
            (now > before).then_some(()).ok_or(format!("{now:?}"))
        })
        .await;
        broken = running
            .stderr()
            .matches("stream of the source broke")
            .count();
    }
    one.holds(&database, "t", &["id"])
        .await
        .expect("one holds all");
    one.batches();
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_source_is_noticed_and_keeps_nobody_from_stopping() {
    let server = Postgres::shared();
    let database = table(&server).await;
    let proxy = Proxy::start(server.address()).await;
    let one = Scripted::new();
    let url = database.url_through(&proxy) + IMPATIENT;
    let engine = Engine::builder()
        .config(sync(&url, &[("one", &one)], ""))
        .build();
    let running = engine.start();
    engine.await_lane("one", State::Streaming).await;
    proxy.hold();
    database.execute("INSERT INTO t (v) VALUES ('a')").await;
    eventually(SOON, "the fault is shown", async || fault(&engine)).await;
    proxy.cut();
    proxy.resume();
    eventually(SOON, "one holds it", async || {
        one.holds(&database, "t", COLUMNS).await
    })
    .await;
    proxy.hold();
    let stopping = std::time::Instant::now();
    running.terminate().assert_success();
    let took = stopping.elapsed();
    assert!(took < Duration::from_secs(10), "it took {took:?} to stop");
    database.execute("INSERT INTO t (v) VALUES ('b')").await;
    proxy.cut();
    proxy.resume();
    let running = engine.start();
    eventually(SOON, "one holds it", async || {
        one.holds(&database, "t", COLUMNS).await
    })
    .await;
    one.batches();
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_others_have_locked_holds_up_nothing() {
    let server = Postgres::shared();
    let database = table(&server).await;
    database
        .execute(
            "CREATE TABLE u (id serial PRIMARY KEY, v text) PARTITION BY RANGE (id);
                  CREATE TABLE u1 PARTITION OF u DEFAULT",
        )
        .await;
    let proxy = Proxy::start(server.address()).await;
    let one = Scripted::new();
    let engine = Engine::builder()
        .config(sync(&database.url_through(&proxy), &[("one", &one)], ""))
        .build();
    let running = engine.start();
    engine.await_lane("one", State::Streaming).await;
    proxy.refuse();
    database
        .execute("INSERT INTO t (v) VALUES ('a'); INSERT INTO u (v) VALUES ('a')")
        .await;
    let owner = database.connect().await;
    owner
        .batch_execute("BEGIN; LOCK TABLE t, u IN ACCESS EXCLUSIVE MODE")
        .await
        .expect("lock the tables");
    // What the stream tells of them on a new connection is completed from the catalog.
    proxy.resume();
    for table in ["public.t", "public.u"] {
        eventually(SOON, format!("one holds the row of {table}"), async || {
            let rows = one.rows(table, COLUMNS).len();
            (rows == 1).then_some(()).ok_or_else(|| running.stderr())
        })
        .await;
    }
    owner.batch_execute("ROLLBACK").await.expect("unlock");
    running.terminate().assert_success();
}
