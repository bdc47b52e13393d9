//! The harness itself: what it promises to every other test.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use tahr_tests::{
    Engine, Keep, Postgres, ProcessId, Proxy, Redis, Rows, Run, Signal, build_folder, eventually,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn a_database_is_fresh_and_gone_after_its_test_with_its_slots() {
    let server = Postgres::shared();
    let observer = server.database().await;
    let first = server.database().await;
    let second = server.database().await;
    assert_ne!(first.name(), second.name());
    first
        .execute("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)")
        .await;
    assert_eq!(second.value("SELECT to_regclass('t') IS NULL").await, "t");

    let slot = format!("slot_{}", first.name());
    first
        .execute(&format!(
            "SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput')"
        ))
        .await;
    let name = first.name().to_owned();
    drop(first);
    let left = format!(
        "SELECT (SELECT count(*) FROM pg_database WHERE datname = '{name}') \
         + (SELECT count(*) FROM pg_replication_slots WHERE slot_name = '{slot}')"
    );
    assert_eq!(observer.value(&left).await, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shared_server_is_one_server_that_decodes_wal() {
    let (one, other) = (Postgres::shared(), Postgres::shared());
    assert_eq!(one.url(), other.url());
    let database = one.database().await;
    assert_eq!(database.value("SHOW wal_level").await, "logical");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_own_server_keeps_its_data_through_stop_and_kill_and_is_gone_when_dropped() {
    let mut server = Postgres::own(None, &[("wal_level", "replica")]);
    let database = server.database().await;
    assert_eq!(database.value("SHOW wal_level").await, "replica");
    database
        .execute("CREATE TABLE t (id int); INSERT INTO t VALUES (1)")
        .await;

    server.restart();
    database.execute("INSERT INTO t VALUES (2)").await;
    server.kill();
    assert!(server.process().is_none());
    assert!(database.try_query("SELECT 1").await.is_err());
    server.start();
    assert_eq!(database.value("SELECT sum(id) FROM t").await, "3");

    let process = server.process().expect("the server runs");
    let address = server.address();
    drop(server);
    assert!(!process.is_alive());
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_postgresql_version_found_here_starts_and_decodes_wal() {
    for version in Postgres::versions()
        .into_iter()
        .filter(|version| *version >= 14)
    {
        let server = Postgres::own(Some(version), &[]);
        let database = server.database().await;
        let number: u32 = database
            .value("SHOW server_version_num")
            .await
            .parse()
            .expect("a number");
        assert_eq!(number / 10_000, version);
        database
            .execute("SELECT pg_create_logical_replication_slot('s', 'pgoutput')")
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_databases_are_apart_and_a_killed_server_is_gone() {
    let shared = Redis::shared();
    let (one, other) = (shared.database(), shared.database());
    one.command::<()>("HSET customers:1 id 1 name ann");
    one.command::<()>("HSET customers:2 id 2");
    assert!(other.keys("").expect("scan").is_empty());
    let found = Rows::redis(&one, "customers:", &["id", "name"]).expect("read hashes");
    let expected = [
        ["1", "ann"].map(|cell| Some(cell.to_owned())).to_vec(),
        vec![Some("2".to_owned()), None],
    ];
    Rows::new(expected.to_vec()).assert_same(&found);

    let mut own = Redis::own(&[]);
    let database = own.database();
    database.command::<()>("SET k v");
    own.kill();
    assert!(database.try_command::<String>("GET k").is_err());
    own.start();
    assert_eq!(database.command::<Option<String>>("GET k"), None);
    let process = own.process().expect("the server runs");
    drop(own);
    assert!(!process.is_alive());
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_postgres_and_sqlite_compare_as_text() {
    let database = Postgres::shared().database().await;
    database
        .execute(
            "CREATE TABLE t (id int, name text, data bytea); \
             INSERT INTO t VALUES (2, NULL, '\\x00ff'), (1, 'é', NULL)",
        )
        .await;
    let file = Run::current().make_folder("sqlite").join("t.db");
    let sqlite = rusqlite::Connection::open(&file).expect("create a file");
    sqlite
        .execute_batch(
            "CREATE TABLE t (id INTEGER, name TEXT, data BLOB); \
             INSERT INTO t VALUES (1, 'é', NULL), (2, NULL, x'00ff')",
        )
        .expect("fill the file");
    let query = "SELECT id, name, data FROM t";
    let expected = Rows::postgres(&database, query)
        .await
        .expect("read PostgreSQL");
    expected.assert_same(&Rows::sqlite(&file, query).expect("read SQLite"));
    sqlite
        .execute_batch("DELETE FROM t WHERE id = 2")
        .expect("delete a row");
    assert!(
        expected
            .same_as(&Rows::sqlite(&file, query).expect("read SQLite"))
            .is_err()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_that_fails_names_the_line_and_what_was_seen_last() {
    let waiting = tokio::spawn(async {
        eventually(Duration::from_millis(50), "two is one", async || {
            Err::<(), _>("two is two".to_owned())
        })
        .await;
    });
    let panic = waiting.await.expect_err("it panics").into_panic();
    let message = panic.downcast_ref::<String>().expect("a message");
    assert!(message.contains("two is one"), "{message}");
    assert!(message.contains("two is two"), "{message}");
    assert!(message.contains(file!()), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_passes_holds_cuts_and_refuses() {
    let echo = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let proxy = Proxy::start(echo.local_addr().expect("an address")).await;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = echo.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                let _ended = tokio::io::copy(&mut from, &mut to).await;
            });
        }
    });

    let mut stream = TcpStream::connect(proxy.address()).await.expect("connect");
    stream.write_all(b"a").await.expect("write");
    assert_eq!(stream.read_u8().await.expect("the echo"), b'a');

    proxy.hold();
    stream.write_all(b"b").await.expect("write");
    let held = timeout(Duration::from_millis(200), stream.read_u8()).await;
    assert!(held.is_err(), "a byte passed while held");
    proxy.resume();
    let passed = timeout(SOON, stream.read_u8()).await.expect("in time");
    assert_eq!(passed.expect("the echo"), b'b');

    proxy.cut();
    let cut = timeout(SOON, stream.read_u8()).await.expect("in time");
    assert!(cut.is_err(), "the connection lives");
    let mut stream = TcpStream::connect(proxy.address())
        .await
        .expect("connect again");
    stream.write_all(b"c").await.expect("write");
    assert_eq!(
        timeout(SOON, stream.read_u8())
            .await
            .expect("in time")
            .expect("the echo"),
        b'c'
    );

    proxy.refuse();
    let mut refused = TcpStream::connect(proxy.address()).await.expect("connect");
    assert!(
        timeout(SOON, refused.read_u8())
            .await
            .expect("in time")
            .is_err()
    );
}

#[test]
fn an_engine_has_a_name_and_a_folder_of_its_own_which_goes_with_it() {
    let (one, other) = (Engine::builder().build(), Engine::builder().build());
    assert_ne!(one.name(), other.name());
    one.tahr(&["--version"]).assert_success();
    assert!(one.config().contains(one.name()));
    let folder = one.folder().to_owned();
    drop(one);
    assert!(!folder.exists());
}

#[test]
fn a_process_is_in_the_ledger_before_it_does_anything() {
    let ledger = Run::current().folder().join("ledger");
    let status = Run::current()
        .command("sh", Keep::Test, None)
        .args(["-c", "grep -q \" process $$:\" \"$0\""])
        .arg(&ledger)
        .status()
        .expect("run a shell");
    assert!(status.success(), "{status}");
}

/// As where a test is killed between starting a process and this one's first step.
#[test]
fn a_process_whose_owner_is_gone_runs_nothing() {
    let folder = Run::current().make_folder("launcher");
    let here = Run::current().process().to_string();
    let mut child = Command::new("true").spawn().expect("run true");
    let gone = ProcessId::of(child.id()).expect("its process").to_string();
    child.wait().expect("wait for its end");
    let touched = folder.join("touched");
    for (run, owner, runs) in [
        (&gone, &here, false),
        (&here, &gone, false),
        (&here, &here, true),
    ] {
        let status = Command::new(build_folder().join("tahr-test-launcher"))
            .arg(&folder)
            .args([run, owner, "process", "-", "touch"])
            .arg(&touched)
            .stderr(Stdio::null())
            .status()
            .expect("run the launcher");
        assert_eq!((status.success(), touched.exists()), (runs, runs));
    }
    std::fs::remove_dir_all(&folder).expect("remove the folder");
}

/// Runs another test of this file as a run of its own, ends it by `signal` once it has started its
/// servers if one is given, and waits until neither its folder nor its servers are left.
async fn nothing_stays_of_a_run_of(test: &str, signal: Option<Signal>) {
    let mut child = Command::new(std::env::current_exe().expect("path of the test executable"))
        .args(["--exact", &format!("harness::{test}")])
        .env_remove("NEXTEST_RUN_ID")
        .env_remove("TAHR_TEST_POSTGRES_URL")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("run the test executable");
    let run = ProcessId::of(child.id()).expect("the run's process");
    let name = format!("tahr-tests-{}", run.to_string().replace(':', "-"));
    let folder: PathBuf = std::env::temp_dir().join(&name);
    let servers = || {
        let processes = std::fs::read_dir("/proc").expect("read /proc").flatten();
        let command = |process: std::fs::DirEntry| std::fs::read(process.path().join("cmdline"));
        let commands = processes.filter_map(|process| command(process).ok());
        let text = commands.map(|command| String::from_utf8_lossy(&command).into_owned());
        text.filter(|command| command.contains("postgres") && command.contains(&name))
            .count()
    };
    eventually(SOON, "the run has a server", async || {
        (servers() > 0)
            .then_some(())
            .ok_or_else(|| "it has none".to_owned())
    })
    .await;
    if let Some(signal) = signal {
        run.signal(signal);
    }
    let status = child.wait().expect("wait for the run's end");
    assert_eq!(status.success(), signal.is_none());
    eventually(2 * SOON, "nothing is left of the run", async || {
        match (folder.exists(), servers()) {
            (false, 0) => Ok(()),
            (folder, servers) => Err(format!("folder: {folder}, servers: {servers}")),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_stays_of_a_run_that_ended() {
    nothing_stays_of_a_run_of("the_shared_server_is_one_server_that_decodes_wal", None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_stays_of_a_run_that_was_killed() {
    let test = "an_own_server_keeps_its_data_through_stop_and_kill_and_is_gone_when_dropped";
    nothing_stays_of_a_run_of(test, Some(Signal::Kill)).await;
}
