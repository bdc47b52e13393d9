//! Whatever is written on one master is on all of them.

use std::time::{Duration, Instant};

use tahr_tests::{Masters, Rows, eventually};

use super::PLAIN;

#[tokio::test(flavor = "multi_thread")]
async fn rows_written_on_any_master_are_on_all() {
    let mut masters = Masters::new(3, PLAIN).await;
    masters.start("").await;
    for (place, statements) in [
        (
            0,
            "INSERT INTO t VALUES (11, 'a'); UPDATE t SET v = 'a' WHERE id = 1",
        ),
        (
            1,
            "UPDATE t SET v = NULL WHERE id = 11; DELETE FROM t WHERE id = 1",
        ),
        (
            2,
            "INSERT INTO t VALUES (1, 'again'); UPDATE t SET n = n + 1; DELETE FROM t WHERE id = 2",
        ),
        (
            1,
            "BEGIN; DELETE FROM t; INSERT INTO t SELECT g, 'c' FROM generate_series(1, 2000) g; COMMIT",
        ),
        (0, "UPDATE t SET v = 'd' WHERE id % 2 = 0"),
    ] {
        masters[place].execute(statements).await;
        let expected = Rows::postgres(&masters[place], "SELECT * FROM t")
            .await
            .expect("rows");
        for database in masters.databases() {
            eventually(
                Duration::from_secs(20),
                format!("after {statements}"),
                async || expected.same_as(&Rows::postgres(database, "SELECT * FROM t").await?),
            )
            .await;
        }
    }
    assert_eq!(masters.conflicts().len(), 0);
    masters.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn moved_keys_and_keys_of_several_columns_travel() {
    let mut masters = Masters::new(
        3,
        "CREATE TABLE t (id int PRIMARY KEY, v text);
         INSERT INTO t SELECT g, 'v' || g FROM generate_series(1, 20) g;
         CREATE TABLE pair (a text, v text, b int, PRIMARY KEY (b, a));
         INSERT INTO pair VALUES ('x', 'one', 1), ('x', 'two', 2), ('', 'none', 1), (E'\\t\\\\N', 'odd', 1)",
    )
    .await;
    masters.start("").await;
    masters[0]
        .execute("UPDATE t SET id = id + 100 WHERE id <= 5")
        .await;
    masters[1]
        .execute("UPDATE t SET id = -id, v = 'moved' WHERE id BETWEEN 6 AND 9")
        .await;
    masters[2]
        .execute("UPDATE pair SET a = 'y' WHERE a = ''; UPDATE pair SET v = 'ONE' WHERE v = 'one'")
        .await;
    masters
        .everywhere("SELECT count(*) FROM t WHERE id > 100 OR v = 'moved'", "9")
        .await;
    masters
        .everywhere(
            "SELECT string_agg(v, ',' ORDER BY v COLLATE \"C\") FROM pair",
            "ONE,none,odd,two",
        )
        .await;
    masters.settle().await;
    // A swap, and a chain, in one statement each.
    masters[1]
        .execute(
            "BEGIN; UPDATE t SET id = 999 WHERE id = 10; UPDATE t SET id = 10 WHERE id = 11;
             UPDATE t SET id = 11 WHERE id = 999; COMMIT;
             DELETE FROM pair WHERE a = 'x' AND b = 2; UPDATE pair SET b = 2 WHERE v = 'ONE'",
        )
        .await;
    masters
        .everywhere("SELECT v FROM t WHERE id = 11", "v10")
        .await;
    masters
        .everywhere("SELECT b::text FROM pair WHERE v = 'ONE'", "2")
        .await;
    assert_eq!(masters.conflicts().len(), 0);
    masters.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_truncate_on_one_empties_all_and_what_comes_after_it_stays() {
    let mut masters = Masters::new(
        3,
        "CREATE TABLE t (id int PRIMARY KEY, v text);
         INSERT INTO t SELECT g, 'v' FROM generate_series(1, 1000) g;
         CREATE TABLE other (id int PRIMARY KEY); INSERT INTO other VALUES (1)",
    )
    .await;
    masters.start("").await;
    masters[1].execute("TRUNCATE t").await;
    masters.everywhere("SELECT count(*) FROM t", "0").await;
    masters[2]
        .execute("BEGIN; INSERT INTO t VALUES (1, 'lost'); TRUNCATE t; INSERT INTO t VALUES (2, 'kept'); COMMIT")
        .await;
    masters
        .everywhere("SELECT string_agg(v, ',') FROM t", "kept")
        .await;
    masters[0].execute("TRUNCATE t, other").await;
    masters
        .everywhere("SELECT count(*) FROM t, other", "0")
        .await;
    masters[0].execute("INSERT INTO other VALUES (5)").await;
    masters.everywhere("SELECT id::text FROM other", "5").await;
    masters.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn values_that_an_update_left_alone_are_kept_whole() {
    let mut masters = Masters::new(
        3,
        "CREATE TABLE t (id int PRIMARY KEY, body text, n int);
         ALTER TABLE t ALTER body SET STORAGE EXTERNAL;
         INSERT INTO t SELECT g, repeat('x' || g, 10000), 0 FROM generate_series(1, 5) g",
    )
    .await;
    masters.start("").await;
    masters[0].execute("UPDATE t SET n = 1 WHERE id = 1").await;
    masters[1]
        .execute("INSERT INTO t VALUES (6, repeat('y', 50000), 0)")
        .await;
    masters
        .everywhere("SELECT count(*) FROM t WHERE length(body) > 15000", "6")
        .await;
    masters[2]
        .execute("UPDATE t SET n = 2 WHERE id IN (2, 6); UPDATE t SET id = 60 WHERE id = 6")
        .await;
    masters
        .everywhere(
            "SELECT length(body)::text FROM t WHERE n = 2 AND id = 60",
            "50000",
        )
        .await;
    // Two changes of one row, one of which leaves the long value alone.
    masters
        .meet(&[
            (0, "UPDATE t SET body = repeat('z', 30000) WHERE id = 3"),
            (1, "UPDATE t SET n = 3 WHERE id = 3"),
        ])
        .await;
    masters
        .everywhere("SELECT left(body, 4) || n FROM t WHERE id = 3", "x3x33")
        .await;
    masters.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_may_be_in_another_order_and_names_may_be_odd() {
    let odd = "CREATE SCHEMA \"Odd\"; CREATE TABLE \"Odd\".\"a \"\"table\"\"\" (\"Key\" text PRIMARY KEY, \"va lue\" bytea, \"select\" jsonb);";
    let mut masters = Masters::each(&[
        &format!("{odd} CREATE TABLE t (id int PRIMARY KEY, a text, b numeric, c timestamptz, twice int GENERATED ALWAYS AS (id * 2) STORED)"),
        &format!("{odd} CREATE TABLE t (c timestamptz, twice int GENERATED ALWAYS AS (id * 2) STORED, b numeric, gone int, id int PRIMARY KEY, a text); ALTER TABLE t DROP gone"),
        &format!("{odd} CREATE TABLE t (b numeric, a text, id int PRIMARY KEY, c timestamptz, twice int GENERATED ALWAYS AS (id * 2) STORED)"),
    ])
    .await;
    let config = masters.configure("").config();
    masters
        .engine()
        .write_config(&config.replace("\"public.*\"", "\"*.*\""));
    masters.run();
    masters.await_state("s", "running").await;
    let row = "(id, a, b, c)";
    for (place, id) in [(0, 1), (1, 2), (2, 3)] {
        masters[place]
            .execute(&format!(
                "INSERT INTO t {row} VALUES ({id}, 'it''s \\ \"{id}\"', 'NaN', '2024-02-29 23:59:59.123456+05:30');
                 INSERT INTO \"Odd\".\"a \"\"table\"\"\" VALUES ('{id}''', '\\x0001ff', '{{\"k\": [1, null, \"é\"]}}')"
            ))
            .await;
    }
    masters
        .everywhere("SELECT sum(twice)::text FROM t", "12")
        .await;
    masters
        .everywhere("SELECT count(*) FROM \"Odd\".\"a \"\"table\"\"\"", "3")
        .await;
    masters[2].execute("UPDATE t SET b = 1.50, c = '-infinity' WHERE id = 1; UPDATE \"Odd\".\"a \"\"table\"\"\" SET \"Key\" = 'new' WHERE \"Key\" LIKE '1%'").await;
    masters[1].execute("UPDATE t SET a = NULL WHERE id = 3; DELETE FROM \"Odd\".\"a \"\"table\"\"\" WHERE \"Key\" LIKE '2%'").await;
    masters
        .everywhere(
            "SELECT b::text || c::text FROM t WHERE id = 1",
            "1.50-infinity",
        )
        .await;
    masters
        .everywhere("SELECT count(*) FROM t WHERE a IS NULL", "1")
        .await;
    masters.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_is_never_seen_in_parts() {
    let mut masters = Masters::new(
        3,
        "CREATE TABLE accounts (id int PRIMARY KEY, balance int NOT NULL);
         INSERT INTO accounts SELECT g, 100 FROM generate_series(1, 50) g",
    )
    .await;
    masters.start("").await;
    let writer = masters[0].connect().await;
    let end = Instant::now() + Duration::from_millis(1500);
    let write = async {
        let mut count = 0;
        while Instant::now() < end {
            let (from, to) = (count % 50 + 1, (count * 7 + 3) % 50 + 1);
            let transfer = format!(
                "BEGIN; UPDATE accounts SET balance = balance - 1 WHERE id = {from};
                 UPDATE accounts SET balance = balance + 1 WHERE id = {to}; COMMIT"
            );
            writer.batch_execute(&transfer).await.expect("a transfer");
            count += 1;
        }
        count
    };
    let look = async {
        let mut looks = 0;
        while Instant::now() < end {
            for place in [1, 2] {
                let sum = masters[place]
                    .value("SELECT sum(balance) FROM accounts")
                    .await;
                assert_eq!(sum, "5000", "a part of a transfer was seen");
                looks += 1;
            }
        }
        looks
    };
    let (transfers, looks) = tokio::join!(write, look);
    assert!(
        transfers > 50 && looks > 50,
        "{transfers} transfers, {looks} looks"
    );
    masters.end().await;
}
