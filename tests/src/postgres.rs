//! PostgreSQL servers: one for all tests of a run, and private ones for tests that break theirs.
//!
//! A server's defaults are on purpose not PostgreSQL's own (time zone, date style, bytes as escapes
//! …): a session that forgets to pin a setting it depends on is found out by every test.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::database::Database;
use crate::process::Signal;
use crate::run::{Keep, Run, build_folder, unique};
use crate::server::{Instance, Server, first_address};
use crate::service::Service;
use crate::starting::{free_port, is_open_to_all, unprivileged};

/// Settings of every server that the harness starts; a test's own come after them.
const SETTINGS: &[(&str, &str)] = &[
    ("listen_addresses", "127.0.0.1"),
    ("wal_level", "logical"),
    ("max_connections", "400"),
    ("max_wal_senders", "200"),
    ("max_replication_slots", "200"),
    ("max_prepared_transactions", "20"),
    ("wal_sender_timeout", "10s"),
    // The data need not survive the machine.
    ("fsync", "off"),
    ("full_page_writes", "off"),
    ("shared_buffers", "64MB"),
    ("max_wal_size", "4GB"),
    // In the data folder, so that removing that removes all.
    ("dynamic_shared_memory_type", "mmap"),
    ("TimeZone", "Asia/Kolkata"),
    ("DateStyle", "SQL, DMY"),
    ("IntervalStyle", "sql_standard"),
    ("bytea_output", "escape"),
    ("extra_float_digits", "0"),
];

/// A PostgreSQL server; its URL is that of the database `postgres` on it.
pub type Postgres = Server<Cluster>;

impl Postgres {
    /// The server that all tests of the run share: `TAHR_TEST_POSTGRES_URL`, or one of the run's own.
    pub fn shared() -> Self {
        Self::of_the_run("TAHR_TEST_POSTGRES_URL", "postgres", |folder| {
            Cluster::create(folder, None, &[], Keep::Run)
        })
    }

    /// A server of the test's own: of this major version or the system's, with these settings.
    pub fn own(version: Option<u32>, settings: &[(&str, &str)]) -> Self {
        let folder = Run::current().make_folder("postgres");
        Self::of_the_test(Cluster::create(folder, version, settings, Keep::Test))
    }

    /// The major versions that [`own`](Self::own) can be asked for here, ascending.
    pub fn versions() -> Vec<u32> {
        installations().into_keys().collect()
    }

    /// A fresh database, empty but for what every database holds.
    pub async fn database(&self) -> Database {
        Database::create(&self.url, "").await
    }

    /// As [`database`](Self::database), with options of `CREATE DATABASE`, such as another encoding.
    pub async fn database_with(&self, options: &str) -> Database {
        Database::create(&self.url, options).await
    }

    /// URL of the maintenance database.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        let config: tokio_postgres::Config = self.url.parse().expect("a PostgreSQL URL");
        let host = match config.get_hosts().first() {
            Some(tokio_postgres::config::Host::Tcp(host)) => host.clone(),
            other => panic!("the server is not reached by TCP but by {other:?}"),
        };
        let port = config.get_ports().first().copied().unwrap_or(5432);
        first_address((host, port))
    }

    /// Keeps a copy of its data; it has to be stopped.
    pub fn save(&mut self) -> SavedData {
        let data = self.instance().data();
        let saved = data.with_file_name(format!("saved-{}", unique()));
        copy(&data, &saved);
        SavedData(saved)
    }

    /// Puts its data back to what was saved, as from a backup; it has to be stopped.
    pub fn put_back(&mut self, saved: &SavedData) {
        let data = self.instance().data();
        fs::remove_dir_all(&data).expect("remove the server's data");
        copy(&saved.0, &data);
    }

    /// Starts it as a promoted standby or a restored backup is: it replays what it has, and goes on
    /// on a new timeline. It has to be stopped.
    pub fn start_on_new_timeline(&mut self) {
        let cluster = self.instance();
        let signal = cluster.data().join("recovery.signal");
        fs::write(&signal, "").expect("write recovery.signal");
        if let Some((user, group)) = unprivileged() {
            std::os::unix::fs::chown(&signal, Some(user), Some(group)).expect("give it away");
        }
        let restore = ("restore_command".to_owned(), "/bin/false".to_owned());
        cluster.settings.push(restore);
        cluster.start();
    }
}

/// A copy of a server's data; it goes with the server.
#[derive(Debug)]
pub struct SavedData(PathBuf);

/// Owners and modes too.
fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status();
    assert!(
        copied.is_ok_and(|status| status.success()),
        "copy {}",
        from.display()
    );
}

/// A data folder with its programs, running or not.
#[derive(Debug)]
pub struct Cluster {
    /// Its folder holds `data`, the socket and the log.
    service: Service,
    programs: PathBuf,
    port: u16,
    settings: Vec<(String, String)>,
}

impl Cluster {
    fn create(
        folder: PathBuf,
        version: Option<u32>,
        settings: &[(&str, &str)],
        keep: Keep,
    ) -> Self {
        let programs = programs(version);
        let service = Service::new("postgres", folder.clone(), keep);
        if let Some((user, group)) = unprivileged() {
            std::os::unix::fs::chown(&folder, Some(user), Some(group))
                .expect("give the server's folder to its user");
        }
        let initdb = Run::current().command(programs.join("initdb"), Keep::Errand, unprivileged());
        let initdb = as_a_server(initdb)
            .args([
                "--username=postgres",
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
            ])
            .args(["--no-sync", "--no-instructions", "--pgdata"])
            .arg(folder.join("data"))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .output()
            .expect("run initdb");
        assert!(
            initdb.status.success(),
            "initdb: {}",
            String::from_utf8_lossy(&initdb.stderr)
        );
        let settings = SETTINGS.iter().chain(settings);
        Self {
            service,
            programs,
            port: free_port(),
            settings: settings
                .map(|(name, value)| (name.to_string(), value.to_string()))
                .collect(),
        }
    }

    fn data(&self) -> PathBuf {
        self.service.folder().join("data")
    }
}

impl Instance for Cluster {
    fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    fn start(&mut self) {
        let folder = self.service.folder();
        let program = self.programs.join("postgres");
        let mut command = as_a_server(self.service.command(&program, unprivileged()));
        command.arg("-D").arg(folder.join("data"));
        command.arg("-k").arg(folder);
        command.args(["-p", &self.port.to_string()]);
        for (name, value) in &self.settings {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        let pid_file = folder.join("data/postmaster.pid");
        self.service.start(&mut command, |pid| {
            // The first line is the pid (a crash leaves an old file), the eighth the state.
            let text = fs::read_to_string(&pid_file).unwrap_or_default();
            let mut lines = text.lines();
            let ours = lines.next() == Some(&pid.to_string());
            ours && lines.nth(6).is_some_and(|state| state.trim() == "ready")
        });
    }

    fn service(&mut self) -> &mut Service {
        &mut self.service
    }

    fn stop(&mut self) {
        // A walsender whose client hangs holds a shutdown in order up until it is timed out.
        if let Some(process) = self.service.process() {
            process.signal(Signal::Int);
            process.wait(Duration::from_secs(30));
        }
        self.kill();
    }

    fn kill(&mut self) {
        // Its shared memory is given back, and the next start recovers from WAL.
        self.service.end(Signal::Quit);
    }
}

/// A program of PostgreSQL's, out of reach of the tests' signals and of their user's settings.
fn as_a_server(mut command: Command) -> Command {
    command
        .stdin(Stdio::null())
        .current_dir("/")
        .env("LC_ALL", "C.UTF-8")
        .process_group(0);
    command
}

/// The folder of programs of each major version found: the system's, and what
/// `scripts/postgres-versions.sh` fetched.
fn installations() -> BTreeMap<u32, PathBuf> {
    let fetched = build_folder()
        .parent()
        .map(|target| target.join("postgres"));
    let folders = [fetched, Some(PathBuf::from("/usr/lib/postgresql"))];
    let mut found = BTreeMap::new();
    for folder in folders.into_iter().flatten() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let programs = entry.path().join("bin");
            let version = entry
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok());
            if let Some(version) = version.filter(|_| programs.join("initdb").exists()) {
                // The system's, listed last, wins: it is the complete one.
                found.insert(version, programs);
            }
        }
    }
    found
}

/// The programs of a version, or without one of the newest that the system has, else the newest.
fn programs(version: Option<u32>) -> PathBuf {
    let found = installations();
    let programs = match version {
        Some(version) => found.get(&version),
        None => found
            .values()
            .rfind(|programs| programs.starts_with("/usr/lib/postgresql"))
            .or_else(|| found.values().next_back()),
    };
    let programs = programs.unwrap_or_else(|| {
        let wanted = version.map_or_else(String::new, |version| format!(" {version}"));
        panic!(
            "no PostgreSQL{wanted} here, only {:?}; run scripts/install.sh and \
             scripts/postgres-versions.sh",
            found.keys()
        )
    });
    reachable(programs)
}

/// The same programs where the server's user may reach them: copied once per run, if need be.
fn reachable(programs: &Path) -> PathBuf {
    if unprivileged().is_none() || is_open_to_all(&programs.join("postgres")) {
        return programs.to_owned();
    }
    let installation = programs
        .parent()
        .expect("a folder of programs has a parent");
    let name = installation
        .file_name()
        .expect("a folder's name")
        .to_string_lossy()
        .into_owned();
    let copy = Run::current()
        .folder()
        .join(format!("postgres-{name}-programs"));
    Run::current().once(&format!("postgres-{name}-programs"), || {
        let copied = Command::new("cp")
            .arg("-a")
            .arg(installation)
            .arg(&copy)
            .status();
        assert!(
            copied.is_ok_and(|status| status.success()),
            "copy {}",
            installation.display()
        );
        copy.display().to_string()
    });
    copy.join("bin")
}
