//! Files and tables that were there before tahr, and what goes wrong with them.

use std::{path::PathBuf, sync::Arc};

use rusqlite::Connection;
use serde_json::json;
use tahr_plugin_api::{
    ErrorKind, LoadMode, Lsn, Position, Relation, Role, WriteError, Written,
    abi::RemoteWriter,
    testing::{BatchBuilder, Cell, Recorder, open, relation, stream},
};
use tahr_sqlite::SqliteWriter;
use tempfile::TempDir;

struct File {
    folder: TempDir,
}

impl File {
    /// A file made by `sql`.
    fn new(sql: &str) -> Self {
        let file = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        file.connect().execute_batch(sql).unwrap();
        file
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("own.db")
    }

    fn connect(&self) -> Connection {
        Connection::open(self.path()).unwrap()
    }

    fn open(&self, role: Role) -> (RemoteWriter, Recorder) {
        let options = json!({ "path": self.path(), "synchronous": "off", "busy_timeout": "1ms" });
        let (writer, _, recorder) = open::<SqliteWriter>(&options, role).unwrap();
        (writer, recorder)
    }

    /// A stream writer that has stored its first checkpoint.
    fn start(&self) -> (RemoteWriter, Recorder) {
        let (mut writer, recorder) = self.open(Role::Stream);
        assert_eq!(writer.checkpoint(&stream()).unwrap(), None);
        writer.flush(&Position::default()).unwrap();
        (writer, recorder)
    }

    fn texts(&self, sql: &str) -> Vec<String> {
        let connection = self.connect();
        let mut statement = connection.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    }
}

fn items() -> Arc<Relation> {
    relation("public.items")
        .column("id", "integer")
        .column("price", "numeric(10,2)")
        .column("ratio", "double precision")
        .column("flag", "boolean")
        .key(["id"])
        .build()
}

const ROW: [&str; 4] = ["1", "1.50", "0.30000000000000004", "t"];

fn rejected<T: std::fmt::Debug>(result: Result<T, WriteError>) -> WriteError {
    let error = result.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Rejected, "{error}");
    error
}

#[test]
fn a_column_that_would_alter_values_is_refused_with_the_type_it_needs() {
    let file = File::new("CREATE TABLE items (id INTEGER PRIMARY KEY, price DECIMAL(10,2))");
    let (mut writer, _) = file.start();
    let error = rejected(writer.prepare(&items()));
    assert_eq!(error.hint, "declare it TEXT");
    assert!(error.message.contains("\"price\""), "{error}");
    let (mut checker, _) = file.open(Role::Check);
    let report = checker.check(&[(*items()).clone()]).unwrap();
    assert!(report.findings.iter().any(|finding| finding.is_error));
}

#[test]
fn a_table_of_text_columns_takes_postgresqls_text_from_copy_and_stream_alike() {
    let sql = "CREATE TABLE items (id TEXT PRIMARY KEY, price TEXT, ratio TEXT, flag TEXT)";
    let file = File::new(sql);
    let (mut writer, _) = file.start();
    let items = items();
    writer.prepare(&items).unwrap();
    writer.begin_load(&items, LoadMode::Fresh).unwrap();
    let (mut loader, _) = file.open(Role::Load);
    let start = BatchBuilder::after(&Position::default());
    loader.load(&start.insert(&items, ROW).build()).unwrap();
    writer.end_load(&items, Lsn(5)).unwrap();
    let start = BatchBuilder::after(&Position::default());
    let row = ["2", "1.50", "0.30000000000000004", "t"];
    writer.write(&start.insert(&items, row).build()).unwrap();
    let select = "SELECT price || ' ' || ratio || ' ' || flag FROM items";
    assert_eq!(file.texts(select), ["1.50 0.30000000000000004 t"; 2]);
}

#[test]
fn a_copy_keeps_the_indexes_and_columns_that_a_user_added() {
    let sql = "CREATE TABLE items (id INTEGER PRIMARY KEY, price TEXT, ratio REAL, flag INTEGER,
            mine TEXT DEFAULT 'kept');
        CREATE INDEX by_price ON items (price);
        CREATE VIEW dear AS SELECT id FROM items WHERE price > '1';
        INSERT INTO items (id) VALUES (9)";
    let file = File::new(sql);
    let (mut writer, _) = file.start();
    let items = items();
    writer.prepare(&items).unwrap();
    rejected(writer.begin_load(&items, LoadMode::Fresh));
    writer.begin_load(&items, LoadMode::Replace).unwrap();
    let (mut loader, _) = file.open(Role::Load);
    let start = BatchBuilder::after(&Position::default());
    loader.load(&start.insert(&items, ROW).build()).unwrap();
    writer.end_load(&items, Lsn(5)).unwrap();
    assert_eq!(file.texts("SELECT mine FROM items"), ["kept"]);
    let select = "SELECT name FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'items'";
    assert_eq!(file.texts(select), ["by_price"]);
    assert_eq!(file.texts("SELECT CAST(id AS TEXT) FROM dear"), ["1"]);
}

#[test]
fn a_copy_leaves_views_and_triggers_elsewhere_as_they_are() {
    let file = File::new("CREATE VIEW all_items AS SELECT id FROM items");
    let (mut writer, _) = file.start();
    let items = items();
    for _ in 0..2 {
        writer.prepare(&items).unwrap();
        writer.begin_load(&items, LoadMode::Replace).unwrap();
        writer.end_load(&items, Lsn(5)).unwrap();
    }
    let select = "SELECT sql FROM sqlite_schema WHERE type = 'view'";
    let views = file.texts(select);
    assert_eq!(views, ["CREATE VIEW all_items AS SELECT id FROM items"]);
    assert!(
        file.texts("SELECT CAST(id AS TEXT) FROM all_items")
            .is_empty()
    );
}

#[test]
fn a_table_without_a_key_index_is_updated_all_the_same_and_warned_of() {
    let file = File::new("CREATE TABLE items (id INT, price TEXT, ratio REAL, flag INT)");
    let (mut writer, _) = file.start();
    let items = items();
    writer.prepare(&items).unwrap();
    let batch = BatchBuilder::after(&Position::default())
        .insert(&items, ROW)
        .update(&items, ["1", "2.00", "1", "f"])
        .build();
    writer.write(&batch).unwrap();
    assert_eq!(file.texts("SELECT price FROM items"), ["2.00"]);
    let (mut checker, _) = file.open(Role::Check);
    let report = checker.check(&[(*items).clone()]).unwrap();
    let [warning] = &*report.findings else {
        panic!("{:?}", report.findings);
    };
    assert!(!warning.is_error);
    file.connect().execute_batch(&warning.hint).unwrap();
    let report = checker.check(&[(*items).clone()]).unwrap();
    assert_eq!(report.findings, []);
}

#[test]
fn an_update_in_part_of_a_row_that_others_removed_is_refused() {
    let file = File::new("");
    let (mut writer, recorder) = file.start();
    let items = items();
    writer.prepare(&items).unwrap();
    let row = [Cell::Text("1"), Cell::Unchanged, Cell::Null, Cell::Null];
    let start = BatchBuilder::after(&Position::default());
    let batch = start.delete(&items, ["7"]).update(&items, row).build();
    let error = rejected(writer.write(&batch));
    assert_eq!(
        (error.change, error.table.as_deref()),
        (Some(1), Some("items"))
    );
    writer.reset().unwrap();
    let start = BatchBuilder::after(&Position::default());
    let row = ["1", "1", "-0", "t"];
    let batch = start.delete(&items, ["7"]).insert(&items, row).build();
    writer.write(&batch).unwrap();
    assert_eq!(recorder.counter("deletes_of_missing_rows"), 1);
    assert_eq!(recorder.counter("float_negative_zero"), 1);
}

#[test]
fn a_broken_constraint_names_the_change_the_table_and_the_column() {
    let sql = "CREATE TABLE items (id INTEGER PRIMARY KEY, price TEXT UNIQUE, ratio REAL, flag)";
    let file = File::new(sql);
    let (mut writer, _) = file.start();
    let items = items();
    writer.prepare(&items).unwrap();
    let batch = BatchBuilder::after(&Position::default())
        .insert(&items, ROW)
        .insert(&items, ["2", "1.50", "1", "t"])
        .build();
    let error = rejected(writer.write(&batch));
    assert_eq!(error.change, Some(1));
    assert_eq!(error.table.as_deref(), Some("items"));
    assert_eq!(error.column.as_deref(), Some("price"));
}

#[test]
fn a_writer_waits_for_another_program_and_says_so() {
    let file = File::new("");
    let (mut writer, _) = file.start();
    let other = file.connect();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let next = Position::at(Lsn(0x10));
    let error = writer.flush(&next).unwrap_err();
    assert!(
        error.is_transient() && error.hint.contains("busy_timeout"),
        "{error}"
    );
    other.execute_batch("ROLLBACK").unwrap();
    writer.reset().unwrap();
    writer.checkpoint(&stream()).unwrap();
    assert_eq!(writer.flush(&next).unwrap(), Written::Stored(next));
}

#[test]
fn files_that_cannot_be_used_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("notes.txt");
    std::fs::write(
        &text,
        "these are notes, and long enough to be no empty database\n".repeat(20),
    )
    .unwrap();
    let attempt = |path: PathBuf| {
        let options = json!({ "path": path });
        open::<SqliteWriter>(&options, Role::Stream).map(|_| ())
    };
    let error = rejected(attempt(folder.path().join("absent/own.db")));
    assert!(error.hint.contains("folder"), "{error}");
    let error = rejected(attempt(text));
    assert!(error.hint.contains("another kind"), "{error}");
    let error = rejected(attempt(PathBuf::from(":memory:")));
    assert!(error.hint.contains("must be a file"), "{error}");
}

#[test]
fn check_reports_names_that_sqlite_cannot_tell_apart_or_keeps_for_itself() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("absent/own.db");
    let options = json!({ "path": path, "create_tables": false });
    let (mut checker, ..) = open::<SqliteWriter>(&options, Role::Check).unwrap();
    let table = |name: &str, columns: [&str; 2]| {
        let table = relation(name).column(columns[0], "integer");
        (*table.column(columns[1], "text").key([columns[0]]).build()).clone()
    };
    let relations = [
        table("public.items", ["id", "a"]),
        table("public.Items", ["id", "a"]),
        table("public.sqlite_things", ["id", "a"]),
        table("public.twins", ["id", "ID"]),
    ];
    let report = checker.check(&relations).unwrap();
    assert_eq!(report.objects, ["items", "Items", "sqlite_things", "twins"]);
    for part in [
        "folder",
        "\"items\" and \"Items\"",
        "\"sqlite_things\" is reserved",
        "\"id\" and \"ID\"",
        "\"items\" does not exist, and create_tables is false",
    ] {
        let mut findings = report.findings.iter();
        assert!(
            findings.any(|finding| finding.is_error && finding.message.contains(part)),
            "{part}: {:?}",
            report.findings
        );
    }
    assert!(!path.exists());
}
