//! The test run that this process belongs to, and what it leaves behind: nothing.
//!
//! nextest gives each test a process of its own; cargo's own runner gives each test a thread. Either
//! way the tests of a run share one folder under the system's temporary folder, named after the
//! process that is the run: nextest, or else this very process. What one test starts for all is
//! started under a file lock in that folder ([`Run::once`]).
//!
//! The first test of a run also starts the **reaper** (`src/bin/tahr-test-reaper.rs`), which outlives
//! the tests. What must not outlive its owner is noted, with it, in the run's ledger: a folder before
//! it is made, a process by itself before it runs its program ([`Run::command`]). When an owner is
//! gone, killed or not, the reaper ends what it owned, and when the run is gone, everything, the
//! run's folder and itself included.

use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::process::{CommandExt as _, parent_id};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::process::{ProcessId, Signal};

/// The ledger's name in the run's folder. One line an entry: `owner kind what`.
const LEDGER: &str = "ledger";

/// A test run.
#[derive(Debug)]
pub struct Run {
    /// The process whose end is the run's end.
    process: ProcessId,
    folder: PathBuf,
}

/// How long a process may live that a test starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// As long as the test.
    Test,
    /// As long as the run.
    Run,
    /// It ends by itself and soon, and would leave something behind if it were ended before.
    Errand,
}

/// Something that must not outlive its owner.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Entry {
    owner: ProcessId,
    what: Belonging,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Belonging {
    Process(ProcessId),
    /// Ends by itself and soon, and would leave something behind if it were ended.
    Errand(ProcessId),
    Folder(PathBuf),
}

impl Run {
    /// The run that this process belongs to.
    pub fn current() -> &'static Self {
        static RUN: OnceLock<Run> = OnceLock::new();
        RUN.get_or_init(|| {
            let me = ProcessId::current();
            let nextest =
                std::env::var_os("NEXTEST_RUN_ID").and_then(|_| ProcessId::of(parent_id()));
            let process = nextest.unwrap_or(me);
            // Not below the build folder: a server that runs as another user has to reach it.
            let folder = std::env::temp_dir().join(format!(
                "tahr-tests-{}",
                process.to_string().replace(':', "-")
            ));
            fs::create_dir_all(&folder).expect("create the test run's folder");
            let run = Self { process, folder };
            run.once("reaper", || run.start_reaper());
            // A test whose run was killed would go on for nobody.
            if process != me {
                run.note(process, "process", &me.to_string());
            }
            run
        })
    }

    /// The process that is the run.
    pub fn process(&self) -> ProcessId {
        self.process
    }

    /// The folder that all tests of the run share.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Makes a folder of this process's own in the run's folder.
    pub fn make_folder(&self, purpose: &str) -> PathBuf {
        let folder = self.folder.join(format!("{purpose}-{}", unique()));
        self.note(
            ProcessId::current(),
            "folder",
            &folder.display().to_string(),
        );
        fs::create_dir(&folder).expect("create a test's folder");
        folder
    }

    /// A command that is ended in time, whenever its owner is killed: it notes itself in the ledger
    /// before it runs `program` (as this user and group, if any are given). It fails as `program`
    /// does, and with a line on stderr where that can't be run.
    pub fn command(
        &self,
        program: impl AsRef<OsStr>,
        keep: Keep,
        user: Option<(u32, u32)>,
    ) -> Command {
        let (owner, kind) = match keep {
            Keep::Test => (ProcessId::current(), "process"),
            Keep::Run => (self.process, "process"),
            Keep::Errand => (ProcessId::current(), "errand"),
        };
        let mut command = Command::new(built("tahr-test-launcher"));
        command
            .arg(&self.folder)
            .args([self.process.to_string(), owner.to_string()])
            .arg(kind)
            .arg(user.map_or("-".to_owned(), |(user, group)| format!("{user}:{group}")))
            .arg(program);
        command
    }

    /// Has a process ended when this one is gone: one that another program started.
    pub fn owns(&self, process: ProcessId) {
        self.note(ProcessId::current(), "process", &process.to_string());
    }

    /// Does something once per run, whichever process comes first, and gives all what it returned.
    pub fn once(&self, name: &str, start: impl FnOnce() -> String) -> String {
        let _lock = self.lock(name);
        let done = self.folder.join(format!("{name}.done"));
        if let Ok(answer) = fs::read_to_string(&done) {
            return answer;
        }
        let answer = start();
        fs::write(&done, &answer).expect("write the run's note");
        answer
    }

    /// The next number, from 0 on, of a counter that the run's processes share.
    pub fn count(&self, name: &str) -> u32 {
        let _lock = self.lock(name);
        let path = self.folder.join(format!("{name}.count"));
        let number = fs::read_to_string(&path).map_or(0, |text| text.parse().expect("a count"));
        fs::write(&path, (number + 1).to_string()).expect("write the run's counter");
        number
    }

    /// Held until the file is dropped, or its process ends.
    fn lock(&self, name: &str) -> File {
        let path = self.folder.join(format!("{name}.lock"));
        let file = File::create(path).expect("create a lock file");
        file.lock().expect("lock a file");
        file
    }

    fn note(&self, owner: ProcessId, kind: &str, what: &str) {
        note(&self.folder, owner, kind, what).expect("note in the run's ledger");
    }

    fn start_reaper(&self) -> String {
        let mut reaper = Command::new(built("tahr-test-reaper"));
        reaper
            .arg(self.process.to_string())
            .arg(&self.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .current_dir("/")
            // A signal for the tests, from a terminal or from nextest, is none for it.
            .process_group(0);
        spawn(&mut reaper).id().to_string()
    }
}

impl Entry {
    /// All entries of the ledger in a run's folder, in the order to end them in: processes before
    /// the folders that they work in. What is not understood is skipped.
    pub fn read_all(folder: &Path) -> Vec<Self> {
        let ledger = fs::read_to_string(folder.join(LEDGER)).unwrap_or_default();
        let mut entries: Vec<Self> = ledger.lines().filter_map(Self::parse).collect();
        entries.sort_by_key(|entry| matches!(entry.what, Belonging::Folder(_)));
        entries
    }

    fn parse(line: &str) -> Option<Self> {
        let mut words = line.splitn(3, ' ');
        let owner = words.next()?.parse().ok()?;
        let what = match (words.next()?, words.next()?) {
            ("process", process) => Belonging::Process(process.parse().ok()?),
            ("errand", process) => Belonging::Errand(process.parse().ok()?),
            ("folder", folder) => Belonging::Folder(PathBuf::from(folder)),
            _ => return None,
        };
        Some(Self { owner, what })
    }

    /// Whether the owner is gone.
    pub fn is_orphan(&self) -> bool {
        !self.owner.is_alive()
    }

    /// Ends the process, or removes the folder.
    pub fn end(&self) {
        match &self.what {
            // SIGQUIT makes PostgreSQL give its shared memory back, and is fatal to the others.
            Belonging::Process(process) => process.end(Signal::Quit, Duration::from_secs(3)),
            Belonging::Errand(process) => {
                if !process.wait(Duration::from_secs(20)) {
                    process.end(Signal::Quit, Duration::from_secs(3));
                }
            }
            Belonging::Folder(folder) => drop(fs::remove_dir_all(folder)),
        }
    }
}

/// Starts a program of the workspace: one that [`Run::command`] gave, or the reaper.
pub(crate) fn spawn(command: &mut Command) -> Child {
    command.spawn().unwrap_or_else(|error| {
        let program = Path::new(command.get_program()).display();
        panic!("{program}: {error}; run `cargo build --workspace` first")
    })
}

/// Notes in the ledger of a run's folder what must not outlive its owner.
pub fn note(folder: &Path, owner: ProcessId, kind: &str, what: &str) -> io::Result<()> {
    // One short write to a file opened for appending is never mixed with another's.
    let mut ledger = OpenOptions::new()
        .create(true)
        .append(true)
        .open(folder.join(LEDGER))?;
    ledger.write_all(format!("{owner} {kind} {what}\n").as_bytes())
}

/// A name part that no other test, process or run uses: for databases, slots, folders.
pub fn unique() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a clock after 1970");
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!(
        "{:x}_{:x}_{count}",
        now.as_millis() & 0xffff_ffff,
        std::process::id()
    )
}

/// A program of the workspace, in the folder above the test executable's.
pub(crate) fn built(name: &str) -> PathBuf {
    build_folder().join(name)
}

/// Where cargo puts the programs and plugins of the profile that the tests were built with.
pub fn build_folder() -> PathBuf {
    let test = std::env::current_exe().expect("path of the test executable");
    let folder = test.parent().and_then(Path::parent);
    folder
        .expect("test executable in <target>/<profile>/deps")
        .to_owned()
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "test run of process {} in {}",
            self.process.pid(),
            self.folder.display()
        )
    }
}
