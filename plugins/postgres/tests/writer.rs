//! What is special about this writer, on a real server.

mod subject;

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};
use subject::PostgresSubject;
use tahr_plugin_api::{
    Batch, ErrorKind, LoadMode, Lsn, Position, Relation, Role, WriteError, Written,
    abi::{Canceller, RemoteWriter},
    testing::{BatchBuilder, Cell, Recorder, Subject as _, open, relation, stream},
};
use tahr_postgres::PostgresWriter;

/// A writer on a database of its own.
struct Fixture {
    database: PostgresSubject,
    writer: RemoteWriter,
    canceller: Canceller,
    recorder: Recorder,
    position: Position,
}

impl Fixture {
    fn new() -> Self {
        Self::with("", |_| {})
    }

    /// After `statements` in the empty database, with options as `change` leaves them.
    fn with(statements: &str, change: impl FnOnce(&mut Value)) -> Self {
        let mut database = PostgresSubject::new();
        let mut options = database.fresh();
        database.execute(statements);
        change(&mut options);
        let (mut writer, canceller, recorder) =
            open::<PostgresWriter>(&options, Role::Stream).expect("a writer");
        let position = Position::at(Lsn(0x100));
        assert_eq!(writer.checkpoint(&stream()).unwrap(), None);
        writer.flush(&position).expect("the first checkpoint");
        Self {
            database,
            writer,
            canceller,
            recorder,
            position,
        }
    }

    fn next(&self) -> BatchBuilder {
        BatchBuilder::after(&self.position)
    }

    #[track_caller]
    fn write(&mut self, batch: &Batch) {
        let written = self.writer.write(batch);
        assert_eq!(written, Ok(Written::Stored(batch.position().clone())));
        self.position = batch.position().clone();
    }

    #[track_caller]
    fn rejected(&mut self, batch: &Batch) -> WriteError {
        let error = self.writer.write(batch).expect_err("a rejected batch");
        assert_eq!(error.kind, ErrorKind::Rejected, "{error}");
        self.writer.reset().unwrap();
        let found = self.writer.checkpoint(&stream()).unwrap().unwrap();
        assert_eq!(found.position.as_ref(), Some(&self.position));
        error
    }

    /// The rows of a query, a row a line of values between bars.
    fn lines(&self, query: &str) -> Vec<String> {
        let text = |value: Option<String>| value.unwrap_or_else(|| "∅".to_owned());
        (self.database.query(query).into_iter())
            .map(|row| row.into_iter().map(text).collect::<Vec<_>>().join("|"))
            .collect()
    }
}

fn items() -> std::sync::Arc<Relation> {
    relation("public.items")
        .column("id", "integer")
        .column("name", "text")
        .column("notes", "text")
        .key(["id"])
        .build()
}

#[test]
fn bulk_changes_come_to_the_same_as_one_after_the_other() {
    let mut f = Fixture::new();
    let items = items();
    let mut model: BTreeMap<u32, (String, String)> = BTreeMap::new();
    let mut random = 12345_u32;
    let mut next = move |limit: u32| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (random >> 8) % limit
    };
    for _ in 0..8 {
        let mut batch = f.next();
        for number in 0..400 {
            let id = next(150);
            let (key, name, notes) = (id.to_string(), format!("n{number}"), format!("t{number}"));
            match (model.get_mut(&id), next(4)) {
                (None, _) => {
                    batch = batch.insert(&items, [&key, &name, &notes].map(String::as_str));
                    model.insert(id, (name, notes));
                }
                (Some(_), 0) => {
                    batch = batch.delete(&items, [key.as_str()]);
                    model.remove(&id);
                }
                (Some(row), 1) => {
                    let cells = [Cell::Text(&key), Cell::Text(&name), Cell::Unchanged];
                    batch = batch.update(&items, cells);
                    row.0 = name;
                }
                (Some(row), _) => {
                    batch = batch.update(&items, [&key, &name, &notes].map(String::as_str));
                    *row = (name, notes);
                }
            }
        }
        f.write(&batch.build());
        let expected: Vec<_> = (model.iter())
            .map(|(id, (name, notes))| format!("{id}|{name}|{notes}"))
            .collect();
        assert_eq!(f.lines("SELECT * FROM items ORDER BY id"), expected);
    }
}

#[test]
fn a_duplicate_among_many_inserts_is_named_by_its_change() {
    let mut f = Fixture::new();
    let items = items();
    f.writer.prepare(&items).unwrap();
    f.database.execute("INSERT INTO items VALUES (70, 'theirs', '')");
    let mut batch = f.next();
    for id in 0..200 {
        batch = batch.insert(&items, [id.to_string().as_str(), "secret-value", ""]);
    }
    let error = f.rejected(&batch.build());
    assert_eq!((error.change, error.code.as_str()), (Some(70), "23505"));
    assert_eq!(error.table.as_deref(), Some("public.items"));
    assert!(!format!("{error} {}", error.hint).contains("secret"), "{error}");
    assert_eq!(f.lines("SELECT id, name FROM items"), ["70|theirs"]);
}

#[test]
fn keys_that_are_equal_in_two_spellings_stay_in_source_order() {
    let mut f = Fixture::new();
    let prices = relation("public.prices")
        .column("price", "numeric")
        .column("name", "text")
        .key(["price"])
        .build();
    let mut batch = f.next();
    for number in 0..120 {
        batch = batch.insert(&prices, [number.to_string().as_str(), "a"]);
    }
    batch = batch.delete(&prices, ["7"]).insert(&prices, ["7.00", "b"]);
    batch = batch.delete(&prices, ["7.00"]).insert(&prices, ["7.0", "c"]);
    f.write(&batch.build());
    let row = "SELECT *, (SELECT count(*) FROM prices) FROM prices WHERE price = 7";
    assert_eq!(f.lines(row), ["7.0|c|120"]);
}

#[test]
fn keys_swapped_under_a_deferred_constraint_are_swapped() {
    let mut f = Fixture::new();
    let items = items();
    let first = f.next().insert(&items, ["1", "a", "long a"]);
    f.write(&first.insert(&items, ["2", "b", "long b"]).build());
    let swap = f
        .next()
        .update_moved(&items, ["1"], [Cell::Text("2"), Cell::Text("a"), Cell::Unchanged])
        .update_moved(&items, ["2"], [Cell::Text("1"), Cell::Text("b"), Cell::Unchanged]);
    f.write(&swap.build());
    assert_eq!(
        f.lines("SELECT * FROM items ORDER BY id"),
        ["1|b|long b", "2|a|long a"]
    );
}

#[test]
fn swapped_values_of_a_second_unique_key_follow_the_source() {
    let mut f = Fixture::with("CREATE TABLE u (id int PRIMARY KEY, code text UNIQUE)", |_| {});
    let u = relation("public.u")
        .column("id", "integer")
        .column("code", "text")
        .key(["id"])
        .unique(["code"])
        .build();
    f.write(&f.next().insert(&u, ["1", "a"]).insert(&u, ["2", "b"]).build());
    let mut batch = f.next().update(&u, ["1", "x"]).update(&u, ["2", "a"]);
    batch = batch.update(&u, ["1", "b"]);
    for id in 3..200 {
        batch = batch.insert(&u, [id.to_string().as_str(), "tmp"]).delete(&u, [id
            .to_string()
            .as_str()]);
    }
    f.write(&batch.build());
    assert_eq!(f.lines("SELECT * FROM u ORDER BY id"), ["1|b", "2|a"]);
}

#[test]
fn a_partial_update_without_its_row_is_an_error_and_a_full_one_makes_it() {
    let mut f = Fixture::new();
    let items = items();
    let partial = [Cell::Text("1"), Cell::Text("a"), Cell::Unchanged];
    let error = f.rejected(&f.next().insert(&items, ["9", "", ""]).update(&items, partial).build());
    assert_eq!((error.change, error.table.as_deref()), (Some(1), Some("public.items")));
    f.write(&f.next().update(&items, ["1", "a", "b"]).delete(&items, ["5"]).build());
    assert_eq!(f.lines("SELECT * FROM items"), ["1|a|b"]);
    assert_eq!(f.recorder.counter("deletes_of_missing_rows"), 1);
}

#[test]
fn identity_and_generated_columns_of_the_target_are_respected() {
    let mut f = Fixture::with(
        "CREATE TABLE g (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a int, \
         twice int GENERATED ALWAYS AS (a * 2) STORED)",
        |_| {},
    );
    let g = relation("public.g")
        .column("id", "integer")
        .column("a", "integer")
        .column("twice", "integer")
        .key(["id"])
        .build();
    let mut batch = f.next().insert(&g, ["7", "1", "2"]).update(&g, ["7", "5", "10"]);
    f.write(&batch.build());
    batch = f.next();
    for id in 100..300 {
        batch = batch.insert(&g, [id.to_string().as_str(), "1", "2"]);
    }
    f.write(&batch.update(&g, ["7", "6", "12"]).build());
    assert_eq!(f.lines("SELECT * FROM g WHERE id = 7"), ["7|6|12"]);
    assert_eq!(f.lines("SELECT count(*) FROM g"), ["201"]);
}

#[test]
fn tables_of_one_truncate_are_truncated_together() {
    let mut f = Fixture::with(
        "CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY REFERENCES a)",
        |_| {},
    );
    let table = |name| relation(name).column("id", "integer").key(["id"]).build();
    let (a, b) = (table("public.a"), table("public.b"));
    f.write(&f.next().insert(&a, ["1"]).insert(&b, ["1"]).build());
    f.write(&f.next().truncate(&a).truncate(&b).insert(&a, ["2"]).build());
    assert_eq!(f.lines("SELECT id FROM a UNION ALL SELECT id FROM b"), ["2"]);
    let error = f.rejected(&f.next().truncate(&a).build());
    assert!(error.hint.contains("foreign key"), "{error:?}");
}

#[test]
fn under_role_origin_the_order_of_tables_tied_by_foreign_keys_is_kept() {
    let mut f = Fixture::with(
        "CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a)",
        |options| options["session_replication_role"] = json!("origin"),
    );
    let a = relation("public.a").column("id", "integer").key(["id"]).build();
    let b = relation("public.b")
        .column("id", "integer")
        .column("a", "integer")
        .key(["id"])
        .build();
    let mut batch = f.next();
    for id in 0..150 {
        let id = id.to_string();
        batch = batch.insert(&a, [id.as_str()]).insert(&b, [id.as_str(), id.as_str()]);
    }
    for id in 0..140 {
        let id = id.to_string();
        batch = batch.delete(&b, [id.as_str()]).delete(&a, [id.as_str()]);
    }
    f.write(&batch.build());
    assert_eq!(f.lines("SELECT count(*) FROM a JOIN b USING (id)"), ["10"]);
}

#[test]
fn triggers_do_not_run_under_role_replica() {
    let mut f = Fixture::with(
        "CREATE TABLE items (id int PRIMARY KEY, name text, notes text);
         CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS
           $$ BEGIN NEW.name := 'spoilt'; RETURN NEW; END $$;
         CREATE TRIGGER spoil BEFORE INSERT ON items FOR EACH ROW EXECUTE FUNCTION spoil()",
        |_| {},
    );
    f.write(&f.next().insert(&items(), ["1", "a", ""]).build());
    assert_eq!(f.lines("SELECT name FROM items"), ["a"]);
}

#[test]
fn a_narrower_column_is_rejected_with_the_statement_that_mends_it() {
    let mut f = Fixture::with(
        "CREATE TABLE items (id int PRIMARY KEY, name varchar(3), notes text)",
        |_| {},
    );
    let error = f.writer.prepare(&items()).unwrap_err();
    assert_eq!((error.kind, error.column.as_deref()), (ErrorKind::Rejected, Some("name")));
    assert_eq!(
        error.hint,
        "ALTER TABLE \"public\".\"items\" ALTER COLUMN \"name\" TYPE text"
    );
    let report = f.writer.check(&[(*items()).clone()]).unwrap();
    assert_eq!(report.objects, ["public.items"]);
    assert!(report.findings.iter().any(|finding| finding.is_error && finding.hint == error.hint));
    f.database.execute(&error.hint);
    f.writer.prepare(&items()).unwrap();
}

#[test]
fn a_widened_column_and_an_added_one_follow_the_source() {
    let mut f = Fixture::new();
    f.write(&f.next().insert(&items(), ["1", "a", ""]).build());
    let wider = relation("public.items")
        .column("id", "bigint")
        .column("name", "text")
        .column("notes", "text")
        .column("price", "numeric(10,2)")
        .key(["id"])
        .build();
    f.writer.prepare(&wider).unwrap();
    f.write(&f.next().insert(&wider, ["9999999999", "b", "", "1.50"]).build());
    assert_eq!(
        f.lines("SELECT id, price FROM items ORDER BY id"),
        ["1|∅", "9999999999|1.50"]
    );
}

#[test]
fn a_type_that_the_target_lacks_becomes_text_with_a_warning() {
    let mut f = Fixture::new();
    let moods = relation("public.moods")
        .column("id", "integer")
        .column("mood", "app.mood")
        .key(["id"])
        .build();
    let report = f.writer.check(&[(*moods).clone()]).unwrap();
    assert!(report.findings.iter().any(|f| !f.is_error && f.message.contains("app.mood")));
    f.write(&f.next().insert(&moods, ["1", "happy"]).build());
    assert_eq!(f.lines("SELECT mood, pg_typeof(mood) FROM moods"), ["happy|text"]);
    f.database.execute("CREATE SCHEMA app; CREATE TYPE app.mood AS ENUM ('sad')");
}

#[test]
fn a_replacing_copy_is_seen_by_readers_only_when_it_is_complete() {
    let mut f = Fixture::new();
    let items = items();
    f.write(&f.next().insert(&items, ["1", "old", ""]).build());
    f.writer.begin_load(&items, LoadMode::Replace).unwrap();
    let (mut loader, ..) = open::<PostgresWriter>(&f.database.options(), Role::Load).unwrap();
    loader.load(&f.next().insert(&items, ["1", "new", "tab\there"]).build()).unwrap();
    loader.load(&f.next().insert(&items, ["2", "new", "\\N"]).build()).unwrap();
    loader.flush(&Position::default()).unwrap();
    assert_eq!(f.lines("SELECT name FROM items"), ["old"]);
    f.writer.end_load(&items, Lsn(0x500)).unwrap();
    assert_eq!(
        f.lines("SELECT * FROM items ORDER BY id"),
        ["1|new|tab\there", "2|new|\\N"]
    );
    let found = f.writer.checkpoint(&stream()).unwrap().unwrap();
    assert_eq!(found.copied_to["public.items"], Lsn(0x500));
    assert_eq!(f.lines("SELECT FROM pg_class WHERE relname LIKE 'tahr_load%'").len(), 0);
}

#[test]
fn a_session_killed_between_parts_loses_the_transaction_and_nothing_else() {
    use tahr_plugin_api::Part;
    let mut f = Fixture::new();
    let items = items();
    let first = f.next().insert(&items, ["1", "a", ""]).part(Part::First);
    assert_eq!(f.writer.write(&first), Ok(Written::Accepted));
    f.database.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE state = 'idle in transaction' AND datname = current_database()",
    );
    let last = BatchBuilder::after(first.position()).insert(&items, ["2", "b", ""]);
    let last = last.part(Part::Last);
    let error = f.writer.write(&last).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Transient, "{error}");
    f.writer.reset().unwrap();
    let found = f.writer.checkpoint(&stream()).unwrap().unwrap();
    assert_eq!(found.position.as_ref(), Some(&f.position));
    assert_eq!(f.writer.write(&first), Ok(Written::Accepted));
    f.write(&last);
    assert_eq!(f.lines("SELECT id FROM items ORDER BY id"), ["1", "2"]);
}

#[test]
fn a_blocked_write_is_cancelled_and_works_again_after_a_reset() {
    let mut f = Fixture::new();
    let items = items();
    f.write(&f.next().insert(&items, ["1", "a", ""]).build());
    // Another session holds the row until it is told to end.
    let url = f.database.database().url().to_owned();
    let (ready, is_ready) = std::sync::mpsc::channel();
    let (release, released) = std::sync::mpsc::channel::<()>();
    let holder = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (client, connection) =
                tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
            let connection = tokio::spawn(connection);
            client.batch_execute("BEGIN; SELECT FROM items WHERE id = 1 FOR UPDATE").await.unwrap();
            ready.send(()).unwrap();
            released.recv().unwrap();
            drop(client);
            connection.await.unwrap().unwrap();
        });
    });
    is_ready.recv().unwrap();
    let canceller = f.canceller.clone();
    let cancelling = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        canceller.cancel();
    });
    let batch = f.next().update(&items, ["1", "b", ""]).build();
    let error = f.writer.write(&batch).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Transient, "{error}");
    cancelling.join().unwrap();
    release.send(()).unwrap();
    holder.join().unwrap();
    f.writer.reset().unwrap();
    let found = f.writer.checkpoint(&stream()).unwrap().unwrap();
    assert_eq!(found.position.as_ref(), Some(&f.position));
    f.write(&batch);
    assert_eq!(f.lines("SELECT name FROM items"), ["b"]);
}

#[test]
fn a_role_without_the_right_to_switch_triggers_off_writes_with_a_warning() {
    let mut database = PostgresSubject::new();
    database.fresh();
    let name = database.value("SELECT current_database()");
    let role = format!("plain_{name}");
    database.execute(&format!(
        "CREATE ROLE {role} LOGIN; GRANT ALL ON DATABASE \"{name}\" TO {role}; \
         GRANT ALL ON SCHEMA public TO {role}"
    ));
    let options = json!({ "url": database.database().url_as(&role) });
    let (mut writer, _, recorder) = open::<PostgresWriter>(&options, Role::Stream).unwrap();
    assert!(recorder.lines().iter().any(|(level, text)| *level == 2 && text.contains("GRANT SET")));
    writer.checkpoint(&stream()).unwrap();
    writer.flush(&Position::at(Lsn(0x100))).unwrap();
    let batch = BatchBuilder::after(&Position::at(Lsn(0x100))).insert(&items(), ["1", "a", "b"]);
    writer.write(&batch.build()).unwrap();
    let strict = json!({ "url": options["url"], "session_replication_role": "replica" });
    let error = open::<PostgresWriter>(&strict, Role::Stream).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Rejected);
    drop(writer);
    database.execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
}

#[test]
fn a_server_out_of_reach_is_transient_and_a_wrong_url_is_not() {
    let open = |url: &str| open::<PostgresWriter>(&json!({ "url": url }), Role::Stream).unwrap_err();
    assert_eq!(open("postgres://a:secret@127.0.0.1:1/x").kind, ErrorKind::Transient);
    let wrong = open("nonsense://a:secret@b");
    assert_eq!(wrong.kind, ErrorKind::Rejected);
    assert!(!wrong.to_string().contains("secret"));
}
