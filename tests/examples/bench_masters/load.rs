//! What both have to do, and the clock.

use std::time::{Duration, Instant};

use tahr_tests::Database;
use tokio_postgres::Client;

/// How long all rows may take.
const PATIENCE: Duration = Duration::from_secs(300);
const SAMPLES: usize = 60;

/// Rows to bring from one master to another.
pub(crate) struct Task {
    pub(crate) name: &'static str,
    /// Rows in one transaction.
    step: u32,
    is_update: bool,
    /// Whether the rows are there before replication begins. Else the clock runs from the first
    /// statement on, and includes what the writing itself takes.
    pub(crate) is_backlog: bool,
}

impl Task {
    /// Whether it is what the promise is about.
    pub(crate) const fn is_promised(&self) -> bool {
        !self.is_backlog && !self.is_update
    }
}

const ROWS: u32 = 200_000;

/// In this order, on the same table.
pub(crate) const TASKS: [Task; 6] = [
    Task {
        name: "200,000 inserts, 1000 in a transaction",
        step: 1000,
        is_update: false,
        is_backlog: true,
    },
    Task {
        name: "200,000 inserts in one transaction",
        step: ROWS,
        is_update: false,
        is_backlog: true,
    },
    Task {
        name: "200,000 updates, 1000 in a transaction",
        step: 1000,
        is_update: true,
        is_backlog: true,
    },
    Task {
        name: "200,000 updates in one transaction",
        step: ROWS,
        is_update: true,
        is_backlog: true,
    },
    Task {
        name: "200,000 inserts as they are written",
        step: 1000,
        is_update: false,
        is_backlog: false,
    },
    Task {
        name: "200,000 updates as they are written",
        step: 1000,
        is_update: true,
        is_backlog: false,
    },
];

/// Who replicates.
pub(crate) trait Replication {
    /// Nothing is replicated from now on.
    async fn hold(&self);
    /// All is, at once.
    async fn release(&self);
}

/// A table of six columns, about 150 bytes a row.
pub(crate) const TABLE: &str =
    "CREATE TABLE items (id bigint PRIMARY KEY, name text, price numeric,
    ok bool, at timestamptz, note text)";

/// What was measured of one of them.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    /// Rows per second, for each task.
    pub(crate) rates: Vec<f64>,
    /// Sorted.
    latencies: Vec<Duration>,
}

impl Measured {
    pub(crate) fn median(&self) -> Duration {
        self.latency(50)
    }

    pub(crate) fn latency(&self, per_cent: usize) -> Duration {
        self.latencies[(self.latencies.len() * per_cent / 100).min(self.latencies.len() - 1)]
    }

    /// The tasks whose rows wait, from one to the other.
    pub(crate) async fn backlogs(
        &mut self,
        replication: &impl Replication,
        from: &Database,
        to: &Database,
    ) {
        let (writer, reader) = (from.connect().await, to.connect().await);
        let warm = "INSERT INTO items SELECT -i, 'warm', 0, true, now(), '' FROM generate_series(1, 1000) i";
        writer.batch_execute(warm).await.expect("insert");
        replication.release().await;
        // Not a part of what is measured: first use of everything.
        until(&reader, "SELECT count(*) FROM items WHERE id < 0", 1000).await;
        let mut first = 1;
        for task in TASKS.iter().filter(|task| task.is_backlog) {
            replication.hold().await;
            let start = if task.is_update { 1 } else { first };
            let mark = format!("mark {}", self.rates.len());
            write(&writer, task, start, &mark).await;
            let begun = Instant::now();
            replication.release().await;
            self.await_all(&reader, task, (start, &mark), begun).await;
            if !task.is_update {
                first += ROWS;
            }
        }
    }

    /// The task whose rows are written meanwhile.
    pub(crate) async fn live(&mut self, from: &Database, to: &Database) {
        let (writer, reader) = (from.connect().await, to.connect().await);
        for task in TASKS.iter().filter(|task| !task.is_backlog) {
            let begun = Instant::now();
            write(&writer, task, 10 * ROWS, "live").await;
            self.await_all(&reader, task, (10 * ROWS, "live"), begun)
                .await;
        }
    }

    async fn await_all(
        &mut self,
        reader: &Client,
        task: &Task,
        (start, mark): (u32, &str),
        begun: Instant,
    ) {
        let (last, mark) = (start + ROWS - 1, format!("note = '{mark}'"));
        // A cheap look, by key, until the last row is there; then at all of them.
        let (one, all) = match task.is_update {
            true => (format!("id = {last} AND {mark}"), mark),
            false => (
                format!("id = {last}"),
                format!("id BETWEEN {start} AND {last}"),
            ),
        };
        until(
            reader,
            &format!("SELECT count(*) FROM items WHERE {one}"),
            1,
        )
        .await;
        until(
            reader,
            &format!("SELECT count(*) FROM items WHERE {all}"),
            ROWS.into(),
        )
        .await;
        self.rates
            .push(f64::from(ROWS) / begun.elapsed().as_secs_f64());
    }

    /// Updates of single rows, until they are seen on all others.
    pub(crate) async fn latency_between(&mut self, from: &Database, others: &[&Database]) {
        let writer = from.connect().await;
        let mut readers = Vec::new();
        for other in others {
            readers.push(other.connect().await);
        }
        for sample in 0..SAMPLES {
            // An idle moment, of another length each time.
            tokio::time::sleep(Duration::from_millis(20 + 7 * (sample as u64 % 11))).await;
            let id = sample + 1;
            let update = format!("UPDATE items SET name = 'sample {sample}' WHERE id = {id}");
            writer.batch_execute(&update).await.expect("update a row");
            let committed = Instant::now();
            let look =
                format!("SELECT count(*) FROM items WHERE id = {id} AND name = 'sample {sample}'");
            for reader in &readers {
                while count(reader, &look).await != 1 {
                    assert!(committed.elapsed() < PATIENCE, "a row doesn't arrive");
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
            self.latencies.push(committed.elapsed());
        }
        self.latencies.sort();
    }
}

async fn write(writer: &Client, task: &Task, start: u32, mark: &str) {
    for low in (start..start + ROWS).step_by(task.step as usize) {
        let high = low + task.step - 1;
        let statement = match task.is_update {
            true => format!("UPDATE items SET note = '{mark}' WHERE id BETWEEN {low} AND {high}"),
            false => format!(
                "INSERT INTO items SELECT i, 'name of item ' || i, i * 1.25, i % 2 = 0,
                   now() - i * interval '1 second', repeat(md5(i::text), 2)
                 FROM generate_series({low}::bigint, {high}) i"
            ),
        };
        writer.batch_execute(&statement).await.expect("write rows");
    }
}

async fn until(reader: &Client, query: &str, expected: i64) {
    let begun = Instant::now();
    while count(reader, query).await < expected {
        assert!(begun.elapsed() < PATIENCE, "not {expected}: {query}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn count(reader: &Client, query: &str) -> i64 {
    reader
        .query_one(query, &[])
        .await
        .expect("count rows")
        .get(0)
}
