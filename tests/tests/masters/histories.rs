//! Random histories on real servers, against the simplest model there is: of the changes that meet,
//! the last one of each row stays.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tahr_tests::{Masters, Random, Rows};
use tokio_postgres::error::SqlState;

use super::PLAIN;

/// Keys that all masters write.
const KEYS: u64 = 6;

/// What one master holds: row by key.
type Table = BTreeMap<u64, String>;

/// The last change of each key since the masters were equal; none is a delete.
type Last = BTreeMap<u64, Option<String>>;

/// A statement, whatever the row is like, and what it changes in a table; nothing if it changes no
/// row.
fn change(random: &mut Random, table: &Table, value: &str) -> (String, Vec<(u64, Option<String>)>) {
    let key = random.below(KEYS);
    let has = table.contains_key(&key);
    let set = |key: u64| (key, Some(value.to_owned()));
    match random.below(6) {
        0 | 1 => {
            let sql = format!("UPDATE t SET v = '{value}' WHERE id = {key}");
            (sql, has.then(|| set(key)).into_iter().collect())
        }
        2 => {
            let sql = format!("DELETE FROM t WHERE id = {key}");
            (sql, has.then_some((key, None)).into_iter().collect())
        }
        _ => {
            let sql = format!(
                "INSERT INTO t VALUES ({key}, '{value}') ON CONFLICT (id) DO UPDATE SET v = excluded.v"
            );
            (sql, vec![set(key)])
        }
    }
}

async fn start() -> Masters {
    let mut masters = Masters::new(3, PLAIN).await;
    masters.start("conflict = \"latest\"").await;
    masters[0].execute("DELETE FROM t").await;
    masters.everywhere("SELECT count(*) FROM t", "0").await;
    masters.settle().await;
    masters
}

#[tokio::test(flavor = "multi_thread")]
async fn of_all_changes_that_meet_the_last_one_of_each_row_is_everywhere() {
    let mut random = Random::new();
    let mut masters = start().await;
    let mut agreed = Table::new();
    for round in 0..12 {
        masters.pause().await;
        let mut tables = vec![agreed.clone(); 3];
        let mut last = Last::new();
        for step in 0..random.below(8) + 1 {
            let place = usize::try_from(random.below(3)).expect("a place");
            let mut transaction = String::from("BEGIN; ");
            for part in 0..random.below(3) + 1 {
                let value = format!("{round}.{step}.{part} on {place}");
                let (sql, changes) = change(&mut random, &tables[place], &value);
                transaction.push_str(&format!("{sql}; "));
                for (key, row) in changes {
                    match &row {
                        Some(value) => tables[place].insert(key, value.clone()),
                        None => tables[place].remove(&key),
                    };
                    last.insert(key, row);
                }
            }
            masters[place]
                .execute(&format!("{transaction}COMMIT"))
                .await;
        }
        if random.one_in(4) {
            masters.kill9();
            masters.run();
            masters.await_state("s", "paused").await;
        }
        masters.resume();
        for (key, row) in last {
            match row {
                Some(value) => agreed.insert(key, value),
                None => agreed.remove(&key),
            };
        }
        let rows = agreed
            .iter()
            .map(|(key, value)| vec![Some(key.to_string()), Some(value.clone())]);
        let expected = Rows::new(rows.collect());
        let limit = Duration::from_secs(30);
        tahr_tests::eventually(
            limit,
            format!("round {round} ends as the model does"),
            async || {
                for database in masters.databases() {
                    expected.same_as(&Rows::postgres(database, "SELECT id, v FROM t").await?)?;
                }
                Ok(())
            },
        )
        .await;
        masters.settle().await;
    }
    masters.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn masters_that_write_at_the_same_time_are_equal_at_rest() {
    let mut random = Random::new();
    let mut masters = start().await;
    for round in 0..4 {
        let end = Instant::now() + Duration::from_millis(300 + random.below(400));
        let mut writers = Vec::new();
        for place in 0..3 {
            let session = masters[place].connect().await;
            let mut dice = Random::from_seed(random.next_u64());
            writers.push(tokio::spawn(async move {
                let mut step = 0;
                while Instant::now() < end {
                    step += 1;
                    let mut keys: Vec<_> =
                        (0..dice.below(3) + 1).map(|_| dice.below(KEYS)).collect();
                    // In order, or an apply and a writer wait for each other until one is ended.
                    keys.sort_unstable();
                    let statements: Vec<_> = keys
                        .into_iter()
                        .map(|key| statement(&mut dice, key, &format!("{round}.{step} on {place}")))
                        .collect();
                    let transaction = format!("BEGIN; {}; COMMIT", statements.join("; "));
                    match session.batch_execute(&transaction).await {
                        Ok(()) => {}
                        // A row that an apply brought between a delete and the insert behind it.
                        Err(error) if error.code() == Some(&SqlState::UNIQUE_VIOLATION) => {
                            session.batch_execute("ROLLBACK").await.expect("roll back");
                        }
                        Err(error) => panic!("write: {error:?}"),
                    }
                    tokio::time::sleep(Duration::from_millis(dice.below(10))).await;
                }
            }));
        }
        if random.one_in(2) {
            tokio::time::sleep(Duration::from_millis(random.below(300))).await;
            masters.kill9();
            masters.run();
        }
        for writer in writers {
            writer.await.expect("a writer");
        }
        masters.settle().await;
    }
    masters.end().await;
}

fn statement(random: &mut Random, key: u64, value: &str) -> String {
    match random.below(5) {
        0 => format!("DELETE FROM t WHERE id = {key}"),
        1 => format!("UPDATE t SET v = '{value}', n = n + 1 WHERE id = {key}"),
        2 => format!("DELETE FROM t WHERE id = {key}; INSERT INTO t VALUES ({key}, '{value}')"),
        _ => format!(
            "INSERT INTO t VALUES ({key}, '{value}') ON CONFLICT (id) DO UPDATE SET v = excluded.v"
        ),
    }
}
