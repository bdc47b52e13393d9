//! One row in many: in 20,000, or `TAHR_VERIFY_ROWS`. `make verify-million` takes a million, and a minute
//! on a release build.

use std::time::{Duration, Instant};

use tahr::lane::State;
use tahr_tests::{Engine, Postgres, Run};

use super::scene::{Load, found};
use crate::scene::clean;

/// How long one verification may take.
const PATIENCE: Duration = Duration::from_secs(900);

const SETUP: &str = "
    CREATE TABLE branches (bid int PRIMARY KEY, balance bigint);
    INSERT INTO branches SELECT g, 0 FROM generate_series(1, 10) g;
    CREATE TABLE accounts (aid int PRIMARY KEY, bid int, balance int, filler char(84));
    INSERT INTO accounts SELECT g, g % 10, 0, '' FROM generate_series(1, ROWS) g";

/// As pgbench writes.
const LOAD: &[&str] = &[
    "BEGIN; UPDATE accounts SET balance = balance + 1 WHERE aid = (SELECT 2 + (random() * 99997)::int);
     UPDATE branches SET balance = balance + 1 WHERE bid = (SELECT 1 + (random() * 9)::int); COMMIT",
];

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::print_stdout, reason = "it says how long it took")]
async fn one_row_in_many_is_found_and_repaired_under_load() {
    let server = Postgres::shared();
    let (source, target) = (server.database().await, server.database().await);
    let rows = std::env::var("TAHR_VERIFY_ROWS").unwrap_or_else(|_| "20000".to_owned());
    source.execute(&SETUP.replace("ROWS", &rows)).await;
    let sqlite = Run::current().make_folder("sqlite").join("target.db");
    let config = format!(
        "[sources.src]\nurl = '{}'\n\
         [targets.pg]\nplugin = 'postgres'\noptions = {{ url = '{}' }}\n\
         [targets.lite]\nplugin = 'sqlite'\noptions = {{ path = '{}', synchronous = 'off' }}\n\
         [syncs.s]\nsources = ['src']\ntargets = ['pg', 'lite']\ntables = ['public.*']\n",
        source.url(),
        target.url(),
        sqlite.display()
    );
    let engine = Engine::builder().config(config).build();
    let running = engine.start();
    for target in ["pg", "lite"] {
        engine.await_lane(target, State::Streaming).await;
    }
    let load = Load::of(&source, LOAD).await;
    let verify = |arguments: &[&str], code: i32| {
        let begun = Instant::now();
        let verified = engine.spawn(&[&["verify", "--json"], arguments].concat());
        let verified = verified.wait_exit(PATIENCE);
        verified.assert_code(code);
        println!("verify {arguments:?}: {:?}", begun.elapsed());
        found(&verified.json())
    };
    assert!(verify(&[], 0).is_empty());
    // Nobody changes it in the source.
    let plant = "UPDATE accounts SET filler = 'planted' WHERE aid = 1";
    target.execute(plant).await;
    let file = rusqlite::Connection::open(&sqlite).expect("open the file");
    file.busy_timeout(Duration::from_secs(30))
        .expect("be patient");
    file.execute_batch(plant).expect("plant in SQLite");
    let planted = ["lite accounts differing 1", "pg accounts differing 1"];
    let planted = planted.map(str::to_owned).into();
    assert_eq!(verify(&[], 1), planted);
    assert_eq!(verify(&["--repair"], 0), planted);
    assert!(verify(&[], 0).is_empty());
    let done = load.end().await;
    println!("{done} transactions meanwhile");
    clean(&running.terminate().stderr);
}
