//! One engine per state folder.
//!
//! Whoever changes what is in the folder holds its lock: an engine as long as it runs, a command for
//! which no engine has to run for a moment. So who comes meanwhile waits for a command, but not for
//! an engine: the lock's file says which it is, by `PID` alone or `PID COMMAND`.

use std::{
    fs::{File, TryLockError},
    io::{self, Write as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use crate::Error;

/// How long a command that holds the lock is waited for.
const COMMAND_PATIENCE: Duration = Duration::from_secs(2);
/// How long an engine is: whoever has the lock takes a moment to say who that is.
const ENGINE_PATIENCE: Duration = Duration::from_millis(200);
/// How often the lock is tried.
const TRIES_EVERY: Duration = Duration::from_millis(20);

/// Held as long as it lives; the system lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub struct StateLock {
    _file: File,
}

impl StateLock {
    /// Makes the state folder where it is absent, and takes its lock for an engine.
    ///
    /// # Errors
    ///
    /// The folder can't be made, or another engine runs in it, or a command is long at work there.
    pub fn take(state_dir: &Path) -> Result<Self, Error> {
        Self::acquire(state_dir, None)
    }

    /// Like [`take`](Self::take), for the command `tahr COMMAND`.
    ///
    /// # Errors
    ///
    /// As [`take`](Self::take).
    pub fn take_for(state_dir: &Path, command: &str) -> Result<Self, Error> {
        Self::acquire(state_dir, Some(command))
    }

    /// For the command `tahr ASKS`, or for an engine.
    fn acquire(state_dir: &Path, asks: Option<&str>) -> Result<Self, Error> {
        let pid = std::process::id();
        let holder = asks.map_or_else(|| pid.to_string(), |command| format!("{pid} {command}"));
        let failed = |error: io::Error| {
            Error::failed(format!("state folder {}", state_dir.display())).caused_by(error)
        };
        let begun = Instant::now();
        loop {
            if let Some(mut file) = try_lock(state_dir).map_err(failed)? {
                file.set_len(0).map_err(failed)?;
                writeln!(file, "{holder}").map_err(failed)?;
                return Ok(Self { _file: file });
            }
            let held_by = fs_err::read_to_string(path(state_dir)).unwrap_or_default();
            let (pid, command) = match held_by.trim().split_once(' ') {
                Some((pid, command)) => (pid, Some(command)),
                None => (held_by.trim(), None),
            };
            let patience = match command {
                Some(_) => COMMAND_PATIENCE,
                None => ENGINE_PATIENCE,
            };
            if begun.elapsed() >= patience {
                return Err(refused(state_dir, pid, command, asks));
            }
            thread::sleep(TRIES_EVERY);
        }
    }

    /// Lets go of the lock and removes its file from `state_dir`, where it was taken.
    ///
    /// # Errors
    ///
    /// The file can't be removed.
    pub fn remove(self, state_dir: &Path) -> Result<(), Error> {
        // While it is still held: whoever comes next makes a file of their own.
        fs_err::remove_file(path(state_dir))
            .map_err(|error| Error::failed("remove the state folder's lock").caused_by(error))
    }
}

fn path(state_dir: &Path) -> PathBuf {
    state_dir.join("tahr.lock")
}

/// The lock's file, locked; none where somebody else has it.
fn try_lock(state_dir: &Path) -> io::Result<Option<File>> {
    fs_err::create_dir_all(state_dir)?;
    let path = path(state_dir);
    let file = File::options()
        .create(true)
        .write(true)
        .truncate(false)
        .open(&path)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    // Who held it may have removed the file meanwhile; a lock on that keeps nobody out.
    let locked = file.metadata()?;
    let is_there = std::fs::metadata(&path)
        .is_ok_and(|there| (there.dev(), there.ino()) == (locked.dev(), locked.ino()));
    Ok(is_there.then_some(file))
}

fn refused(state_dir: &Path, pid: &str, command: Option<&str>, asks: Option<&str>) -> Error {
    let folder = state_dir.display();
    match (command, asks) {
        (Some(command), _) => Error::failed(format!(
            "`tahr {command}` (pid {pid}) is at work in state folder {folder}"
        ))
        .hint("try again when it has ended"),
        // A command of the same config, so it is no other engine.
        (None, Some(command)) => Error::failed(format!(
            "the engine of this config runs (pid {pid}, state folder {folder})"
        ))
        .hint(match command {
            "drop" => "stop it first: tahr stop && tahr drop",
            // It would have been asked, if it listened.
            _ => "it is starting or ending: try again in a moment",
        }),
        (None, None) => Error::failed(format!(
            "another engine (pid {pid}) runs in state folder {folder}"
        ))
        .hint("`tahr stop` ends it; a second engine needs a `state_dir` of its own"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Holds the lock until it is told to let go.
    fn held(
        state_dir: &Path,
        take: fn(&Path) -> Result<StateLock, Error>,
        work: impl FnOnce(),
        let_go: impl FnOnce(StateLock) + Send + 'static,
    ) {
        let (taken, is_taken) = mpsc::channel();
        let state_dir = state_dir.to_owned();
        let holder = thread::spawn(move || {
            let lock = take(&state_dir).expect("nobody has it");
            taken.send(()).expect("the test waits");
            // Longer than an engine is waited for.
            thread::sleep(ENGINE_PATIENCE * 3);
            let_go(lock);
        });
        is_taken.recv().expect("the lock is taken");
        work();
        holder.join().expect("it ends");
    }

    #[test]
    fn an_engine_waits_for_a_command_that_is_at_work_for_a_moment() {
        let folder = tempfile::tempdir().expect("make a folder");
        let pause = |folder: &Path| StateLock::take_for(folder, "pause");
        let engine = || {
            let lock = StateLock::take(folder.path()).expect("the command ends");
            let told = fs_err::read_to_string(path(folder.path())).expect("read the lock");
            assert_eq!(told.trim(), std::process::id().to_string());
            drop(lock);
        };
        held(folder.path(), pause, engine, drop);
    }

    #[test]
    fn an_engine_is_refused_at_once_where_another_runs() {
        let folder = tempfile::tempdir().expect("make a folder");
        let _lock = StateLock::take(folder.path()).expect("nobody has it");
        let begun = Instant::now();
        let error = StateLock::take(folder.path()).expect_err("one runs");
        assert!(begun.elapsed() < COMMAND_PATIENCE);
        let expected = format!("another engine (pid {}) runs", std::process::id());
        assert!(error.message().starts_with(&expected), "{error}");
    }

    #[test]
    fn a_command_is_told_that_its_own_engine_runs() {
        let folder = tempfile::tempdir().expect("make a folder");
        let _lock = StateLock::take(folder.path()).expect("nobody has it");
        let error = StateLock::take_for(folder.path(), "drop").expect_err("one runs");
        let pid = std::process::id();
        let expected = format!("the engine of this config runs (pid {pid}, ");
        assert!(error.message().starts_with(&expected), "{error}");
        assert!(
            error
                .hint_text()
                .is_some_and(|hint| hint.ends_with("tahr stop && tahr drop")),
            "{error:?}"
        );
    }

    #[test]
    fn a_command_that_does_not_end_is_named() {
        let folder = tempfile::tempdir().expect("make a folder");
        let _lock = StateLock::take_for(folder.path(), "drop").expect("nobody has it");
        let error = StateLock::take(folder.path()).expect_err("it is at work");
        let expected = format!("`tahr drop` (pid {}) is at work", std::process::id());
        assert!(error.message().starts_with(&expected), "{error}");
    }

    #[test]
    fn who_waited_for_a_lock_that_was_removed_keeps_others_out_all_the_same() {
        let folder = tempfile::tempdir().expect("make a folder");
        let removed = folder.path().to_owned();
        let clean = |folder: &Path| StateLock::take_for(folder, "drop");
        let engine = || {
            let _lock = StateLock::take(folder.path()).expect("the command ends");
            StateLock::take(folder.path()).expect_err("one runs");
        };
        held(folder.path(), clean, engine, move |lock| {
            lock.remove(&removed).expect("remove the lock");
        });
    }
}
