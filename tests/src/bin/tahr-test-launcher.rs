//! Runs a program for a test: `tahr-test-launcher FOLDER RUN OWNER KIND USER PROGRAM [ARGUMENT…]`.
//!
//! A test may be killed at any moment, so it can't note what it started: between the two it would
//! leave a process that nobody knows of. What is started notes itself instead, as OWNER's, in the
//! ledger of the run's FOLDER, and becomes PROGRAM only if both RUN and OWNER are still there
//! behind that: then the reaper finds the note. KIND is the ledger's; USER is `UID:GID` or `-`.

use std::convert::Infallible;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;

use tahr_tests::{ProcessId, note};

fn main() -> Result<Infallible, String> {
    let mut arguments = std::env::args_os().skip(1);
    let mut next = |name: &str| arguments.next().ok_or_else(|| format!("{name} is missing"));
    let folder = PathBuf::from(next("FOLDER")?);
    let run: ProcessId = next("RUN")?.to_string_lossy().parse()?;
    let owner: ProcessId = next("OWNER")?.to_string_lossy().parse()?;
    let kind = next("KIND")?.to_string_lossy().into_owned();
    let user = next("USER")?.to_string_lossy().into_owned();
    let program = next("PROGRAM")?;

    let me = ProcessId::current().to_string();
    note(&folder, owner, &kind, &me).map_err(|error| format!("{}: {error}", folder.display()))?;
    if !run.is_alive() || !owner.is_alive() {
        return Err("who started this is gone".to_owned());
    }

    let mut command = Command::new(&program);
    command.args(arguments);
    if let Some((user, group)) = user.split_once(':') {
        let number = |text: &str| text.parse().map_err(|_| format!("not a number: {text}"));
        command.uid(number(user)?).gid(number(group)?);
    }
    let error = command.exec();
    Err(format!("{}: {error}", program.display()))
}
