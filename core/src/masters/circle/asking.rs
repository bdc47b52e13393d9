//! Questions that a judge has to its sources, asked beside it so that it never waits for one.

use std::sync::Arc;

use futures_util::future::join_all;
use tahr_plugin_api::Lsn;
use tokio::sync::mpsc;

use super::{Setup, member::Member};
use crate::{
    masters::{
        Tables,
        preflight::clocks::{self, Clock},
    },
    reconcile::Effect,
    source::{Opened, SourceError},
};

/// What a source has answered.
#[derive(Debug)]
pub(super) enum Answer {
    /// Where the sources that could be asked stand.
    Marks(Vec<(usize, Lsn)>),
    /// The triggers of the tables that a member was parked for.
    Triggers(usize, Vec<String>),
    /// Each member's clock, where it could be asked.
    Clocks(Vec<Option<Clock>>),
}

const TRIGGERS: &str = "
SELECT DISTINCT t.tgname::text FROM pg_catalog.pg_trigger t
WHERE t.tgrelid = ANY ($1) AND t.tgenabled <> 'D' AND NOT t.tgisinternal ORDER BY 1";

/// Asks the members that are open where they stand.
pub(super) fn marks(setup: &Setup, members: &[Member], answers: &mpsc::UnboundedSender<Answer>) {
    let here: Vec<_> = (members.iter().enumerate())
        .filter_map(|(index, member)| Some((index, Arc::clone(&member.present.as_ref()?.opened))))
        .collect();
    let answers = answers.clone();
    setup.runtime.spawn(async move {
        let asked = here.into_iter().map(async |(member, opened)| {
            let mark = opened.mark_present().await.ok()?;
            Some((member, mark))
        });
        let marks = join_all(asked).await.into_iter().flatten().collect();
        let _ = answers.send(Answer::Marks(marks));
    });
}

/// Asks a member for the triggers of the tables that `effects` are in.
pub(super) fn triggers(
    setup: &Setup,
    (member, seat): (usize, &Member),
    tables: &Tables,
    effects: &[Effect],
    answers: &mpsc::UnboundedSender<Answer>,
) {
    let Some(present) = &seat.present else { return };
    let found = effects
        .iter()
        .filter_map(|effect| tables.get(effect.key.table));
    let mut oids: Vec<u32> = found.map(|table| table.members[member].oid).collect();
    oids.sort_unstable();
    oids.dedup();
    let (opened, answers) = (Arc::clone(&present.opened), answers.clone());
    setup.runtime.spawn(async move {
        if let Ok(names) = ask_for_triggers(&opened, &oids).await {
            let _ = answers.send(Answer::Triggers(member, names));
        }
    });
}

/// Asks the members that are open for the time.
pub(super) fn clocks(setup: &Setup, members: &[Member], answers: &mpsc::UnboundedSender<Answer>) {
    let opened = members.iter().map(|member| member.present.as_ref());
    let opened: Vec<_> = opened
        .map(|present| present.map(|present| Arc::clone(&present.opened)))
        .collect();
    let answers = answers.clone();
    setup.runtime.spawn(async move {
        let sessions = opened.iter().map(async |opened| {
            let opened = opened.as_ref()?;
            opened.url.connect_source(&opened.application).await.ok()
        });
        let sessions = join_all(sessions).await;
        let _ = answers.send(Answer::Clocks(clocks::measure(&sessions).await));
    });
}

async fn ask_for_triggers(opened: &Opened, oids: &[u32]) -> Result<Vec<String>, SourceError> {
    let client = opened.url.connect_source(&opened.application).await?;
    let rows = client.query(TRIGGERS, &[&oids]).await;
    let rows = rows.map_err(|error| SourceError::sql("look for triggers", &error))?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}
