//! Transactions of other clients.

use mongodb::{
    Client, ClientSession,
    bson::{Document, doc},
};
use tokio::runtime::Runtime;

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
