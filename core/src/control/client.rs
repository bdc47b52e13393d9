//! The commands' end of the socket.

use std::{
    io::{self, BufRead as _, BufReader, Write as _},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

use super::{Answer, Request, socket_path};
use crate::{Error, verify::Progress};

/// How long an answer may take: a reload waits for lanes that end.
fn patience(request: &Request) -> Duration {
    match request {
        Request::Conflicts(_) | Request::History(_) | Request::Rejected(_) => {
            Duration::from_secs(60)
        }
        // One change of the engine comes after the other.
        Request::Reload
        | Request::Pause(_)
        | Request::Resume(_)
        | Request::Resync { .. }
        | Request::RetryRejected(..)
        | Request::DiscardRejected(..) => Duration::from_secs(180),
        Request::Marks { patience, .. } => *patience + Duration::from_secs(10),
        // It says all the time how far it is.
        Request::Verify(_) => Duration::from_secs(60),
        Request::Status | Request::Stop | Request::Kick(_) | Request::Missing { .. } => {
            Duration::from_secs(10)
        }
    }
}

/// Asks the engine in `state_dir`.
///
/// # Errors
///
/// No engine runs there, or it did not answer.
pub fn ask(state_dir: &Path, request: &Request) -> Result<Answer, Error> {
    ask_and_hear(state_dir, request, |_| {})
}

/// Like [`ask`], and tells `hear` how far it is.
///
/// # Errors
///
/// As [`ask`].
pub fn ask_and_hear(
    state_dir: &Path,
    request: &Request,
    mut hear: impl FnMut(Progress),
) -> Result<Answer, Error> {
    let path = socket_path(state_dir);
    let mut stream = UnixStream::connect(&path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Error::no_engine(format!(
            "no engine runs in state folder {}",
            state_dir.display()
        ))
        .hint("start one with `tahr run`"),
        _ => Error::failed(format!("connect to {}", path.display())).caused_by(error),
    })?;
    let failed = |error| Error::failed("the engine does not answer").caused_by(error);
    stream
        .set_read_timeout(Some(patience(request)))
        .map_err(failed)?;
    let mut line = serde_json::to_string(request)
        .map_err(|error| Error::failed("write a request").caused_by(error))?;
    line.push('\n');
    stream.write_all(line.as_bytes()).map_err(failed)?;
    let mut answers = BufReader::new(stream);
    loop {
        let mut answer = String::new();
        answers.read_line(&mut answer).map_err(failed)?;
        if answer.is_empty() {
            return Err(Error::no_engine("the engine has ended"));
        }
        let answer = serde_json::from_str(&answer).map_err(|error| {
            Error::failed("the engine's answer can't be read; is it another version of tahr?")
                .caused_by(error)
        })?;
        match answer {
            Answer::Verifying(progress) => hear(progress),
            answer => return Ok(answer),
        }
    }
}
