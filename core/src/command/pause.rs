//! `tahr pause` and `tahr resume`.

use std::{path::Path, time::SystemTime};

use super::Output;
use crate::{
    Error, ErrorKind, Faults, cli,
    config::Config,
    control::{Answer, Request, StateLock, ask},
    engine::{Changed, Part, Pauses},
};

/// Pauses a sync or a lane, and prints what that changed.
pub(super) fn pause(
    config: &Config,
    options: &cli::Pause,
    output: &mut Output,
) -> Result<(), Faults> {
    change(config, options, Request::Pause, output)
}

/// Ends a pause, and prints what that changed.
pub(super) fn resume(
    config: &Config,
    options: &cli::Pause,
    output: &mut Output,
) -> Result<(), Faults> {
    change(config, options, Request::Resume, output)
}

fn change(
    config: &Config,
    options: &cli::Pause,
    request: impl FnOnce(Part) -> Request,
    output: &mut Output,
) -> Result<(), Faults> {
    let part = &options.part;
    part.check(config)?;
    let state_dir = &config.engine.state_dir;
    let request = request(part.clone());
    let changed = match ask(state_dir, &request) {
        Ok(Answer::Changed(changed)) => changed,
        Ok(other) => return Err(other.into_faults()),
        Err(error) if error.kind() == ErrorKind::NoEngine && state_dir.exists() => {
            note(state_dir, part, matches!(request, Request::Pause(_)))?
        }
        Err(error) => return Err(error.into()),
    };
    if options.json {
        output.json(&changed, true)?;
    } else {
        changed.lines().iter().for_each(|line| output.line(line));
    }
    Ok(())
}

/// Notes the wish for the next engine in `state_dir`, since none runs.
fn note(state_dir: &Path, part: &Part, is_pause: bool) -> Result<Changed, Error> {
    // One that starts just now would not see it.
    let command = if is_pause { "pause" } else { "resume" };
    let _lock = StateLock::take_for(state_dir, command)?;
    let before = Pauses::load(state_dir)?;
    let mut after = before.clone();
    match is_pause {
        true => after.pause(part, SystemTime::now()),
        false => after.resume(part),
    }
    if after != before {
        after.save(state_dir)?;
    }
    let note = match (after != before, is_pause) {
        (true, true) => format!("no engine runs; {part} will be paused when it starts"),
        (true, false) => format!("no engine runs; {part} will go on when it starts"),
        (false, true) => format!("no engine runs; {part} was paused already"),
        (false, false) => format!("no engine runs; {part} was not paused"),
    };
    Ok(Changed {
        notes: vec![note],
        ..Changed::default()
    })
}
