//! A meeting under way: its comparison runs beside the judge, who takes the differences as they come.

use std::{sync::Arc, task::Poll};

use tahr_plugin_api::Lsn;
use tokio::{sync::mpsc, task::JoinHandle};

use super::{Present, trouble::Trouble};
use crate::{
    masters::{
        Handle, Tables,
        meeting::{Meeting, MemberSource},
    },
    reconcile::Difference,
    source::{Blocker, SourceError},
};

/// Differences in one chunk.
const CHUNK: usize = 5_000;

/// What the sources held before, as differences between them.
#[derive(Debug)]
pub(super) struct Gathering {
    found: mpsc::Receiver<Result<Gathered, SourceError>>,
    next: Option<Option<Result<Gathered, SourceError>>>,
    /// Whether all was taken.
    is_over: bool,
    task: JoinHandle<()>,
}

impl Drop for Gathering {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What a gathering gives, in this order.
#[derive(Debug)]
pub(super) enum Gathered {
    /// Where the snapshots were taken.
    Cuts(Vec<Lsn>),
    /// Some differences.
    Chunk(Vec<Difference>),
    /// All tables are compared.
    All,
}

/// A member that is here, as one that meets others.
pub(super) fn source(member: usize, present: &Present) -> MemberSource {
    MemberSource {
        member,
        name: present.opened.name.clone(),
        url: present.opened.url.clone(),
        application: present.opened.application.clone(),
        slot_timeout: present.slot_timeout,
    }
}

/// Says for whom a snapshot waits.
pub(super) fn waiting(source: &str, blockers: &[Blocker]) {
    for blocker in blockers {
        tracing::info!(source, "a snapshot waits for {blocker}");
    }
}

impl Gathering {
    /// Takes snapshots and compares them, as far as somebody takes what is found.
    pub(super) fn begin(
        sources: Vec<MemberSource>,
        tables: Arc<Tables>,
        handle: Handle,
        runtime: &tokio::runtime::Handle,
    ) -> Self {
        let (sink, found) = mpsc::channel(1);
        let task = runtime.spawn(async move {
            if let Err(error) = compare(&sources, tables, &handle, &sink).await {
                let _ = sink.send(Err(error)).await;
            }
        });
        Self {
            found,
            next: None,
            is_over: false,
            task,
        }
    }

    /// Completes when there is something to take, and never where there is no gathering. One that is
    /// over is done with once no difference `waits` any more.
    pub(super) async fn ready(gathering: &mut Option<Self>, waits: bool) {
        std::future::poll_fn(|context| {
            let Some(gathering) = gathering else {
                return Poll::Pending;
            };
            if gathering.is_over && waits {
                return Poll::Pending;
            }
            if !gathering.is_over && gathering.next.is_none() {
                match gathering.found.poll_recv(context) {
                    Poll::Ready(found) => gathering.next = Some(found),
                    Poll::Pending => return Poll::Pending,
                }
            }
            Poll::Ready(())
        })
        .await;
    }

    /// What is there to take, if anything; [`Gathered::All`] again and again.
    pub(super) fn take(&mut self) -> Result<Option<Gathered>, Trouble> {
        if self.is_over {
            return Ok(Some(Gathered::All));
        }
        if self.next.is_none() {
            self.next = match self.found.try_recv() {
                Ok(found) => Some(Some(found)),
                Err(mpsc::error::TryRecvError::Empty) => None,
                Err(mpsc::error::TryRecvError::Disconnected) => Some(None),
            };
        }
        match self.next.take() {
            None => Ok(None),
            Some(None) => {
                self.is_over = true;
                Ok(Some(Gathered::All))
            }
            Some(Some(Ok(found))) => Ok(Some(found)),
            Some(Some(Err(error))) => Err(trouble(&error)),
        }
    }
}

/// Sources could not be compared.
pub(super) fn trouble(error: &SourceError) -> Trouble {
    let made = Trouble::new(
        format!("compare the sources: {}", error.message),
        error.hint_text().unwrap_or_default(),
    );
    match error.is_transient() {
        true => made.passing(),
        false => made,
    }
}

async fn compare(
    sources: &[MemberSource],
    tables: Arc<Tables>,
    handle: &Handle,
    sink: &mpsc::Sender<Result<Gathered, SourceError>>,
) -> Result<(), SourceError> {
    let mut meeting = Meeting::open(sources, tables, &waiting).await?;
    if sink.send(Ok(Gathered::Cuts(meeting.cuts()))).await.is_err() {
        return Ok(());
    }
    loop {
        let chunk = meeting.next(CHUNK).await?;
        let progress = meeting.progress();
        tracing::debug!(
            rows = progress.rows,
            differences = progress.differences,
            "comparing"
        );
        handle.update(|status| status.meeting = Some(progress.clone()));
        let Some(chunk) = chunk else {
            return Ok(());
        };
        if sink.send(Ok(Gathered::Chunk(chunk))).await.is_err() {
            return Ok(());
        }
    }
}
