//! What the tests share.

use std::sync::Arc;

use mongodb::{
    Client, ClientSession,
    bson::{Document, doc},
};
use tahr_mongodb::MongodbWriter;
use tahr_plugin_api::{
    ErrorKind, Lsn, Position, Relation, Role, WriteError, Written,
    abi::RemoteWriter,
    testing::{BatchBuilder, Recorder, open, relation, stream},
};
use tokio::runtime::Runtime;

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

/// Another client's open transaction.
pub(crate) struct Transaction {
    runtime: Runtime,
    client: Client,
    session: Option<ClientSession>,
}

impl Transaction {
    /// Begins one in the database of `url`.
    pub(crate) fn begin(url: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (client, session) = runtime.block_on(async {
            let client = Client::with_uri_str(url).await.unwrap();
            let mut session = client.start_session().await.unwrap();
            session.start_transaction().await.unwrap();
            (client, session)
        });
        Self {
            runtime,
            client,
            session: Some(session),
        }
    }

    /// Its session, as `killSessions` takes it.
    pub(crate) fn session(&self) -> Document {
        self.session.as_ref().unwrap().id().clone()
    }

    /// Sets fields of a document in it.
    pub(crate) fn set(&mut self, collection: &str, query: Document, fields: Document) {
        let database = self.client.default_database().unwrap();
        let update = doc! { "q": query, "u": { "$set": fields } };
        let command = doc! { "update": collection, "updates": [update] };
        let run = async {
            database
                .run_command(command)
                .session(self.session.as_mut().unwrap())
                .await
        };
        let answer = self.runtime.block_on(run).unwrap();
        assert_eq!(answer.get_i32("n").unwrap(), 1, "{answer}");
    }

    /// Ends it without its changes.
    pub(crate) fn abort(mut self) {
        let abort = async { self.session.as_mut().unwrap().abort_transaction().await };
        self.runtime.block_on(abort).unwrap();
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        // The driver ends sessions in the background, which has to be there.
        let _inside = self.runtime.enter();
        self.session = None;
    }
}
