//! The real `tahr` program, run in a folder of its own.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::time::Duration;

use tahr::control::{Answer, Request, ask};
use tahr::engine::Report;
use tahr::lane::{State, Status};

use crate::process::{ProcessId, Signal};
use crate::run::{Keep, Run, built, spawn, unique};
use crate::wait::eventually;

/// How long a command that ends by itself may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// How long a lane may take to come into a state.
const LANE_PATIENCE: Duration = Duration::from_secs(30);

/// The signal that a failpoint ends the engine with.
const ABORTED: i32 = rustix::process::Signal::ABORT.as_raw();

/// Lines of an engine's log that a failure shows.
const SHOWN: usize = 80;

/// A `tahr.toml` and what it needs, in a folder that is removed at the end.
#[derive(Debug)]
pub struct Engine {
    name: String,
    folder: PathBuf,
    environment: Vec<(String, String)>,
}

/// Makes an [`Engine`].
#[derive(Debug, Default)]
pub struct EngineBuilder {
    config: String,
    settings: String,
    environment: Vec<(String, String)>,
}

impl EngineBuilder {
    /// The config's text, without `[engine]`.
    #[must_use]
    pub fn config(mut self, toml: impl AsRef<str>) -> Self {
        self.config.push_str(toml.as_ref());
        self.config.push('\n');
        self
    }

    /// A line of `[engine]`, beside the `name` that the harness gives.
    #[must_use]
    pub fn setting(mut self, line: &str) -> Self {
        self.settings.push_str(line);
        self.settings.push('\n');
        self
    }

    /// An environment variable of every command.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Writes the config.
    pub fn build(self) -> Engine {
        let engine = Engine {
            // Slots belong to the whole server, and are named after the engine.
            name: format!("t{}", unique()),
            folder: Run::current().make_folder("engine"),
            environment: self.environment,
        };
        let head = format!("[engine]\nname = \"{}\"\n{}", engine.name, self.settings);
        engine.write_config(&format!("{head}\n{}", self.config));
        engine
    }
}

impl Engine {
    /// Starts a description.
    pub fn builder() -> EngineBuilder {
        EngineBuilder::default()
    }

    /// `[engine] name`, which is part of the names of slot and publication.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The folder that commands run in: relative paths of the config start here.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The config as it is now.
    pub fn config(&self) -> String {
        fs::read_to_string(self.folder.join("tahr.toml")).expect("read tahr.toml")
    }

    /// Replaces the whole config, `[engine]` included.
    pub fn write_config(&self, toml: &str) {
        fs::write(self.folder.join("tahr.toml"), toml).expect("write tahr.toml");
    }

    /// What the running engine says of itself, or why it doesn't.
    pub fn report(&self) -> Result<Report, String> {
        match ask(&self.folder.join("tahr-state"), &Request::Status) {
            Ok(Answer::Status(report)) => Ok(report),
            Ok(other) => Err(format!("{other:?}")),
            Err(error) => Err(error.to_string()),
        }
    }

    /// What the running engine says of the lane into `target`.
    pub fn lane(&self, target: &str) -> Result<Status, String> {
        let lanes = self.report()?.lanes;
        let lane = lanes.into_iter().find(|lane| lane.target == target);
        lane.ok_or_else(|| format!("no lane into {target}"))
    }

    /// Waits until the lane into `target` is in `state`.
    #[track_caller]
    pub fn await_lane(&self, target: &str, state: State) -> impl Future<Output = Status> {
        let what = format!("lane into {target} is {}", state.as_str());
        eventually(LANE_PATIENCE, what, async move || {
            let lane = self.lane(target)?;
            let is_there = lane.state == state;
            is_there
                .then(|| lane.clone())
                .ok_or_else(|| format!("{lane:?}"))
        })
    }

    /// Runs a command to its end, which it has to reach within two minutes.
    #[track_caller]
    pub fn tahr(&self, arguments: &[&str]) -> Finished {
        self.spawn(arguments).wait_exit(PATIENCE)
    }

    /// `tahr run --once`, which has to succeed.
    #[track_caller]
    pub fn run_once(&self) -> Finished {
        let finished = self.tahr(&["run", "--once"]);
        finished.assert_success();
        finished
    }

    /// `tahr run`, in the background.
    #[track_caller]
    pub fn start(&self) -> Running {
        self.spawn(&["run"])
    }

    /// As [`start`](Self::start), and it dies when it comes to the [failpoint](tahr_plugin_api::failpoint)
    /// `point` for the `count`th time.
    #[track_caller]
    pub fn start_to_die(&self, point: &str, count: u64) -> Running {
        self.spawn_with(&["run"], Some(("TAHR_DIE_AT", format!("{point}:{count}"))))
    }

    /// Any command, in the background.
    #[track_caller]
    pub fn spawn(&self, arguments: &[&str]) -> Running {
        self.spawn_with(arguments, None)
    }

    fn spawn_with(&self, arguments: &[&str], variable: Option<(&str, String)>) -> Running {
        let output = self.folder.join(format!("output-{}", unique()));
        let (stdout, stderr) = (
            output.with_extension("stdout"),
            output.with_extension("stderr"),
        );
        let mut command = Run::current().command(built("tahr"), Keep::Test, None);
        command
            .args(arguments)
            .current_dir(&self.folder)
            .env("NO_COLOR", "1")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .envs(variable)
            .stdin(Stdio::null())
            .stdout(File::create(&stdout).expect("create a file for stdout"))
            .stderr(File::create(&stderr).expect("create a file for stderr"));
        let child = spawn(&mut command);
        let process = ProcessId::of(child.id()).expect("the engine's process");
        let command = format!("tahr {}", arguments.join(" "));
        Running {
            command,
            child,
            process,
            stdout,
            stderr,
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // What can't be removed now is removed by the reaper.
        let _later = fs::remove_dir_all(&self.folder);
    }
}

/// A command that may still run; killed when dropped.
#[derive(Debug)]
pub struct Running {
    command: String,
    child: Child,
    process: ProcessId,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Running {
    /// Its process.
    pub fn process(&self) -> ProcessId {
        self.process
    }

    /// Whether it has not ended.
    pub fn is_running(&self) -> bool {
        self.process.is_alive()
    }

    /// What it has logged so far.
    pub fn stderr(&self) -> String {
        read(&self.stderr)
    }

    /// What it has answered so far.
    pub fn stdout(&self) -> String {
        read(&self.stdout)
    }

    /// `kill -9`: no chance to finish anything.
    #[track_caller]
    pub fn kill9(self) -> Finished {
        self.process.signal(Signal::Kill);
        self.wait_exit(PATIENCE)
    }

    /// SIGTERM, and waits for the orderly end.
    #[track_caller]
    pub fn terminate(self) -> Finished {
        self.process.signal(Signal::Term);
        self.wait_exit(PATIENCE)
    }

    /// Waits for its end, which has to come within `limit`.
    #[track_caller]
    pub fn wait_exit(mut self, limit: Duration) -> Finished {
        assert!(
            self.process.wait(limit),
            "`{}` did not end within {limit:?}; it logged:\n{}",
            self.command,
            tail(&self.stderr())
        );
        let status = self.child.wait().expect("wait for the command's end");
        Finished {
            command: self.command.clone(),
            status,
            stdout: self.stdout(),
            stderr: self.stderr(),
        }
    }
}

impl Drop for Running {
    #[expect(
        clippy::print_stderr,
        reason = "a test's output is where the engine's log is looked for"
    )]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("`{}` logged:\n{}", self.command, tail(&self.stderr()));
        }
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}

/// A command that has ended.
#[derive(Debug)]
pub struct Finished {
    command: String,
    status: ExitStatus,
    /// What it answered.
    pub stdout: String,
    /// What it logged.
    pub stderr: String,
}

impl Finished {
    /// Its exit code; none if a signal ended it.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// The answer as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("`{}`: {error}: {}", self.command, self.stdout))
    }

    /// Panics with the log unless it died at a failpoint.
    #[track_caller]
    pub fn assert_died(&self) {
        assert!(
            self.status.signal() == Some(ABORTED),
            "`{}` ended with {} and passed no failpoint; it logged:\n{}",
            self.command,
            self.status,
            tail(&self.stderr)
        );
    }

    /// Panics with the log unless the exit code is 0.
    #[track_caller]
    pub fn assert_success(&self) {
        self.assert_code(0);
    }

    /// Panics with the log unless the exit code is this one.
    #[track_caller]
    pub fn assert_code(&self, code: i32) {
        assert!(
            self.code() == Some(code),
            "`{}` ended with {} instead of {code}; it logged:\n{}",
            self.command,
            match self.status.signal() {
                Some(signal) => format!("signal {signal}"),
                None => format!("exit code {}", self.code().unwrap_or_default()),
            },
            tail(&self.stderr)
        );
    }
}

/// What a program wrote; it may be cut in the middle of a character.
fn read(path: &Path) -> String {
    fs::read(path)
        .map(|text| String::from_utf8_lossy(&text).into_owned())
        .unwrap_or_default()
}

/// The last lines of a log.
fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(SHOWN)..].join("\n")
}
