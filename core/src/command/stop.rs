//! `tahr stop`.

use std::time::{Duration, Instant};

use crate::{
    Error, Faults,
    config::Config,
    control::{Answer, Request, ask, socket_path},
};

/// Longer than an engine takes to give up on a writer that doesn't return.
const PATIENCE: Duration = Duration::from_secs(30);

/// Asks the running engine to end, and waits until it has.
pub(super) fn stop(config: &Config) -> Result<(), Faults> {
    let state_dir = &config.engine.state_dir;
    match ask(state_dir, &Request::Stop)? {
        Answer::Accepted => {}
        Answer::Refused(why) => return Err(Error::failed(why).into()),
        _ => return Err(Error::failed("the engine answered something else").into()),
    }
    let deadline = Instant::now() + PATIENCE;
    while socket_path(state_dir).exists() {
        if Instant::now() > deadline {
            return Err(Error::failed("the engine is stopping, but has not ended yet").into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
