//! Processes by identity.
//!
//! A pid alone may be given to another process once the first is gone; a pid with its start time
//! is not. Everything that the harness ends, it ends by this identity.

use std::fmt;
use std::fs;
use std::str::FromStr;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, kill_process};

/// A signal that the harness sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Asks politely.
    Term,
    /// PostgreSQL's fast shutdown.
    Int,
    /// PostgreSQL's immediate shutdown: a crash, except that shared memory is given back.
    Quit,
    /// Can't be refused.
    Kill,
    /// Freezes the process.
    Stop,
    /// Ends the freeze.
    Cont,
    /// Asks to read settings again.
    Hup,
}

impl Signal {
    fn number(self) -> rustix::process::Signal {
        match self {
            Self::Term => rustix::process::Signal::TERM,
            Self::Int => rustix::process::Signal::INT,
            Self::Quit => rustix::process::Signal::QUIT,
            Self::Kill => rustix::process::Signal::KILL,
            Self::Stop => rustix::process::Signal::STOP,
            Self::Cont => rustix::process::Signal::CONT,
            Self::Hup => rustix::process::Signal::HUP,
        }
    }
}

/// One process, never confused with a later one of the same pid. Printed and parsed as `pid:start`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ProcessId {
    pid: u32,
    /// Clock ticks between the machine's start and the process's.
    started: u64,
}

impl ProcessId {
    /// The process that has this pid now.
    pub fn of(pid: u32) -> Option<Self> {
        let (_, started) = stat(pid)?;
        Some(Self { pid, started })
    }

    /// This process.
    pub fn current() -> Self {
        Self::of(std::process::id()).expect("read /proc/self/stat")
    }

    /// The process's number.
    pub fn pid(self) -> u32 {
        self.pid
    }

    /// Whether it still runs. One that ended and was not waited for does not.
    pub fn is_alive(self) -> bool {
        stat(self.pid)
            .is_some_and(|(state, started)| started == self.started && state != 'Z' && state != 'X')
    }

    /// The most memory that it held so far, in bytes; 0 if it is gone.
    pub fn peak_memory(self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap_or_default();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = peak.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
        kib.unwrap_or(0) << 10
    }

    /// How long processors were busy with it so far; nothing if it is gone.
    pub fn busy(self) -> Duration {
        /// Linux counts in these, whatever its own clock does.
        const TICK: Duration = Duration::from_millis(10);
        let ticks = fields(self.pid).map_or(0, |fields| {
            let of = |place: usize| fields.get(place).and_then(|text| text.parse().ok());
            of(11).unwrap_or(0) + of(12).unwrap_or(0)
        });
        TICK * ticks
    }

    /// Sends a signal, to this very process or to none.
    pub fn signal(self, signal: Signal) {
        let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) else {
            return;
        };
        if self.is_alive() {
            // It may end in between; then there is nothing to do.
            let _gone = kill_process(pid, signal.number());
        }
    }

    /// Sends a signal, waits, and kills what is still there after `patience`.
    pub fn end(self, signal: Signal, patience: Duration) {
        self.signal(signal);
        if !self.wait(patience) {
            self.signal(Signal::Kill);
            self.wait(Duration::from_secs(5));
        }
    }

    /// Waits until the process is gone; false if it is still there.
    pub fn wait(self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        while self.is_alive() {
            if Instant::now() >= deadline {
                return false;
            }
            sleep(Duration::from_millis(5));
        }
        true
    }
}

/// What `/proc/PID/stat` has, from the third field on.
fn fields(pid: u32) -> Option<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name, in parentheses and free to contain anything.
    let fields = stat.get(stat.rfind(')')? + 1..)?.split_ascii_whitespace();
    Some(fields.map(str::to_owned).collect())
}

/// State and start time.
fn stat(pid: u32) -> Option<(char, u64)> {
    let fields = fields(pid)?;
    let state = fields.first()?.chars().next()?;
    let started = fields.get(19)?.parse().ok()?;
    Some((state, started))
}

impl fmt::Display for ProcessId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.pid, self.started)
    }
}

impl FromStr for ProcessId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = || {
            let (pid, started) = text.split_once(':')?;
            Some(Self {
                pid: pid.parse().ok()?,
                started: started.parse().ok()?,
            })
        };
        parse().ok_or_else(|| format!("not a process: {text}"))
    }
}
