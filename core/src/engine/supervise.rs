//! The task of one source.
//!
//! [`supervise`] opens it, for as long as that takes and without holding up any other, gives its
//! lanes their seats, and reads it. A source that is not what it was is opened anew.

use std::{sync::Arc, time::Duration};

use futures_util::{FutureExt as _, future::BoxFuture};
use tokio::sync::oneshot;

use super::{
    Shared, lock, of_source,
    plan::{lanes, used},
    running::{Streaming, plugin_for},
    seat::Wanted,
};
use crate::{
    Error, Faults,
    config::Config,
    lane::{
        rejected::{Book, rejected_path},
        views,
    },
    shutdown::Stop,
    source::{Approval, Opened, SourceCell, SourceError, SourceErrorKind, Table},
};

/// How the first attempt to open a source went.
#[derive(Debug)]
pub(super) enum Verdict {
    Open,
    /// It is out of reach, and is tried again.
    Away,
    Faulty(Faults),
}

/// The task of the source `name`: see the module.
pub(super) async fn supervise(
    shared: Arc<Shared>,
    name: String,
    (status, stop): (Arc<SourceCell>, Stop),
    patience: Option<Duration>,
    verdict: oneshot::Sender<Verdict>,
) {
    let mut verdict = Some(verdict);
    match open(&shared, &name, (&status, &stop), patience, &mut verdict).await {
        Ok(()) => {
            if let Some(verdict) = verdict.take() {
                let _ = verdict.send(Verdict::Open);
            }
        }
        Err(faults) => {
            match verdict.take() {
                Some(verdict) => drop(verdict.send(Verdict::Faulty(faults))),
                None if !stop.is_stopping() => shared.fail(faults),
                None => {}
            }
            return;
        }
    }
    let reader = shared.with_source(&name, |streaming| streaming.reader(&status, stop.clone()));
    let Some(reader) = reader else { return };
    reader.run().await;
    let Some(error) = status.take_failure() else {
        return;
    };
    // What several sources hold of each other is bound to what each of them was.
    let has_masters = shared.config().masters_of(&name).next().is_some();
    if error.kind == SourceErrorKind::Changed && !has_masters {
        tracing::warn!(source = name, %error, "the source is opened anew");
        tokio::spawn(open_anew(shared, name));
    } else {
        shared.fail(of_source(&name, error).into());
    }
}

/// Lets the lanes of the source `name` end, and begins it as at a start: then each lane finds out
/// whether it can go on.
fn open_anew(shared: Arc<Shared>, name: String) -> BoxFuture<'static, ()> {
    let begun = async move {
        // A writer that doesn't return must not keep a person's commands from other syncs, so nothing
        // is held meanwhile; and what is wanted of the source by then waits for the new beginning.
        while lock(&shared.sources).contains_key(&name) {
            if shared.stop.is_stopping() {
                return;
            }
            shared.with_source(&name, |streaming| {
                for seat in streaming.seats.values_mut() {
                    seat.want(None);
                }
            });
            shared.untidy.notify_one();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let one = shared.changing.lock().await;
        let is_there = lock(&shared.sources).contains_key(&name);
        if is_there || !used(&shared.config()).any(|(used, _)| *used == name) {
            return;
        }
        let verdict = shared.begin(&name, None);
        drop(one);
        if let Ok(Verdict::Faulty(faults)) = verdict.await {
            shared.fail(faults);
        }
    };
    begun.boxed()
}

/// Whether no two relations share an object of a target.
fn approve(shared: &Arc<Shared>, config: &Arc<Config>, source: &str, tables: &[Table]) -> Approval {
    // What doesn't fit a rule is shown by the lane that it concerns.
    let (views, _) = views(config, source, tables);
    let (shared, config) = (Arc::clone(shared), Arc::clone(config));
    let name = source.to_owned();
    let asked = async move {
        let registry = shared.registry();
        let mut claims = shared.claims.lock().await;
        *claims = claims.of_lanes(|_, source, _| source != name);
        let (errors, _) = claims.ask(&config, &registry, &views).await;
        Faults::unless_empty(errors)
    };
    asked.boxed()
}

/// Opens the source under the config of the moment, and gives its lanes their seats.
async fn open(
    shared: &Arc<Shared>,
    name: &str,
    (status, stop): (&Arc<SourceCell>, &Stop),
    patience: Option<Duration>,
    verdict: &mut Option<oneshot::Sender<Verdict>>,
) -> Result<(), Faults> {
    loop {
        let config = shared.config();
        let Some(source) = config.sources.get(name) else {
            return Err(Error::failed(format!("source \"{name}\" has left the config")).into());
        };
        let approve = |tables: &[Table]| approve(shared, &config, name, tables);
        let away = |error: &SourceError| {
            status.update(|status| status.note(error));
            if let (None, Some(verdict)) = (patience, verdict.take()) {
                let _ = verdict.send(Verdict::Away);
            }
        };
        let named = (name, source);
        let (opened, tables) = Opened::open(&config, named, patience, stop, away, approve).await?;
        let _one = shared.changing.lock().await;
        // It was opened for what the config said when that began.
        if !Arc::ptr_eq(&config, &shared.config()) {
            continue;
        }
        let mut streaming = Streaming::new(&config, named, opened, tables)?;
        // What lanes have stored is seen when they begin; until then all is kept.
        let start = streaming.begin.clone();
        status.update(|status| {
            status.read = streaming.log.tail().lsn;
            status.released = streaming.opened.confirmed;
            status.fault = None;
        });
        for (sync_name, sync) in &config.syncs {
            if sync.has_masters() && sync.sources.iter().any(|source| source == name) {
                streaming.place(sync_name, Some(start.clone()));
            }
        }
        let registry = shared.registry();
        for (lane, spec) in lanes(&config) {
            if lane.source == name {
                let wanted = Wanted {
                    tables: streaming.tables_of(&spec),
                    plugin: plugin_for(&registry, &lane, &spec),
                    paused: shared.paused_since(&lane),
                    spec,
                };
                let plugin = wanted.spec.target.plugin.clone();
                let seat = streaming.seat(&lane, &plugin, Some(start.clone()));
                let path = rejected_path(&config.engine.state_dir, &lane.sync, &lane.target);
                // What can't be read is said by the lane.
                let rejected = Book::open(&path).map_or(0, |book| book.entries().len() as u64);
                seat.status.update(|status| status.rejected = rejected);
                seat.want(Some(wanted));
            }
        }
        shared.install(name, streaming);
        return Ok(());
    }
}
