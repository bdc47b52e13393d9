//! Answers about the past, which come from files and need no running sync.

use std::{io, path::Path, sync::Arc};

use super::{Answer, Told};
use crate::{Error, masters::chronicle::Question};

/// The answer to [`Request::Conflicts`](super::Request::Conflicts).
pub(super) async fn conflicts(state_dir: Arc<Path>, question: Question) -> Answer {
    answer(
        "conflicts",
        move || question.conflicts(&state_dir),
        Answer::Conflicts,
    )
    .await
}

/// The answer to [`Request::History`](super::Request::History).
pub(super) async fn history(state_dir: Arc<Path>, question: Question) -> Answer {
    answer(
        "rounds",
        move || question.rounds(&state_dir),
        Answer::History,
    )
    .await
}

/// Reads on a thread where it may take its time.
async fn answer<T: Send + 'static>(
    what: &str,
    read: impl FnOnce() -> io::Result<T> + Send + 'static,
    made: impl FnOnce(T) -> Answer,
) -> Answer {
    let read = tokio::task::spawn_blocking(read).await;
    match read.map_err(io::Error::other).flatten() {
        Ok(found) => made(found),
        Err(error) => {
            let error = Error::failed(format!("read the {what} of the past")).caused_by(error);
            Answer::Faulty(vec![Told::from(&error)])
        }
    }
}
