//! The engine's end of the socket.

use std::{
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{UnixListener, UnixStream},
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use super::{Answer, Request, past, socket_path, verify};
use crate::{Error, engine::Control, lane::rejected::Wish, shutdown::Stop, state_file};

/// Answers commands until it is dropped, which also removes the socket.
#[derive(Debug)]
pub struct Server {
    path: PathBuf,
    task: JoinHandle<()>,
}

impl Server {
    /// Listens in `state_dir`, whose lock the caller holds. `control` answers; `stop` is told of a
    /// request to end, and `reloads` is given who waits for the answer to one.
    ///
    /// # Errors
    ///
    /// The socket can't be made there.
    pub fn listen(
        state_dir: &Path,
        control: Control,
        reloads: mpsc::Sender<oneshot::Sender<Answer>>,
        stop: Stop,
    ) -> Result<Self, Error> {
        let path = socket_path(state_dir);
        let failed = |error: std::io::Error| {
            Error::failed(format!("listen on {}", path.display()))
                .caused_by(error)
                .hint("a socket's path has about 100 bytes at most: set a shorter `state_dir`")
        };
        // The lock is ours, so whoever left it is gone.
        state_file::remove(&path).map_err(failed)?;
        let listener = UnixListener::bind(&path).map_err(failed)?;
        let owner_only = std::fs::Permissions::from_mode(0o600);
        fs_err::set_permissions(&path, owner_only).map_err(failed)?;
        let folder: Arc<Path> = state_dir.into();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (control, stop) = (control.clone(), stop.clone());
                let reloads = reloads.clone();
                let folder = Arc::clone(&folder);
                tokio::spawn(async move {
                    // Whoever went away without an answer needs none.
                    let _ = answer(stream, &control, &reloads, &stop, folder).await;
                });
            }
        });
        Ok(Self { path, task })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
        let _ = fs_err::remove_file(&self.path);
    }
}

async fn answer(
    mut stream: UnixStream,
    control: &Control,
    reloads: &mpsc::Sender<oneshot::Sender<Answer>>,
    stop: &Stop,
    state_dir: Arc<Path>,
) -> std::io::Result<()> {
    let mut line = String::new();
    BufReader::new(&mut stream).read_line(&mut line).await?;
    let answer = match serde_json::from_str(&line) {
        Ok(Request::Status) => Answer::Status(control.report()),
        Ok(Request::Conflicts(question)) => past::conflicts(state_dir, question).await,
        Ok(Request::History(question)) => past::history(state_dir, question).await,
        Ok(Request::Stop) => {
            stop.stop();
            Answer::Accepted
        }
        Ok(Request::Reload) => {
            let (asker, answer) = oneshot::channel();
            let gone = |_| Answer::Refused("the engine is ending".to_owned());
            match reloads.send(asker).await {
                Ok(()) => answer.await.unwrap_or_else(gone),
                Err(_) => Answer::Refused(
                    "this engine ends by itself (`run --once`) and reads no changes".to_owned(),
                ),
            }
        }
        Ok(Request::Pause(part)) => Answer::of(control.pause(&part).await, Answer::Changed),
        Ok(Request::Resume(part)) => Answer::of(control.resume(&part).await, Answer::Changed),
        Ok(Request::Rejected(part)) => {
            // It may read files.
            let control = control.clone();
            let listed = tokio::task::spawn_blocking(move || control.rejected(part.as_ref()));
            match listed.await {
                Ok(listed) => Answer::of(listed, Answer::Rejected),
                Err(error) => Answer::Refused(error.to_string()),
            }
        }
        Ok(Request::RetryRejected(part, choice)) => {
            let settled = control.settle_rejected(Wish::Retry, &part, &choice).await;
            Answer::of(settled, Answer::Settled)
        }
        Ok(Request::DiscardRejected(part, choice)) => {
            let settled = control.settle_rejected(Wish::Discard, &part, &choice).await;
            Answer::of(settled, Answer::Settled)
        }
        Ok(Request::Kick(sync)) => Answer::of(control.kick(&sync), Answer::Kicked),
        Ok(Request::Resync { part, tables }) => {
            Answer::of(control.resync(&part, &tables).await, Answer::Resynced)
        }
        Ok(Request::Marks {
            sync,
            sources,
            patience,
        }) => {
            let marks = control.marks(&sync, &sources, patience).await;
            Answer::of(marks, Answer::Marks)
        }
        Ok(Request::Missing { sync, marks, lanes }) => {
            Answer::of(control.missing(&sync, &marks, lanes), Answer::Missing)
        }
        Ok(Request::Verify(wanted)) => verify::verify(&mut stream, control, wanted).await?,
        Err(_) => Answer::Refused(format!(
            "this engine (tahr {}) doesn't know the request",
            env!("CARGO_PKG_VERSION")
        )),
    };
    let mut text = serde_json::to_string(&answer)?;
    text.push('\n');
    stream.write_all(text.as_bytes()).await
}
