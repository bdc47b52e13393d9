//! The demo's PostgreSQL.

use std::{
    os::unix::process::CommandExt as _,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use tahr_postgres_connect::{Session, Url};

use super::{
    SOURCE,
    compare::Table,
    folder::{Folder, give},
    process::{Process, free_port},
    programs::Programs,
};
use crate::Error;

/// Its data need not survive a crash of the machine.
const SETTINGS: &[&str] = &[
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "wal_level=logical",
    "fsync=off",
    "max_wal_size=4GB",
    "shared_buffers=128MB",
    "dynamic_shared_memory_type=mmap",
];

/// A server with a superuser `postgres`.
#[derive(Debug)]
pub(super) struct Postgres {
    port: u16,
    password: String,
    _process: Process,
}

impl Postgres {
    pub(super) async fn start(
        programs: &Programs,
        folder: &Folder,
        password: &str,
    ) -> Result<Self, Error> {
        let home = folder.server("postgres", programs.user)?;
        let data = home.join("data");
        let secret = home.join("password");
        let written = std::fs::write(&secret, password).and_then(|()| give(&secret, programs.user));
        written.map_err(|error| Error::failed("write the server's password").caused_by(error))?;
        let mut command = programs.server(&programs.initdb);
        command
            .args([
                "--username=postgres",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C",
            ])
            .args(["--no-sync", "--no-instructions", "--pgdata"])
            .arg(&data)
            .arg("--pwfile")
            .arg(&secret);
        Process::spawn("initdb", &mut command, &folder.log("initdb"))?
            .success()
            .await?;
        let _ = std::fs::remove_file(&secret);

        let port = free_port()?;
        let mut command = programs.server(&programs.postgres);
        command.arg("-D").arg(&data).arg("-p").arg(port.to_string());
        for setting in SETTINGS {
            command.arg("-c").arg(setting);
        }
        // In order, but without waiting for its sessions.
        let process = Process::spawn("postgres", &mut command, &folder.log("postgres"))?;
        let mut process = process.ends_by(Signal::INT);
        let deadline = Instant::now() + Duration::from_secs(30);
        while let Err(error) = connect(port, password, "postgres").await {
            if process.has_ended()? {
                return Err(process.failure("ended at once"));
            }
            if Instant::now() > deadline {
                return Err(error);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(Self {
            port,
            password: password.to_owned(),
            _process: process,
        })
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) async fn connect(&self, database: &str) -> Result<Session, Error> {
        connect(self.port, &self.password, database).await
    }

    /// A client program's command, for the source's database.
    pub(super) fn client(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .args(["-h", "127.0.0.1", "-U", "postgres", "-p"])
            .arg(self.port.to_string())
            .arg(SOURCE)
            .env("PGPASSWORD", &self.password)
            .env("LC_ALL", "C")
            .process_group(0);
        command
    }
}

async fn connect(port: u16, password: &str, database: &str) -> Result<Session, Error> {
    let url = format!("postgres://postgres:{password}@127.0.0.1:{port}/{database}");
    let failed = || Error::failed(format!("connect to the demo's database \"{database}\""));
    let url = Url::parse(&url).map_err(|error| failed().caused_by(error))?;
    url.connect("tahr-demo")
        .await
        .map_err(|error| failed().caused_by(error))
}

/// How many rows `tables` have.
pub(super) async fn total(session: &Session, tables: &[Table]) -> Result<u64, Error> {
    let counts: Vec<_> = tables
        .iter()
        .map(|table| format!("(SELECT count(*) FROM {})", table.sql_name()))
        .collect();
    let sql = format!("SELECT {}", counts.join(" + "));
    let row = session
        .query_one(&sql, &[])
        .await
        .map_err(|error| failed("count rows", &error))?;
    Ok(u64::try_from(row.get::<_, i64>(0)).unwrap_or_default())
}

/// A statement of the demo's that failed.
pub(super) fn failed(what: &str, error: &tokio_postgres::Error) -> Error {
    let text = error
        .as_db_error()
        .map_or_else(|| error.to_string(), ToString::to_string);
    Error::failed(format!("on the demo's database: {what}")).caused_by(text)
}
