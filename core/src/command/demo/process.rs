//! Processes that the demo starts, and ends.

use std::{
    future::Future,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::Error;

/// How often a process is looked at.
const TICK: Duration = Duration::from_millis(20);

/// A process of the demo's own; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Process {
    name: &'static str,
    child: Child,
    /// Where what it says is kept; none for one that says it to the user.
    log: Option<PathBuf>,
    /// Asks it for an end in order.
    signal: Signal,
    patience: Duration,
}

impl Process {
    /// Starts `command` with its output in the file `log`.
    pub(super) fn spawn(
        name: &'static str,
        command: &mut Command,
        log: &Path,
    ) -> Result<Self, Error> {
        let failed =
            |error: std::io::Error| Error::failed(format!("start {name}")).caused_by(error);
        let file = std::fs::File::create(log).map_err(failed)?;
        let copy = file.try_clone().map_err(failed)?;
        command.stdin(Stdio::null()).stdout(copy).stderr(file);
        Self::start(name, command, Some(log))
    }

    /// Starts `command` as it is; `log` is where it says things, if not to the user.
    pub(super) fn start(
        name: &'static str,
        command: &mut Command,
        log: Option<&Path>,
    ) -> Result<Self, Error> {
        let child = command
            .spawn()
            .map_err(|error| Error::failed(format!("start {name}")).caused_by(error))?;
        let patience = Duration::from_secs(10);
        Ok(Self {
            name,
            child,
            log: log.map(Path::to_owned),
            signal: Signal::TERM,
            patience,
        })
    }

    /// Ends with `signal` rather than SIGTERM.
    pub(super) fn ends_by(mut self, signal: Signal) -> Self {
        self.signal = signal;
        self
    }

    pub(super) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    pub(super) fn has_ended(&mut self) -> Result<bool, Error> {
        Ok(self.status()?.is_some())
    }

    fn status(&mut self) -> Result<Option<ExitStatus>, Error> {
        let failed = |error| Error::failed(format!("look at {}", self.name)).caused_by(error);
        self.child.try_wait().map_err(failed)
    }

    /// Waits for its end, which has to be a good one.
    pub(super) async fn success(&mut self) -> Result<(), Error> {
        loop {
            match self.status()? {
                None => tokio::time::sleep(TICK).await,
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(self.failure(&format!("ended with {status}"))),
            }
        }
    }

    /// Asks for its end and waits for it.
    pub(super) async fn stop(&mut self) -> Result<(), Error> {
        self.send(self.signal);
        let deadline = Instant::now() + self.patience * 3;
        while !self.has_ended()? {
            if Instant::now() > deadline {
                return Err(self.failure("does not end"));
            }
            tokio::time::sleep(TICK).await;
        }
        self.success().await
    }

    /// What happened to it, with the last that it said.
    pub(super) fn failure(&self, what: &str) -> Error {
        let error = Error::failed(format!("{} {what}", self.name));
        let text = self
            .log
            .as_ref()
            .and_then(|log| fs_err::read(log).ok())
            .unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<_> = text
            .lines()
            .filter(|line| !line.trim().is_empty())
            .collect();
        match lines.len() {
            0 => error,
            count => error.caused_by(lines[count.saturating_sub(8)..].join("\n")),
        }
    }

    fn send(&self, signal: Signal) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // It may just have ended; nobody else can have its number before it was waited for.
            let _ = kill_process(pid, signal);
        }
    }

    fn ends_within(&mut self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        loop {
            match self.child.try_wait() {
                Ok(None) if Instant::now() < deadline => std::thread::sleep(TICK),
                Ok(None) => return false,
                _ => return true,
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.ends_within(Duration::ZERO) {
            return;
        }
        self.send(self.signal);
        if !self.ends_within(self.patience) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Completes at Ctrl-C, SIGTERM, or when the terminal goes away.
pub(super) fn interrupted() -> Result<impl Future<Output = ()>, Error> {
    use tokio::signal::unix::{SignalKind, signal};
    let failed = |error| Error::failed("listen for signals").caused_by(error);
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut hangup = signal(SignalKind::hangup()).map_err(failed)?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    })
}

/// A port on which nobody listens.
pub(super) fn free_port() -> Result<u16, Error> {
    std::net::TcpListener::bind(("127.0.0.1", 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|error| Error::failed("find a free port").caused_by(error))
}
