//! Redis servers: one for all tests of a run, and private ones for tests that break theirs.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use redis::{Connection, FromRedisValue, RedisResult};

use crate::database::Row;
use crate::proxy::Proxy;
use crate::run::{Keep, Run};
use crate::server::{Instance, Server, first_address};
use crate::service::Service;
use crate::starting::free_port;

/// Logical databases of a server that the harness starts: more than a run has tests.
const DATABASES: u32 = 1000;

/// Keys asked for in one round trip.
const PIPELINE: usize = 1000;

/// A Redis server; its URL is `redis://host:port`.
pub type Redis = Server<RedisInstance>;

impl Redis {
    /// The server that all tests of the run share: `TAHR_TEST_REDIS_URL`, or one of the run's own.
    pub fn shared() -> Self {
        Self::of_the_run("TAHR_TEST_REDIS_URL", "redis", |folder| {
            RedisInstance::create(folder, &[], Keep::Run)
        })
    }

    /// A server of the test's own, without persistence unless `options` (as on the command line)
    /// ask for it.
    pub fn own(options: &[&str]) -> Self {
        let folder = Run::current().make_folder("redis");
        Self::of_the_test(RedisInstance::create(folder, options, Keep::Test))
    }

    /// A logical database that no other test of the run was given, emptied.
    pub fn database(&self) -> RedisDatabase {
        // 0 stays unused: whoever forgets the number is found out.
        let number = Run::current().count("redis-database") + 1;
        let database = RedisDatabase {
            url: format!("{}/{number}", self.url.trim_end_matches('/')),
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
        first_address(&host)
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

/// A server's port and options, running or not.
#[derive(Debug)]
pub struct RedisInstance {
    service: Service,
    port: u16,
    options: Vec<String>,
}

impl RedisInstance {
    fn create(folder: PathBuf, options: &[&str], keep: Keep) -> Self {
        let mut options: Vec<String> = options.iter().map(|&option| option.to_owned()).collect();
        if options.iter().any(|option| option == "--cluster-enabled") {
            // The nodes' own port would lie where the system hands out ports by itself.
            options.extend(["--cluster-port".to_owned(), free_port().to_string()]);
        }
        Self {
            service: Service::new("redis-server", folder, keep),
            port: free_port(),
            options,
        }
    }
}

impl Instance for RedisInstance {
    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    fn service(&mut self) -> &mut Service {
        &mut self.service
    }

    fn start(&mut self) {
        let mut command = self.service.command(Path::new("redis-server"), None);
        command
            .args(["--port", &self.port.to_string()])
            .args(["--bind", "127.0.0.1", "--dir"])
            .arg(self.service.folder())
            .args(["--databases", &DATABASES.to_string()])
            .args(["--save", "", "--appendonly", "no"])
            .args(&self.options);
        let address = SocketAddr::from(([127, 0, 0, 1], self.port));
        self.service.start(&mut command, |_| answers(address));
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
