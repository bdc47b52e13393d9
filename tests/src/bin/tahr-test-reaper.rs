//! Ends what tests started, once they are gone: `tahr-test-reaper PROCESS FOLDER`.
//!
//! Started by the first test of a run, it watches the process that is the run and every owner in
//! the ledger of the run's folder. It holds nothing of the tests', so no end of theirs ends it early.

use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread::sleep;
use std::time::Duration;

use tahr_tests::Entry;
use tahr_tests::ProcessId;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let run: Option<ProcessId> = arguments.next().and_then(|text| text.parse().ok());
    let folder = arguments.next().map(PathBuf::from);
    let (Some(run), Some(folder)) = (run, folder) else {
        return ExitCode::from(2);
    };

    let mut ended = HashSet::new();
    while run.is_alive() && folder.exists() {
        for entry in Entry::read_all(&folder) {
            if entry.is_orphan() && !ended.contains(&entry) {
                entry.end();
                ended.insert(entry);
            }
        }
        sleep(Duration::from_millis(100));
    }

    // What a test notes while it is being ended itself is found in the next pass.
    loop {
        let mut entries = Entry::read_all(&folder);
        entries.retain(|entry| ended.insert(entry.clone()));
        if entries.is_empty() {
            break;
        }
        entries.iter().for_each(Entry::end);
    }
    // A process that was just ended may still have written into it.
    for _ in 0..50 {
        if fs::remove_dir_all(&folder).is_ok() || !folder.exists() {
            return ExitCode::SUCCESS;
        }
        sleep(Duration::from_millis(100));
    }
    ExitCode::FAILURE
}
