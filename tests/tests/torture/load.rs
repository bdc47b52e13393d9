//! Sessions that write to the source until they are told to stop, whatever becomes of it.
//!
//! Each session has rows of its own, so that none waits for another for longer than a statement; only
//! a truncate is everybody's. Identical rows without a key, sums and counts show what comes twice.
//!
//! For some transactions at a time only some kinds of statements are made: what hides faults of one
//! kind, as a moved key that keeps a table's changes from going in bulk, is away then.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tahr_tests::Random;
use tokio::task::JoinHandle;
use tokio_postgres::error::SqlState;

/// Sessions of every load.
pub(super) const SESSIONS: u64 = 3;

/// Tables with their columns. All values print alike in every target.
pub(super) const TABLES: [(&str, &[&str]); 6] = [
    ("events", &["session", "line"]),
    ("counters", &["id", "n"]),
    ("tallies", &["session", "n"]),
    ("items", &["id", "name", "price", "big"]),
    ("pairs", &["a", "b", "n"]),
    ("notes", &["id", "line"]),
];

/// The one without a key, and so without rows to tell apart.
pub(super) const KEYLESS: &str = "events";

/// Makes the tables, with rows in them.
pub(super) const SETUP: &str = "
    CREATE TABLE events (session int, line varchar(100));
    ALTER TABLE events REPLICA IDENTITY FULL;
    INSERT INTO events SELECT g % 3, 'before' FROM generate_series(1, 60) g;
    CREATE TABLE counters (id int PRIMARY KEY, n bigint NOT NULL);
    INSERT INTO counters SELECT g, 0 FROM generate_series(0, 59) g;
    CREATE TABLE tallies (session int PRIMARY KEY, n bigint NOT NULL);
    INSERT INTO tallies SELECT g, 0 FROM generate_series(0, 2) g;
    CREATE TABLE items (id int PRIMARY KEY, name varchar(100), price numeric(10,2), big text);
    ALTER TABLE items ALTER big SET STORAGE EXTERNAL;
    INSERT INTO items SELECT g, 'name ' || g, g + 0.25, repeat(md5(g::text), 100)
      FROM generate_series(0, 149) g;
    CREATE TABLE pairs (a varchar(20), b int, n bigint, PRIMARY KEY (a, b));
    INSERT INTO pairs SELECT 'p' || g % 3, g, 0 FROM generate_series(0, 89) g;
    CREATE TABLE notes (id int PRIMARY KEY, line varchar(200));
    INSERT INTO notes SELECT g, 'before' FROM generate_series(1, 50) g;
    CREATE SCHEMA other;
    CREATE TABLE other.noise (line text)";

/// What a statement does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    AppendEvents,
    ChangeOneEvent,
    MoveCounts,
    InsertItem,
    RenameItem,
    RenameSomeItems,
    EmptyItem,
    DeleteItem,
    MoveItem,
    SwapItems,
    MovePair,
    CountPairs,
    AddNotes,
    TruncateNotes,
    ManyNotes,
}

/// All of them, and how often they are chosen beside each other.
const KINDS: [(Kind, u64); 15] = [
    (Kind::AppendEvents, 16),
    (Kind::ChangeOneEvent, 4),
    (Kind::MoveCounts, 16),
    (Kind::InsertItem, 8),
    (Kind::RenameItem, 4),
    (Kind::RenameSomeItems, 4),
    (Kind::EmptyItem, 4),
    (Kind::DeleteItem, 4),
    (Kind::MoveItem, 4),
    (Kind::SwapItems, 4),
    (Kind::MovePair, 4),
    (Kind::CountPairs, 4),
    (Kind::AddNotes, 4),
    (Kind::TruncateNotes, 4),
    (Kind::ManyNotes, 1),
];
/// So many transactions in a row are made of the same kinds.
const PHASE: u64 = 40;

/// Those of one phase: each is there or not, by the toss of a coin.
fn kinds_of(mut dice: Random) -> Vec<(Kind, u64)> {
    loop {
        let kinds: Vec<_> = KINDS.into_iter().filter(|_| dice.one_in(2)).collect();
        if kinds.len() > 1 {
            return kinds;
        }
    }
}

/// One of them, by their weights.
fn one_of(kinds: &[(Kind, u64)], dice: &mut Random) -> Kind {
    let mut place = dice.below(kinds.iter().map(|(_, weight)| weight).sum());
    let chosen = kinds.iter().find(|(_, weight)| {
        let is_here = place < *weight;
        place = place.saturating_sub(*weight);
        is_here
    });
    chosen.expect("one of them").0
}

/// A running load.
pub(super) struct Load {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    sessions: Vec<JoinHandle<u64>>,
}

/// One session.
struct Session {
    number: u64,
    dice: Random,
    /// Which kinds each phase has, the same for all sessions.
    phases: u64,
    /// The last key that it gave to a row.
    key: u64,
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
}

impl Load {
    /// Starts to write to the database at `url`, on which load number `run` has written nothing yet;
    /// sessions rest for up to `pause` between transactions.
    pub(super) fn start(url: &str, random: &mut Random, run: u64, pause: Duration) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let done = Arc::new(AtomicU64::new(0));
        let phases = random.next_u64();
        let sessions = (0..SESSIONS).map(|number| {
            let session = Session {
                number,
                dice: Random::from_seed(random.next_u64()),
                phases,
                // As many keys for each as no load comes to.
                key: (1 + run * SESSIONS + number) * 5_000_000,
                stop: Arc::clone(&stop),
                done: Arc::clone(&done),
            };
            tokio::spawn(session.write(url.to_owned(), pause))
        });
        Self {
            sessions: sessions.collect(),
            stop,
            done,
        }
    }

    /// Transactions so far.
    pub(super) fn transactions(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// Ends it when the last transactions are over; says how many there were.
    pub(super) async fn end(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        let mut transactions = 0;
        for session in self.sessions {
            transactions += session.await.expect("a session of the load");
        }
        transactions
    }
}

/// Whether the server, or the session to it, has ended.
fn is_gone(error: &tokio_postgres::Error) -> bool {
    error
        .code()
        .is_none_or(|code| code.code().starts_with("57P"))
}

impl Session {
    async fn write(mut self, url: String, pause: Duration) -> u64 {
        let mut transactions = 0;
        while !self.stop.load(Ordering::Relaxed) {
            // A server that is being restarted is waited for.
            let Ok((session, connection)) =
                tokio_postgres::connect(&url, tokio_postgres::NoTls).await
            else {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            let connection = tokio::spawn(connection);
            while !self.stop.load(Ordering::Relaxed) {
                let statements = self.transaction();
                match session.batch_execute(&statements).await {
                    Ok(()) => {
                        transactions += 1;
                        self.done.fetch_add(1, Ordering::Relaxed);
                    }
                    Err(error) if is_gone(&error) => break,
                    // Whoever changes all rows at once, as tests do, takes them in another order.
                    Err(error) if error.code() == Some(&SqlState::T_R_DEADLOCK_DETECTED) => {
                        if session.batch_execute("ROLLBACK").await.is_err() {
                            break;
                        }
                    }
                    Err(error) => panic!("{error:?}: {statements}"),
                }
                let pause = u64::try_from(pause.as_micros()).expect("a pause");
                tokio::time::sleep(Duration::from_micros(self.dice.below(pause))).await;
            }
            connection.abort();
        }
        transactions
    }

    /// The statements of one transaction.
    fn transaction(&mut self) -> String {
        let phase = self.done.load(Ordering::Relaxed) / PHASE;
        let kinds = kinds_of(Random::from_seed(self.phases.wrapping_add(phase)));
        let mut chosen: Vec<Kind> = (0..=self.dice.below(4))
            .map(|_| one_of(&kinds, &mut self.dice))
            .collect();
        // A truncate comes first, so that nobody waits for what waits for it.
        chosen.sort_by_key(|kind| *kind != Kind::TruncateNotes);
        let number = self.number;
        let mut statements = String::from("BEGIN;");
        for kind in chosen {
            statements += &self.statement(kind);
        }
        statements + &format!("UPDATE tallies SET n = n + 1 WHERE session = {number}; COMMIT")
    }

    fn statement(&mut self, kind: Kind) -> String {
        let number = self.number;
        let rows = self.dice.below(30) + 1;
        let id = self.own(50);
        match kind {
            Kind::AppendEvents => format!(
                "INSERT INTO events SELECT {number}, 'line ' || g % 3
                 FROM generate_series(1, {rows}) g;"
            ),
            // One of several that are alike.
            Kind::ChangeOneEvent => {
                let change = match self.dice.one_in(2) {
                    true => "DELETE FROM events",
                    false => "UPDATE events SET line = 'changed'",
                };
                format!(
                    "{change} WHERE ctid = (SELECT min(ctid) FROM events WHERE session = {number});"
                )
            }
            Kind::MoveCounts => format!(
                "UPDATE counters SET n = n - {rows} WHERE id = {};
                 UPDATE counters SET n = n + {rows} WHERE id = {};",
                self.own(20),
                self.own(20)
            ),
            Kind::InsertItem => {
                let key = self.own_key();
                let length = self.dice.below(200) + 1;
                format!(
                    "INSERT INTO items VALUES ({key}, 'new', {rows}.25, repeat(md5('{key}'), {length}));"
                )
            }
            Kind::RenameItem => format!("UPDATE items SET name = 'n{rows}' WHERE id = {id};"),
            // What it leaves out has to be kept by every target.
            Kind::RenameSomeItems => format!(
                "UPDATE items SET name = 'm{rows}'
                 WHERE id % {SESSIONS} = {number} AND id / {SESSIONS} % {} = 0;",
                self.dice.below(17) + 1
            ),
            Kind::EmptyItem => {
                format!("UPDATE items SET price = -price, big = NULL WHERE id = {id};")
            }
            Kind::DeleteItem => format!("DELETE FROM items WHERE id = {id};"),
            Kind::MoveItem => {
                let key = self.own_key();
                format!("UPDATE items SET id = {key} WHERE id = {id};")
            }
            Kind::SwapItems => {
                // Another one.
                let other = SESSIONS * ((id / SESSIONS + 1 + self.dice.below(49)) % 50) + number;
                let away = -1 - i64::try_from(number).expect("a number");
                format!(
                    "UPDATE items SET id = {away} WHERE id = {id};
                     UPDATE items SET id = {id} WHERE id = {other};
                     UPDATE items SET id = {other} WHERE id = {away};"
                )
            }
            Kind::MovePair => {
                let key = self.new_keys(1);
                format!(
                    "UPDATE pairs SET b = {key} WHERE (a, b) =
                     (SELECT a, b FROM pairs WHERE a = 'p{number}' ORDER BY b LIMIT 1);"
                )
            }
            Kind::CountPairs => format!("UPDATE pairs SET n = n + 1 WHERE a = 'p{number}';"),
            Kind::AddNotes => {
                let (last, first) = (self.new_keys(rows), self.key - rows + 1);
                format!(
                    "INSERT INTO notes SELECT g, 'line' FROM generate_series({first}, {last}) g;"
                )
            }
            Kind::TruncateNotes => {
                let key = self.new_keys(1);
                format!("TRUNCATE notes; INSERT INTO notes VALUES ({key}, 'first');")
            }
            Kind::ManyNotes => self.many(),
        }
    }

    /// Statements that make some thousand changes.
    fn many(&mut self) -> String {
        let rows = 1000 + self.dice.below(3000);
        let (last, first) = (self.new_keys(rows), self.key - rows + 1);
        format!(
            "INSERT INTO notes SELECT g, repeat('x', 150) FROM generate_series({first}, {last}) g;
             UPDATE notes SET line = 'changed' WHERE id BETWEEN {first} AND {last} AND id % 3 = 0;
             DELETE FROM notes WHERE id BETWEEN {first} AND {last} AND id % 10 <> 0;"
        )
    }

    /// One of the first `count` rows of a table that are the session's.
    fn own(&mut self, count: u64) -> u64 {
        self.dice.below(count) * SESSIONS + self.number
    }

    /// The last of so many keys that no row ever had.
    fn new_keys(&mut self, count: u64) -> u64 {
        self.key += count;
        self.key
    }

    /// A new key of a row that stays the session's by its remainder, too.
    fn own_key(&mut self) -> u64 {
        let next = self.key + 1;
        let up = (SESSIONS + self.number - next % SESSIONS) % SESSIONS;
        self.new_keys(1 + up)
    }
}
