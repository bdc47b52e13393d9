//! What the tests share.

use std::sync::Arc;

use tahr_mongodb::MongodbWriter;
use tahr_plugin_api::{
    ErrorKind, Lsn, Position, Relation, Role, WriteError, Written,
    abi::RemoteWriter,
    testing::{BatchBuilder, Recorder, open, relation, stream},
};

/// Where streams begin.
pub(crate) const START: Position = Position {
    lsn: Lsn(0x1000),
    ordinal: 0,
    opaque: String::new(),
};

/// `public.items (id, name, notes)`.
pub(crate) fn items() -> Arc<Relation> {
    relation("public.items")
        .column("id", "integer")
        .column("name", "text")
        .column("notes", "text")
        .key(["id"])
        .build()
}

/// A batch behind `position`.
pub(crate) fn next(position: &Position) -> BatchBuilder {
    BatchBuilder::after(position)
}

/// A writer whose stream is at [`START`], with `tables` prepared.
pub(crate) fn started(
    options: &serde_json::Value,
    tables: &[&Arc<Relation>],
) -> (RemoteWriter, Recorder) {
    let (mut writer, _, recorder) = open::<MongodbWriter>(options, Role::Stream).unwrap();
    assert_eq!(writer.checkpoint(&stream()).unwrap(), None);
    for table in tables {
        writer.prepare(table).unwrap();
    }
    assert_eq!(writer.flush(&START).unwrap(), Written::Stored(START));
    (writer, recorder)
}

/// The error of a call.
#[track_caller]
pub(crate) fn failed<T>(result: Result<T, WriteError>) -> WriteError {
    match result {
        Err(error) => error,
        Ok(_) => panic!("it was not refused"),
    }
}

/// The error of a call that a person has to mend.
#[track_caller]
pub(crate) fn rejected<T>(result: Result<T, WriteError>) -> WriteError {
    let error = failed(result);
    assert_eq!(error.kind, ErrorKind::Rejected, "{error}");
    error
}
