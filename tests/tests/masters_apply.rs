//! An applier writes what a source is owed: all of it, once, and whatever is in the way of some rows
//! holds up no others.

use std::{sync::Arc, time::Duration};

use tahr::{
    masters::{
        Tables,
        apply::{Applier, Event, Order, Setup},
        checkpoint::{self, Left, Notes},
        rows::{self, Field, Packer, fields},
    },
    reconcile::{Blob, Key, Origin, SourceId, TableId, Version},
    shutdown::Stop,
    source::catalog,
};
use tahr_plugin_api::TableName;
use tahr_postgres_connect::Url;
use tahr_tests::{Database, Postgres, eventually};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

const SOON: Duration = Duration::from_secs(30);
const ENGINE: &str = "apply_test";
const SYNC: &str = "shop";

type Change = (Key, Version);

/// An applier and what it is told to write.
struct Scene {
    database: Database,
    tables: Arc<Tables>,
    applier: Option<Applier>,
    events: UnboundedReceiver<Event>,
    fires_triggers: bool,
    sequence: u64,
}

impl Scene {
    async fn new(statements: &str) -> Self {
        Self::on(Postgres::shared().database().await, statements, None).await
    }

    /// The applier is this role, which may be no superuser.
    async fn on(database: Database, statements: &str, role: Option<&str>) -> Self {
        database.execute(statements).await;
        let url = Url::parse(database.url()).unwrap();
        let client = url.connect_source("tahr").await.unwrap();
        assert_eq!(checkpoint::ensure(&client, ENGINE, SYNC).await, Ok(0));
        let wanted = |table: &TableName| table.schema != "tahr";
        let found = catalog::tables(&client, &wanted).await.unwrap();
        let tables = Tables::agree(&[("b".to_owned(), found)]).unwrap();
        let url = match role {
            Some(role) => {
                let grant = format!(
                    "GRANT USAGE ON SCHEMA tahr TO {role}; \
                     GRANT ALL ON ALL TABLES IN SCHEMA public, tahr TO {role}"
                );
                database.execute(&grant).await;
                Url::parse(&database.url_as(role)).unwrap()
            }
            None => url,
        };
        let (applier, events) = applier(url, Arc::new(tables.clone()));
        let mut scene = Self {
            database,
            tables: Arc::new(tables),
            applier: Some(applier),
            events,
            fires_triggers: false,
            sequence: 0,
        };
        match scene.event().await {
            Event::Ready { fires_triggers, .. } => scene.fires_triggers = fires_triggers,
            other => panic!("not ready: {other:?}"),
        }
        scene
    }

    async fn event(&mut self) -> Event {
        next(&mut self.events).await
    }

    fn key(&self, table: &str, values: &[(&str, &str)]) -> Key {
        let id = TableId::of(&TableName::new("public", table));
        let shared = self.tables.get(id).unwrap();
        let names = shared
            .key
            .iter()
            .map(|&at| shared.columns[at].name.as_str());
        Key::new(id, packed(names, values))
    }

    /// A row; columns that are not named are null.
    fn put(&self, table: &str, values: &[(&str, &str)]) -> Change {
        let key = self.key(table, values);
        let shared = self.tables.get(key.table).unwrap();
        let names = shared.columns.iter().map(|column| column.name.as_str());
        let row = rows::row(packed(names, values));
        (key, version(Some(row)))
    }

    fn delete(&self, table: &str, values: &[(&str, &str)]) -> Change {
        (self.key(table, values), version(None))
    }

    fn truncate(&self, table: &str) -> Change {
        let id = TableId::of(&TableName::new("public", table));
        (Key::whole(id), version(None))
    }

    fn order(&mut self, rows: impl IntoIterator<Item = Change>) -> Order {
        self.sequence += 1;
        let mut rows: Vec<Change> = rows.into_iter().collect();
        rows.sort_by(|a, b| a.0.cmp(&b.0));
        Order {
            sequence: self.sequence,
            rows: rows.into(),
            origins: Vec::new(),
        }
    }

    fn send(&self, order: &Order) {
        self.applier.as_ref().unwrap().send(order.clone());
    }

    /// Sends an order; how many keys were written and left out.
    async fn apply(&mut self, rows: impl IntoIterator<Item = Change>) -> (u64, u64) {
        let order = self.order(rows);
        self.send(&order);
        self.applied().await
    }

    async fn applied(&mut self) -> (u64, u64) {
        match self.event().await {
            Event::Applied {
                rows,
                left,
                sequence,
                ..
            } => {
                assert_eq!(sequence, self.sequence);
                (rows, left)
            }
            other => panic!("not applied: {other:?}"),
        }
    }

    /// What the last apply left out.
    async fn left(&self) -> Vec<Left> {
        let client = self.database.connect().await;
        let text = "SELECT notes FROM tahr.checkpoint";
        let notes: Option<Vec<u8>> = client.query_one(text, &[]).await.unwrap().get(0);
        notes.map_or_else(Vec::new, |notes| Notes::decode(&notes).unwrap().left)
    }

    async fn all(&self, query: &str) -> Vec<String> {
        let rows = self.database.query(query).await;
        let text = |row: Vec<Option<String>>| {
            let values = row
                .into_iter()
                .map(|v| v.unwrap_or_else(|| "NULL".to_owned()));
            values.collect::<Vec<_>>().join(" ")
        };
        rows.into_iter().map(text).collect()
    }
}

fn applier(url: Url, tables: Arc<Tables>) -> (Applier, UnboundedReceiver<Event>) {
    let (events, received) = unbounded_channel();
    let setup = Setup {
        member: 0,
        source: "b".to_owned(),
        url,
        application: "tahr apply".to_owned(),
        engine: ENGINE.to_owned(),
        sync: SYNC.to_owned(),
        tables,
        runtime: tokio::runtime::Handle::current(),
        stop: Stop::default(),
        events,
    };
    (Applier::spawn(setup), received)
}

async fn next(events: &mut UnboundedReceiver<Event>) -> Event {
    let event = tokio::time::timeout(SOON, events.recv()).await;
    event
        .expect("the applier says something")
        .expect("the applier lives")
}

fn packed<'a>(names: impl Iterator<Item = &'a str>, values: &[(&str, &str)]) -> Blob {
    let mut packer = Packer::default();
    for name in names {
        let value = values.iter().find(|(column, _)| *column == name);
        packer.field(value.map_or(Field::Null, |(_, text)| Field::Text(text)));
    }
    packer.take()
}

fn version(row: Option<tahr::reconcile::Row>) -> Version {
    Version {
        row,
        from: 0,
        origin: Origin {
            source: SourceId(1),
            time: 0,
            path: Vec::new(),
        },
        moved: None,
        hops: 0,
    }
}

fn values(packed: &Blob) -> Vec<&str> {
    let text = |field| match field {
        Field::Text(text) => text,
        _ => "NULL",
    };
    fields(packed).map(text).collect()
}

/// Rows enough for arrays, and for `COPY`.
const MANY: [usize; 3] = [3, 100, 1_000];

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_written_over_deleted_and_emptied_whatever_the_order_of_columns() {
    for count in MANY {
        let mut scene = Scene::new(
            "CREATE TABLE t (z text, gone int, id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
               twice int GENERATED ALWAYS AS (a * 2) STORED, a int);
             ALTER TABLE t DROP gone;
             INSERT INTO t (z, a) SELECT 'old', g FROM generate_series(1, 40) g",
        )
        .await;
        let number = |i: usize| i.to_string();
        let row = |scene: &Scene, i: usize| {
            let id = number(i);
            scene.put("t", &[("id", &id), ("a", &id), ("z", "new")])
        };
        let rows: Vec<_> = (1..=count).map(|i| row(&scene, i)).collect();
        let total = count.max(40);
        assert_eq!(scene.apply(rows).await, (count as u64, 0));
        let sums =
            "SELECT count(*), count(*) FILTER (WHERE z = 'new'), sum(twice) = 2 * sum(id) FROM t";
        assert_eq!(scene.all(sums).await, [format!("{total} {count} t")]);
        let gone: Vec<_> = (2..=count)
            .map(|i| scene.delete("t", &[("id", &number(i))]))
            .collect();
        scene.apply(gone).await;
        let left = total - count + 1;
        assert_eq!(
            scene.all("SELECT count(*) FROM t").await,
            [left.to_string()]
        );
        let anew = [scene.truncate("t")].into_iter();
        let anew: Vec<_> = anew.chain((5..5 + count).map(|i| row(&scene, i))).collect();
        scene.apply(anew).await;
        let range = "SELECT min(id), max(id), count(*) FROM t";
        let expected = format!("5 {} {count}", 4 + count);
        assert_eq!(scene.all(range).await, [expected]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn values_of_every_kind_arrive_as_they_are_in_tables_of_any_name() {
    let columns = [
        ("a \"b\"", "text", "it's\t\\N\n"),
        ("bytes", "bytea", "\\x00ff5c"),
        ("flag", "bool", "t"),
        ("list", "text[]", "{\"a,b\",NULL,\"\\\\\"}"),
        ("grid", "int[]", "{{1,2},{3,4}}"),
        ("mood", "\"My mood\"", "so so"),
        ("moods", "\"My mood\"[]", "{\"so so\"}"),
        ("small", "short", "abc"),
        ("doc", "jsonb", "{\"a\": [1, null]}"),
        ("raw", "json", "{\"a\":  1}"),
        ("amount", "numeric(20,4)", "12345.6789"),
        ("code", "char(5)", "ab   "),
        ("letter", "\"char\"", "x"),
        ("bits", "bit(3)", "101"),
        ("span", "tstzrange", "[\"2020-01-01 00:00:00+00\",)"),
        ("at", "timestamptz(3)", "2020-01-01 00:00:00.123+00"),
        ("pair", "pair", "(1,\"a b\")"),
        ("who", "regclass", "pg_catalog.pg_class"),
        ("SELECT", "uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    ];
    for (count, odd) in [
        (2, true),
        (100, true),
        (100, false),
        (1_000, true),
        (1_000, false),
    ] {
        // Some types are read otherwise when cast, so their tables go another way.
        let is_in = |name: &str| odd || !["letter", "who"].contains(&name);
        let columns: Vec<_> = columns.iter().filter(|(name, ..)| is_in(name)).collect();
        let defined = columns
            .iter()
            .map(|(name, kind, _)| format!("\"{}\" {kind}", name.replace('"', "\"\"")));
        let mut scene = Scene::new(&format!(
            "CREATE TYPE \"My mood\" AS ENUM ('so so', 'fine'); CREATE TYPE pair AS (a int, b text);
             CREATE DOMAIN short AS varchar(3) CHECK (VALUE <> 'no');
             CREATE TABLE \"odd \"\"one; --\" ({}, key short, \"KEY\" bytea, PRIMARY KEY (key, \"KEY\"))
               PARTITION BY LIST (key);
             CREATE TABLE p PARTITION OF \"odd \"\"one; --\" DEFAULT",
            defined.collect::<Vec<_>>().join(", ")
        ))
        .await;
        let name = "odd \"one; --";
        let rows: Vec<_> = (0..count)
            .map(|i| {
                let (key, bytes) = ((i % 1000).to_string(), format!("\\x{i:06x}"));
                let mut row = vec![("key", key.as_str()), ("KEY", bytes.as_str())];
                row.extend(columns.iter().map(|(name, _, value)| (*name, *value)));
                scene.put(name, &row)
            })
            .collect();
        // Once as new rows, once over those.
        for _ in 0..2 {
            assert_eq!(scene.apply(rows.clone()).await, (count as u64, 0));
        }
        let compared = columns.iter().map(|(name, kind, value)| {
            let name = format!("\"{}\"", name.replace('"', "\"\""));
            format!("{name}::text = $${value}$$::{kind}::text")
        });
        let query = format!(
            "SELECT count(*) FROM \"odd \"\"one; --\" WHERE {}",
            compared.collect::<Vec<_>>().join(" AND ")
        );
        assert_eq!(scene.all(&query).await, [count.to_string()]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_look_new_and_are_not_are_written_over() {
    let mut scene = Scene::new("CREATE TABLE t (id int PRIMARY KEY, v text)").await;
    for there in [2, 500, 11_999] {
        scene
            .database
            .execute(&format!(
                "TRUNCATE t; INSERT INTO t VALUES ({there}, 'old')"
            ))
            .await;
        let rows: Vec<_> = (1..=12_000)
            .map(|i| scene.put("t", &[("id", &i.to_string()), ("v", "new")]))
            .collect();
        assert_eq!(scene.apply(rows).await, (12_000, 0));
        let new = "SELECT count(*) FROM t WHERE v = 'new'";
        assert_eq!(scene.all(new).await, ["12000"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_does_not_fit_is_an_error_and_never_cut() {
    for count in MANY {
        let mut scene = Scene::new(
            "CREATE DOMAIN short AS varchar(3);
             CREATE TABLE t (id int PRIMARY KEY, v short, w varchar(3))",
        )
        .await;
        for column in ["v", "w"] {
            let rows: Vec<_> = (0..count)
                .map(|i| scene.put("t", &[("id", &i.to_string()), (column, "four")]))
                .collect();
            let order = scene.order(rows);
            scene.send(&order);
            match scene.event().await {
                Event::Away { fault, .. } => {
                    assert!(fault.message.contains("public.t"), "{fault:?}");
                    assert!(
                        fault.message.contains("longer than its column"),
                        "{fault:?}"
                    );
                }
                other => panic!("{other:?}"),
            }
            scene
                .database
                .execute("ALTER TABLE t ALTER w TYPE text, ALTER v TYPE text")
                .await;
            assert!(matches!(scene.event().await, Event::Ready { .. }));
            assert_eq!(scene.applied().await, (count as u64, 0));
            scene
                .database
                .execute("TRUNCATE t; ALTER TABLE t ALTER w TYPE varchar(3)")
                .await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_nothing_but_its_key_shows_each_row_that_is_written() {
    let mut scene = Scene::new(
        "CREATE TABLE t (a int, b text, PRIMARY KEY (a, b));
         CREATE TABLE numbered (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY);
         CREATE TABLE mixed (id int PRIMARY KEY, n int GENERATED ALWAYS AS IDENTITY);
         INSERT INTO mixed OVERRIDING SYSTEM VALUE VALUES (1, 7)",
    )
    .await;
    for _ in 0..2 {
        let rows = [
            scene.put("t", &[("a", "1"), ("b", "x")]),
            scene.put("numbered", &[("id", "1")]),
            scene.put("mixed", &[("id", "1"), ("n", "9")]),
        ];
        assert_eq!(scene.apply(rows).await, (3, 0));
        let written = "SELECT xmin::text FROM t UNION ALL SELECT xmin::text FROM numbered \
                       UNION ALL SELECT xmin::text FROM tahr.checkpoint";
        let mut xmins = scene.all(written).await;
        xmins.dedup();
        assert_eq!(xmins.len(), 1);
        assert_eq!(scene.all("SELECT * FROM mixed").await, ["1 9"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_row_is_left_out_and_the_others_are_written() {
    for count in MANY {
        let mut scene = Scene::new(
            "CREATE TABLE t (id int PRIMARY KEY, v text);
             INSERT INTO t SELECT g, 'old' FROM generate_series(1, 2000) g",
        )
        .await;
        let mut idle = scene.database.connect().await;
        let held = idle.transaction().await.unwrap();
        held.batch_execute("UPDATE t SET v = 'held' WHERE id IN (1, 2000)")
            .await
            .unwrap();
        let mut rows: Vec<_> = (1..=count)
            .map(|i| scene.put("t", &[("id", &i.to_string()), ("v", "new")]))
            .collect();
        rows.push(scene.delete("t", &[("id", "2000")]));
        assert_eq!(scene.apply(rows.clone()).await, (count as u64 - 1, 2));
        let left = scene.left().await;
        let keys: Vec<_> = left.iter().map(|left| &left.key).collect();
        let mut expected = vec![&rows[0].0, &rows[count].0];
        expected.sort();
        assert_eq!(keys, expected);
        assert!(left.iter().all(|left| left.holder.is_none()));
        held.commit().await.unwrap();
        let new =
            "SELECT count(*) FILTER (WHERE v = 'new'), count(*) FILTER (WHERE v = 'held') FROM t";
        assert_eq!(scene.all(new).await, [format!("{} 2", count - 1)]);
        assert_eq!(scene.apply(rows).await, (count as u64 + 1, 0));
        assert_eq!(scene.left().await, []);
        assert_eq!(scene.all(new).await, [format!("{count} 0")]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_somebody_inserts_and_has_not_committed_is_left_out_alone() {
    for count in MANY {
        let mut scene = Scene::new("CREATE TABLE t (id int PRIMARY KEY, v text UNIQUE)").await;
        let mut idle = scene.database.connect().await;
        let held = idle.transaction().await.unwrap();
        held.batch_execute("INSERT INTO t VALUES (2, 'x'), (9000, 'v1')")
            .await
            .unwrap();
        let rows: Vec<_> = (1..=count)
            .map(|i| scene.put("t", &[("id", &i.to_string()), ("v", &format!("v{i}"))]))
            .collect();
        assert_eq!(scene.apply(rows.clone()).await, (count as u64 - 2, 2));
        let left = scene.left().await;
        assert!(left.iter().all(|left| left.holder.is_none()));
        held.rollback().await.unwrap();
        assert_eq!(scene.apply(rows).await, (count as u64, 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_table_is_left_out_with_its_rows_when_it_is_to_be_emptied() {
    let mut scene = Scene::new(
        "CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE u (id int PRIMARY KEY);
         INSERT INTO t VALUES (1)",
    )
    .await;
    let mut idle = scene.database.connect().await;
    let held = idle.transaction().await.unwrap();
    held.query("SELECT * FROM t", &[]).await.unwrap();
    let rows = [
        scene.truncate("t"),
        scene.put("t", &[("id", "2")]),
        scene.put("u", &[("id", "3")]),
    ];
    assert_eq!(scene.apply(rows.clone()).await, (1, 2));
    held.commit().await.unwrap();
    assert_eq!(
        scene
            .all("SELECT id FROM t UNION ALL SELECT id FROM u")
            .await,
        ["1", "3"]
    );
    assert_eq!(scene.apply(rows).await, (3, 0));
    assert_eq!(
        scene
            .all("SELECT id FROM t UNION ALL SELECT id FROM u")
            .await,
        ["2", "3"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_row_names_the_row_in_its_way() {
    let server = Postgres::own(None, &[("track_commit_timestamp", "on")]);
    for count in MANY {
        let mut scene = Scene::on(
            server.database().await,
            "CREATE EXTENSION btree_gist;
             CREATE TABLE t (id int PRIMARY KEY, mail text, room int, span int4range,
               EXCLUDE USING gist (room WITH =, span WITH &&));
             CREATE UNIQUE INDEX ON t (lower(mail)) WHERE mail <> 'free';
             INSERT INTO t VALUES (5001, 'Ann', 1, '[1,5)'), (5002, NULL, 2, '[1,5)'), (5003, 'free', 3, '[1,2)')",
            None,
        )
        .await;
        let mut rows: Vec<_> = (3..=count)
            .map(|i| scene.put("t", &[("id", &i.to_string()), ("mail", &format!("m{i}"))]))
            .collect();
        rows.push(scene.put("t", &[("id", "7001"), ("mail", "aNN")]));
        rows.push(scene.put("t", &[("id", "7002"), ("room", "2"), ("span", "[4,9)")]));
        rows.push(scene.put("t", &[("id", "7003"), ("mail", "free")]));
        assert_eq!(scene.apply(rows).await, (count as u64 - 1, 2));
        let left = scene.left().await;
        let shown = |left: &Left| {
            let (key, row, time) = left.holder.as_ref().unwrap();
            assert!(time.is_some_and(|time| time > 0));
            let of = |key: &Key| values(key.row.as_ref().unwrap()).join(" ");
            format!("{}: {} = {}", of(&left.key), of(key), values(row).join(" "))
        };
        let shown: Vec<_> = left.iter().map(shown).collect();
        assert_eq!(
            shown,
            [
                "7001: 5001 = 5001 Ann 1 [1,5)",
                "7002: 5002 = 5002 NULL 2 [1,5)"
            ]
        );
        let time = left[0].holder.as_ref().unwrap().2.unwrap();
        let text = format!(
            "SELECT pg_xact_commit_timestamp(xmin) = '2000-01-01 00:00:00+00'::timestamptz \
             + {time} * interval '1 us' FROM t WHERE id = 5001"
        );
        assert_eq!(scene.all(&text).await, ["t"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_exchange_what_is_unique_are_all_written() {
    for count in MANY {
        let mut scene = Scene::new(&format!(
            "CREATE TABLE t (id int PRIMARY KEY, v int NOT NULL UNIQUE, w text UNIQUE);
             INSERT INTO t SELECT g, g, g FROM generate_series(1, {count}) g;
             INSERT INTO t VALUES (9001, 9001, 'a'), (9002, 9002, 'b')"
        ))
        .await;
        let mut rows: Vec<_> = (1..=count)
            .map(|i| {
                let (id, v) = (i.to_string(), (i % count + 1).to_string());
                let w = (count + 1 - i).to_string();
                scene.put("t", &[("id", &id), ("v", &v), ("w", &w)])
            })
            .collect();
        assert_eq!(scene.apply(rows.clone()).await, (count as u64, 0));
        let query = format!(
            "SELECT count(*) FROM t WHERE id < 9000 AND v = id % {count} + 1 AND w = ({count} + 1 - id)::text"
        );
        assert_eq!(scene.all(&query).await, [count.to_string()]);
        // One whose wish another has, outside of the exchange, holds up who wants what it has.
        rows = vec![
            scene.put("t", &[("id", "9001"), ("v", "1"), ("w", "c")]),
            scene.put("t", &[("id", "9002"), ("v", "9001"), ("w", "d")]),
            scene.put("t", &[("id", "9003"), ("v", "9003"), ("w", "b")]),
            // Two want the same.
            scene.put("t", &[("id", "9004"), ("v", "9004"), ("w", "e")]),
            scene.put("t", &[("id", "9005"), ("v", "9004"), ("w", "f")]),
        ];
        assert_eq!(scene.apply(rows).await, (1, 4));
        assert_eq!(
            scene
                .all("SELECT * FROM t WHERE id > 9000 ORDER BY id")
                .await,
            ["9001 9001 a", "9002 9002 b", "9004 9004 e"]
        );
        assert!(scene.left().await.iter().all(|left| left.holder.is_some()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_is_sent_twice_is_applied_once() {
    let mut scene = Scene::new("CREATE TABLE t (id int PRIMARY KEY, v text)").await;
    let row = scene.put("t", &[("id", "1"), ("v", "a")]);
    let order = scene.order([row]);
    scene.send(&order);
    assert_eq!(scene.applied().await, (1, 0));
    scene.database.execute("UPDATE t SET v = 'local'").await;
    scene.send(&order);
    assert_eq!(scene.applied().await, (0, 0));
    assert_eq!(scene.all("SELECT v FROM t").await, ["local"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_killed_in_the_middle_is_followed_by_one_that_goes_on() {
    let mut scene =
        Scene::new("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (2, 'old')")
            .await;
    let mut idle = scene.database.connect().await;
    let held = idle.transaction().await.unwrap();
    held.batch_execute("LOCK TABLE t").await.unwrap();
    let rows = [
        scene.put("t", &[("id", "1"), ("v", "new")]),
        scene.put("t", &[("id", "2"), ("v", "new")]),
    ];
    let order = scene.order(rows);
    scene.send(&order);
    eventually(SOON, "the waiting session is ended", async || {
        let kill = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                    WHERE application_name = 'tahr apply' AND wait_event_type = 'Lock' \
                    AND datname = current_database()";
        match scene.database.value(kill).await.as_str() {
            "1" => Ok(()),
            other => Err(format!("{other} sessions wait")),
        }
    })
    .await;
    held.commit().await.unwrap();
    match scene.event().await {
        Event::Away { fault, .. } => assert!(fault.message.contains("\"b\""), "{fault:?}"),
        other => panic!("{other:?}"),
    }
    assert!(matches!(scene.event().await, Event::Ready { .. }));
    assert_eq!(scene.applied().await, (2, 0));
    assert_eq!(
        scene.all("SELECT * FROM t ORDER BY id").await,
        ["1 new", "2 new"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_committed_as_the_connection_broke_is_found_applied() {
    let mut scene = Scene::new("CREATE TABLE t (id int PRIMARY KEY)").await;
    // As if the answer to COMMIT had been lost.
    scene
        .database
        .execute("UPDATE tahr.checkpoint SET sequence = 1; INSERT INTO t VALUES (1)")
        .await;
    let row = scene.put("t", &[("id", "2")]);
    assert_eq!(scene.apply([row]).await, (0, 0));
    assert_eq!(scene.all("SELECT id FROM t").await, ["1"]);
    let row = scene.put("t", &[("id", "2")]);
    assert_eq!(scene.apply([row]).await, (1, 0));
    scene.database.execute("DELETE FROM tahr.checkpoint").await;
    let row = scene.put("t", &[("id", "3")]);
    let order = scene.order([row]);
    scene.send(&order);
    match scene.event().await {
        Event::Away { fault, .. } => assert!(fault.hint.contains("INSERT INTO"), "{fault:?}"),
        other => panic!("{other:?}"),
    }
}

const FAMILY: &str = "CREATE TABLE zoo (id int PRIMARY KEY);
     CREATE TABLE animal (id int PRIMARY KEY, zoo int REFERENCES zoo, mother int REFERENCES animal);
     CREATE TABLE bite (id int PRIMARY KEY, animal int REFERENCES animal ON DELETE CASCADE)";

/// A role that no other test uses.
async fn role(database: &Database) -> String {
    let role = format!("{}_role", database.name());
    database.execute(&format!("CREATE ROLE {role} LOGIN")).await;
    role
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_fires_triggers_writes_parents_first_and_deletes_children_first() {
    for count in MANY {
        let database = Postgres::shared().database().await;
        let role = role(&database).await;
        let mut scene = Scene::on(database, FAMILY, Some(&role)).await;
        assert!(scene.fires_triggers);
        let mut rows = vec![
            scene.put("zoo", &[("id", "1")]),
            scene.put("zoo", &[("id", "2")]),
        ];
        for i in 1..=count {
            let (id, mother) = (i.to_string(), (i % count + 1).to_string());
            rows.push(scene.put("animal", &[("id", &id), ("zoo", "1"), ("mother", &mother)]));
            rows.push(scene.put("bite", &[("id", &id), ("animal", &id)]));
        }
        let total = rows.len() as u64;
        assert_eq!(scene.apply(rows).await, (total, 0));
        // They move to another zoo, and the old one is gone in the same order.
        let mut rows = vec![scene.delete("zoo", &[("id", "1")])];
        for i in 1..=count {
            rows.push(scene.put("animal", &[("id", &i.to_string()), ("zoo", "2")]));
        }
        assert_eq!(scene.apply(rows).await, (count as u64 + 1, 0));
        let counts = "SELECT (SELECT count(*) FROM zoo), (SELECT count(*) FROM animal), \
                      (SELECT count(*) FROM bite)";
        assert_eq!(scene.all(counts).await, [format!("1 {count} {count}")]);
        let mut rows = vec![scene.delete("zoo", &[("id", "2")])];
        for i in 1..=count {
            let id = i.to_string();
            rows.push(scene.delete("animal", &[("id", &id)]));
            rows.push(scene.delete("bite", &[("id", &id)]));
        }
        assert_eq!(scene.apply(rows).await, (2 * count as u64 + 1, 0));
        assert_eq!(scene.all(counts).await, ["0 0 0"]);
        // One without its parent waits for it.
        let rows = [
            scene.put("bite", &[("id", "1"), ("animal", "77")]),
            scene.put("zoo", &[("id", "3")]),
        ];
        let order = scene.order(rows);
        scene.send(&order);
        match scene.event().await {
            Event::Applied {
                rows: 1,
                left: 1,
                fault: Some(fault),
                ..
            } => {
                assert_eq!(fault.table.as_deref(), Some("public.bite"));
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(scene.left().await[0].holder, None);
        scene.applier.take().unwrap().stop().await;
        let database = &scene.database;
        database
            .execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}"))
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unique_values_are_exchanged_without_deleting_what_is_referenced() {
    let database = Postgres::shared().database().await;
    let role = role(&database).await;
    let statements = "CREATE TABLE t (id int PRIMARY KEY, v text UNIQUE, w int NOT NULL UNIQUE);
         CREATE TABLE child (id int PRIMARY KEY, t int REFERENCES t ON DELETE CASCADE);
         INSERT INTO t VALUES (1, 'a', 1), (2, 'b', 2); INSERT INTO child VALUES (1, 1), (2, 2)";
    let mut scene = Scene::on(database, statements, Some(&role)).await;
    let rows = [
        scene.put("t", &[("id", "1"), ("v", "b"), ("w", "1")]),
        scene.put("t", &[("id", "2"), ("v", "a"), ("w", "2")]),
    ];
    assert_eq!(scene.apply(rows).await, (2, 0));
    assert_eq!(scene.all("SELECT v FROM t ORDER BY id").await, ["b", "a"]);
    let rows = [
        scene.put("t", &[("id", "1"), ("v", "b"), ("w", "2")]),
        scene.put("t", &[("id", "2"), ("v", "a"), ("w", "1")]),
    ];
    let order = scene.order(rows);
    scene.send(&order);
    match scene.event().await {
        Event::Applied {
            rows: 0,
            left: 2,
            fault: Some(_),
            ..
        } => {}
        other => panic!("{other:?}"),
    }
    assert_eq!(scene.all("SELECT count(*) FROM child").await, ["2"]);
    scene.applier.take().unwrap().stop().await;
    let database = &scene.database;
    database
        .execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}"))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_superuser_fires_no_triggers_and_needs_no_parents() {
    let mut scene = Scene::new(
        "CREATE TABLE parent (id int PRIMARY KEY);
         CREATE TABLE child (id int PRIMARY KEY, parent int REFERENCES parent);
         CREATE TABLE seen (n int); CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS
           $$ BEGIN INSERT INTO seen VALUES (1); RETURN NEW; END $$;
         CREATE TRIGGER t AFTER INSERT ON child FOR EACH ROW EXECUTE FUNCTION f();
         ALTER TABLE seen ADD PRIMARY KEY (n)",
    )
    .await;
    assert!(!scene.fires_triggers);
    let row = scene.put("child", &[("id", "1"), ("parent", "9")]);
    assert_eq!(scene.apply([row]).await, (1, 0));
    assert_eq!(scene.all("SELECT count(*) FROM seen").await, ["0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_a_check_refuses_fails_the_order_until_it_is_mended() {
    let mut scene =
        Scene::new("CREATE TABLE t (id int PRIMARY KEY, v int CONSTRAINT low CHECK (v < 9))").await;
    let rows = [
        scene.put("t", &[("id", "1"), ("v", "1")]),
        scene.put("t", &[("id", "2"), ("v", "77")]),
    ];
    let order = scene.order(rows);
    scene.send(&order);
    match scene.event().await {
        Event::Away { fault, .. } => {
            assert_eq!(fault.table.as_deref(), Some("public.t"));
            assert!(
                fault.message.contains("low") && !fault.message.contains("77"),
                "{fault:?}"
            );
            assert!(!fault.hint.is_empty());
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(scene.all("SELECT count(*) FROM t").await, ["0"]);
    scene
        .database
        .execute("ALTER TABLE t DROP CONSTRAINT low")
        .await;
    scene.applier.as_ref().unwrap().retry_now();
    assert!(matches!(scene.event().await, Event::Ready { .. }));
    assert_eq!(scene.applied().await, (2, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_others_reference_is_emptied_with_them_or_the_order_fails() {
    let mut scene = Scene::new(
        "CREATE TABLE parent (id int PRIMARY KEY); INSERT INTO parent VALUES (1);
         CREATE TABLE child (id int PRIMARY KEY, parent int REFERENCES parent); INSERT INTO child VALUES (1, 1)",
    )
    .await;
    let both = [scene.truncate("parent"), scene.truncate("child")];
    assert_eq!(scene.apply(both).await, (2, 0));
    let one = scene.truncate("parent");
    let order = scene.order([one]);
    scene.send(&order);
    match scene.event().await {
        Event::Away { fault, .. } => {
            assert!(
                fault.message.contains("child") && fault.message.contains("parent"),
                "{fault:?}"
            );
            assert!(fault.hint.contains("foreign key"), "{fault:?}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_engine_of_the_same_name_is_told_so() {
    let mut scene = Scene::new("CREATE TABLE t (id int PRIMARY KEY)").await;
    let url = Url::parse(scene.database.url()).unwrap();
    let (second, mut events) = applier(url, Arc::clone(&scene.tables));
    match next(&mut events).await {
        Event::Away { fault, .. } => {
            assert!(
                fault
                    .message
                    .contains("another engine \"apply_test\" applies sync \"shop\""),
                "{fault:?}"
            );
        }
        other => panic!("{other:?}"),
    }
    let row = scene.put("t", &[("id", "1")]);
    assert_eq!(scene.apply([row]).await, (1, 0));
    scene.applier.take().unwrap().stop().await;
    second.retry_now();
    assert!(matches!(next(&mut events).await, Event::Ready { .. }));
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn origins_are_told_with_what_was_left_out() {
    let mut scene = Scene::new("CREATE TABLE t (id int PRIMARY KEY)").await;
    let row = scene.put("t", &[("id", "1")]);
    let mut order = scene.order([row]);
    let key = order.rows[0].0.clone();
    order.origins = vec![(key, order.rows[0].1.origin.clone())];
    scene.send(&order);
    assert_eq!(scene.applied().await, (1, 0));
    let client = scene.database.connect().await;
    let text = "SELECT notes FROM tahr.checkpoint";
    let notes: Vec<u8> = client.query_one(text, &[]).await.unwrap().get(0);
    assert_eq!(Notes::decode(&notes).unwrap().origins, order.origins);
    let row = scene.put("t", &[("id", "2")]);
    scene.apply([row]).await;
    assert_eq!(scene.left().await, []);
    assert_eq!(
        scene.all("SELECT notes FROM tahr.checkpoint").await,
        ["NULL"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_checkpoint_row_is_made_by_who_may_and_removed_without_a_trace() {
    let database = Postgres::shared().database().await;
    let role = role(&database).await;
    let url = |text: &str| Url::parse(text).unwrap();
    let poor = url(&database.url_as(&role))
        .connect_source("tahr")
        .await
        .unwrap();
    let refused = checkpoint::ensure(&poor, "e", "s").await.unwrap_err();
    assert!(refused.hint.contains("CREATE SCHEMA"), "{refused:?}");
    database
        .execute(&checkpoint::setup_script(&role, "e", &["s", "t'"]))
        .await;
    assert_eq!(checkpoint::ensure(&poor, "e", "s").await, Ok(0));
    assert_eq!(checkpoint::ensure(&poor, "e", "t'").await, Ok(0));
    assert_eq!(checkpoint::sequence(&poor, "e", "other").await, Ok(None));
    checkpoint::remove(&poor, "e", "s").await.unwrap();
    assert_eq!(checkpoint::sequence(&poor, "e", "s").await, Ok(None));
    assert_eq!(checkpoint::sequence(&poor, "e", "t'").await, Ok(Some(0)));
    let rich = url(database.url()).connect_source("tahr").await.unwrap();
    checkpoint::remove(&rich, "e", "t'").await.unwrap();
    let left = "SELECT count(*) FROM pg_namespace WHERE nspname = 'tahr'";
    assert_eq!(database.value(left).await, "0");
    checkpoint::remove(&rich, "e", "t'").await.unwrap();
    let (one, two) = tokio::join!(
        checkpoint::ensure(&rich, "e", "a"),
        checkpoint::ensure(&rich, "e", "b")
    );
    assert_eq!((one, two), (Ok(0), Ok(0)));
    database.execute("CREATE TABLE tahr.mine (n int)").await;
    for sync in ["a", "b"] {
        checkpoint::remove(&rich, "e", sync).await.unwrap();
    }
    assert_eq!(database.value(left).await, "1");
    assert_eq!(
        database
            .value("SELECT to_regclass('tahr.checkpoint') IS NULL")
            .await,
        "t"
    );
    database
        .execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}"))
        .await;
}

/// Not a promise, a measurement: `--run-ignored only`, in a release build.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
#[expect(clippy::print_stderr, reason = "what a measurement is for")]
async fn how_fast_orders_are_applied() {
    let mut scene = Scene::new(
        "CREATE TABLE t (id bigint PRIMARY KEY, name text, mail text, amount numeric(12,2), at timestamptz, note text)",
    )
    .await;
    let row = |scene: &Scene, i: usize| {
        let values = [
            ("id", i.to_string()),
            ("name", format!("customer number {i}")),
            ("mail", format!("customer{i}@example.com")),
            ("amount", format!("{}.25", i % 10_000)),
            ("at", "2024-05-06 07:08:09.123456+00".to_owned()),
            ("note", "x".repeat(60)),
        ];
        let values: Vec<_> = values.iter().map(|(n, v)| (*n, v.as_str())).collect();
        scene.put("t", &values)
    };
    for (what, count, times) in [
        ("one row", 1, 500),
        ("40 rows", 40, 200),
        ("1,000 rows", 1_000, 50),
        ("100,000 rows", 100_000, 1),
    ] {
        for pass in ["new", "over"] {
            if pass == "new" {
                scene.database.execute("TRUNCATE t").await;
            }
            let mut spent = Duration::ZERO;
            for turn in 0..times {
                let rows: Vec<_> = (0..count).map(|i| row(&scene, turn * count + i)).collect();
                let order = scene.order(rows);
                let start = std::time::Instant::now();
                scene.send(&order);
                assert_eq!(scene.applied().await, (count as u64, 0));
                spent += start.elapsed();
            }
            let rate = (count * times) as f64 / spent.as_secs_f64();
            eprintln!(
                "{what} {pass}: {rate:.0} rows/s, {:?} an order",
                spent / times as u32
            );
        }
        let gone: Vec<_> = (0..count)
            .map(|i| scene.delete("t", &[("id", &i.to_string())]))
            .collect();
        let start = std::time::Instant::now();
        scene.apply(gone).await;
        eprintln!(
            "{what} deleted: {:.0} rows/s",
            count as f64 / start.elapsed().as_secs_f64()
        );
    }
}
