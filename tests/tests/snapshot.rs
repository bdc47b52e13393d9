//! A copy sees one moment of the source, by however many ranges, and notices a table that was
//! rewritten after that moment.

use std::time::Duration;

use futures_util::StreamExt as _;
use tahr::source::{Copied, CopyRange, Snapshot, Table, Worker, catalog};
use tahr_plugin_api::TableName;
use tahr_postgres_connect::Url;
use tahr_tests::{Database, Postgres};

const SOON: Duration = Duration::from_secs(60);

async fn tables(url: &Url) -> Vec<Table> {
    let client = url.connect_source("tahr").await.unwrap();
    let wanted = |table: &TableName| table.schema == "public";
    catalog::tables(&client, &wanted).await.unwrap()
}

async fn snapshot(database: &Database) -> (Url, Vec<Table>, Snapshot) {
    let url = Url::parse(database.url()).unwrap();
    let tables = tables(&url).await;
    let snapshot = Snapshot::open(&url, "tahr", SOON, &mut |_| ())
        .await
        .unwrap();
    (url, tables, snapshot)
}

/// The lines of a range, or why there are none.
async fn copy(
    worker: &mut Worker,
    table: &Table,
    range: &CopyRange,
) -> Result<Vec<String>, String> {
    let mut rows = match worker.copy(table, range).await.unwrap() {
        Copied::Rows(rows) => rows,
        Copied::Rewritten(reason) => return Err(reason),
    };
    let mut text = Vec::new();
    while let Some(chunk) = rows.next().await {
        text.extend_from_slice(&chunk.unwrap());
    }
    Ok(String::from_utf8(text)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn ranges_together_hold_every_row_of_the_moment_once() {
    let database = Postgres::shared().database().await;
    database
        .execute(
            "CREATE TABLE t (id int PRIMARY KEY, v text);
             INSERT INTO t SELECT g, repeat('x', 100) FROM generate_series(1, 20000) g",
        )
        .await;
    let (url, tables, snapshot) = snapshot(&database).await;
    database
        .execute("INSERT INTO t VALUES (0, 'late'); DELETE FROM t WHERE id > 10000")
        .await;
    let plan = snapshot.plan(&tables, 2).await.unwrap();
    assert_eq!(plan.len(), 1);
    let mut ids = Vec::new();
    for (from, to) in [(0, Some(100)), (100, Some(250)), (250, None)] {
        let range = CopyRange {
            from_block: from,
            to_block: to,
            ..plan[0].clone()
        };
        let mut worker = Worker::open(&url, "tahr", &snapshot).await.unwrap();
        for line in copy(&mut worker, &tables[0], &range).await.unwrap() {
            ids.push(line.split('\t').next().unwrap().parse::<u32>().unwrap());
        }
    }
    ids.sort_unstable();
    assert!(ids.into_iter().eq(1..=20000));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_rewritten_after_the_snapshot_is_reported_not_copied_as_empty() {
    let database = Postgres::shared().database().await;
    let changes = [
        (
            "truncated",
            "TRUNCATE truncated; INSERT INTO truncated VALUES (2)",
        ),
        ("retyped", "ALTER TABLE retyped ALTER id TYPE bigint"),
        ("widened", "ALTER TABLE widened ADD more int DEFAULT 5"),
        ("narrowed", "ALTER TABLE narrowed DROP v"),
        ("dropped", "DROP TABLE dropped"),
        (
            "replaced",
            "ALTER TABLE replaced RENAME TO old; CREATE TABLE replaced (id int, v int)",
        ),
        ("kept", "INSERT INTO kept VALUES (2)"),
    ];
    for (table, _) in changes {
        let create =
            format!("CREATE TABLE {table} (id int, v int); INSERT INTO {table} VALUES (1)");
        database.execute(&create).await;
    }
    let (url, tables, snapshot) = snapshot(&database).await;
    let plan = snapshot.plan(&tables, 1).await.unwrap();
    for (_, change) in changes {
        database.execute(change).await;
    }
    let mut worker = Worker::open(&url, "tahr", &snapshot).await.unwrap();
    for range in &plan {
        let copied = copy(&mut worker, &tables[range.table], range).await;
        match range.name.table.as_str() {
            "kept" => assert_eq!(copied.as_deref(), Ok(["1\t\\N".to_owned()].as_slice())),
            name => assert!(copied.is_err_and(|reason| reason.contains(name)), "{name}"),
        }
    }
    assert_eq!(plan.len(), changes.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_are_copied_by_column_name_and_a_new_one_is_noticed() {
    let database = Postgres::shared().database().await;
    database
        .execute(
            "CREATE TABLE p (id int, k text) PARTITION BY RANGE (id);
             CREATE TABLE same PARTITION OF p FOR VALUES FROM (0) TO (10);
             CREATE TABLE other (k text, gone int, id int); ALTER TABLE other DROP gone;
             ALTER TABLE p ATTACH PARTITION other FOR VALUES FROM (10) TO (20);
             INSERT INTO p VALUES (1, 'one'), (11, 'eleven')",
        )
        .await;
    let (url, tables, snapshot) = snapshot(&database).await;
    let plan = snapshot.plan(&tables, 1).await.unwrap();
    assert_eq!((tables.len(), plan.len()), (1, 2));
    let mut worker = Worker::open(&url, "tahr", &snapshot).await.unwrap();
    let mut lines = Vec::new();
    for range in &plan {
        lines.extend(copy(&mut worker, &tables[0], range).await.unwrap());
    }
    assert_eq!(lines, ["11\televen", "1\tone"]);
    database
        .execute("CREATE TABLE third PARTITION OF p FOR VALUES FROM (20) TO (30)")
        .await;
    assert!(copy(&mut worker, &tables[0], &plan[0]).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_temporary_slot_is_gone_while_the_snapshot_lives() {
    let database = Postgres::shared().database().await;
    database
        .execute("CREATE TABLE t (id int PRIMARY KEY)")
        .await;
    let (_, _, snapshot) = snapshot(&database).await;
    let query = "SELECT count(*) FROM pg_replication_slots WHERE database = current_database()";
    let start = std::time::Instant::now();
    while database.value(query).await != "0" {
        assert!(start.elapsed() < SOON, "the temporary slot holds WAL back");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(snapshot.is_open());
}
