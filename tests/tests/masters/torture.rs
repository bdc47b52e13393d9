//! Engine and servers killed at random while three writers change the same rows: at the end all are
//! equal, nothing is stuck, nothing goes round, and no row that only one of them wrote was lost.
//!
//! `make torture-masters` runs a minute of it, or `TAHR_TORTURE_SECONDS`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tahr_tests::{Masters, Postgres, Random};

const MASTERS: usize = 3;
/// Rows that all write.
const SHARED: u64 = 20;
const SETUP: &str = "CREATE TABLE accounts (id int PRIMARY KEY, balance int NOT NULL, filler text);
    INSERT INTO accounts SELECT g, 0, repeat('x', 80) FROM generate_series(0, 19) g;
    CREATE TABLE own (writer int, id int, n bigint NOT NULL, PRIMARY KEY (writer, id));
    CREATE TABLE history (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), writer int, delta int)";

/// One who writes on one master and comes back whenever it does.
struct Writer {
    place: usize,
    url: String,
    dice: Random,
    /// The highest number known to be committed in its own rows, each.
    committed: Arc<[AtomicU64; 3]>,
    stop: Arc<AtomicBool>,
    transactions: u64,
}

impl Writer {
    async fn write(mut self) -> u64 {
        let mut number = 0;
        while !self.stop.load(Ordering::Relaxed) {
            let Ok((session, connection)) =
                tokio_postgres::connect(&self.url, tokio_postgres::NoTls).await
            else {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            let connection = tokio::spawn(connection);
            while !self.stop.load(Ordering::Relaxed) {
                number += 1;
                let row = self.dice.below(3);
                let transaction = self.transaction(row, number);
                match session.batch_execute(&transaction).await {
                    Ok(()) => {
                        let index = usize::try_from(row).expect("an index");
                        self.committed[index].store(number, Ordering::Relaxed);
                        self.transactions += 1;
                    }
                    Err(_) if session.is_closed() => break,
                    // A deadlock with an apply, which then comes again.
                    Err(_) => drop(session.batch_execute("ROLLBACK").await),
                }
                let pause = Duration::from_micros(self.dice.below(8000));
                tokio::time::sleep(pause).await;
            }
            connection.abort();
        }
        self.transactions
    }

    fn transaction(&mut self, row: u64, number: u64) -> String {
        let place = self.place;
        let (id, other) = (self.dice.below(SHARED), self.dice.below(SHARED));
        let shared = match self.dice.below(10) {
            0 => format!("DELETE FROM accounts WHERE id = {id}"),
            1 => format!(
                "UPDATE accounts SET filler = 'moved' WHERE id = {id};
                          UPDATE accounts SET balance = -1 WHERE id = {other}"
            ),
            _ => format!(
                "INSERT INTO accounts VALUES ({id}, 1, 'new') ON CONFLICT (id)
                 DO UPDATE SET balance = accounts.balance + 1"
            ),
        };
        format!(
            "BEGIN; {shared}; INSERT INTO history (writer, delta) VALUES ({place}, {number});
             INSERT INTO own VALUES ({place}, {row}, {number}) ON CONFLICT (writer, id)
             DO UPDATE SET n = excluded.n; COMMIT"
        )
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn masters_are_equal_after_engine_and_servers_were_killed_under_load() {
    let asked = std::env::var("TAHR_TORTURE_SECONDS").ok();
    let seconds = asked.map_or(6, |text| {
        text.parse().expect("TAHR_TORTURE_SECONDS is a number")
    });
    let mut random = Random::new();
    let mut servers: Vec<_> = (0..MASTERS).map(|_| Postgres::own(None, &[])).collect();
    let places: Vec<_> = servers.iter().map(|server| (server, SETUP)).collect();
    let mut masters = Masters::on(&places).await;
    drop(places);
    masters.start("conflict = \"latest\"").await;

    let stop = Arc::new(AtomicBool::new(false));
    let mut writers = Vec::new();
    for place in 0..MASTERS {
        let committed: Arc<[AtomicU64; 3]> = Arc::default();
        let writer = Writer {
            place,
            url: masters[place].url().to_owned(),
            dice: Random::from_seed(random.next_u64()),
            committed: Arc::clone(&committed),
            stop: Arc::clone(&stop),
            transactions: 0,
        };
        writers.push((committed, tokio::spawn(writer.write())));
    }
    let end = Instant::now() + Duration::from_secs(seconds);
    let (mut engines, mut kills) = (0, 0);
    while Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(100 + random.below(900))).await;
        if random.one_in(2) {
            masters.kill9();
            masters.run();
            engines += 1;
        } else {
            let server = usize::try_from(random.below(3)).expect("an index");
            match random.one_in(3) {
                true => servers[server].restart(),
                false => {
                    servers[server].kill();
                    tokio::time::sleep(Duration::from_millis(random.below(500))).await;
                    servers[server].start();
                }
            }
            kills += 1;
        }
    }
    stop.store(true, Ordering::Relaxed);
    let mut transactions = 0;
    let mut all_committed = Vec::new();
    for (committed, writer) in writers {
        transactions += writer.await.expect("a writer");
        all_committed.push(committed);
    }
    masters.settle_within(Duration::from_secs(60)).await;
    assert!(
        transactions > 20 * seconds,
        "{transactions} transactions are no load"
    );
    assert!(engines + kills > 0);
    for (place, committed) in all_committed.iter().enumerate() {
        for (row, number) in committed.iter().enumerate() {
            let query = format!(
                "SELECT coalesce(max(n), 0) FROM own WHERE writer = {place} AND id = {row}"
            );
            let found: u64 = masters[0].value(&query).await.parse().expect("a number");
            // The last one may have been committed without an answer.
            let number = number.load(Ordering::Relaxed);
            assert!(
                found >= number,
                "writer {place} committed {number}, and {found} is there"
            );
        }
    }
    let rows: u64 = masters[0]
        .value("SELECT count(*) FROM history")
        .await
        .parse()
        .expect("a number");
    assert!(
        rows >= transactions,
        "{rows} rows of {transactions} transactions"
    );
    // Nothing goes round: no more applies, while time passes.
    let before = masters.applies().await.expect("the applies");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(masters.applies().await.expect("the applies"), before);
    masters.end().await;
}
