//! MongoDB servers: one for all tests of a run, and private ones for tests that break theirs.
//!
//! Each is a replica set of one member, as transactions need, unless it is asked for
//! [by itself](Mongod::standalone). The program comes from `scripts/mongod.sh`.

use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::LazyLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use mongodb::Client;
use mongodb::bson::{Document, doc};
use tahr_plugin_api::ValueKind;
use tokio::runtime::Runtime;

use crate::bson::bson_text;
use crate::database::Row;
use crate::proxy::Proxy;
use crate::run::{Keep, Run, build_folder, unique};
use crate::server::{Instance, Server, first_address};
use crate::service::Service;
use crate::starting::free_port;

/// Serves every client of the harness, whatever runtime its test is in. Lives as long as the tests.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("start a runtime")
});

/// Waits for `future`, also from within another runtime.
fn wait<T: Send>(future: impl Future<Output = T> + Send) -> T {
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| RUNTIME.block_on(future));
        waiting.join().expect("the driver does not panic")
    })
}

fn connect(url: &str) -> Client {
    wait(Client::with_uri_str(url)).unwrap_or_else(|error| panic!("connect to {url}: {error}"))
}

/// A MongoDB server; its URL is `mongodb://host:port/?options`.
pub type Mongod = Server<MongodInstance>;

impl Mongod {
    /// The server that all tests of the run share: `TAHR_TEST_MONGODB_URL`, or one of the run's own.
    pub fn shared() -> Self {
        Self::of_the_run("TAHR_TEST_MONGODB_URL", "mongodb", |folder| {
            MongodInstance::create(folder, &[], true, Keep::Run)
        })
    }

    /// A replica set of the test's own, with `options` as on the command line.
    pub fn own(options: &[&str]) -> Self {
        Self::made(options, true)
    }

    /// A server of the test's own that is no replica set.
    pub fn standalone(options: &[&str]) -> Self {
        Self::made(options, false)
    }

    fn made(options: &[&str], is_member: bool) -> Self {
        let folder = Run::current().make_folder("mongodb");
        Self::of_the_test(MongodInstance::create(
            folder,
            options,
            is_member,
            Keep::Test,
        ))
    }

    /// A database that no other test of the run was given.
    pub fn database(&self) -> MongoDatabase {
        let name = format!("test_{}", unique());
        let (server, options) = self.url.split_once('?').unwrap_or((&self.url, ""));
        let server = server.trim_end_matches('/');
        let query = if options.is_empty() {
            String::new()
        } else {
            format!("?{options}")
        };
        let url = format!("{server}/{name}{query}");
        MongoDatabase {
            client: connect(&self.url),
            url,
            name,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        let (_, rest) = self.url.split_once("://").expect("a URL");
        let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
        let host = host.split(['/', '?', ',']).next().unwrap_or(host);
        first_address(host)
    }
}

/// A database of a test's own, dropped at the end.
#[derive(Debug)]
pub struct MongoDatabase {
    client: Client,
    url: String,
    name: String,
}

impl MongoDatabase {
    /// Its URL, as the option `url` of a target takes it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its URL through a proxy. The member is spoken to alone: what it knows of its replica set
    /// would lead past the proxy.
    pub fn url_through(&self, proxy: &Proxy) -> String {
        let (address, name) = (proxy.address(), &self.name);
        format!("mongodb://{address}/{name}?directConnection=true")
    }

    /// Runs a command and gives its answer.
    pub fn command(&self, command: Document) -> Document {
        self.try_command(command)
            .unwrap_or_else(|fault| panic!("{fault}"))
    }

    /// As [`command`](Self::command), giving the error.
    pub fn try_command(&self, command: Document) -> Result<Document, String> {
        let database = self.client.database(&self.name);
        let ran = wait(async { database.run_command(command).await });
        ran.map_err(|error| error.to_string())
    }

    /// As [`command`](Self::command), on the server's own database.
    pub fn admin(&self, command: Document) -> Document {
        let database = self.client.database("admin");
        wait(async { database.run_command(command).await })
            .unwrap_or_else(|error| panic!("{error}"))
    }

    /// The names of its collections, sorted.
    pub fn collections(&self) -> Vec<String> {
        let database = self.client.database(&self.name);
        let mut names = wait(async { database.list_collection_names().await })
            .unwrap_or_else(|error| panic!("list the collections: {error}"));
        names.sort_unstable();
        names
    }

    /// All documents of a collection, by `_id`.
    pub fn documents(&self, collection: &str) -> Vec<Document> {
        self.try_documents(collection)
            .unwrap_or_else(|fault| panic!("{fault}"))
    }

    /// As [`documents`](Self::documents), giving the error.
    pub fn try_documents(&self, name: &str) -> Result<Vec<Document>, String> {
        let collection = self
            .client
            .database(&self.name)
            .collection::<Document>(name);
        let read = async {
            let find = collection.find(doc! {}).sort(doc! { "_id": 1 });
            let mut cursor = find.await?;
            let mut found = Vec::new();
            while cursor.advance().await? {
                // Not by serde, which takes fields like `$oid` for another spelling of a value.
                found.push(Document::try_from(cursor.current())?);
            }
            Ok(found)
        };
        wait(read).map_err(|error: mongodb::error::Error| format!("read {name}: {error}"))
    }

    pub(crate) fn rows(&self, collection: &str, fields: &[&str]) -> Result<Vec<Row>, String> {
        let row = |document: Document| -> Row {
            let value = |field: &&str| bson_text(document.get(field)?, ValueKind::Other);
            fields.iter().map(value).collect()
        };
        Ok(self
            .try_documents(collection)?
            .into_iter()
            .map(row)
            .collect())
    }
}

impl Drop for MongoDatabase {
    fn drop(&mut self) {
        // A server that is gone took the data with it; one that refuses keeps it until its end.
        let database = self.client.database(&self.name);
        let drop = async { database.drop().await };
        let _gone = wait(async { tokio::time::timeout(Duration::from_secs(5), drop).await });
    }
}

/// A server that the harness starts.
#[derive(Debug)]
pub struct MongodInstance {
    service: Service,
    port: u16,
    options: Vec<String>,
    /// Whether it is a replica set of one.
    is_member: bool,
}

impl MongodInstance {
    fn create(folder: PathBuf, options: &[&str], is_member: bool, keep: Keep) -> Self {
        let service = Service::new("mongod", folder, keep);
        std::fs::create_dir_all(service.folder().join("data")).expect("create the data folder");
        Self {
            service,
            port: free_port(),
            options: options.iter().map(|option| (*option).to_owned()).collect(),
            is_member,
        }
    }

    /// Makes the replica set, if it is none yet, and waits until it takes writes.
    fn await_primary(&self) {
        let url = format!("mongodb://127.0.0.1:{}/?directConnection=true", self.port);
        let admin = connect(&url).database("admin");
        let run = |command: Document| wait(async { admin.run_command(command).await });
        let host = format!("127.0.0.1:{}", self.port);
        let config = doc! { "_id": "rs0", "members": [{ "_id": 0, "host": host }] };
        // It is one already after a restart.
        let _already = run(doc! { "replSetInitiate": config });
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let hello = run(doc! { "hello": 1 }).unwrap_or_default();
            if hello.get_bool("isWritablePrimary").unwrap_or(false) {
                return;
            }
            assert!(Instant::now() < deadline, "mongod is no primary: {hello}");
            sleep(Duration::from_millis(10));
        }
    }
}

impl Instance for MongodInstance {
    fn url(&self) -> String {
        let query = if self.is_member {
            "?replicaSet=rs0"
        } else {
            ""
        };
        format!("mongodb://127.0.0.1:{}/{query}", self.port)
    }

    fn service(&mut self) -> &mut Service {
        &mut self.service
    }

    fn start(&mut self) {
        let program = build_folder().with_file_name("mongodb").join("mongod");
        assert!(
            program.exists(),
            "{} is missing; run scripts/mongod.sh",
            program.display()
        );
        let mut command = self.service.command(&program, None);
        command
            .arg("--dbpath")
            .arg(self.service.folder().join("data"))
            .args(["--bind_ip", "127.0.0.1", "--nounixsocket", "--quiet"])
            .args(["--wiredTigerCacheSizeGB", "0.25"])
            .args(["--setParameter", "diagnosticDataCollectionEnabled=false"])
            .arg("--port")
            .arg(self.port.to_string())
            .args(&self.options);
        if self.is_member {
            command.args(["--replSet", "rs0", "--oplogSize", "256"]);
        }
        let port = self.port;
        self.service.start(&mut command, |_| {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        if self.is_member {
            self.await_primary();
        }
    }
}
