//! `tahr resync`.

use super::Output;
use crate::{
    Faults, cli,
    config::Config,
    control::{Answer, Request, ask},
};

/// Has tables copied anew by the running engine, and prints which.
pub(super) fn resync(
    config: &Config,
    options: &cli::Resync,
    output: &mut Output,
) -> Result<(), Faults> {
    options.part.check(config)?;
    let request = Request::Resync {
        part: options.part.clone(),
        tables: options.tables.clone(),
    };
    let done = match ask(&config.engine.state_dir, &request)? {
        Answer::Resynced(done) => done,
        other => return Err(other.into_faults()),
    };
    if options.json {
        output.json(&done, true)?;
    } else {
        done.iter().for_each(|lane| output.line(lane.line()));
    }
    Ok(())
}
