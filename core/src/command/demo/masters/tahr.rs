//! The `tahr` program as the demo's child: what is typed is what a user would type.

use std::{
    os::unix::process::CommandExt as _,
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use super::super::{config::PASSWORD, folder::Folder, process::Process};
use crate::{Error, exit_code};

/// How long an engine may take to be at work.
const PATIENCE: Duration = Duration::from_secs(60);

/// An engine that runs, and the commands that are asked of it.
#[derive(Debug)]
pub(super) struct Tahr {
    program: PathBuf,
    folder: PathBuf,
    password: String,
    engine: Process,
}

impl Tahr {
    /// `tahr run`, in the folder with its config.
    pub(super) fn run(folder: &Folder, password: &str) -> Result<Self, Error> {
        let program = std::env::current_exe()
            .map_err(|error| Error::failed("find the tahr program").caused_by(error))?;
        let mut command = Command::new(&program);
        command
            .args(["run", "--progress", "never"])
            .current_dir(folder.path())
            .env(PASSWORD, password)
            .process_group(0);
        let engine = Process::spawn("tahr run", &mut command, &folder.log("tahr"))?;
        Ok(Self {
            program,
            folder: folder.path().to_owned(),
            password: password.to_owned(),
            engine,
        })
    }

    /// Runs a command to its end; what it printed.
    pub(super) fn command(&mut self, arguments: &[&str]) -> Result<String, Error> {
        self.attempt(arguments)?.map_err(|(_, error)| error)
    }

    /// Runs a command until an engine answers it.
    pub(super) async fn once_it_listens(&mut self, arguments: &[&str]) -> Result<String, Error> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.attempt(arguments)? {
                Ok(output) => return Ok(output),
                Err((code, _))
                    if code == Some(exit_code::NO_ENGINE) && Instant::now() < deadline =>
                {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Err((_, error)) => return Err(error),
            }
        }
    }

    fn attempt(
        &mut self,
        arguments: &[&str],
    ) -> Result<Result<String, (Option<u8>, Error)>, Error> {
        if self.engine.has_ended()? {
            return Err(self.engine.failure("has ended"));
        }
        let name = format!("tahr {}", arguments.join(" "));
        let output = Command::new(&self.program)
            .args(arguments)
            .current_dir(&self.folder)
            .env(PASSWORD, &self.password)
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .output()
            .map_err(|error| Error::failed(format!("start {name}")).caused_by(error))?;
        if output.status.success() {
            return Ok(Ok(String::from_utf8_lossy(&output.stdout).into_owned()));
        }
        let code = output
            .status
            .code()
            .and_then(|code| u8::try_from(code).ok());
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        let error = Error::failed(format!("{name} ended with {}", output.status)).caused_by(said);
        Ok(Err((code, error)))
    }

    /// Ends the engine in order.
    pub(super) async fn stop(mut self) -> Result<(), Error> {
        self.engine.stop().await
    }
}
