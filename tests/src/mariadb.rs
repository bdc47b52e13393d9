//! MariaDB servers: one for all tests of a run, and private ones for tests that break theirs.
//!
//! A server's defaults are on purpose odd (character set, time zone, engine, isolation, a lax and
//! unusual `sql_mode` …): a session that forgets to pin a setting it depends on is found out by every
//! test.

use std::fs;
use std::io::Read as _;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use mysql_async::Opts;

use crate::maria_database::{MariaDatabase, without_database};
use crate::run::{Keep, Run};
use crate::server::{Instance, Server, first_address};
use crate::service::Service;
use crate::starting::{free_port, unprivileged};

/// Settings of every server that the harness starts; a test's own come after them.
const SETTINGS: &[(&str, &str)] = &[
    ("bind-address", "127.0.0.1"),
    ("skip-networking", "0"),
    ("skip-name-resolve", "1"),
    ("max-connections", "500"),
    // What is committed survives the process, not the machine.
    ("innodb-flush-log-at-trx-commit", "2"),
    ("innodb-doublewrite", "0"),
    ("debug-no-sync", "1"),
    ("innodb-buffer-pool-size", "64M"),
    ("innodb-log-file-size", "48M"),
    ("key-buffer-size", "1M"),
    ("aria-pagecache-buffer-size", "4M"),
    ("performance-schema", "0"),
    ("character-set-server", "latin1"),
    ("collation-server", "latin1_german1_ci"),
    ("default-time-zone", "+05:30"),
    ("default-storage-engine", "Aria"),
    ("transaction-isolation", "SERIALIZABLE"),
    ("sql-mode", "NO_BACKSLASH_ESCAPES,ANSI_QUOTES"),
];

/// A MariaDB server, or for the shared one whatever the environment names; its URL is
/// `mysql://user@host:port`.
pub type MariaDb = Server<MariaInstance>;

impl MariaDb {
    /// The server that all tests of the run share: `TAHR_TEST_MYSQL_URL`, or one of the run's own.
    pub fn shared() -> Self {
        let mut server = Self::of_the_run("TAHR_TEST_MYSQL_URL", "mariadb", |folder| {
            MariaInstance::create(folder, &[], Keep::Run)
        });
        server.url = without_database(&server.url);
        server
    }

    /// A server of the test's own, with these settings (as on the command line, without dashes).
    pub fn own(settings: &[(&str, &str)]) -> Self {
        let folder = Run::current().make_folder("mariadb");
        Self::of_the_test(MariaInstance::create(folder, settings, Keep::Test))
    }

    /// A fresh database. Its default character set is the server's, whatever that is.
    pub async fn database(&self) -> MariaDatabase {
        MariaDatabase::create(&self.url).await
    }

    /// Its URL, without a database.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        let opts = Opts::from_url(&self.url).expect("a MySQL URL");
        first_address((opts.ip_or_hostname(), opts.tcp_port()))
    }
}

/// A data folder, with a server on it or not.
#[derive(Debug)]
pub struct MariaInstance {
    /// Its folder holds `data`, the socket and the log.
    service: Service,
    port: u16,
    settings: Vec<(String, String)>,
}

impl MariaInstance {
    fn create(folder: PathBuf, settings: &[(&str, &str)], keep: Keep) -> Self {
        let service = Service::new("mariadbd", folder.clone(), keep);
        for path in [&folder, &folder.join("data"), &folder.join("tmp")] {
            fs::create_dir_all(path).expect("create the server's folders");
            if let Some((user, group)) = unprivileged() {
                std::os::unix::fs::chown(path, Some(user), Some(group))
                    .expect("give the server's folder to its user");
            }
        }
        let program = program("mariadb-install-db");
        let install = Run::current().command(program, Keep::Errand, unprivileged());
        let install = on(&folder, install)
            .args(["--auth-root-authentication-method=normal", "--skip-test-db"])
            .args(["--skip-name-resolve", "--innodb-log-file-size=8M"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .output()
            .expect("run mariadb-install-db");
        assert!(
            install.status.success(),
            "mariadb-install-db (see scripts/install.sh): {}{}",
            String::from_utf8_lossy(&install.stdout),
            String::from_utf8_lossy(&install.stderr)
        );
        let settings = SETTINGS.iter().chain(settings);
        Self {
            service,
            port: free_port(),
            settings: settings
                .map(|(name, value)| (name.to_string(), value.to_string()))
                .collect(),
        }
    }
}

impl Instance for MariaInstance {
    fn url(&self) -> String {
        format!("mysql://root@127.0.0.1:{}", self.port)
    }

    fn service(&mut self) -> &mut Service {
        &mut self.service
    }

    fn start(&mut self) {
        let folder = self.service.folder();
        let command = self.service.command(&program("mariadbd"), unprivileged());
        let mut command = on(folder, command);
        command
            .arg(format!("--port={}", self.port))
            .arg(format!("--socket={}", folder.join("socket").display()))
            .arg(format!("--pid-file={}", folder.join("pid").display()));
        for (name, value) in &self.settings {
            command.arg(format!("--{name}={value}"));
        }
        let address = SocketAddr::from(([127, 0, 0, 1], self.port));
        self.service.start(&mut command, |_| answers(address));
    }
}

/// Where a program of MariaDB's is: Debian keeps servers off the PATH of users.
fn program(name: &str) -> PathBuf {
    let beside = Path::new("/usr/sbin").join(name);
    if beside.exists() {
        beside
    } else {
        PathBuf::from(name)
    }
}

/// A program of MariaDB's on the data in `folder`, out of reach of the tests' signals and of the
/// system's own configuration.
fn on(folder: &Path, mut command: Command) -> Command {
    command
        .arg("--no-defaults")
        .arg(format!("--datadir={}", folder.join("data").display()))
        .arg(format!("--tmpdir={}", folder.join("tmp").display()))
        .stdin(Stdio::null())
        .current_dir("/")
        .env("LC_ALL", "C.UTF-8")
        .process_group(0);
    command
}

/// Whether a server greets, with protocol version 10.
fn answers(address: SocketAddr) -> bool {
    let ask = || -> std::io::Result<[u8; 5]> {
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        let mut answer = [0; 5];
        stream.read_exact(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|answer| answer[4] == 10)
}
