//! The sequences of a circle's sources, looked after beside the judge.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::task::JoinHandle;

use super::{Setup, member::Member};
use crate::{
    config::Sequences,
    masters::{
        Tables,
        sequences::{self, Follower},
    },
    source::SourceError,
};

/// How long until it is tried again.
const AGAIN: Duration = Duration::from_secs(10);
/// How often the highest values are compared.
const FOLLOW: Duration = Duration::from_secs(1);

/// What sees to the sequences; ends when dropped.
#[derive(Debug)]
pub(super) struct Drawing {
    task: JoinHandle<()>,
    is_done: Arc<AtomicBool>,
}

impl Drop for Drawing {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Drawing {
    /// Begins once every member can be written to; none before that.
    pub(super) fn begin(setup: &Setup, members: &[Member], tables: &Arc<Tables>) -> Option<Self> {
        let found = members.iter().map(|member| {
            let present = member.present.as_ref().filter(|_| member.is_ready)?;
            Some(sequences::Member {
                name: member.source.clone(),
                url: present.opened.url.clone(),
                application: present.opened.application.clone(),
            })
        });
        let members: Vec<_> = found.collect::<Option<_>>()?;
        let (engine, sync) = (setup.engine.clone(), setup.name.clone());
        let (mode, tables) = (setup.sync.masters.sequences, Arc::clone(tables));
        let is_done = Arc::new(AtomicBool::new(mode == Sequences::Leave));
        let done = Arc::clone(&is_done);
        let task = async move {
            let mut told = String::new();
            while let Err(error) = attend(mode, (&engine, &sync), &tables, &members, &done).await {
                if error.message != told {
                    tracing::error!(sync, hint = error.hint_text(), retry_in = ?AGAIN,
                        "the sequences can't be looked after: {}", error.message);
                    told.clone_from(&error.message);
                }
                // It was said; the sync is of use without.
                done.store(true, Ordering::Relaxed);
                tokio::time::sleep(AGAIN).await;
            }
        };
        let task = setup.runtime.spawn(task);
        Some(Self { task, is_done })
    }

    /// Whether the sequences are as they shall be, or it was said why not.
    pub(super) fn is_done(&self) -> bool {
        self.is_done.load(Ordering::Relaxed)
    }
}

async fn attend(
    mode: Sequences,
    (engine, sync): (&str, &str),
    tables: &Tables,
    members: &[sequences::Member],
    is_done: &AtomicBool,
) -> Result<(), SourceError> {
    for note in sequences::setup(mode, engine, sync, tables, members).await? {
        match note.is_warning {
            true => tracing::warn!(sync, "{note}"),
            false => tracing::info!(sync, "{note}"),
        }
    }
    is_done.store(true, Ordering::Relaxed);
    if mode != Sequences::Max {
        return Ok(());
    }
    let mut follower = Follower::open(tables, members.to_vec()).await?;
    loop {
        for (member, error) in follower.follow().await {
            let source = members.get(member).map(|member| member.name.as_str());
            tracing::debug!(sync, source, %error, "a source's sequences can't follow now");
        }
        tokio::time::sleep(FOLLOW).await;
    }
}
