//! The process of a server that the harness started.

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::process::{ProcessId, Signal};
use crate::run::{Keep, Run, spawn};
use crate::starting::await_ready;

/// A server's process, its folder, and its log in there. Whoever holds it ends it: when it is
/// dropped, the process stays (the reaper of the run ends it) and so does the folder.
#[derive(Debug)]
pub struct Service {
    name: &'static str,
    folder: PathBuf,
    keep: Keep,
    child: Option<Child>,
}

impl Service {
    /// One that is not started yet. The folder is made where it doesn't exist.
    pub(crate) fn new(name: &'static str, folder: PathBuf, keep: Keep) -> Self {
        fs::create_dir_all(&folder).expect("create the server's folder");
        Self {
            name,
            folder,
            keep,
            child: None,
        }
    }

    /// Where its files are.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// A command that [`start`](Self::start) takes, to be run as this user and group if any are given.
    pub(crate) fn command(&self, program: &Path, user: Option<(u32, u32)>) -> Command {
        Run::current().command(program, self.keep, user)
    }

    /// The process, if it runs.
    pub(crate) fn process(&mut self) -> Option<ProcessId> {
        let child = self.child.as_mut()?;
        child
            .try_wait()
            .is_ok_and(|ended| ended.is_none())
            .then(|| ProcessId::of(child.id()))?
    }

    /// Runs `command`, out of reach of the tests' signals and with its output in the log, and waits
    /// until `ready`, which gets the process's number, is true.
    pub(crate) fn start(&mut self, command: &mut Command, mut ready: impl FnMut(u32) -> bool) {
        assert!(self.process().is_none(), "the server runs already");
        let log_path = self.folder.join("log");
        let log = File::options().create(true).append(true).open(&log_path);
        let log = log.expect("open the server's log");
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("share the server's log"))
            .stderr(log)
            .process_group(0);
        let mut child = spawn(command);
        let waited = await_ready(self.name, &log_path, || match child.try_wait() {
            Ok(Some(status)) => Err(format!("ended at start: {status} (see scripts/install.sh)")),
            _ => Ok(ready(child.id())),
        });
        self.child = Some(child);
        if let Err(fault) = waited {
            self.end(Signal::Kill);
            panic!("{fault}");
        }
    }

    /// Ends the process: in order under [`Signal::Term`], by force where that takes more than 10 s.
    pub(crate) fn end(&mut self, signal: Signal) {
        if let Some(process) = self.process() {
            process.end(signal, Duration::from_secs(10));
        }
        if let Some(mut child) = self.child.take() {
            let _status = child.wait();
        }
    }

    /// Removes its files. What can't be removed now is removed by the run's reaper.
    pub(crate) fn remove(&mut self) {
        self.end(Signal::Kill);
        let _later = fs::remove_dir_all(&self.folder);
    }
}
