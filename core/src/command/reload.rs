//! `tahr reload`.

use std::path::Path;

use super::Output;
use crate::{
    Error, Faults,
    config::Config,
    control::{Answer, Request, ask},
};

/// Makes the running engine read its config again, and prints what it has done. A config whose
/// faults can be seen from here isn't sent to it.
pub(super) fn reload(path: &Path, output: &mut Output) -> Result<(), Faults> {
    let config = Config::load(path)?;
    match ask(&config.engine.state_dir, &Request::Reload)? {
        Answer::Reloaded(done) => {
            done.lines().into_iter().for_each(|line| output.line(line));
            Ok(())
        }
        Answer::Faulty(faults) => {
            output.note("nothing was changed:");
            Faults::unless_empty(faults.into_iter().map(Error::from).collect())?;
            Err(Error::failed("the engine refused the config without a fault").into())
        }
        Answer::Refused(why) => Err(Error::failed(why).into()),
        _ => Err(Error::failed("the engine answered something else").into()),
    }
}
