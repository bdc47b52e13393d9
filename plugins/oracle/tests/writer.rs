//! What is special about Oracle: its failures, its rules, tables that were there before.

mod schema;
mod stand_in;

use std::sync::Arc;

use schema::Place;
use serde_json::{Value, json};
use stand_in::Files;
use tahr_oracle::OracleWriter;
use tahr_plugin_api::{
    ErrorKind, Lsn, Position, Relation, Role, WriteError, Written,
    abi::RemoteWriter,
    testing::{BatchBuilder, Cell, Recorder, TestRelation, open, relation, stream},
};

const START: Position = Position {
    lsn: Lsn(0x1000),
    ordinal: 0,
    opaque: String::new(),
};

fn items() -> Arc<Relation> {
    relation("public.items")
        .column("id", "integer")
        .column("name", "character varying(20)")
        .column("notes", "text")
        .key(["id"])
        .build()
}

fn writer(options: &Value) -> (RemoteWriter, Recorder) {
    let (writer, _, recorder) = open::<OracleWriter>(options, Role::Stream).unwrap();
    (writer, recorder)
}

/// A stream writer that has stored its first checkpoint and prepared `tables`.
fn started(options: &Value, tables: &[&Arc<Relation>]) -> (RemoteWriter, Recorder) {
    let (mut writer, recorder) = writer(options);
    assert_eq!(writer.checkpoint(&stream()).unwrap(), None);
    assert_eq!(writer.flush(&START).unwrap(), Written::Stored(START));
    for table in tables {
        writer.prepare(table).unwrap();
    }
    (writer, recorder)
}

/// A database with what `sql` makes, and options for it.
fn database(sql: &[&str]) -> (Files, Value) {
    let mut files = Files::new();
    let options = files.fresh();
    let connection = files.connect();
    for sql in sql {
        connection.execute(sql, &[]).unwrap();
    }
    connection.commit().unwrap();
    (files, options)
}

fn texts(files: &Files, sql: &str) -> Vec<Vec<Option<String>>> {
    let connection = files.connect();
    let rows = connection.query(sql, &[]).unwrap();
    let row = |row: oracle::Row| {
        row.sql_values()
            .iter()
            .map(|value| value.get().unwrap())
            .collect()
    };
    rows.map(|found| row(found.unwrap())).collect()
}

fn text(files: &Files, sql: &str) -> Option<String> {
    texts(files, sql)[0][0].clone()
}

fn refused(options: &Value) -> WriteError {
    open::<OracleWriter>(options, Role::Stream).expect_err("a refusal")
}

#[test]
fn a_server_out_of_reach_is_transient_and_a_wrong_password_is_not() {
    let (files, mut options) = database(&[]);
    std::fs::write(files.beside("down"), "").unwrap();
    let error = refused(&options);
    assert_eq!(
        (error.kind, &*error.code),
        (ErrorKind::Transient, "ORA-12541"),
        "{error}"
    );
    assert!(error.hint.contains("listener"), "{}", error.hint);
    std::fs::remove_file(files.beside("down")).unwrap();
    options["password"] = json!("not-it");
    let error = refused(&options);
    assert_eq!(
        (error.kind, &*error.code),
        (ErrorKind::Rejected, "ORA-01017"),
        "{error}"
    );
    assert!(!error.message.contains("not-it") && !error.hint.contains("not-it"));
    options["connect"] = json!("stand-in:/nowhere/x.db");
    let error = refused(&options);
    assert_eq!(
        (error.kind, &*error.code),
        (ErrorKind::Transient, "ORA-12514"),
        "{error}"
    );
}

#[test]
fn a_deadlock_and_a_lost_connection_pass() {
    let items = items();
    let (files, options) = database(&[]);
    let (mut writer, _) = started(&options, &[&items]);
    let batch = BatchBuilder::after(&START)
        .insert(&items, ["1", "a", "x"])
        .insert(&items, ["2", "b", "y"])
        .build();
    for fault in [
        "row 2 ORA-00060 items",
        "execute 1 ORA-03113 items",
        "commit 1 ORA-03113",
    ] {
        files.fault(fault);
        let error = writer.write(&batch).unwrap_err();
        assert!(error.is_transient(), "{fault}: {error}");
        writer.reset().unwrap();
        let found = writer.checkpoint(&stream()).unwrap().unwrap();
        assert_eq!(found.position, Some(START), "{fault}");
    }
    assert_eq!(
        writer.write(&batch).unwrap(),
        Written::Stored(batch.position().clone())
    );
    assert_eq!(
        text(&files, "SELECT COUNT(*) FROM \"items\"").as_deref(),
        Some("2")
    );
}

#[test]
fn a_commit_whose_answer_was_lost_is_found_again() {
    let items = items();
    let (files, options) = database(&[]);
    let (mut writer, _) = started(&options, &[&items]);
    let batch = BatchBuilder::after(&START)
        .insert(&items, ["1", "a", "x"])
        .build();
    files.fault("commit 1 ORA-03113 after");
    assert!(writer.write(&batch).unwrap_err().is_transient());
    writer.reset().unwrap();
    let found = writer.checkpoint(&stream()).unwrap().unwrap();
    assert_eq!(found.position.as_ref(), Some(batch.position()));
    let next = BatchBuilder::after(batch.position())
        .delete(&items, ["1"])
        .build();
    assert_eq!(
        writer.write(&next).unwrap(),
        Written::Stored(next.position().clone())
    );
    assert_eq!(
        text(&files, "SELECT COUNT(*) FROM \"items\"").as_deref(),
        Some("0")
    );
}

#[test]
fn a_row_that_is_refused_names_change_table_and_column() {
    let items = items();
    let (files, options) = database(&[
        "CREATE TABLE \"items\" (\"id\" NUMBER(10) NOT NULL, \"name\" VARCHAR2(20 CHAR) NOT NULL, \
         \"notes\" CLOB, PRIMARY KEY (\"id\"))",
    ]);
    let (mut writer, _) = started(&options, &[&items]);
    let batch = BatchBuilder::after(&START)
        .insert(&items, ["1", "a", "x"])
        .insert(&items, [Cell::Text("2"), Cell::Null, Cell::Text("secret")])
        .insert(&items, ["3", "c", "z"])
        .build();
    let error = writer.write(&batch).unwrap_err();
    assert_eq!(
        (error.kind, &*error.code),
        (ErrorKind::Rejected, "ORA-01400"),
        "{error}"
    );
    assert_eq!(error.change, Some(1));
    assert_eq!(
        (error.table.as_deref(), error.column.as_deref()),
        (Some("items"), Some("name"))
    );
    assert!(error.hint.contains("empty_text"), "{}", error.hint);
    assert_eq!(
        text(&files, "SELECT COUNT(*) FROM \"items\"").as_deref(),
        Some("0")
    );
}

#[test]
fn long_text_survives_inserts_updates_and_upserts() {
    let items = items();
    let (files, options) = database(&[]);
    let (mut writer, _) = started(&options, &[&items]);
    let ids: Vec<String> = (0..50).map(|id| id.to_string()).collect();
    // Around the lengths at which the driver and the server change their ways.
    let long = |id: usize, letter: &str| letter.repeat([10, 4001, 32_767, 32_768, 100_000][id % 5]);
    let mut position = START;
    for letter in ["ä", "b"] {
        let mut batch = BatchBuilder::after(&position);
        for (number, id) in ids.iter().enumerate() {
            // The second time each row is there already, and replaced.
            let text = long(number, letter);
            batch = batch
                .delete(&items, [id.as_str()])
                .insert(&items, [id.as_str(), letter, &text]);
        }
        let batch = batch.build();
        writer.write(&batch).unwrap();
        position = batch.position().clone();
        let rows = texts(&files, "SELECT \"id\", \"notes\" FROM \"items\"");
        assert_eq!(rows.len(), ids.len());
        for row in rows {
            let number: usize = row[0].as_ref().unwrap().parse().unwrap();
            assert!(
                row[1].as_ref() == Some(&long(number, letter)),
                "row {number}, {letter}"
            );
        }
    }
}

#[test]
fn rows_that_are_there_already_are_made_equal() {
    let items = items();
    let keys = relation("public.keys")
        .column("id", "integer")
        .key(["id"])
        .build();
    let plain = TestRelation::from(&*relation("public.plain").column("id", "integer").build())
        .column("name", "character varying(20)")
        .key(["id"])
        .build();
    let (files, options) = database(&[]);
    let (mut writer, _) = started(&options, &[&items, &keys, &plain]);
    let connection = files.connect();
    for sql in [
        "INSERT INTO \"items\" (\"id\", \"name\") VALUES (2, 'foreign')",
        "INSERT INTO \"keys\" (\"id\") VALUES (2)",
        "INSERT INTO \"plain\" (\"id\", \"name\") VALUES (2, 'foreign')",
    ] {
        connection.execute(sql, &[]).unwrap();
    }
    connection.commit().unwrap();
    let mut batch = BatchBuilder::after(&START);
    for id in ["1", "2", "3"] {
        batch = batch
            .insert(&items, [id, "a", "x"])
            .insert(&keys, [id])
            .insert(&plain, [id, "a"]);
    }
    writer.write(&batch.build()).unwrap();
    for table in ["items", "plain"] {
        let sql = format!("SELECT COUNT(*) FROM \"{table}\" WHERE \"name\" = 'a'");
        assert_eq!(text(&files, &sql).as_deref(), Some("3"), "{table}");
    }
    assert_eq!(
        text(&files, "SELECT COUNT(*) FROM \"keys\"").as_deref(),
        Some("3")
    );
}

#[test]
fn empty_text_goes_by_its_rule() {
    let items = items();
    let row = ["1", "", ""];
    let write = |rule: Value| {
        let (files, mut options) = database(&[]);
        options["empty_text"] = rule;
        let (mut writer, recorder) = started(&options, &[&items]);
        let batch = BatchBuilder::after(&START).insert(&items, row).build();
        let written = writer.write(&batch);
        (files, written, recorder)
    };
    let (files, written, recorder) = write(json!("null"));
    written.unwrap();
    assert_eq!(text(&files, "SELECT \"name\" FROM \"items\""), None);
    assert_eq!(recorder.counter("empty_texts_set_null"), 2);
    let (files, written, recorder) = write(json!({ "sentinel": "∅" }));
    written.unwrap();
    assert_eq!(
        text(&files, "SELECT \"name\" FROM \"items\"").as_deref(),
        Some("∅")
    );
    assert_eq!(
        text(&files, "SELECT \"notes\" FROM \"items\"").as_deref(),
        Some("∅")
    );
    assert_eq!(recorder.counter("empty_texts_set_null"), 0);
    let (_, written, _) = write(json!("error"));
    let error = written.unwrap_err();
    assert_eq!((error.kind, error.change), (ErrorKind::Rejected, Some(0)));
    assert!(
        error.message.contains("an empty text") && error.hint.contains("sentinel"),
        "{error}"
    );
}

#[test]
fn an_empty_key_and_the_sentinel_itself_are_refused() {
    let words = relation("public.words")
        .column("word", "text")
        .column("n", "text")
        .key(["word"])
        .build();
    let (_files, mut options) = database(&[]);
    options["empty_text"] = json!({ "sentinel": "∅" });
    let (mut writer, _) = started(&options, &[&words]);
    for (row, column) in [(["", "a"], "word"), (["a", "∅"], "n")] {
        let batch = BatchBuilder::after(&START).insert(&words, row).build();
        let error = writer.write(&batch).unwrap_err();
        assert_eq!(
            (error.kind, error.column.as_deref()),
            (ErrorKind::Rejected, Some(column)),
            "{error}"
        );
        writer.reset().unwrap();
    }
}

#[test]
fn values_that_do_not_fit_park_or_go_by_the_rule() {
    let days = relation("public.days")
        .column("id", "integer")
        .column("day", "date")
        .key(["id"])
        .build();
    let batch = BatchBuilder::after(&START)
        .insert(&days, ["1", "infinity"])
        .build();
    let (_files, mut options) = database(&[]);
    let (mut writer, _) = started(&options, &[&days]);
    let error = writer.write(&batch).unwrap_err();
    assert_eq!(
        error.message,
        "column \"day\" (date) of table \"days\" can't hold infinity in DATE"
    );
    assert_eq!((error.kind, error.change), (ErrorKind::Rejected, Some(0)));
    let (files, clamping) = database(&[]);
    options = clamping;
    options["unfit"] = json!("clamp");
    let (mut writer, recorder) = started(&options, &[&days]);
    writer.write(&batch).unwrap();
    let day = text(
        &files,
        "SELECT TO_CHAR(\"day\", 'YYYY-MM-DD') FROM \"days\"",
    );
    assert_eq!(day.as_deref(), Some("9999-12-31"));
    assert_eq!(recorder.counter("values_clamped"), 1);
}

#[test]
fn a_table_of_ones_own_is_checked() {
    let (files, options) = database(&[
        "CREATE TABLE \"items\" (\"id\" NUMBER(5), \"name\" CHAR(20), \"notes\" VARCHAR2(5 CHAR), \
         \"extra\" NUMBER(1) NOT NULL)",
    ]);
    let (mut checker, ..) = open::<OracleWriter>(&options, Role::Check).unwrap();
    let items = items();
    let report = checker.check(std::slice::from_ref(&*items)).unwrap();
    assert_eq!(report.objects, ["items"]);
    let found: Vec<(bool, &str)> = (report.findings.iter())
        .map(|finding| (finding.is_error, &*finding.message))
        .collect();
    for (is_error, part) in [
        (true, "\"name\" of table \"items\" has type CHAR(20"),
        (true, "\"extra\" of table \"items\" is NOT NULL"),
        (
            false,
            "\"id\" of table \"items\" is NUMBER(5), which is narrower",
        ),
        (
            false,
            "\"notes\" of table \"items\" is VARCHAR2(5 CHAR), which is narrower",
        ),
        (false, "no unique index"),
    ] {
        let is_told = found
            .iter()
            .any(|(kind, text)| *kind == is_error && text.contains(part));
        assert!(is_told, "{part}: {found:?}");
    }
    assert_eq!(found.len(), 5);
    drop(files);
}

#[test]
fn a_narrower_column_refuses_what_is_too_long() {
    let (files, options) = database(&[
        "CREATE TABLE \"items\" (\"id\" NUMBER(3) PRIMARY KEY, \"name\" VARCHAR2(3 CHAR), \"notes\" CLOB)",
    ]);
    let items = items();
    let (mut writer, _) = started(&options, &[&items]);
    for (row, column) in [(["1", "äöüß", "x"], "name"), (["1000", "a", "x"], "id")] {
        let batch = BatchBuilder::after(&START).insert(&items, row).build();
        let error = writer.write(&batch).unwrap_err();
        assert_eq!(
            (error.kind, error.column.as_deref()),
            (ErrorKind::Rejected, Some(column)),
            "{error}"
        );
        assert!(
            error.message.contains("table \"items\" can't hold"),
            "{error}"
        );
        writer.reset().unwrap();
    }
    let batch = BatchBuilder::after(&START)
        .insert(&items, ["999", "äöü", "x"])
        .build();
    writer.write(&batch).unwrap();
    assert_eq!(
        text(&files, "SELECT \"name\" FROM \"items\"").as_deref(),
        Some("äöü")
    );
}

#[test]
fn a_wider_type_is_followed_and_a_rename_is_told() {
    let narrow = relation("public.t")
        .column("id", "integer")
        .column("n", "smallint")
        .key(["id"])
        .build();
    let (files, options) = database(&[]);
    let (mut writer, _) = started(&options, &[&narrow]);
    let changed = |type_name: &str, column: &str| {
        let mut relation = (*relation("public.t")
            .column("id", "integer")
            .column(column, type_name)
            .key(["id"])
            .build())
        .clone();
        relation.oid = narrow.oid;
        Arc::new(relation)
    };
    let wide = changed("bigint", "n");
    writer.prepare(&wide).unwrap();
    let batch = BatchBuilder::after(&START)
        .insert(&wide, ["1", "9007199254740993"])
        .build();
    writer.write(&batch).unwrap();
    assert_eq!(
        text(&files, "SELECT \"n\" FROM \"t\"").as_deref(),
        Some("9007199254740993")
    );
    let error = writer.prepare(&changed("bigint", "m")).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Rejected);
    assert!(
        error.hint.contains("RENAME COLUMN \"n\" TO \"m\""),
        "{}",
        error.hint
    );
}

#[test]
fn an_older_server_has_shorter_names() {
    let long = relation("public.a_table_whose_name_has_more_than_thirty_bytes")
        .column("id", "integer")
        .column("a_column_whose_name_has_more_than_thirty_bytes", "text")
        .key(["id"])
        .build();
    let (files, options) = database(&[]);
    std::fs::write(files.beside("version"), "12.1.0.2.0").unwrap();
    let (mut writer, _) = started(&options, &[&long]);
    writer
        .write(
            &BatchBuilder::after(&START)
                .insert(&long, ["1", "a"])
                .build(),
        )
        .unwrap();
    let report = writer.check(std::slice::from_ref(&*long)).unwrap();
    assert_eq!(report.objects[0].len(), 30);
    assert!(
        report.objects[0].starts_with("a_table_whose_name_ha"),
        "{}",
        report.objects[0]
    );
    assert_eq!(
        text(
            &files,
            &format!("SELECT COUNT(*) FROM \"{}\"", report.objects[0])
        )
        .as_deref(),
        Some("1")
    );
}

#[test]
fn keys_that_only_a_deferred_constraint_lets_move_are_refused() {
    let items = items();
    let (files, options) = database(&[]);
    let (mut writer, _) = started(&options, &[&items]);
    let batch = BatchBuilder::after(&START)
        .insert(&items, ["1", "a", "x"])
        .insert(&items, ["2", "b", "x"])
        .commit()
        .update_moved(&items, ["1"], ["2", "a", "x"])
        .update_moved(&items, ["2"], ["1", "b", "x"])
        .build();
    let error = writer.write(&batch).unwrap_err();
    assert_eq!(
        (error.kind, &*error.code),
        (ErrorKind::Rejected, "ORA-00001"),
        "{error}"
    );
    assert_eq!(
        (error.change, error.table.as_deref()),
        (Some(2), Some("items"))
    );
    writer.reset().unwrap();
    assert_eq!(
        text(&files, "SELECT COUNT(*) FROM \"items\"").as_deref(),
        Some("0")
    );
}
