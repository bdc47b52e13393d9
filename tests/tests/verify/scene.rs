//! A busy source, its targets, and hands that plant differences in them.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tahr::lane::State;
use tahr_tests::{Database, Engine, Finished, Postgres, Random, Rows, Run, Running, eventually};
use tokio::task::JoinHandle;

use crate::scene::fail_if_parked;

/// How long targets may take to follow.
const PATIENCE: Duration = Duration::from_secs(60);
/// Keys up to here are never touched by the load.
pub(crate) const QUIET: u64 = 500;
/// Rows of `accounts`.
const ACCOUNTS: u64 = 4000;

const SETUP: &str = "
    CREATE TABLE branches (bid int PRIMARY KEY, balance bigint);
    INSERT INTO branches VALUES (1, 0);
    CREATE TABLE accounts (aid int PRIMARY KEY, bid int, balance numeric(12,2), ratio float8, filler text);
    ALTER TABLE accounts ALTER filler SET STORAGE EXTERNAL;
    INSERT INTO accounts SELECT g, 1, g, g / 7.0, CASE WHEN g % 10 = 0 THEN repeat(md5(g::text), 100) END
      FROM generate_series(1, 4000) g;
    CREATE TABLE history (aid int, delta int, at timestamptz DEFAULT now());
    CREATE TABLE words (word text PRIMARY KEY, n int, ok bool);
    INSERT INTO words SELECT 'word ' || g, g, g % 2 = 0 FROM generate_series(1, 1000) g;
    INSERT INTO words VALUES ('', 1, NULL), ('it''s \"a\"\\b', 2, true), (E'tab\\tand\\nline', 3, false),
      ('ünïcødé ☃', 4, true), ('NULL', 5, NULL);
    CREATE TABLE pairs (n numeric(10,2), b int, a varchar(20), PRIMARY KEY (a, b));
    INSERT INTO pairs SELECT g + 0.5, g, 'p' || g % 7 FROM generate_series(1, 1000) g;
    CREATE TABLE ids (id uuid PRIMARY KEY, at timestamptz, day date, data bytea, doc jsonb, tags text[]);
    INSERT INTO ids SELECT md5(g::text)::uuid, '2020-01-01'::timestamptz + g * interval '1 h',
        '2020-01-01'::date + g, decode(md5(g::text), 'hex'), jsonb_build_object('n', g), ARRAY['a', g::text]
      FROM generate_series(1, 1000) g;
    CREATE TABLE people (id int PRIMARY KEY, secret text, name text);
    INSERT INTO people SELECT g, 'secret ' || g, 'name ' || g FROM generate_series(1, 1000) g;
    CREATE TABLE moments (at timestamptz, flag bool, v text, PRIMARY KEY (at, flag));
    INSERT INTO moments SELECT '2020-01-01'::timestamptz + g * interval '1 h', g % 2 = 0, 'v'
      FROM generate_series(1, 500) g;
    CREATE TABLE empty (id int PRIMARY KEY, v text)";

/// Tables as PostgreSQL targets and as others have them, with their columns.
pub(crate) const TABLES: [(&str, &str, &str); 7] = [
    ("branches", "branches", "bid, balance"),
    ("accounts", "accounts", "aid, bid, balance, filler"),
    ("words", "words", "word, n"),
    ("pairs", "pairs", "a, b, n"),
    ("ids", "ids", "id, at, day, doc"),
    ("people", "clients", "id, name"),
    ("empty", "empty", "id, v"),
];

/// An engine that copies the source into PostgreSQL and SQLite.
pub(crate) struct Subjects {
    pub(crate) source: Database,
    pub(crate) postgres: Database,
    pub(crate) sqlite: PathBuf,
    pub(crate) engine: Engine,
}

/// [`Subjects`] that stream.
pub(crate) struct Scene {
    pub(crate) subjects: Subjects,
    pub(crate) running: Running,
}

impl Scene {
    pub(crate) async fn new() -> Self {
        let server = Postgres::shared();
        let (source, postgres) = (server.database().await, server.database().await);
        source.execute(SETUP).await;
        let sqlite = Run::current().make_folder("sqlite").join("target.db");
        let config = format!(
            "[sources.src]\nurl = '{}'\n\
             [targets.pg]\nplugin = 'postgres'\noptions = {{ url = '{}' }}\n\
             [targets.lite]\nplugin = 'sqlite'\noptions = {{ path = '{}', synchronous = 'off' }}\n\
             [syncs.s]\nsources = ['src']\ntargets = ['pg', 'lite']\ntables = ['public.*']\n\
             [syncs.s.table.\"public.people\"]\nrename = 'clients'\nexclude = ['secret']\n",
            source.url(),
            postgres.url(),
            sqlite.display()
        );
        let engine = Engine::builder().config(config).build();
        source
            .execute("ALTER TABLE history REPLICA IDENTITY FULL")
            .await;
        let running = engine.start();
        for target in ["pg", "lite"] {
            engine.await_lane(target, State::Streaming).await;
        }
        let subjects = Subjects {
            source,
            postgres,
            sqlite,
            engine,
        };
        Self { subjects, running }
    }

    /// Verifies, with a code that it has to end with.
    #[track_caller]
    pub(crate) fn verify(&self, arguments: &[&str], code: i32) -> Finished {
        let finished = self
            .subjects
            .engine
            .tahr(&[&["verify"], arguments].concat());
        finished.assert_code(code);
        finished
    }

    /// All that a verification found: `target table kind key`, with the key's values in order of
    /// their columns' names.
    #[track_caller]
    pub(crate) fn found(&self, arguments: &[&str], code: i32) -> BTreeSet<String> {
        let json = self.verify(&[arguments, &["--json"]].concat(), code).json();
        found(&json)
    }

    /// Changes the SQLite file behind the engine's back.
    pub(crate) fn lite(&self, statements: &str) {
        let file = rusqlite::Connection::open(&self.subjects.sqlite).expect("open the file");
        file.busy_timeout(PATIENCE).expect("be patient");
        file.execute_batch(statements).expect("plant in SQLite");
    }

    /// Waits until both targets hold the source's rows.
    pub(crate) async fn settle(&self) {
        let Subjects {
            source,
            postgres,
            sqlite,
            ..
        } = &self.subjects;
        eventually(PATIENCE, "the targets equal the source", async || {
            fail_if_parked(&self.running);
            for (table, renamed, columns) in TABLES {
                let query = format!("SELECT {columns} FROM {table}");
                let expected = Rows::postgres(source, &query).await?;
                let query = format!("SELECT {columns} FROM {renamed}");
                let found = Rows::postgres(postgres, &query).await?;
                let same = expected.same_as(&found);
                same.map_err(|fault| format!("{table} in postgres: {fault}"))?;
                let same = expected.same_as(&Rows::sqlite(sqlite, &query)?);
                same.map_err(|fault| format!("{table} in sqlite: {fault}"))?;
            }
            Ok::<(), String>(())
        })
        .await;
    }
}

pub(crate) fn found(json: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    for lane in list(&json["lanes"]) {
        for table in list(&lane["tables"]) {
            let count = ["differing", "missing", "extra"].iter();
            let count: u64 = count.map(|kind| table[kind].as_u64().unwrap_or(0)).sum();
            let keys = list(&table["keys"]);
            assert_eq!(count, keys.len() as u64, "{table}");
            for row in keys {
                let key = row["key"].as_object().expect("a key").values();
                let key: Vec<&str> = key.filter_map(Value::as_str).collect();
                found.insert(format!(
                    "{} {} {} {}",
                    lane["lane"]
                        .as_str()
                        .unwrap_or_default()
                        .trim_start_matches("s/"),
                    table["table"]
                        .as_str()
                        .unwrap_or_default()
                        .trim_start_matches("public."),
                    row["kind"].as_str().unwrap_or_default(),
                    key.join("|")
                ));
            }
        }
    }
    found
}

/// Transactions without end, from several sessions, until it is ended.
pub(crate) struct Load {
    is_over: Arc<AtomicBool>,
    sessions: Vec<JoinHandle<()>>,
    done: Arc<AtomicU64>,
}

impl Load {
    /// Random transactions on the tables of a [`Scene`].
    pub(crate) async fn on(source: &Database) -> Self {
        let mut random = Random::new();
        let next = move |fresh| transaction(&mut random, fresh);
        Self::run(source, next).await
    }

    /// These transactions, over and over.
    pub(crate) async fn of(source: &Database, statements: &'static [&'static str]) -> Self {
        let mut turn = statements.iter().cycle();
        let next = move |_| turn.next().map(ToString::to_string).unwrap_or_default();
        Self::run(source, next).await
    }

    async fn run(source: &Database, next: impl FnMut(u64) -> String + Send + 'static) -> Self {
        let next = Arc::new(Mutex::new(next));
        let is_over = Arc::new(AtomicBool::new(false));
        let done = Arc::new(AtomicU64::new(0));
        let mut sessions = Vec::new();
        for session in 0..3 {
            let client = source.connect().await;
            let next = Arc::clone(&next);
            let (is_over, done) = (Arc::clone(&is_over), Arc::clone(&done));
            sessions.push(tokio::spawn(async move {
                let mut number = 0;
                while !is_over.load(Ordering::SeqCst) {
                    number += 1;
                    let fresh = 10_000_000 * (session + 1) + number;
                    let sql = {
                        let mut next = next.lock().unwrap_or_else(PoisonError::into_inner);
                        next(fresh)
                    };
                    client.batch_execute(&sql).await.expect("the load");
                    done.fetch_add(1, Ordering::SeqCst);
                    // Busy, but not all that the machine can do.
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }));
        }
        Self {
            is_over,
            sessions,
            done,
        }
    }

    /// Ends it; says how many transactions there were.
    pub(crate) async fn end(self) -> u64 {
        self.is_over.store(true, Ordering::SeqCst);
        for session in self.sessions {
            session.await.expect("a session of the load");
        }
        self.done.load(Ordering::SeqCst)
    }
}

/// One transaction; `fresh` is a key that nobody else has.
fn transaction(random: &mut Random, fresh: u64) -> String {
    let aid = QUIET + 1 + random.below(ACCOUNTS - QUIET);
    let delta = random.below(1000);
    match random.below(8) {
        0 => format!(
            "BEGIN; INSERT INTO accounts VALUES ({fresh}, 1, 0, 0.1, repeat('x', 3000));
             INSERT INTO words VALUES ('{fresh}', {delta}, false); COMMIT"
        ),
        // A row that comes and goes, always under the same key.
        1 => "INSERT INTO empty VALUES (1, 'here') ON CONFLICT DO NOTHING; DELETE FROM empty WHERE id = 1"
            .to_owned(),
        2 => format!("DELETE FROM words WHERE n = {delta} AND word ~ '^[0-9]'"),
        3 => format!("UPDATE pairs SET n = n + 1 WHERE b = {}", QUIET + 1 + delta / 2),
        4 => format!(
            "UPDATE ids SET at = now(), data = NULL WHERE id = md5('{}')::uuid",
            QUIET + 1 + delta / 2
        ),
        5 => format!("UPDATE people SET name = '{fresh}', secret = 's' WHERE id = {}", QUIET + 1 + delta / 2),
        // As pgbench does: one row that all of them want.
        _ => format!(
            "BEGIN; UPDATE accounts SET balance = balance + {delta} WHERE aid = {aid};
             UPDATE branches SET balance = balance + {delta} WHERE bid = 1;
             INSERT INTO history VALUES ({aid}, {delta}); COMMIT"
        ),
    }
}
