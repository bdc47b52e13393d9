//! Sequences of several sources: interleaved, following the highest, or as they were.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use tahr::{
    config::Sequences,
    masters::{
        Tables,
        sequences::{Follower, Member, Note, restore, setup},
    },
    source::{SourceError, catalog},
};
use tahr_postgres_connect::Url;
use tahr_tests::{Database, Postgres, unique};

const TABLES: &str = "CREATE TABLE t (id serial PRIMARY KEY, v text);
    CREATE TABLE i (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v text);
    CREATE SEQUENCE own START 100;
    CREATE TABLE d (id bigint PRIMARY KEY DEFAULT nextval('own'), v text);
    CREATE TABLE plain (id int PRIMARY KEY);
    CREATE SEQUENCE nobodys";

struct Sources {
    databases: Vec<Database>,
}

impl Sources {
    async fn new(count: usize, tables: &str) -> Self {
        let mut databases = Vec::new();
        for _ in 0..count {
            let database = Postgres::shared().database().await;
            database.execute(tables).await;
            databases.push(database);
        }
        Self { databases }
    }

    /// The first so many, as members of a sync.
    fn members(&self, count: usize) -> Vec<Member> {
        let members = self.databases[..count].iter().zip(["a", "b", "c", "d"]);
        let members = members.map(|(database, name)| member(name, database.url()));
        members.collect()
    }

    async fn tables(&self, count: usize) -> Tables {
        let mut all = Vec::new();
        for member in self.members(count) {
            let client = member.url.connect_source("tests").await.unwrap();
            let tables = catalog::tables(&client, &|name| name.schema == "public").await;
            all.push((member.name, tables.unwrap()));
        }
        Tables::agree(&all).unwrap()
    }

    async fn set(&self, mode: Sequences, count: usize) -> Result<Vec<Note>, SourceError> {
        let tables = self.tables(count).await;
        setup(mode, "e", "s", &tables, &self.members(count)).await
    }

    /// What every sequence of every source is.
    async fn state(&self) -> Vec<String> {
        let mut all = Vec::new();
        for database in &self.databases {
            let names = "SELECT sequencename, increment_by FROM pg_sequences ORDER BY 1";
            for row in database.query(names).await {
                let (name, increment) = (row[0].clone().unwrap(), row[1].clone().unwrap());
                let place = format!("SELECT last_value || ' ' || is_called FROM {name}");
                all.push(format!(
                    "{name} {increment} {}",
                    database.value(&place).await
                ));
            }
        }
        all
    }
}

fn member(name: &str, url: &str) -> Member {
    Member {
        name: name.into(),
        url: Url::parse(url).unwrap(),
        application: "tahr tests".into(),
    }
}

async fn draw(database: &Database, sequence: &str, count: usize) -> Vec<i64> {
    let sql = format!("SELECT nextval('{sequence}') FROM generate_series(1, {count})");
    let rows = database.query(&sql).await;
    rows.iter()
        .map(|row| row[0].as_ref().unwrap().parse().unwrap())
        .collect()
}

/// Adds what was drawn to what was seen, none of it twice.
fn add(seen: &mut BTreeSet<i64>, drawn: &[i64]) {
    for value in drawn {
        assert!(seen.insert(*value), "{value} was drawn twice");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_that_draw_at_once_never_draw_the_same() {
    let sources = Sources::new(3, TABLES).await;
    let mut seen = BTreeSet::from_iter(draw(&sources.databases[1], "t_id_seq", 50).await);
    // Another source may have drawn the same before: those are never drawn again.
    draw(&sources.databases[0], "t_id_seq", 20).await;
    sources.databases[2]
        .execute("INSERT INTO t VALUES (300, 'by hand')")
        .await;
    seen.insert(300);
    // Sessions draw all the while.
    let drawing = sources.databases.iter().map(|database| async {
        let client = database.connect().await;
        let mut drawn = Vec::new();
        for _ in 0..200 {
            let row = client
                .query_one("SELECT nextval('i_id_seq')", &[])
                .await
                .unwrap();
            drawn.push(row.get::<_, i64>(0));
        }
        drawn
    });
    let (notes, drawn) = tokio::join!(sources.set(Sequences::Interleave, 3), join_all(drawing));
    let notes = notes.unwrap();
    assert_eq!(notes.len(), 9, "{notes:?}");
    assert!(notes.iter().all(|note| !note.is_warning), "{notes:?}");
    assert!(
        notes[0].to_string().contains("draws every 4th value from "),
        "{}",
        notes[0]
    );

    for sequence in ["t_id_seq", "own"] {
        let mut seen = if sequence == "own" {
            BTreeSet::new()
        } else {
            seen.clone()
        };
        let draws = sources
            .databases
            .iter()
            .map(|database| draw(database, sequence, 1000));
        for drawn in join_all(draws).await {
            add(&mut seen, &drawn);
        }
    }
    // What was drawn before could meet; what comes now is beyond all of it.
    let highest = drawn.into_iter().flatten().max().unwrap();
    let mut seen = BTreeSet::new();
    for database in &sources.databases {
        let drawn = draw(database, "i_id_seq", 1000).await;
        // The race decides whether a session drew after the setup, within its own class.
        let beyond: Vec<i64> = drawn.into_iter().filter(|value| *value > highest).collect();
        assert!(beyond.len() > 500);
        add(&mut seen, &beyond);
    }
    let untouched = sources.databases[0]
        .value("SELECT increment_by FROM pg_sequences WHERE sequencename = 'nobodys'");
    assert_eq!(untouched.await, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn doing_it_again_changes_nothing_and_a_third_source_can_join() {
    let sources = Sources::new(3, TABLES).await;
    sources.set(Sequences::Interleave, 2).await.unwrap();
    let mut seen = BTreeSet::new();
    for database in &sources.databases[..2] {
        add(&mut seen, &draw(database, "t_id_seq", 7).await);
    }
    let before = sources.state().await;
    assert_eq!(sources.set(Sequences::Interleave, 2).await.unwrap(), []);
    assert_eq!(sources.state().await, before);

    draw(&sources.databases[2], "t_id_seq", 1).await;
    sources.set(Sequences::Interleave, 3).await.unwrap();
    for _ in 0..3 {
        for database in &sources.databases {
            add(&mut seen, &draw(database, "t_id_seq", 20).await);
        }
    }
    let before = sources.state().await;
    assert_eq!(sources.set(Sequences::Interleave, 3).await.unwrap(), []);
    assert_eq!(sources.state().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_sessions_have_cached_is_not_drawn_any_more() {
    let sources = Sources::new(
        2,
        "CREATE TABLE t (id serial PRIMARY KEY); ALTER SEQUENCE t_id_seq CACHE 50",
    )
    .await;
    let (a, b) = (
        sources.databases[0].connect().await,
        sources.databases[1].connect().await,
    );
    let next = async |client: &tokio_postgres::Client| -> i64 {
        client
            .query_one("SELECT nextval('t_id_seq')", &[])
            .await
            .unwrap()
            .get(0)
    };
    assert_eq!((next(&a).await, next(&b).await), (1, 1));
    sources.set(Sequences::Interleave, 2).await.unwrap();
    let mut seen = BTreeSet::new();
    for _ in 0..120 {
        add(&mut seen, &[next(&a).await, next(&b).await]);
    }
    assert!(*seen.first().unwrap() > 50, "{:?}", seen.first());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_persons_own_arrangement_stays_and_blocks_stay_whole() {
    let tables = "CREATE TABLE t (id serial PRIMARY KEY);
        CREATE SEQUENCE h INCREMENT 50; CREATE TABLE u (id bigint PRIMARY KEY DEFAULT nextval('h'));
        CREATE SEQUENCE down INCREMENT -1; CREATE TABLE v (id bigint PRIMARY KEY DEFAULT nextval('down'))";
    let sources = Sources::new(2, tables).await;
    for (database, start) in sources.databases.iter().zip([1, 2]) {
        let sql = format!("ALTER SEQUENCE t_id_seq INCREMENT 2 RESTART {start}");
        database.execute(&sql).await;
        draw(database, "h", 3).await;
    }
    let notes = sources.set(Sequences::Interleave, 2).await.unwrap();
    assert!(
        notes.iter().all(|note| note.sequence != "public.t_id_seq"),
        "{notes:?}"
    );
    let mut blocks = BTreeSet::new();
    let mut down = BTreeSet::new();
    for database in &sources.databases {
        let drawn = draw(database, "h", 5).await;
        assert!(
            drawn.iter().all(|value| value % 50 == 1 && *value > 101),
            "{drawn:?}"
        );
        add(&mut blocks, &drawn);
        let drawn = draw(database, "down", 5).await;
        assert!(drawn.iter().all(|value| *value < 0), "{drawn:?}");
        add(&mut down, &drawn);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn restoring_brings_back_increments_and_goes_on_beyond_what_is_stored() {
    let sources = Sources::new(2, TABLES).await;
    sources.set(Sequences::Interleave, 2).await.unwrap();
    let [a, b] = sources.databases.as_slice() else {
        panic!("two databases");
    };
    // As replication would have brought it.
    a.execute("INSERT INTO t VALUES (5001, 'from b'); INSERT INTO t (v) VALUES ('own')")
        .await;
    b.execute("ALTER SEQUENCE i_id_seq INCREMENT 7; DROP TABLE d; DROP SEQUENCE own")
        .await;
    for (database, count) in [(a, 3), (b, 1)] {
        let client = member("x", database.url())
            .url
            .connect_source("tests")
            .await
            .unwrap();
        assert_eq!(restore(&client, "e", "other").await.unwrap(), 0);
        assert_eq!(restore(&client, "e", "s").await.unwrap(), count);
        assert_eq!(restore(&client, "e", "s").await.unwrap(), 0);
        let gone = "SELECT to_regclass('tahr.sequence') IS NULL";
        assert_eq!(database.value(gone).await, "t");
    }
    assert_eq!(draw(a, "t_id_seq", 2).await, [5002, 5003]);
    let increment = "SELECT increment_by FROM pg_sequences WHERE sequencename = 'i_id_seq'";
    assert_eq!(
        (
            a.value(increment).await.as_str(),
            b.value(increment).await.as_str()
        ),
        ("1", "7")
    );
    assert_eq!(a.value("SELECT nextval('own') >= 100").await, "t");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_in_which_nothing_was_noted_yet_goes_too() {
    let sources = Sources::new(2, TABLES).await;
    sources.set(Sequences::Interleave, 2).await.unwrap();
    let database = &sources.databases[0];
    // As an engine leaves it that ends right after making the table.
    database.execute("DELETE FROM tahr.sequence").await;
    let url = member("x", database.url()).url;
    let client = url.connect_source("tests").await.unwrap();
    assert_eq!(restore(&client, "e", "s").await.unwrap(), 0);
    let gone = "SELECT to_regclass('tahr.sequence') IS NULL";
    assert_eq!(database.value(gone).await, "t");
}

#[tokio::test(flavor = "multi_thread")]
async fn leaving_sequences_alone_restores_them_and_else_does_nothing() {
    let sources = Sources::new(2, TABLES).await;
    let before = sources.state().await;
    assert_eq!(sources.set(Sequences::Leave, 2).await.unwrap(), []);
    assert_eq!(sources.state().await, before);
    sources.set(Sequences::Interleave, 2).await.unwrap();
    sources.set(Sequences::Leave, 2).await.unwrap();
    let state = sources.state().await;
    assert!(
        state.iter().all(|line| line.split(' ').nth(1) == Some("1")),
        "{state:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn sequences_follow_the_highest_and_never_go_back() {
    let sources = Sources::new(3, TABLES).await;
    let [a, b, c] = sources.databases.as_slice() else {
        panic!("three databases");
    };
    draw(a, "t_id_seq", 30).await;
    b.execute("INSERT INTO t VALUES (500, 'by hand'); SELECT setval('own', 700000)")
        .await;
    let notes = sources.set(Sequences::Max, 3).await.unwrap();
    assert!(
        notes.iter().any(|note| note.text == "was raised to 500"),
        "{notes:?}"
    );
    for database in [a, b, c] {
        assert_eq!(draw(database, "t_id_seq", 1).await, [501]);
        assert_eq!(draw(database, "own", 1).await, [700_001]);
    }
    let tables = sources.tables(3).await;
    let mut follower = Follower::open(&tables, sources.members(3)).await.unwrap();
    draw(c, "t_id_seq", 99).await;
    assert_eq!(follower.follow().await, []);
    for database in [a, b, c] {
        assert_eq!(draw(database, "t_id_seq", 1).await, [601]);
    }
    // Within the second it doesn't look again; later it does, while sessions draw.
    draw(a, "t_id_seq", 9).await;
    assert_eq!(follower.follow().await, []);
    assert_eq!(draw(b, "t_id_seq", 1).await, [602]);
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    let client = b.connect().await;
    let drawing = async {
        let mut last = 602;
        for _ in 0..300 {
            let row = client
                .query_one("SELECT nextval('t_id_seq')", &[])
                .await
                .unwrap();
            let value: i64 = row.get(0);
            assert!(value > last, "{value} after {last}");
            last = value;
        }
    };
    let (failed, ()) = tokio::join!(follower.follow(), drawing);
    assert_eq!(failed, []);
    assert!(draw(c, "t_id_seq", 1).await[0] >= 611);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_without_rights_is_told_which_it_needs() {
    let sources = Sources::new(2, TABLES).await;
    let role = format!("poor_{}", unique());
    let b = &sources.databases[1];
    b.execute(&format!(
        "CREATE ROLE {role} LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role};
         GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO {role}"
    ))
    .await;
    let tables = sources.tables(2).await;
    let mut members = sources.members(2);
    members[1] = member("b", &b.url_as(&role));
    let before = sources.state().await;
    for (mode, hint) in [
        (
            Sequences::Interleave,
            format!("GRANT \"postgres\" TO \"{role}\";"),
        ),
        (
            Sequences::Max,
            format!("GRANT SELECT, UPDATE ON SEQUENCE \"public\".\"own\" TO \"{role}\";"),
        ),
    ] {
        let error = setup(mode, "e", "s", &tables, &members).await.unwrap_err();
        let start = "source \"b\": sequence public.own belongs to role \"postgres\", and role";
        assert!(
            !error.is_transient() && error.message.starts_with(start),
            "{error}"
        );
        assert!(
            error.hint.starts_with(&hint) && error.hint.contains("\"leave\""),
            "{}",
            error.hint
        );
    }
    assert_eq!(sources.state().await, before);
    b.execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}"))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_interleaved_is_said() {
    let tables = "CREATE TABLE s (id smallserial PRIMARY KEY);
        CREATE SEQUENCE round MAXVALUE 10 CYCLE;
        CREATE TABLE r (id int PRIMARY KEY DEFAULT nextval('round'))";
    let sources = Sources::new(2, tables).await;
    sources.databases[0]
        .execute("CREATE TABLE lone (id serial PRIMARY KEY)")
        .await;
    sources.databases[1]
        .execute("CREATE TABLE lone (id int PRIMARY KEY)")
        .await;
    let notes = sources.set(Sequences::Interleave, 2).await.unwrap();
    let warnings: Vec<String> = notes
        .iter()
        .filter(|n| n.is_warning)
        .map(Note::to_string)
        .collect();
    for part in [
        "sequence public.s_id_seq on source \"a\" has only 16383 values left",
        "sequence public.round on source \"a\" cycles",
        "sequence public.lone_id_seq on source \"a\" has no counterpart on source \"b\"",
    ] {
        assert!(
            warnings.iter().any(|warning| warning.starts_with(part)),
            "{warnings:?}"
        );
    }
    // Another sync over the same table would give other classes.
    let tables = sources.tables(2).await;
    let mut members = sources.members(2);
    members.reverse();
    sources.databases[1]
        .execute("ALTER SEQUENCE s_id_seq INCREMENT 4")
        .await;
    let error = setup(Sequences::Interleave, "e", "other", &tables, &members)
        .await
        .unwrap_err();
    assert!(
        error
            .message
            .contains("is interleaved by sync \"s\" of engine \"e\" already"),
        "{error}"
    );

    let full = Sources::new(2, "CREATE TABLE s (id smallserial PRIMARY KEY)").await;
    full.databases[0]
        .execute("INSERT INTO s VALUES (32767)")
        .await;
    let notes = full.set(Sequences::Interleave, 2).await.unwrap();
    assert!(
        notes
            .iter()
            .any(|note| note.text.starts_with("goes on below")),
        "{notes:?}"
    );
    let full = Sources::new(2, "CREATE TABLE s (id smallserial PRIMARY KEY)").await;
    full.databases[0]
        .execute("SELECT setval('s_id_seq', 32767)")
        .await;
    let before = full.state().await;
    let error = full.set(Sequences::Interleave, 2).await.unwrap_err();
    assert!(
        error.message.contains("s_id_seq has no values left"),
        "{error}"
    );
    assert!(error.hint.contains("AS bigint"), "{}", error.hint);
    assert_eq!(full.state().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_drew_is_waited_for_and_then_tried_again() {
    let sources = Sources::new(2, "CREATE TABLE t (id serial PRIMARY KEY)").await;
    let blocker = sources.databases[1].connect().await;
    blocker
        .batch_execute("BEGIN; SELECT nextval('t_id_seq')")
        .await
        .unwrap();
    let before = sources.state().await;
    let error = sources.set(Sequences::Interleave, 2).await.unwrap_err();
    assert!(
        error.is_transient() && error.message.contains("source \"b\""),
        "{error:?}"
    );
    assert_eq!(
        sources.state().await,
        before,
        "the other source is as it was"
    );
    blocker.batch_execute("COMMIT").await.unwrap();
    sources.set(Sequences::Interleave, 2).await.unwrap();
    assert_ne!(sources.state().await, before);
}
