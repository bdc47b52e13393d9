//! A writer on a database of its own, and what tests do with it.

use std::sync::Arc;

use serde_json::Value;
use tahr_mysql::MysqlWriter;
use tahr_plugin_api::{
    Batch, ErrorKind, LoadMode, Lsn, Position, Relation, Role, WriteError, Written,
    abi::{Canceller, RemoteWriter},
    testing::{BatchBuilder, Recorder, Subject as _, open, relation, stream},
};
use tahr_tests::MariaDb;

use super::MysqlSubject;

/// A writer on a database of its own.
pub(crate) struct Fixture {
    pub(crate) database: MysqlSubject,
    pub(crate) options: Value,
    pub(crate) writer: RemoteWriter,
    pub(crate) canceller: Canceller,
    pub(crate) recorder: Recorder,
    pub(crate) position: Position,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        Self::with("", |_| {})
    }

    /// After `statements` in the empty database, with options as `change` leaves them.
    pub(crate) fn with(statements: &str, change: impl FnOnce(&mut Value)) -> Self {
        let mut database = MysqlSubject::new("error");
        database.fresh();
        Self::on(database, statements, change)
    }

    pub(crate) fn on(
        database: MysqlSubject,
        statements: &str,
        change: impl FnOnce(&mut Value),
    ) -> Self {
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

    pub(crate) fn next(&self) -> BatchBuilder {
        BatchBuilder::after(&self.position)
    }

    #[track_caller]
    pub(crate) fn write(&mut self, batch: &Batch) {
        let written = self.writer.write(batch);
        assert_eq!(written, Ok(Written::Stored(batch.position().clone())));
        self.position = batch.position().clone();
    }

    #[track_caller]
    pub(crate) fn rejected(&mut self, batch: &Batch) -> WriteError {
        let error = self.writer.write(batch).expect_err("a rejected batch");
        assert_eq!(error.kind, ErrorKind::Rejected, "{error}");
        self.reset();
        error
    }

    /// What follows an error: the target is where it was.
    #[track_caller]
    pub(crate) fn reset(&mut self) {
        self.writer.reset().unwrap();
        let found = self.writer.checkpoint(&stream()).unwrap().unwrap();
        assert_eq!(found.position.as_ref(), Some(&self.position));
    }

    /// Copies rows into `table`, which then holds nothing else.
    pub(crate) fn copy(
        &mut self,
        table: &Arc<Relation>,
        rows: &[[&str; 3]],
    ) -> Result<(), WriteError> {
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
    pub(crate) fn lines(&self, query: &str) -> Vec<String> {
        let text = |value: Option<String>| value.unwrap_or_else(|| "∅".to_owned());
        (self.database.query(query).into_iter())
            .map(|row| row.into_iter().map(text).collect::<Vec<_>>().join("|"))
            .collect()
    }
}

pub(crate) fn items() -> Arc<Relation> {
    relation("public.items")
        .column("id", "integer")
        .column("name", "text")
        .column("notes", "text")
        .key(["id"])
        .build()
}

#[track_caller]
pub(crate) fn rejected<T: std::fmt::Debug>(result: Result<T, WriteError>) -> WriteError {
    let error = result.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Rejected, "{error}");
    error
}

/// A server of the test's own, and a writer on it.
pub(crate) fn own(settings: &[(&str, &str)]) -> (MariaDb, Fixture) {
    let server = MariaDb::own(settings);
    let database = MysqlSubject::on(&server, "error");
    (server, Fixture::on(database, "", |_| {}))
}
