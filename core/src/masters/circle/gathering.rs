//! A meeting under way: its comparison runs beside the judge, who takes the differences as they come.

use std::{
    sync::Arc,
    task::Poll,
};

use tokio::{sync::mpsc, task::JoinHandle};

use super::trouble::Trouble;
use crate::{
    masters::meeting::{Meeting, Progress},
    reconcile::{Difference, Meeting as How},
    source::SourceError,
};

/// Differences in one chunk.
const CHUNK: usize = 5_000;

/// What the sources held before, as differences between them.
#[derive(Debug)]
pub(super) struct Gathering {
    pub(super) how: How,
    chunks: mpsc::Receiver<Result<Vec<Difference>, SourceError>>,
    next: Option<Option<Result<Vec<Difference>, SourceError>>>,
    task: JoinHandle<()>,
}

impl Drop for Gathering {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What a gathering gives.
#[derive(Debug)]
pub(super) enum Gathered {
    /// Nothing yet.
    Nothing,
    /// Some differences.
    Chunk(Vec<Difference>),
    /// All tables are compared.
    All,
}

impl Gathering {
    /// Compares, as far as somebody takes what is found; tells `shown` how far it is.
    pub(super) fn begin(
        mut meeting: Meeting,
        how: How,
        runtime: &tokio::runtime::Handle,
        shown: impl Fn(Progress) + Send + Sync + 'static,
    ) -> Self {
        let (sink, chunks) = mpsc::channel(1);
        let shown = Arc::new(shown);
        let task = runtime.spawn(async move {
            loop {
                let next = meeting.next(CHUNK).await;
                shown(meeting.progress());
                let (chunk, is_last) = match next {
                    Ok(Some(chunk)) => (Ok(chunk), false),
                    Ok(None) => return,
                    Err(error) => (Err(error), true),
                };
                if sink.send(chunk).await.is_err() || is_last {
                    return;
                }
            }
        });
        Self {
            how,
            chunks,
            next: None,
            task,
        }
    }

    /// Completes when there is something to take, and never where there is no gathering.
    pub(super) async fn ready(gathering: &mut Option<Self>) {
        std::future::poll_fn(|context| {
            let Some(gathering) = gathering else {
                return Poll::Pending;
            };
            if gathering.next.is_none() {
                match gathering.chunks.poll_recv(context) {
                    Poll::Ready(chunk) => gathering.next = Some(chunk),
                    Poll::Pending => return Poll::Pending,
                }
            }
            Poll::Ready(())
        })
        .await;
    }

    /// What is there to take.
    pub(super) fn take(&mut self) -> Result<Gathered, Trouble> {
        match self.next.take() {
            None => Ok(Gathered::Nothing),
            Some(None) => Ok(Gathered::All),
            Some(Some(Ok(chunk))) => Ok(Gathered::Chunk(chunk)),
            Some(Some(Err(error))) => Err(Trouble::new(
                format!("compare the sources: {}", error.message),
                error.hint_text(),
            )
            .passing()),
        }
    }
}
