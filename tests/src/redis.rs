//! Redis servers: one for all tests of a run, and private ones for tests that break theirs.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use redis::{Connection, FromRedisValue, RedisResult};

use crate::database::Row;
use crate::process::{ProcessId, Signal};
use crate::proxy::Proxy;
use crate::run::Run;
use crate::server::{await_ready, free_port};

/// Logical databases of a server that the harness starts: more than a run has tests.
const DATABASES: u32 = 1000;

/// Keys asked for in one round trip.
const PIPELINE: usize = 1000;

/// A Redis server. Private ones end when dropped.
#[derive(Debug)]
pub struct Redis {
    /// `redis://host:port`, without a database.
    url: String,
    /// Absent for the shared server.
    instance: Option<Instance>,
}

impl Redis {
    /// The server that all tests of the run share: `TAHR_TEST_REDIS_URL`, or one of the run's own.
    pub fn shared() -> Self {
        let url = std::env::var("TAHR_TEST_REDIS_URL").unwrap_or_else(|_| {
            Run::current().once("redis", || {
                let folder = Run::current().folder().join("redis");
                let mut instance = Instance::create(folder, &[], Run::shares);
                instance.start();
                instance.url()
            })
        });
        Self {
            url: url.trim_end_matches('/').to_owned(),
            instance: None,
        }
    }

    /// A server of the test's own, without persistence unless `options` (as on the command line)
    /// ask for it.
    pub fn own(options: &[&str]) -> Self {
        let folder = Run::current().make_folder("redis");
        let mut instance = Instance::create(folder, options, Run::owns);
        instance.start();
        Self {
            url: instance.url(),
            instance: Some(instance),
        }
    }

    /// A logical database that no other test of the run was given, emptied.
    pub fn database(&self) -> RedisDatabase {
        // 0 stays unused: whoever forgets the number is found out.
        let number = Run::current().count("redis-database") + 1;
        let database = RedisDatabase {
            url: format!("{}/{number}", self.url),
        };
        let emptied: RedisResult<()> = database
            .try_connect()
            .and_then(|mut session| redis::cmd("FLUSHDB").query(&mut session));
        emptied.unwrap_or_else(|error| {
            panic!("empty redis database {number} (start redis with more --databases?): {error}")
        });
        database
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        let (_, rest) = self.url.split_once("://").expect("a Redis URL");
        let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
        let host = if host.contains(':') {
            host.to_owned()
        } else {
            format!("{host}:6379")
        };
        std::net::ToSocketAddrs::to_socket_addrs(&host)
            .ok()
            .and_then(|mut addresses| addresses.next())
            .expect("the server's address")
    }

    /// The server's process, if it runs.
    pub fn process(&mut self) -> Option<ProcessId> {
        self.instance().process()
    }

    /// Starts it again on the same port; without persistence it is empty.
    pub fn start(&mut self) {
        self.instance().start();
    }

    /// Shuts it down in order.
    pub fn stop(&mut self) {
        self.instance().end(Signal::Term);
    }

    /// Shuts it down in order and starts it again.
    pub fn restart(&mut self) {
        self.stop();
        self.start();
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.instance().end(Signal::Kill);
    }

    fn instance(&mut self) -> &mut Instance {
        self.instance
            .as_mut()
            .expect("the shared server is not stopped: ask for `Redis::own`")
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        if let Some(instance) = &mut self.instance {
            instance.end(Signal::Kill);
            // What can't be removed now is removed by the reaper.
            let _later = fs::remove_dir_all(&instance.folder);
        }
    }
}

/// A logical database of a test's own, emptied at the end.
#[derive(Debug)]
pub struct RedisDatabase {
    url: String,
}

impl RedisDatabase {
    /// Its URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its URL through a proxy.
    pub fn url_through(&self, proxy: &Proxy) -> String {
        let (_, number) = self.url.rsplit_once('/').expect("a URL with a database");
        format!("redis://{}/{number}", proxy.address())
    }

    /// A new session.
    pub fn connect(&self) -> Connection {
        self.try_connect().expect("connect to the Redis server")
    }

    /// Runs one command, its words separated by blanks, and gives its answer.
    pub fn command<T: FromRedisValue>(&self, command: &str) -> T {
        self.try_command(command)
            .unwrap_or_else(|fault| panic!("{fault}"))
    }

    /// As [`command`](Self::command), giving the error.
    pub fn try_command<T: FromRedisValue>(&self, command: &str) -> Result<T, String> {
        let mut words = command.split_ascii_whitespace();
        let mut request = redis::cmd(words.next().expect("a command"));
        words.for_each(|word| {
            request.arg(word);
        });
        let answer = self
            .try_connect()
            .and_then(|mut session| request.query(&mut session));
        answer.map_err(|error| format!("{command}: {error}"))
    }

    /// All keys that start with a prefix, sorted.
    pub fn keys(&self, prefix: &str) -> Result<Vec<String>, String> {
        let scan = || -> RedisResult<Vec<String>> {
            let mut session = self.try_connect()?;
            let (mut cursor, mut keys) = (0_u64, Vec::new());
            loop {
                let mut request = redis::cmd("SCAN");
                request
                    .arg(cursor)
                    .arg("MATCH")
                    .arg(format!("{}*", escape(prefix)));
                let (next, found): (u64, Vec<String>) =
                    request.arg("COUNT").arg(PIPELINE).query(&mut session)?;
                keys.extend(found);
                cursor = next;
                if cursor == 0 {
                    break;
                }
            }
            // A scan may give a key twice.
            keys.sort_unstable();
            keys.dedup();
            Ok(keys)
        };
        scan().map_err(|error| format!("scan {prefix}*: {error}"))
    }

    /// One hash, with all its fields.
    pub fn hash(&self, key: &str) -> HashMap<String, String> {
        let hash = redis::cmd("HGETALL").arg(key).query(&mut self.connect());
        hash.unwrap_or_else(|error| panic!("read hash {key}: {error}"))
    }

    pub(crate) fn hashes(&self, prefix: &str, fields: &[&str]) -> Result<Vec<Row>, String> {
        let keys = self.keys(prefix)?;
        let read = || -> RedisResult<Vec<Row>> {
            let mut session = self.try_connect()?;
            let mut rows = Vec::with_capacity(keys.len());
            for keys in keys.chunks(PIPELINE) {
                let mut pipeline = redis::pipe();
                for key in keys {
                    pipeline.cmd("HMGET").arg(key).arg(fields);
                }
                rows.extend(pipeline.query::<Vec<Row>>(&mut session)?);
            }
            Ok(rows)
        };
        read().map_err(|error| format!("read hashes {prefix}*: {error}"))
    }

    fn try_connect(&self) -> RedisResult<Connection> {
        let session = redis::Client::open(self.url.as_str())?
            .get_connection_with_timeout(Duration::from_secs(5))?;
        session.set_read_timeout(Some(Duration::from_secs(30)))?;
        Ok(session)
    }
}

impl Drop for RedisDatabase {
    fn drop(&mut self) {
        // A server that is gone took the data with it.
        let _gone = self.try_command::<()>("FLUSHDB");
    }
}

/// A server's folder and port, running or not.
#[derive(Debug)]
struct Instance {
    folder: PathBuf,
    port: u16,
    options: Vec<String>,
    /// Notes a started server in the run's ledger.
    note: fn(&Run, ProcessId),
    server: Option<Child>,
}

impl Instance {
    fn create(folder: PathBuf, options: &[&str], note: fn(&Run, ProcessId)) -> Self {
        fs::create_dir_all(&folder).expect("create the server's folder");
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        Self {
            folder,
            port: free_port(),
            options,
            note,
            server: None,
        }
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    fn process(&mut self) -> Option<ProcessId> {
        let child = self.server.as_mut()?;
        child
            .try_wait()
            .is_ok_and(|ended| ended.is_none())
            .then(|| ProcessId::of(child.id()))?
    }

    /// Starts the server and waits until it answers.
    fn start(&mut self) {
        assert!(self.process().is_none(), "the server runs already");
        let log_path = self.folder.join("log");
        let log = File::options().create(true).append(true).open(&log_path);
        let log = log.expect("open the server's log");
        let mut command = Command::new("redis-server");
        command
            .args([
                "--port",
                &self.port.to_string(),
                "--bind",
                "127.0.0.1",
                "--dir",
            ])
            .arg(&self.folder)
            .args([
                "--databases",
                &DATABASES.to_string(),
                "--save",
                "",
                "--appendonly",
                "no",
            ])
            .args(&self.options)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("share the server's log"))
            .stderr(log)
            .process_group(0);
        let mut child = command
            .spawn()
            .expect("start redis-server: run scripts/install.sh");
        let process = ProcessId::of(child.id()).expect("the server's process");
        (self.note)(Run::current(), process);

        let address = SocketAddr::from(([127, 0, 0, 1], self.port));
        let ready = await_ready("redis-server", &log_path, || {
            if let Ok(Some(status)) = child.try_wait() {
                return Err(format!("ended at start: {status}"));
            }
            Ok(answers(address))
        });
        self.server = Some(child);
        if let Err(fault) = ready {
            self.end(Signal::Kill);
            panic!("{fault}");
        }
    }

    fn end(&mut self, signal: Signal) {
        if let Some(process) = self.process() {
            process.end(signal, Duration::from_secs(10));
        }
        if let Some(mut child) = self.server.take() {
            let _status = child.wait();
        }
    }
}

/// Whether a server says PONG, or that it wants a password: not that it is loading.
fn answers(address: SocketAddr) -> bool {
    let ask = || -> std::io::Result<[u8; 5]> {
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(b"PING\r\n")?;
        let mut answer = [0; 5];
        stream.read_exact(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|answer| matches!(&answer, b"+PONG" | b"-NOAU"))
}

/// A prefix as a pattern that matches only itself.
fn escape(prefix: &str) -> String {
    prefix.chars().fold(String::new(), |mut pattern, c| {
        if matches!(c, '*' | '?' | '[' | ']' | '^' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
        pattern
    })
}
