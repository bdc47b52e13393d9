//! Statements sent without waiting for the answers of those before them.

use std::{
    collections::VecDeque,
    fmt,
    future::{Future, poll_fn},
    pin::Pin,
    task::Poll,
};

use tokio_postgres::Error;

use super::error::{Cause, Failure, What};

/// Statements on their way, so that neither side holds much for the other.
const IN_FLIGHT: usize = 512;

type Answer<'a> = Pin<Box<dyn Future<Output = Result<u64, Error>> + Send + 'a>>;

/// A queue of sent statements. Before anything else is awaited on the connection it must be
/// [drained](Self::drain): an answer that nobody takes blocks those behind it.
#[derive(Default)]
pub(super) struct Pipeline<'a> {
    sent: VecDeque<(What<'a>, Answer<'a>)>,
}

impl fmt::Debug for Pipeline<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipeline")
            .field("sent", &self.sent.len())
            .finish()
    }
}

impl<'a> Pipeline<'a> {
    /// Sends a statement: the future's first poll does, as tokio-postgres promises.
    pub(super) async fn send(
        &mut self,
        what: What<'a>,
        statement: impl Future<Output = Result<u64, Error>> + Send + 'a,
    ) -> Result<(), Failure<'a>> {
        self.limit(IN_FLIGHT - 1).await?;
        let mut answer: Answer<'a> = Box::pin(statement);
        let first = poll_fn(|context| Poll::Ready(answer.as_mut().poll(context)));
        match first.await {
            Poll::Pending => self.sent.push_back((what, answer)),
            // Encoding failed, or the connection is gone; what was sent before may say why.
            Poll::Ready(result) => {
                self.drain().await?;
                judge(what, result)?;
            }
        }
        Ok(())
    }

    /// Waits until at most `count` statements are on their way.
    pub(super) async fn limit(&mut self, count: usize) -> Result<(), Failure<'a>> {
        while self.sent.len() > count {
            let Some((what, answer)) = self.sent.pop_front() else {
                break;
            };
            if let Err(failure) = judge(what, answer.await) {
                // What follows failed with it.
                while let Some((_, answer)) = self.sent.pop_front() {
                    let _ = answer.await;
                }
                return Err(failure);
            }
        }
        Ok(())
    }

    /// Waits for all answers. Fails with the first failure, and then nothing is on its way either.
    pub(super) async fn drain(&mut self) -> Result<(), Failure<'a>> {
        self.limit(0).await
    }
}

fn judge(what: What<'_>, result: Result<u64, Error>) -> Result<(), Failure<'_>> {
    match result {
        Ok(_) => Ok(()),
        Err(error) => Err(Failure {
            what,
            cause: Cause::Sql(error),
        }),
    }
}
