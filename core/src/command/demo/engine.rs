//! `tahr run` as the demo's child: what its display shows is what a user sees.

use std::{
    io::{self, IsTerminal as _},
    os::unix::process::CommandExt as _,
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use tahr_plugin_api::Lsn;
use tahr_postgres_connect::Session;

use super::{config::PASSWORD, folder::Folder, postgres, process::Process, watch::Watch};
use crate::{
    Error, Faults,
    control::{Answer, Request, ask},
    engine::Report,
    lane::State,
};

/// How long the targets may take to reach the present.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running engine.
#[derive(Debug)]
pub(super) struct Engine {
    process: Process,
    state_dir: PathBuf,
}

impl Engine {
    pub(super) fn start(folder: &Folder, password: &str) -> Result<Self, Error> {
        let program = std::env::current_exe()
            .map_err(|error| Error::failed("find the tahr program").caused_by(error))?;
        let mut command = Command::new(program);
        command.args(["run", "--progress"]);
        // Where there is a display, what it shows need not be said in words too.
        match io::stderr().is_terminal() {
            true => command.args(["always", "--quiet"]),
            false => command.arg("never"),
        };
        command
            .current_dir(folder.path())
            .env(PASSWORD, password)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .process_group(0);
        let process = Process::start("tahr run", &mut command, None)?;
        Ok(Self {
            process,
            state_dir: folder.state(),
        })
    }

    /// Notes in `watch` what it does now.
    pub(super) fn observe(&mut self, watch: &mut Watch) -> Result<Option<Report>, Error> {
        match ask(&self.state_dir, &Request::Status) {
            Ok(Answer::Status(report)) => {
                watch.see(&report);
                Ok(Some(report))
            }
            // It may not listen yet.
            _ if !self.process.has_ended()? => Ok(None),
            _ => Err(self.process.failure("has ended; what it said is above")),
        }
    }

    /// Waits until every lane holds all that `source` holds now.
    pub(super) async fn catch_up(
        &mut self,
        source: &Session,
        watch: &mut Watch,
    ) -> Result<(), Faults> {
        let present = present(source).await?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(report) = self.observe(watch)? {
                let mut lanes = report.lanes.iter();
                if let Some(lane) = report.lanes.iter().find(|lane| lane.state == State::Parked) {
                    let fault = lane.fault.as_ref();
                    let why = fault.map_or("", |fault| fault.message.as_str());
                    let name = format!("{}/{}", lane.sync, lane.target);
                    let error = Error::failed(format!("lane {name} is parked: {why}"));
                    return Err(match fault {
                        Some(fault) if !fault.hint.is_empty() => error.hint(fault.hint.clone()),
                        _ => error,
                    }
                    .into());
                }
                if lanes.all(|lane| lane.state == State::Streaming && lane.passed >= present) {
                    // The display is to show it as well.
                    tokio::time::sleep(Duration::from_millis(150)).await;
                    return Ok(());
                }
            }
            if Instant::now() > deadline {
                let error = format!("the targets did not reach the present in {PATIENCE:?}");
                return Err(Error::failed(error).into());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Ends it in order.
    pub(super) async fn stop(mut self) -> Result<(), Error> {
        self.process.stop().await
    }
}

/// A point in the source's log that has everything before it that was committed until now. A change
/// ends there, so a lane that has stored it is there: without one it finds out a second later.
async fn present(source: &Session) -> Result<Lsn, Error> {
    let failed = |error| postgres::failed("mark the present", &error);
    let beat = "UPDATE public.heartbeat SET beats = beats + 1";
    source.batch_execute(beat).await.map_err(failed)?;
    let sql = "SELECT pg_catalog.pg_current_wal_insert_lsn()::text";
    let row = source.query_one(sql, &[]).await.map_err(failed)?;
    row.get::<_, &str>(0)
        .parse()
        .map_err(|_| Error::failed("the source returned no LSN"))
}
