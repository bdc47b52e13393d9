//! The connection: a runtime of its own, the driver's client in it, and what interrupts both.

use std::{future::Future, sync::Arc, time::Duration};

use mongodb::{
    Client, ClientSession, Database,
    bson::{Document, RawDocumentBuf, doc},
    options::{
        Acknowledgment, ClientOptions, DriverInfo, ReadConcern, ReadPreference, SelectionCriteria,
        TransactionOptions, WriteConcern,
    },
};
use tahr_plugin_api::WriteError;
use tokio::{runtime::Runtime, sync::watch, time};

use crate::{error::failed, options::Options};

/// The oldest protocol that is spoken to: that of MongoDB 5.0, the first to take any field's name.
const OLDEST: i32 = 13;
/// How often a commit is tried whose answer was lost, beyond the driver's own second try.
const COMMITS: usize = 3;

/// What kind of server it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A member of a replica set, or a router: it has transactions.
    Transactional,
    /// A server by itself.
    Standalone,
}

/// Interrupts calls from another thread.
#[derive(Clone, Debug)]
pub(crate) struct Interrupt(Arc<watch::Sender<bool>>);

impl Interrupt {
    /// Ends the call that is under way, and those that follow until [`Server::reset`].
    pub(crate) fn cancel(&self) {
        self.0.send_replace(true);
    }
}

/// A connection to MongoDB.
pub(crate) struct Server {
    /// Dropped last; see [`Drop`].
    runtime: Runtime,
    client: Option<Client>,
    session: Option<ClientSession>,
    options: ClientOptions,
    database: String,
    timeout: Duration,
    interrupt: Interrupt,
    kind: Kind,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("database", &self.database)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

impl Server {
    /// Connects.
    pub(crate) fn open(options: &Options) -> Result<Self, WriteError> {
        // Whichever comes first; the plugin's own copy of the library has none yet.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| WriteError::transient(format!("start a runtime: {error}")))?;
        let parsed = runtime.block_on(parse(options))?;
        let database = options
            .database
            .clone()
            .or_else(|| parsed.default_database.clone());
        let database = database.filter(|name| !name.is_empty()).ok_or_else(|| {
            WriteError::options("no database is named")
                .hint("url = \"mongodb://host/DATABASE\", or database = \"…\"")
        })?;
        let mut server = Self {
            runtime,
            client: None,
            session: None,
            options: parsed,
            database,
            timeout: options.timeout.0,
            interrupt: Interrupt(Arc::new(watch::Sender::new(false))),
            kind: Kind::Standalone,
        };
        server.connect()?;
        Ok(server)
    }

    /// What interrupts it.
    pub(crate) fn interrupt(&self) -> Interrupt {
        self.interrupt.clone()
    }

    /// The database that is written to.
    pub(crate) fn database(&self) -> &str {
        &self.database
    }

    /// Whether it has transactions.
    pub(crate) fn is_transactional(&self) -> bool {
        self.kind == Kind::Transactional
    }

    /// Where it is, without user and password.
    pub(crate) fn address(&self) -> String {
        let hosts = self.options.hosts.iter().map(ToString::to_string);
        hosts.collect::<Vec<_>>().join(",")
    }

    /// Whether nothing of the connection has to be made anew; takes back an interrupt.
    pub(crate) fn reset(&mut self) -> Result<(), WriteError> {
        self.interrupt.0.send_replace(false);
        self.connect()
    }

    fn connect(&mut self) -> Result<(), WriteError> {
        let _inside = self.runtime.enter();
        self.session = None;
        if self.client.is_none() {
            let client = Client::with_options(self.options.clone());
            self.client = Some(client.map_err(|error| failed("connect", &error))?);
        }
        drop(_inside);
        let doing = format!("connect to mongodb at {}", self.address());
        let answer = self.run("admin", &doc! { "hello": 1 }, &doing)?;
        let version = answer.get_i32("maxWireVersion").unwrap_or(0);
        if version < OLDEST {
            return Err(WriteError::rejected(format!(
                "mongodb at {} is older than 5.0",
                self.address()
            )));
        }
        let has = |key: &str| answer.contains_key(key);
        self.kind = if has("setName") || answer.get_str("msg").is_ok_and(|msg| msg == "isdbgrid") {
            Kind::Transactional
        } else {
            Kind::Standalone
        };
        Ok(())
    }

    fn client(&self) -> Result<&Client, WriteError> {
        self.client
            .as_ref()
            .ok_or_else(|| WriteError::transient("not connected to mongodb"))
    }

    fn handle(&self) -> Result<Database, WriteError> {
        Ok(self.client()?.database(&self.database))
    }

    /// Waits for the driver, until it is done, takes too long, or is interrupted.
    fn wait<T>(
        &self,
        doing: &str,
        limit: Option<Duration>,
        future: impl Future<Output = mongodb::error::Result<T>>,
    ) -> Result<T, WriteError> {
        let mut interrupted = self.interrupt.0.subscribe();
        // A wait of a year is none.
        let limit = limit.unwrap_or(Duration::from_secs(366 * 86_400));
        self.runtime.block_on(async {
            tokio::select! {
                biased;
                _ = interrupted.wait_for(|is_cancelled| *is_cancelled) => {
                    Err(WriteError::transient(format!("{doing}: cancelled")))
                }
                done = time::timeout(limit, future) => match done {
                    Ok(result) => result.map_err(|error| failed(doing, &error)),
                    Err(_) => Err(WriteError::transient(format!(
                        "{doing}: no answer within {limit:?}"
                    ))
                    .hint("is the server busy or stopped? `timeout` says how long to wait")),
                },
            }
        })
    }

    /// Runs a command outside of the transaction.
    pub(crate) fn run(
        &self,
        database: &str,
        command: &Document,
        doing: &str,
    ) -> Result<Document, WriteError> {
        let database = self.client()?.database(database);
        let primary = SelectionCriteria::ReadPreference(ReadPreference::Primary);
        let run = async {
            let run = database
                .run_command(command.clone())
                .selection_criteria(primary);
            run.await
        };
        self.wait(doing, Some(self.timeout), run)
    }

    /// As [`run`](Self::run), in the target's database; none of its time is limited.
    pub(crate) fn run_long(&self, command: &Document, doing: &str) -> Result<Document, WriteError> {
        let database = self.handle()?;
        let run = async { database.run_command(command.clone()).await };
        self.wait(doing, None, run)
    }

    /// As [`run`](Self::run), in the target's database.
    pub(crate) fn run_here(&self, command: &Document, doing: &str) -> Result<Document, WriteError> {
        self.run(&self.database, command, doing)
    }

    /// Runs a command made by hand, in the transaction if one is open.
    pub(crate) fn send(&mut self, body: Vec<u8>, doing: &str) -> Result<Document, WriteError> {
        let command = RawDocumentBuf::from_bytes(body)
            .map_err(|_| WriteError::fatal(format!("{doing}: the command makes no sense")))?;
        let database = self.handle()?;
        let mut session = self.session.take();
        let run = async {
            let command = database.run_raw_command(command);
            match &mut session {
                Some(session) => command.session(session).await,
                None => command.await,
            }
        };
        let sent = self.wait(doing, Some(self.timeout), run);
        self.session = session;
        sent
    }

    /// As [`send`](Self::send).
    pub(crate) fn send_document(
        &mut self,
        command: &Document,
        doing: &str,
    ) -> Result<Document, WriteError> {
        let body = command
            .to_vec()
            .map_err(|_| WriteError::fatal(format!("{doing}: the command makes no sense")))?;
        self.send(body, doing)
    }

    /// Every document that a `find` or the like gives, as raw bytes; in the transaction if one is
    /// open.
    pub(crate) fn find(
        &mut self,
        command: &Document,
        doing: &str,
    ) -> Result<Vec<RawDocumentBuf>, WriteError> {
        let mut found = Vec::new();
        self.find_each(command, doing, |document| {
            found.push(document);
            Ok(())
        })?;
        Ok(found)
    }

    /// As [`find`](Self::find), one by one.
    pub(crate) fn find_each(
        &mut self,
        command: &Document,
        doing: &str,
        mut give: impl FnMut(RawDocumentBuf) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        // A cursor belongs to its session.
        self.begin_session()?;
        let mut next = command.clone();
        loop {
            let mut answer = self.send_document(&next, doing)?;
            let strange = || WriteError::fatal(format!("{doing}: the answer makes no sense"));
            let cursor = answer.get_document_mut("cursor").map_err(|_| strange())?;
            let id = cursor.get_i64("id").unwrap_or(0);
            let batch = cursor
                .remove("firstBatch")
                .or_else(|| cursor.remove("nextBatch"))
                .ok_or_else(strange)?;
            for document in batch.as_array().into_iter().flatten() {
                let document = document.as_document().ok_or_else(strange)?;
                give(RawDocumentBuf::try_from(document).map_err(|_| strange())?)?;
            }
            if id == 0 {
                return Ok(());
            }
            let namespace = cursor.get_str("ns").map_err(|_| strange())?;
            let collection = namespace
                .split_once('.')
                .map_or(namespace, |(_, name)| name);
            next = doc! { "getMore": id, "collection": collection };
        }
    }

    /// The number of this writer's transactions' session, as `killSessions` takes it.
    pub(crate) fn session_id(&mut self) -> Result<Document, WriteError> {
        self.begin_session()?;
        Ok(self
            .session
            .as_ref()
            .map(|session| session.id().clone())
            .unwrap_or_default())
    }

    fn begin_session(&mut self) -> Result<(), WriteError> {
        if self.session.is_none() {
            let client = self.client()?.clone();
            let start = async { client.start_session().await };
            self.session = Some(self.wait("start a session", Some(self.timeout), start)?);
        }
        Ok(())
    }

    /// Begins a transaction: what it reads is one state, what it writes is stored by a majority.
    pub(crate) fn begin(&mut self) -> Result<(), WriteError> {
        self.begin_session()?;
        let Some(mut session) = self.session.take() else {
            return Ok(());
        };
        let majority = WriteConcern::builder().w(Acknowledgment::Majority).build();
        let options = TransactionOptions::builder()
            .read_concern(ReadConcern::snapshot())
            .write_concern(majority)
            .build();
        let start = async { session.start_transaction().with_options(options).await };
        let started = self.wait("begin a transaction", Some(self.timeout), start);
        self.session = Some(session);
        started
    }

    /// Commits. Where the answer is lost it asks again; that changes nothing where it was done.
    pub(crate) fn commit(&mut self) -> Result<(), WriteError> {
        let Some(mut session) = self.session.take() else {
            return Err(WriteError::fatal("no transaction to commit"));
        };
        let commit = async {
            let mut tries = 0;
            loop {
                tries += 1;
                match session.commit_transaction().await {
                    Err(error)
                        if tries < COMMITS
                            && error.contains_label("UnknownTransactionCommitResult") => {}
                    done => return done,
                }
            }
        };
        let committed = self.wait("commit", Some(self.timeout), commit);
        self.session = Some(session);
        committed
    }

    /// Ends the transaction without its changes, as far as that can be told to the server.
    pub(crate) fn abort(&mut self) {
        if let Some(mut session) = self.session.take() {
            let abort = async { session.abort_transaction().await };
            let aborted = self.wait("abort", Some(Duration::from_secs(5)), abort);
            let _inside = self.runtime.enter();
            // An unsure session is not used again.
            self.session = aborted.is_ok().then_some(session);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // What the driver does at the end, it does in the runtime.
        let _inside = self.runtime.enter();
        self.session = None;
        self.client = None;
    }
}

async fn parse(options: &Options) -> Result<ClientOptions, WriteError> {
    let parsed = ClientOptions::parse(&options.url);
    let parsed = time::timeout(options.connect_timeout.0, async { parsed.await }).await;
    let mut parsed = parsed
        .map_err(|_| WriteError::transient("look up the servers of `url`: no answer in time"))?
        .map_err(|error| match failed("read option \"url\"", &error) {
            error if error.is_transient() => error,
            error => WriteError::options(error.message).hint(error.hint),
        })?;
    parsed.app_name.get_or_insert_with(|| "tahr".to_owned());
    parsed.driver_info = Some(DriverInfo::builder().name("tahr").build());
    parsed.server_selection_timeout = Some(options.connect_timeout.0);
    parsed.connect_timeout = Some(options.connect_timeout.0);
    parsed.max_pool_size = Some(4);
    // The engine decides what is tried again.
    parsed.retry_writes = Some(false);
    Ok(parsed)
}
