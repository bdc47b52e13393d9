//! Answering a command that waits for a verification: how far it is, line by line, then the answer.
//! A command that goes away ends it.

use std::{io, sync::Arc, time::Duration};

use tokio::{io::AsyncWriteExt as _, net::UnixStream};

use super::Answer;
use crate::{
    engine::Control,
    verify::{Verification, Wanted},
};

/// How often it is told how far it is.
const EVERY: Duration = Duration::from_millis(200);

/// Ends a verification that nobody waits for.
struct Asked(Arc<Verification>);

impl Drop for Asked {
    fn drop(&mut self) {
        self.0.stop();
    }
}

pub(super) async fn verify(
    stream: &mut UnixStream,
    control: &Control,
    wanted: Wanted,
) -> io::Result<Answer> {
    let asked = Asked(control.verification());
    let mut verified = std::pin::pin!(control.verify(&asked.0, wanted));
    let mut is_heard = Ok(());
    loop {
        tokio::select! {
            biased;
            verified = &mut verified => {
                return is_heard.map(|()| Answer::of(verified, Answer::Verified));
            }
            () = tokio::time::sleep(EVERY) => {}
        }
        if is_heard.is_ok() {
            is_heard = tell(stream, &asked.0).await;
        } else {
            // Its thread ends soon, and another may begin only then.
            asked.0.stop();
        }
    }
}

async fn tell(stream: &mut UnixStream, verification: &Verification) -> io::Result<()> {
    let mut line = serde_json::to_string(&Answer::Verifying(verification.progress()))?;
    line.push('\n');
    stream.write_all(line.as_bytes()).await
}
