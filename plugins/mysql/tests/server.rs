//! What is special about this writer, on a real server.

mod subject;

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use subject::MysqlSubject;
use tahr_mysql::MysqlWriter;
use tahr_plugin_api::{
    Batch, ErrorKind, LoadMode, Lsn, Part, Position, Relation, Role, WriteError, Written,
    abi::{Canceller, RemoteWriter},
    testing::{BatchBuilder, Cell, Recorder, Subject as _, open, relation, stream},
};
use tahr_tests::MariaDb;

/// A writer on a database of its own.
struct Fixture {
    database: MysqlSubject,
    options: Value,
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
        let mut database = MysqlSubject::new("error");
        database.fresh();
        Self::on(database, statements, change)
    }

    fn on(database: MysqlSubject, statements: &str, change: impl FnOnce(&mut Value)) -> Self {
        let mut options = database.options();
        if !statements.is_empty() {
            database.execute(statements);
        }
        change(&mut options);
        let (mut writer, canceller, recorder) =
            open::<MysqlWriter>(&options, Role::Stream).expect("a writer");
        let position = Position::at(Lsn(0x100));
        assert_eq!(writer.checkpoint(&stream()).unwrap(), None);
        writer.flush(&position).expect("the first checkpoint");
        Self {
            database,
            options,
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
        self.reset();
        error
    }

    /// What follows an error: the target is where it was.
    #[track_caller]
    fn reset(&mut self) {
        self.writer.reset().unwrap();
        let found = self.writer.checkpoint(&stream()).unwrap().unwrap();
        assert_eq!(found.position.as_ref(), Some(&self.position));
    }

    /// Copies rows into `table`, which then holds nothing else.
    fn copy(&mut self, table: &Arc<Relation>, rows: &[[&str; 3]]) -> Result<(), WriteError> {
        self.writer.begin_load(table, LoadMode::Replace)?;
        let (mut loader, ..) = open::<MysqlWriter>(&self.options, Role::Load)?;
        let mut batch = BatchBuilder::after(&Position::default());
        for row in rows {
            batch = batch.insert(table, *row);
        }
        loader.load(&batch.build())?;
        loader.flush(&Position::default())?;
        self.writer.end_load(table, Lsn(0xABC))
    }

    /// The rows of a query, a row a line of values between bars.
    fn lines(&self, query: &str) -> Vec<String> {
        let text = |value: Option<String>| value.unwrap_or_else(|| "∅".to_owned());
        (self.database.query(query).into_iter())
            .map(|row| row.into_iter().map(text).collect::<Vec<_>>().join("|"))
            .collect()
    }
}

fn items() -> Arc<Relation> {
    relation("public.items")
        .column("id", "integer")
        .column("name", "text")
        .column("notes", "text")
        .key(["id"])
        .build()
}

#[track_caller]
fn rejected<T: std::fmt::Debug>(result: Result<T, WriteError>) -> WriteError {
    let error = result.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Rejected, "{error}");
    error
}

/// A server of the test's own, and a writer on it.
fn own(settings: &[(&str, &str)]) -> (MariaDb, Fixture) {
    let server = MariaDb::own(settings);
    let database = MysqlSubject::on(&server, "error");
    (server, Fixture::on(database, "", |_| {}))
}

#[test]
fn statements_keep_below_what_the_server_takes_and_a_longer_row_is_refused() {
    let (_server, mut f) = own(&[("max-allowed-packet", "1M")]);
    let items = items();
    f.writer.prepare(&items).unwrap();
    let long = "x'\\".repeat(80_000);
    let mut batch = f.next();
    for id in 0..40 {
        let id = id.to_string();
        batch = batch.insert(&items, [id.as_str(), "short", "short"]);
        batch = batch.insert(&items, [&format!("1{id}000"), "long", &long]);
    }
    f.write(&batch.build());
    let sums = "SELECT COUNT(*), SUM(LENGTH(notes)) FROM items";
    assert_eq!(f.lines(sums), [format!("80|{}", 40 * (240_000 + 5))]);
    // As single statements, too.
    let start = f.next();
    let batch = start
        .update(
            &items,
            [Cell::Text("1"), Cell::Unchanged, Cell::Text(&long)],
        )
        .update(
            &items,
            [Cell::Text("2"), Cell::Text(&long), Cell::Unchanged],
        )
        .build();
    f.write(&batch);
    // One that fits by itself only, behind others.
    let (less, more) = ("l".repeat(400_000), "m".repeat(700_000));
    let mut batch = f.next();
    for id in ["1", "2", "3"] {
        batch = batch.insert(&items, [&format!("7{id}"), "less", &less]);
        batch = batch.insert(&items, [&format!("8{id}"), "more", &more]);
        batch = batch.update(&items, [Cell::Text(id), Cell::Text(&less), Cell::Unchanged]);
        batch = batch.update(&items, [Cell::Text(id), Cell::Text(&more), Cell::Unchanged]);
    }
    f.write(&batch.build());
    let lengths = "SELECT name, LENGTH(notes) FROM items WHERE id BETWEEN 70 AND 90 ORDER BY id";
    let expected = ["less|400000"; 3].into_iter().chain(["more|700000"; 3]);
    assert_eq!(f.lines(lengths), expected.collect::<Vec<_>>());
    let lengths = "SELECT LENGTH(name) FROM items WHERE id BETWEEN 1 AND 3";
    assert_eq!(f.lines(lengths), ["700000"; 3]);
    let log = relation("public.log").column("line", "text").full().build();
    f.writer.prepare(&log).unwrap();
    let batch = f
        .next()
        .insert(&log, [less.as_str()])
        .insert(&log, [more.as_str()])
        .update_full(&log, [less.as_str()], ["was less"])
        .delete_full(&log, [more.as_str()])
        .build();
    f.write(&batch);
    assert_eq!(f.lines("SELECT line FROM log"), ["was less"]);
    let huge = "y".repeat(1_200_000);
    let batch = f.next().insert(&items, ["5000", "a", &huge]).build();
    let error = f.rejected(&batch);
    assert_eq!(error.change, Some(0));
    assert_eq!(error.table.as_deref(), Some("items"));
    assert_eq!(error.column.as_deref(), Some("notes"));
    assert!(error.message.contains("max_allowed_packet"), "{error}");
    assert!(error.hint.contains("SET GLOBAL max_allowed_packet"));
}

#[test]
fn a_deadlock_is_transient_and_the_whole_transaction_is_repeated() {
    let mut f = Fixture::new();
    let items = items();
    f.writer.prepare(&items).unwrap();
    let batch = f
        .next()
        .insert(&items, ["1", "a", ""])
        .insert(&items, ["2", "b", ""])
        .build();
    f.write(&batch);
    // The writer holds row 1 from the first part on, another session row 2; each wants the other's.
    let first = f.next().update(&items, ["1", "aa", ""]).part(Part::First);
    assert_eq!(f.writer.write(&first), Ok(Written::Accepted));
    // Of two the server ends the one that has done less.
    let rows: Vec<String> = (100..1100)
        .map(|id| format!("({id}, 'more', '')"))
        .collect();
    let rows = rows.join(",");
    let url = f.database.database().url().to_owned();
    let other = std::thread::spawn(move || {
        use mysql_async::prelude::Queryable as _;
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let mut session = mysql_async::Conn::from_url(url).await.unwrap();
            let sql = format!(
                "START TRANSACTION; UPDATE items SET name = 'other' WHERE id = 2; \
                 INSERT INTO items VALUES {rows}; \
                 UPDATE items SET name = 'other' WHERE id = 1; COMMIT"
            );
            session.query_drop(sql).await
        })
    });
    let waits = "SELECT COUNT(*) FROM information_schema.INNODB_TRX \
                 WHERE trx_state = 'LOCK WAIT' AND trx_query LIKE '%items SET name = ''other''%'";
    f.database.block_on(tahr_tests::eventually(
        Duration::from_secs(10),
        "the other session waits for row 1",
        async || match f.database.database().value(waits).await.as_str() {
            "0" => Err("nobody waits".to_owned()),
            _ => Ok(()),
        },
    ));
    let last = BatchBuilder::after(first.position()).update(&items, ["2", "bb", ""]);
    let last = last.part(Part::Last);
    let error = f.writer.write(&last).unwrap_err();
    assert!(error.is_transient() && error.code == "1213", "{error}");
    f.reset();
    other.join().unwrap().expect("the other session goes on");
    assert_eq!(f.writer.write(&first), Ok(Written::Accepted));
    f.write(&last);
    let names = f.lines("SELECT name FROM items WHERE id < 3 ORDER BY id");
    assert_eq!(names, ["aa", "bb"]);
}

#[test]
fn a_lock_of_others_is_waited_for_and_said() {
    let mut f = Fixture::with("", |options| options["lock_timeout"] = json!("1s"));
    let items = items();
    f.writer.prepare(&items).unwrap();
    let batch = f.next().insert(&items, ["1", "a", ""]).build();
    f.write(&batch);
    let mut session = f.database.block_on(f.database.database().connect());
    f.database.block_on(async {
        use mysql_async::prelude::Queryable as _;
        let sql = "START TRANSACTION; UPDATE items SET name = 'b'";
        session.query_drop(sql).await.unwrap();
    });
    let batch = f.next().update(&items, ["1", "c", ""]).build();
    let error = f.writer.write(&batch).unwrap_err();
    assert!(error.is_transient() && error.code == "1205", "{error}");
    assert!(error.hint.contains("lock_timeout"));
    f.database.block_on(session.disconnect()).unwrap();
    f.reset();
    f.write(&batch);
    assert_eq!(f.lines("SELECT name FROM items"), ["c"]);
}

#[test]
fn narrower_columns_are_refused_with_the_statement_that_mends_them() {
    let table = relation("public.items")
        .column("id", "bigint")
        .column("price", "numeric(10,2)")
        .column("at", "timestamp without time zone")
        .column("name", "character varying(50)")
        .key(["id"])
        .build();
    let made = "CREATE TABLE items (id BIGINT PRIMARY KEY, price DECIMAL(10,2), at DATETIME(6), \
                name VARCHAR(50) CHARACTER SET utf8mb4)";
    for (alter, column) in [
        ("MODIFY id INT", "id"),
        ("MODIFY price DECIMAL(8,2)", "price"),
        ("MODIFY at DATETIME", "at"),
        ("MODIFY at TIMESTAMP(6) NULL", "at"),
        ("MODIFY name VARCHAR(20) CHARACTER SET utf8mb4", "name"),
        ("MODIFY name VARCHAR(50) CHARACTER SET latin1", "name"),
        ("MODIFY name CHAR(50) CHARACTER SET utf8mb4", "name"),
    ] {
        let statements = format!("{made} ENGINE=InnoDB; ALTER TABLE items {alter}");
        let mut f = Fixture::with(&statements, |_| {});
        let error = rejected(f.writer.prepare(&table));
        assert_eq!(error.column.as_deref(), Some(column), "{alter}: {error}");
        assert!(error.message.contains("\"items\""), "{error}");
        let (mut checker, ..) = open::<MysqlWriter>(&f.options, Role::Check).unwrap();
        let report = checker.check(&[(*table).clone()]).unwrap();
        let [finding] = &*report.findings else {
            panic!("{alter}: {:?}", report.findings);
        };
        assert!(finding.is_error && finding.hint == error.hint);
        f.database.execute(&finding.hint);
        let report = checker.check(&[(*table).clone()]).unwrap();
        assert_eq!(report.findings, [], "{alter}");
        f.writer.reset().unwrap();
        f.writer.prepare(&table).unwrap();
    }
}

#[test]
fn widened_types_follow_in_tables_that_are_replicated_to() {
    let mut f = Fixture::new();
    let narrow = relation("public.t")
        .column("id", "integer")
        .column("n", "smallint")
        .column("price", "numeric(5,2)")
        .column("name", "character varying(5)")
        .key(["id"])
        .build();
    f.writer.prepare(&narrow).unwrap();
    let batch = f.next().insert(&narrow, ["1", "7", "1.50", "abc"]).build();
    f.write(&batch);
    let mut wide = relation("public.t")
        .column("id", "bigint")
        .column("n", "integer")
        .column("price", "numeric(12,2)")
        .column("name", "text")
        .key(["id"])
        .build();
    Arc::get_mut(&mut wide).unwrap().oid = narrow.oid;
    f.writer.prepare(&wide).unwrap();
    let long = "z".repeat(1000);
    let row = ["9223372036854775807", "100000", "1234567890.00", &long];
    let batch = f.next().insert(&wide, row).build();
    f.write(&batch);
    let select = "SELECT id, n, price, LENGTH(name) FROM t ORDER BY id";
    let expected = [
        "1|7|1.50|3",
        "9223372036854775807|100000|1234567890.00|1000",
    ];
    assert_eq!(f.lines(select), expected);
}

/// `public.values` with a column of each type that has values MySQL's own types don't hold.
fn values() -> Arc<Relation> {
    relation("public.values")
        .column("id", "integer")
        .column("number", "double precision")
        .column("price", "numeric(10,2)")
        .column("day", "date")
        .column("at", "timestamp with time zone")
        .key(["id"])
        .build()
}

#[test]
fn values_that_do_not_fit_follow_the_policy_in_copy_and_stream_alike() {
    let low = ["-Infinity", "NaN", "0044-03-15 BC", "-infinity"];
    let high = [
        "Infinity",
        "NaN",
        "infinity",
        "294276-12-31 23:59:59.999999+00",
    ];
    let fitting = ["0.1", "1.50", "2024-02-29", "2024-02-29 12:00:00.5+00"];
    for (unfit, expected_low, expected_high) in [
        ("null", "∅|∅|∅|∅", "∅|∅|∅|∅"),
        (
            "clamp",
            "-1.7976931348623157e308|∅|1000-01-01|1000-01-01 00:00:00.000000",
            "1.7976931348623157e308|∅|9999-12-31|9999-12-31 23:59:59.999999",
        ),
        (
            "text",
            "-Infinity|NaN|0044-03-15 BC|-infinity",
            "Infinity|NaN|infinity|294276-12-31 23:59:59.999999+00",
        ),
    ] {
        let mut f = Fixture::with("", |options| options["unfit"] = json!(unfit));
        let values = values();
        f.writer.prepare(&values).unwrap();
        let row = |id, [number, price, day, at]: [&'static str; 4]| [id, number, price, day, at];
        let batch = f
            .next()
            .insert(&values, row("1", low))
            .insert(&values, row("2", fitting))
            .insert(&values, row("3", high))
            .build();
        f.write(&batch);
        let select = "SELECT number, price, day, at FROM `values` ORDER BY id";
        let streamed = f.lines(select);
        assert_eq!(
            [&*streamed[0], &*streamed[2]],
            [expected_low, expected_high]
        );
        let (set_null, clamped) = match unfit {
            "null" => (8, 0),
            "clamp" => (2, 6),
            _ => (0, 0),
        };
        assert_eq!(f.recorder.counter("values_set_null"), set_null, "{unfit}");
        assert_eq!(f.recorder.counter("values_clamped"), clamped, "{unfit}");
        f.writer.begin_load(&values, LoadMode::Replace).unwrap();
        let (mut loader, _, recorder) = open::<MysqlWriter>(&f.options, Role::Load).unwrap();
        loader.load(&batch).unwrap();
        f.writer.end_load(&values, Lsn(5)).unwrap();
        assert_eq!(f.lines(select), streamed, "{unfit}");
        assert_eq!(recorder.counter("values_clamped"), clamped, "{unfit}");
    }
}

#[test]
fn under_the_default_policy_a_value_that_does_not_fit_is_named_without_itself() {
    let mut f = Fixture::new();
    let values = values();
    f.writer.prepare(&values).unwrap();
    for (column, row, word) in [
        (
            "number",
            ["2", "NaN", "1", "2024-01-01", "2024-01-01 00:00:00+00"],
            "NaN in DOUBLE",
        ),
        (
            "price",
            ["2", "1", "NaN", "2024-01-01", "2024-01-01 00:00:00+00"],
            "NaN in DECIMAL(10,2)",
        ),
        (
            "day",
            ["2", "1", "1", "infinity", "2024-01-01 00:00:00+00"],
            "infinity in DATE",
        ),
        (
            "at",
            ["2", "1", "1", "2024-01-01", "0044-03-15 00:00:00+00 BC"],
            "a year before 1000 in DATETIME(6)",
        ),
    ] {
        let first = ["1", "1", "1", "2024-01-01", "2024-01-01 00:00:00+00"];
        let batch = f.next().insert(&values, first).insert(&values, row).build();
        let error = f.rejected(&batch);
        assert_eq!(error.change, Some(1));
        assert_eq!(error.table.as_deref(), Some("values"));
        assert_eq!(error.column.as_deref(), Some(column));
        assert!(error.message.ends_with(word), "{error}");
        assert!(error.hint.contains("unfit = "));
    }
    assert_eq!(f.lines("SELECT * FROM `values`"), [""; 0]);
}

#[test]
fn rows_of_many_bytes_have_room_until_the_page_is_full() {
    let mut f = Fixture::new();
    // 100,000 bytes of VARCHAR at four bytes a character.
    let mut wide = relation("public.wide").column("id", "integer");
    for number in 0..25 {
        wide = wide.column(&format!("c{number}"), "character varying(1000)");
    }
    let wide = wide.key(["id"]).build();
    f.writer.prepare(&wide).unwrap();
    let text = "é".repeat(1000);
    let mut row = [text.as_str(); 26];
    row[0] = "1";
    let batch = f.next().insert(&wide, row).build();
    f.write(&batch);
    assert_eq!(
        f.lines("SELECT LENGTH(c0), LENGTH(c24) FROM wide"),
        ["2000|2000"]
    );
    // Five hundred long values leave no room for what stays in the page of each.
    let mut wider = relation("public.wider").column("id", "integer");
    for number in 0..499 {
        wider = wider.column(&format!("c{number}"), "text");
    }
    let wider = wider.key(["id"]).build();
    f.writer.prepare(&wider).unwrap();
    let mut row = [text.as_str(); 500];
    row[0] = "1";
    let batch = f
        .next()
        .insert(&wide, [row[0]; 26])
        .insert(&wider, row)
        .build();
    let error = f.rejected(&batch);
    assert_eq!((error.change, error.code.as_str()), (Some(1), "1118"));
    assert_eq!(error.table.as_deref(), Some("wider"));
    assert!(error.hint.contains("exclude"), "{}", error.hint);
}

#[test]
fn limits_of_names_and_columns_are_errors_of_check() {
    let mut f = Fixture::new();
    let mut many = relation("public.many");
    for number in 0..1018 {
        many = many.column(&format!("c{number}"), "integer");
    }
    let plain = |name: &str, columns: [&str; 2]| {
        let table = relation(name).column(columns[0], "integer");
        table.column(columns[1], "text").key([columns[0]]).build()
    };
    let long = format!("{}.{}", "s".repeat(63), "t".repeat(63));
    let tables = [
        many.build(),
        plain("public.tahr_checkpoint", ["id", "a"]),
        plain("public.twins", ["id", "ID"]),
        plain(&long, ["id", "a"]),
        plain("public.items", ["id", "a"]),
    ];
    let (mut checker, ..) = open::<MysqlWriter>(&f.options, Role::Check).unwrap();
    let relations: Vec<Relation> = tables.iter().map(|table| (**table).clone()).collect();
    let report = checker.check(&relations).unwrap();
    assert_eq!(report.objects[4], "items");
    assert_eq!(report.objects[3].chars().count(), 64);
    let found: Vec<(bool, &str)> = (report.findings.iter())
        .map(|finding| (finding.is_error, &*finding.message))
        .collect();
    let expected = [
        (true, "has 1018 columns, and InnoDB's limit is 1017"),
        (true, "\"tahr_checkpoint\" is reserved"),
        (true, "\"id\" and \"ID\""),
        (false, "MySQL takes no such name"),
    ];
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for ((is_error, message), (expected, part)) in found.iter().zip(expected) {
        assert!(*is_error == expected && message.contains(part), "{message}");
    }
    for table in &tables[..3] {
        let error = rejected(f.writer.prepare(table));
        assert!(!error.hint.is_empty());
    }
}

#[test]
fn names_that_a_server_folds_are_one_object() {
    let (_server, f) = own(&[("lower-case-table-names", "1")]);
    let table = |name| (*relation(name).column("id", "integer").key(["id"]).build()).clone();
    let (mut checker, ..) = open::<MysqlWriter>(&f.options, Role::Check).unwrap();
    let report = checker
        .check(&[table("public.Items"), table("public.items")])
        .unwrap();
    assert_eq!(report.objects, ["items", "items"]);
}

#[test]
fn keys_that_a_collation_takes_for_one_stay_apart_or_are_refused() {
    let words = relation("public.words")
        .column("word", "text")
        .column("n", "integer")
        .key(["word"])
        .build();
    let mut f = Fixture::new();
    f.writer.prepare(&words).unwrap();
    let mut batch = f.next();
    for (word, n) in [
        ("A", "1"),
        ("a", "2"),
        ("á", "3"),
        ("a ", "4"),
        ("ß", "5"),
        ("ss", "6"),
    ] {
        batch = batch.insert(&words, [word, n]);
    }
    f.write(&batch.build());
    let batch = f
        .next()
        .delete(&words, ["a"])
        .update(&words, ["a ", "44"])
        .build();
    f.write(&batch);
    assert_eq!(
        f.lines("SELECT n FROM words ORDER BY n"),
        ["1", "3", "5", "6", "44"]
    );
    let long = "w".repeat(769);
    let batch = f.next().insert(&words, [&long, "7"]).build();
    let error = f.rejected(&batch);
    assert_eq!(error.column.as_deref(), Some("word"));
    assert!(error.message.contains("this long"), "{error}");
    // A user's own table, whose key compares otherwise.
    for collation in ["utf8mb4_general_ci", "utf8mb4_bin"] {
        let made = format!(
            "CREATE TABLE words (word VARCHAR(768) CHARACTER SET utf8mb4 COLLATE {collation} \
             PRIMARY KEY, n INT)"
        );
        let mut f = Fixture::with(&made, |_| {});
        let error = rejected(f.writer.prepare(&words));
        assert_eq!(error.column.as_deref(), Some("word"));
        f.database.execute(&error.hint);
        f.writer.prepare(&words).unwrap();
    }
}

#[test]
fn copies_come_out_the_same_with_and_without_load_data() {
    let [takes, refuses] = ["1", "0"].map(|local| MariaDb::own(&[("local-infile", local)]));
    let texts = [
        "it's\ta\\tab",
        "line\nand\r\n",
        "\\N",
        "\\",
        "",
        "größe 🦀",
        "NULL",
        "'",
    ];
    let mut rows: Vec<[String; 3]> = Vec::new();
    for (id, text) in texts.iter().enumerate() {
        rows.push([
            id.to_string(),
            (*text).to_owned(),
            texts[texts.len() - 1 - id].to_owned(),
        ]);
    }
    let rows: Vec<[&str; 3]> = rows
        .iter()
        .map(|row| row.each_ref().map(|v| &**v))
        .collect();
    let mut found = Vec::new();
    for (server, load_data, loads) in [(&takes, false, 0), (&takes, true, 1), (&refuses, true, 0)] {
        let database = MysqlSubject::on(server, "error");
        let mut f = Fixture::on(database, "", |options| {
            options["load_data"] = json!(load_data);
        });
        let items = items();
        f.writer.prepare(&items).unwrap();
        f.copy(&items, &rows).unwrap();
        found.push(f.lines("SELECT * FROM items ORDER BY id"));
        let count = "SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS \
                     WHERE VARIABLE_NAME = 'COM_LOAD'";
        assert_eq!(f.lines(count), [loads.to_string()]);
    }
    let expected: Vec<String> = rows.iter().map(|row| row.join("|")).collect();
    assert_eq!(found, [&expected[..]; 3]);
}

#[test]
fn what_load_data_would_only_warn_of_is_an_error_all_the_same() {
    let made = "CREATE TABLE items (id INT PRIMARY KEY, name LONGTEXT CHARACTER SET utf8mb4, \
                notes LONGTEXT CHARACTER SET utf8mb4, UNIQUE (name(10)))";
    let mut f = Fixture::with(made, |_| {});
    let items = items();
    f.writer.prepare(&items).unwrap();
    let rows = [["1", "same", "a"], ["2", "same", "b"]];
    let error = rejected(f.copy(&items, &rows));
    assert_eq!(error.code, "1062");
    assert!(!error.message.contains("same"), "{error}");
    f.writer.reset().unwrap();
    f.writer.checkpoint(&stream()).unwrap();
    f.copy(&items, &[["1", "one", "a"], ["2", "two", "b"]])
        .unwrap();
    assert_eq!(
        f.lines("SELECT name FROM items ORDER BY id"),
        ["one", "two"]
    );
}

#[test]
fn a_server_killed_in_the_middle_of_a_batch_holds_it_once_in_the_end() {
    let (mut server, mut f) = own(&[]);
    let items = items();
    f.writer.prepare(&items).unwrap();
    let log = relation("public.log").column("line", "text").full().build();
    f.writer.prepare(&log).unwrap();
    let first = f
        .next()
        .insert(&items, ["1", "a", ""])
        .insert(&log, ["first"])
        .part(Part::First);
    let last = BatchBuilder::after(first.position())
        .insert(&log, ["last"])
        .part(Part::Last);
    assert_eq!(f.writer.write(&first), Ok(Written::Accepted));
    server.kill();
    let error = f.writer.write(&last).unwrap_err();
    assert!(error.is_transient(), "{error}");
    let error = f.writer.reset().unwrap_err();
    assert!(error.is_transient(), "{error}");
    server.start();
    f.reset();
    assert_eq!(f.writer.write(&first), Ok(Written::Accepted));
    f.write(&last);
    assert_eq!(
        f.lines("SELECT line FROM log ORDER BY line"),
        ["first", "last"]
    );
    // The answer of a commit may be lost, too: the checkpoint tells.
    server.restart();
    let batch = f.next().insert(&log, ["after"]).build();
    let error = f.writer.write(&batch).unwrap_err();
    assert!(error.is_transient(), "{error}");
    f.reset();
    f.write(&batch);
    assert_eq!(f.lines("SELECT COUNT(*) FROM log"), ["3"]);
}

#[test]
fn targets_that_cannot_be_used_are_told_apart() {
    let f = Fixture::new();
    let user = format!(
        "u{}",
        f.database.database().name().trim_start_matches("tahr_")
    );
    let user = &user[..user.len().min(32)];
    f.database
        .execute(&format!("CREATE USER {user}@'%' IDENTIFIED BY 'right'"));
    let attempt = |url: &str| {
        let options = json!({ "url": url, "connect_timeout": "5s" });
        open::<MysqlWriter>(&options, Role::Stream)
            .map(drop)
            .unwrap_err()
    };
    let database = f.database.database();
    let error = attempt(&database.url_as(&format!("{user}:wrong-secret")));
    assert_eq!(
        (error.kind, error.code.as_str()),
        (ErrorKind::Rejected, "1045")
    );
    assert!(
        error.hint.contains("password") && !error.message.contains("secret"),
        "{error}"
    );
    let error = attempt(&database.url_as(&format!("{user}:right")));
    assert_eq!(
        (error.kind, error.code.as_str()),
        (ErrorKind::Rejected, "1044")
    );
    assert!(error.hint.contains("GRANT"), "{}", error.hint);
    f.database.execute(&format!("DROP USER {user}@'%'"));
    let error = attempt(&database.url().replace("/tahr_", "/absent_"));
    assert_eq!(
        (error.kind, error.code.as_str()),
        (ErrorKind::Rejected, "1049")
    );
    for url in [
        "mysql://127.0.0.1:3306",
        "postgres://a:secret@b/c",
        "mysql://a@b/c?ssl=1",
    ] {
        let error = attempt(url);
        assert_eq!(error.kind, ErrorKind::Rejected, "{url}: {error}");
        assert!(error.hint.contains("mysql://") && !error.message.contains("secret"));
    }
    let error = attempt("mysql://root@127.0.0.1:1/none");
    assert!(error.is_transient(), "{error}");
}

#[test]
fn in_tables_with_several_unique_keys_values_change_hands_in_the_source_s_order() {
    let made = "CREATE TABLE codes (id INT PRIMARY KEY, code VARCHAR(768) CHARACTER SET utf8mb4 \
                COLLATE utf8mb4_nopad_bin UNIQUE, n INT DEFAULT 5)";
    let mut f = Fixture::with(made, |_| {});
    let codes = relation("public.codes")
        .column("id", "integer")
        .column("code", "character varying(20)")
        .key(["id"])
        .unique(["code"])
        .build();
    f.writer.prepare(&codes).unwrap();
    let batch = f
        .next()
        .insert(&codes, ["1", "a"])
        .insert(&codes, ["2", "b"])
        .insert(&codes, ["3", "c"])
        .update(&codes, ["1", "-"])
        .update(&codes, ["2", "a"])
        .update(&codes, ["1", "b"])
        .delete(&codes, ["3"])
        .insert(&codes, ["4", "c"])
        .build();
    f.write(&batch);
    assert_eq!(
        f.lines("SELECT * FROM codes ORDER BY id"),
        ["1|b|5", "2|a|5", "4|c|5"]
    );
    // Never is a row replaced for a value of another key.
    let batch = f
        .next()
        .insert(&codes, ["5", "z"])
        .insert(&codes, ["6", "a"])
        .build();
    let error = f.rejected(&batch);
    assert_eq!((error.change, error.code.as_str()), (Some(1), "1062"));
    // A row that is there already is made equal; one that is gone comes back.
    f.database
        .execute("INSERT INTO codes VALUES (7, 'x', 6); DELETE FROM codes WHERE id = 1");
    let batch = f
        .next()
        .insert(&codes, ["7", "y"])
        .update(&codes, ["1", "bb"])
        .build();
    f.write(&batch);
    let expected = ["1|bb|5", "2|a|5", "4|c|5", "7|y|6"];
    assert_eq!(f.lines("SELECT * FROM codes ORDER BY id"), expected);
}

#[test]
fn keys_that_change_places_under_a_deferred_constraint_do_so_here() {
    let mut f = Fixture::new();
    let items = items();
    f.writer.prepare(&items).unwrap();
    let batch = f
        .next()
        .insert(&items, ["1", "a", "long"])
        .insert(&items, ["2", "b", "longer"])
        .build();
    f.write(&batch);
    let moved = |id, name| [Cell::Text(id), Cell::Text(name), Cell::Unchanged];
    let batch = f
        .next()
        .update_moved(&items, ["1"], moved("2", "a"))
        .update_moved(&items, ["2"], moved("1", "b"))
        .build();
    f.write(&batch);
    let expected = ["1|b|longer", "2|a|long"];
    assert_eq!(f.lines("SELECT * FROM items ORDER BY id"), expected);
}

#[test]
fn an_update_in_part_of_a_row_that_others_removed_is_refused() {
    let mut f = Fixture::new();
    let items = items();
    f.writer.prepare(&items).unwrap();
    let row = [Cell::Text("1"), Cell::Unchanged, Cell::Null];
    let batch = f.next().delete(&items, ["7"]).update(&items, row).build();
    let error = f.rejected(&batch);
    assert_eq!(
        (error.change, error.table.as_deref()),
        (Some(1), Some("items"))
    );
    assert!(error.hint.contains("tahr drop"));
    let batch = f
        .next()
        .delete(&items, ["7"])
        .insert(&items, ["1", "a", ""])
        .build();
    f.write(&batch);
    assert_eq!(f.recorder.counter("deletes_of_missing_rows"), 1);
}

#[test]
fn a_second_engine_is_noticed_by_the_checkpoint_it_moved() {
    let mut f = Fixture::new();
    let items = items();
    f.writer.prepare(&items).unwrap();
    let [mut second, mut third] = [(), ()].map(|()| {
        let (mut writer, ..) = open::<MysqlWriter>(&f.options, Role::Stream).unwrap();
        writer.checkpoint(&stream()).unwrap();
        writer
    });
    let batch = f.next().insert(&items, ["1", "a", ""]).build();
    f.write(&batch);
    let theirs = BatchBuilder::after(&Position::at(Lsn(0x100)));
    let theirs = theirs.insert(&items, ["1", "theirs", ""]).build();
    let moved = Written::Moved(Some(f.position.clone()));
    assert_eq!(second.write(&theirs), Ok(moved.clone()));
    assert_eq!(third.flush(&Position::at(Lsn(0x200))), Ok(moved));
    assert_eq!(f.lines("SELECT name FROM items"), ["a"]);
}

#[test]
fn a_blocked_call_ends_when_it_is_cancelled_and_its_transaction_with_it() {
    let mut f = Fixture::new();
    let items = items();
    f.writer.prepare(&items).unwrap();
    let batch = f.next().insert(&items, ["1", "a", ""]).build();
    f.write(&batch);
    let mut session = f.database.block_on(f.database.database().connect());
    f.database.block_on(async {
        use mysql_async::prelude::Queryable as _;
        let sql = "START TRANSACTION; UPDATE items SET name = 'b'";
        session.query_drop(sql).await.unwrap();
    });
    let canceller = f.canceller.clone();
    let cancelling = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        canceller.cancel();
    });
    let batch = f.next().update(&items, ["1", "c", ""]).build();
    let error = f.writer.write(&batch).unwrap_err();
    assert!(error.is_transient(), "{error}");
    cancelling.join().unwrap();
    f.database.block_on(session.disconnect()).unwrap();
    f.reset();
    f.write(&batch);
    assert_eq!(f.lines("SELECT name FROM items"), ["c"]);
}

#[test]
fn a_replacing_copy_keeps_what_users_hang_on_the_table() {
    let made = "CREATE TABLE items (id INT PRIMARY KEY, name LONGTEXT CHARACTER SET utf8mb4, \
                notes LONGTEXT CHARACTER SET utf8mb4, mine INT DEFAULT 7, \
                shout LONGTEXT GENERATED ALWAYS AS (UPPER(name)) VIRTUAL, INDEX mine (mine)) \
                ENGINE=InnoDB; INSERT INTO items (id) VALUES (9); \
                CREATE VIEW names AS SELECT name FROM items";
    let trigger = "CREATE TABLE seen (id INT) ENGINE=InnoDB; CREATE TRIGGER see AFTER INSERT ON \
                   items FOR EACH ROW INSERT INTO seen VALUES (NEW.id)";
    for more in ["DO 0", trigger] {
        let mut f = Fixture::with(&format!("{made}; {more}"), |_| {});
        let items = items();
        f.writer.prepare(&items).unwrap();
        rejected(f.writer.begin_load(&items, LoadMode::Fresh));
        f.copy(&items, &[["1", "a", "x"], ["2", "b", "y"]]).unwrap();
        let rows = f.lines("SELECT id, name, mine, shout FROM items ORDER BY id");
        assert_eq!(rows, ["1|a|7|A", "2|b|7|B"]);
        assert_eq!(f.lines("SELECT name FROM names ORDER BY name"), ["a", "b"]);
        let indexes = "SELECT COUNT(*) FROM information_schema.STATISTICS \
                       WHERE TABLE_SCHEMA = DATABASE() AND INDEX_NAME = 'mine'";
        assert_eq!(f.lines(indexes), ["1"]);
        let triggers = "SELECT COUNT(*) FROM information_schema.TRIGGERS \
                        WHERE EVENT_OBJECT_SCHEMA = DATABASE()";
        assert_eq!(f.lines(triggers), [if more == trigger { "1" } else { "0" }]);
        let left = "SELECT COUNT(*) FROM information_schema.TABLES \
                    WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME LIKE 'tahr\\_load%'";
        assert_eq!(f.lines(left), ["0"]);
        let batch = f.next().update(&items, ["2", "bb", "y"]).build();
        f.write(&batch);
        assert_eq!(f.lines("SELECT shout FROM items WHERE id = 2"), ["BB"]);
    }
}

#[test]
fn a_table_of_text_columns_takes_postgresqls_text_from_copy_and_stream_alike() {
    let made = "CREATE TABLE kinds (id VARCHAR(20) PRIMARY KEY, flag VARCHAR(5), ratio TEXT, \
                data LONGTEXT, at VARCHAR(40)) ENGINE=InnoDB CHARACTER SET utf8mb4";
    let mut f = Fixture::with(made, |_| {});
    let kinds = relation("public.kinds")
        .column("id", "bigint")
        .column("flag", "boolean")
        .column("ratio", "double precision")
        .column("at", "timestamp with time zone")
        .key(["id"])
        .build();
    f.writer.prepare(&kinds).unwrap();
    let row = |id| [id, "t", "-0", "infinity"];
    f.writer.begin_load(&kinds, LoadMode::Replace).unwrap();
    let (mut loader, ..) = open::<MysqlWriter>(&f.options, Role::Load).unwrap();
    let start = BatchBuilder::after(&Position::default());
    loader
        .load(&start.insert(&kinds, row("1")).build())
        .unwrap();
    f.writer.end_load(&kinds, Lsn(5)).unwrap();
    let batch = f.next().insert(&kinds, row("2")).build();
    f.write(&batch);
    let select = "SELECT flag, ratio, at FROM kinds";
    assert_eq!(f.lines(select), ["t|-0|infinity"; 2]);
}
