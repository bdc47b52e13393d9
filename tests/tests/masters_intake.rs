//! What the stream of a source leaves out, an intake reads from the source.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tahr::{
    log::{LaneId, Log},
    masters::{
        Tables,
        intake::{Intake, Seen, Setup},
        rows::{Field, fields},
    },
    reconcile::{Blob, Change, Op},
    record::Relations,
    shutdown::Stop,
    source::{Table, catalog},
};
use tahr_plugin_api::{
    Change as StreamChange, Lsn, Op as StreamOp, Position, Relation, TableName,
    abi::{Arena, ArenaBuilder},
};
use tahr_postgres_connect::Url;
use tahr_tests::{Database, Postgres, eventually};
use tempfile::TempDir;
use tokio::sync::mpsc;

const SOON: Duration = Duration::from_secs(60);
const APPLICATION: &str = "tahr intake test";

/// An intake of a database whose log is written by the test.
struct Scene {
    _folder: TempDir,
    database: Database,
    relations: Vec<Arc<Relation>>,
    log: Arc<Log>,
    intake: Intake,
    seen: mpsc::Receiver<Seen>,
    stop: Stop,
    commits: u64,
}

/// A change: of the table with this place, and the texts of the old row's key and the new row;
/// `?` stands for a value that is left out.
type Told<'a> = (usize, Option<&'a [&'a str]>, &'a [&'a str]);

impl Scene {
    /// The tables of `setup` in the schema `public`, in order of their names.
    async fn new(setup: &str) -> Self {
        let database = Postgres::shared().database().await;
        database.execute(setup).await;
        let url = Url::parse(database.url()).unwrap();
        let client = url.connect_source("tahr").await.unwrap();
        let wanted = |table: &TableName| table.schema == "public";
        let mut tables: Vec<Table> = catalog::tables(&client, &wanted).await.unwrap();
        tables.sort_by(|a, b| a.relation.source.cmp(&b.relation.source));
        let known = Arc::new(Relations::default());
        let relations = tables
            .iter()
            .map(|table| known.version_of(in_stream(table.relation.clone())));
        let relations = relations.collect();
        let folder = tempfile::tempdir().unwrap();
        let log = Log::new(folder.path(), 1 << 20, Position::default()).unwrap();
        let log = Arc::new(log);
        let stop = Stop::default();
        let (sink, seen) = mpsc::channel(4);
        let intake = Intake::spawn(Setup {
            member: 0,
            log: Arc::clone(&log),
            lane: LaneId(0),
            relations: known,
            tables: Arc::new(Tables::agree(&[("one".to_owned(), tables)]).unwrap()),
            engine: "e".to_owned(),
            sync: "s".to_owned(),
            cut: Lsn::ZERO,
            url,
            application: APPLICATION.to_owned(),
            runtime: tokio::runtime::Handle::current(),
            stop: stop.clone(),
            sink,
        });
        Self {
            _folder: folder,
            database,
            relations,
            log,
            intake: intake.unwrap(),
            seen,
            stop,
            commits: 0,
        }
    }

    /// Lets the stream show a transaction `xid` of these changes.
    fn show(&mut self, xid: &str, changes: &[Told<'_>]) {
        self.commits += 1;
        let mut builder = ArenaBuilder::default();
        // The stream has the lower half of the number.
        let xid = xid.parse::<u64>().unwrap() & u64::from(u32::MAX);
        builder.begin(self.commits * 100, 0, u32::try_from(xid).unwrap(), None);
        for (ordinal, (table, old, new)) in (0..).zip(changes) {
            let relation = builder.relation(self.relations[*table].version);
            let mut row = |values: &[&str]| {
                let row = builder.start_row();
                for value in values {
                    match *value {
                        "?" => builder.push_unchanged(),
                        text => builder.push_text(text),
                    }
                }
                row
            };
            let (old, new) = (old.map(&mut row), row(new));
            let flags = StreamChange::KEY_ONLY;
            builder.change(StreamOp::Update, flags, relation, old, Some(new), ordinal);
        }
        builder.commit(self.commits * 100 + 50, changes.len() as u64);
        let arena: Arena = builder.finish();
        self.log.append(arena).now_or_never().unwrap().unwrap();
    }

    /// The number of a transaction that everybody sees.
    async fn past(&self) -> String {
        self.database.value("SELECT txid_current()::text").await
    }

    /// What is seen next, other than how far the source was read.
    async fn next(&mut self) -> Vec<Change> {
        loop {
            let seen = tokio::time::timeout(SOON, self.seen.recv()).await;
            match seen.expect("nothing was seen").unwrap() {
                Seen::Transactions(transactions) => {
                    return transactions.into_iter().flat_map(|t| t.changes).collect();
                }
                Seen::Reached(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    async fn end(self) {
        self.stop.stop();
        tokio::task::spawn_blocking(move || self.intake.join())
            .await
            .unwrap();
    }
}

/// `relation` as the stream announces it: columns in their order, the primary key as identity.
fn in_stream(mut relation: Relation) -> Relation {
    for (index, column) in (0..).zip(&mut relation.columns) {
        column.source_index = index;
    }
    for index in 0..relation.columns.len() {
        relation.columns[index].in_identity = relation.primary_key.contains(&index);
    }
    relation
}

/// The values of a packed row or key as text; null is `-`.
fn texts(packed: &Blob) -> Vec<String> {
    let text = |field| match field {
        Field::Null => "-".to_owned(),
        Field::Unchanged => panic!("a value is left out"),
        Field::Text(text) => text.to_owned(),
    };
    fields(packed).map(text).collect()
}

fn row(change: &Change) -> Vec<String> {
    match &change.op {
        Op::Put(row) | Op::Move { row, .. } => texts(&row.payload),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn values_are_read_as_the_stream_prints_them() {
    let columns = "a boolean, b character(5), c inet, d bytea, e text, f float8, g timestamptz,
         h name, i jsonb, j int[], k text";
    let values = r#"true, 'ab', '10.0.0.1', '\x00ff', 'it''s \ back', 0.1, '2026-01-31 12:00+02',
         'n', '{"a": 1}', '{1,NULL}', NULL"#;
    let mut scene = Scene::new(&format!(
        "CREATE TABLE t ({columns}, z int PRIMARY KEY); INSERT INTO t VALUES ({values}, 7)"
    ))
    .await;
    let left_out = ["?"; 11];
    let told = [&left_out[..], &["7"]].concat();
    let past = scene.past().await;
    scene.show(&past, &[(0, None, &told)]);
    let expected = [
        "t",
        "ab   ",
        "10.0.0.1",
        "\\x00ff",
        "it's \\ back",
        "0.1",
        "2026-01-31 10:00:00+00",
        "n",
        "{\"a\": 1}",
        "{1,NULL}",
        "-",
        "7",
    ];
    assert_eq!(row(&scene.next().await[0]), expected);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_is_found_by_any_key_and_in_its_own_table() {
    let mut scene = Scene::new(
        r#"CREATE SCHEMA other; CREATE TYPE other.mood AS ENUM ('o''k', 'so "so"');
         CREATE DOMAIN other.code AS character(4);
         CREATE TABLE "a T" (v text, m other.mood, c other.code, n numeric(9,2),
           PRIMARY KEY (n, m, c));
         INSERT INTO "a T" VALUES ('one', 'so "so"', 'x', 1.5), ('two', 'o''k', 'x', 1.5);
         CREATE TABLE b (id int PRIMARY KEY, v text); CREATE TABLE b_child () INHERITS (b);
         ALTER TABLE b_child ADD PRIMARY KEY (id);
         INSERT INTO b_child VALUES (1, 'child');  INSERT INTO b VALUES (1, 'parent');
         INSERT INTO b_child VALUES (2, 'child');
         CREATE TABLE c (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
         CREATE TABLE c1 PARTITION OF c FOR VALUES FROM (1) TO (10);
         INSERT INTO c VALUES (1, 'partition')"#,
    )
    .await;
    let names: Vec<_> = scene
        .relations
        .iter()
        .map(|r| r.source.table.clone())
        .collect();
    assert_eq!(names[..3], ["a T", "b", "b_child"]);
    let partitioned = names.iter().position(|name| name == "c").unwrap();
    let past = scene.past().await;
    scene.show(
        &past,
        &[
            (0, None, &["?", "so \"so\"", "x   ", "1.50"]),
            (0, None, &["?", "o'k", "x   ", "1.50"]),
            (1, None, &["1", "?"]),
            (1, None, &["2", "?"]),
            (2, None, &["2", "?"]),
            (partitioned, None, &["1", "?"]),
        ],
    );
    let seen: Vec<_> = scene.next().await.iter().map(row).collect();
    assert_eq!(
        seen,
        [
            &["x   ", "so \"so\"", "1.50", "one"][..],
            &["x   ", "o'k", "1.50", "two"],
            &["1", "parent"],
            &["2", "child"],
            &["1", "partition"],
        ]
    );
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_whose_row_is_gone_is_dropped_and_of_a_move_the_departure_stays() {
    let mut scene = Scene::new(
        "CREATE TABLE t (id int PRIMARY KEY, n int, v text); INSERT INTO t VALUES (1, 1, 'now')",
    )
    .await;
    let past = scene.past().await;
    let old: &[&str] = &["9", "?", "?"];
    scene.show(
        &past,
        &[
            (0, None, &["1", "5", "?"]),
            (0, None, &["2", "5", "?"]),
            (0, Some(old), &["3", "5", "?"]),
            (0, Some(old), &["1", "6", "?"]),
            (0, None, &["4", "5", "whole"]),
        ],
    );
    // Nothing is left of this one.
    scene.show(&past, &[(0, None, &["2", "5", "?"])]);
    scene.show(&past, &[(0, None, &["1", "7", "?"])]);
    let seen = scene.next().await;
    assert_eq!(seen.len(), 4);
    assert_eq!(row(&seen[0]), ["1", "5", "now"]);
    let key = |change: &Change| texts(change.key.row.as_ref().unwrap());
    assert_eq!(
        (key(&seen[1]), &seen[1].op),
        (vec!["9".to_owned()], &Op::Delete)
    );
    assert!(matches!(&seen[2].op, Op::Move { to, .. } if *to == seen[0].key));
    assert_eq!(row(&seen[2]), ["1", "6", "now"]);
    assert_eq!(row(&seen[3]), ["4", "5", "whole"]);
    assert_eq!(row(&scene.next().await[0]), ["1", "7", "now"]);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_is_read_only_once_its_transaction_can_be_seen() {
    let mut scene = Scene::new("CREATE TABLE t (id int PRIMARY KEY, n int, v text)").await;
    let past = scene.past().await;
    let late = scene.database.connect().await;
    late.batch_execute("BEGIN; INSERT INTO t VALUES (1, 1, 'inserted with it')")
        .await
        .unwrap();
    let xid: String = late
        .query_one("SELECT txid_current()::text", &[])
        .await
        .unwrap()
        .get(0);
    // The stream is ahead of what others see.
    scene.show(&xid, &[(0, None, &["1", "2", "?"])]);
    scene.show(&past, &[(0, None, &["2", "2", "whole"])]);
    let count = format!(
        "SELECT count(*)::text FROM pg_stat_activity WHERE application_name = '{APPLICATION}'
         AND datname = current_database() AND query LIKE '%txid_visible%'"
    );
    eventually(SOON, "the intake asks", async || {
        match scene.database.value(&count).await.as_str() {
            "1" => Ok(()),
            other => Err(format!("{other} sessions")),
        }
    })
    .await;
    assert!(scene.seen.try_recv().is_err());
    late.batch_execute("COMMIT").await.unwrap();
    assert_eq!(row(&scene.next().await[0]), ["1", "2", "inserted with it"]);
    assert_eq!(row(&scene.next().await[0]), ["2", "2", "whole"]);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_rows_are_completed_and_a_broken_session_is_opened_again() {
    let mut scene = Scene::new(
        "CREATE TABLE t (id int PRIMARY KEY, n int, v text);
         INSERT INTO t SELECT g, g, 'v' || g FROM generate_series(1, 1500) g",
    )
    .await;
    let past = scene.past().await;
    for round in 0..2 {
        let ids: Vec<String> = (1..=1500).map(|id: u32| id.to_string()).collect();
        let rows: Vec<[&str; 3]> = ids.iter().map(|id| [id.as_str(), "0", "?"]).collect();
        let told: Vec<Told<'_>> = rows.iter().map(|row| (0, None, &row[..])).collect();
        scene.show(&past, &told);
        let seen = scene.next().await;
        assert_eq!(seen.len(), 1500, "round {round}");
        for (id, change) in ids.iter().zip(&seen) {
            assert_eq!(row(change), [id.as_str(), "0", &format!("v{id}")]);
        }
        scene
            .database
            .execute(&format!(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                 WHERE application_name = '{APPLICATION}' AND datname = current_database();
                 ALTER TABLE IF EXISTS t RENAME TO renamed"
            ))
            .await;
    }
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_can_not_be_asked_any_more_has_another_shape() {
    for (statement, part) in [
        ("ALTER TABLE t RENAME v TO w", "column"),
        ("ALTER TABLE t DROP CONSTRAINT t_pkey", "primary key"),
        ("DROP TABLE t", "gone"),
    ] {
        let mut scene = Scene::new("CREATE TABLE t (id int PRIMARY KEY, n int, v text)").await;
        scene.database.execute(statement).await;
        let past = scene.past().await;
        scene.show(&past, &[(0, None, &["1", "2", "?"])]);
        let seen = tokio::time::timeout(SOON, scene.seen.recv()).await.unwrap();
        let Some(Seen::Reshaped { table, message }) = seen else {
            panic!("{statement}: {seen:?}");
        };
        assert_eq!(table, TableName::new("public", "t"));
        assert!(message.contains(part), "{message}");
        scene.end().await;
    }
}
