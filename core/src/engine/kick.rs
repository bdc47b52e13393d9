//! Trying at once what waits, and finding out whether everything is where it belongs.
//!
//! `tahr kick --wait` asks three things, one after the other: to [kick](Control::kick), where the
//! sources [stand](Control::marks), and then again and again what of that is still
//! [missing](Control::missing). Nothing here waits for long, so no command that waits holds up another.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use tahr_plugin_api::Lsn;

use super::{
    Control, Missing, Part, lock, missing,
    plan::{LaneName, lanes_of},
};
use crate::{
    Error,
    config::Sync,
    lane::State,
    masters::{self, MemberState},
};

/// What a kick has done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kicked {
    /// What waited, and is tried now.
    pub tried: Vec<String>,
    /// What no kick moves: it is paused or parked.
    pub resting: Vec<Missing>,
}

/// Where the sources of a sync stand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marks {
    /// By source: everything that was committed on it lies before.
    pub marks: BTreeMap<String, Lsn>,
    /// Sources that could not be asked, and why.
    pub away: BTreeMap<String, String>,
}

impl Control {
    /// Tries at once what waits in the sync `sync`: its sources' connections, its lanes, and, where it
    /// has several sources, what its circle has to do.
    ///
    /// # Errors
    ///
    /// The config doesn't have it.
    pub fn kick(&self, sync: &str) -> Result<Kicked, Error> {
        let (names, sources) = self.lanes_and_sources(sync)?;
        let mut kicked = Kicked::default();
        for source in &sources {
            if let Some(running) = lock(&self.shared.sources).get(source) {
                // Roused, it may be there before it is looked at.
                let is_streaming = running.status.get().is_streaming;
                running.stop.rouse();
                if !is_streaming {
                    kicked.tried.push(format!("source {source}"));
                }
            }
        }
        for name in &names {
            let status = self.shared.with_seat_and_log(name, |seat, log| {
                let status = seat.status.get();
                seat.rouse(log);
                status
            });
            let Some(status) = status else {
                continue;
            };
            if status.state == State::Retrying {
                kicked.tried.push(format!("lane {name}"));
            }
            kicked.resting.extend(missing::of_resting(name, &status));
        }
        let handle = lock(&self.shared.masters).get(sync).cloned();
        if let Some(handle) = handle {
            let status = handle.status();
            handle.kick();
            let waits = |member: &&masters::Member| member.state == MemberState::Away;
            let away = status.members.iter().filter(waits);
            for source in away.map(|member| format!("source {}", member.source)) {
                if !kicked.tried.contains(&source) {
                    kicked.tried.push(source);
                }
            }
            let found = missing::of_circle(&status, &BTreeMap::new());
            let resting = found.into_iter().filter(|missing| missing.is_resting);
            kicked.resting.extend(resting);
        }
        Ok(kicked)
    }

    /// Where the sources of `sync` stand now, of which only `sources` are asked if there are any;
    /// each may take `patience`.
    ///
    /// # Errors
    ///
    /// The config doesn't have the sync.
    pub async fn marks(
        &self,
        sync: &str,
        sources: &BTreeSet<String>,
        patience: Duration,
    ) -> Result<Marks, Error> {
        let (_, all) = self.lanes_and_sources(sync)?;
        let asked = all
            .iter()
            .filter(|name| sources.is_empty() || sources.contains(*name));
        let asked = asked.map(async |name| {
            let opened = |streaming: &mut super::Streaming| Arc::clone(&streaming.opened);
            let Some(opened) = self.shared.with_source(name, opened) else {
                return (name.clone(), Err("is not open yet".to_owned()));
            };
            let mark = tokio::time::timeout(patience, opened.mark_present()).await;
            let mark = match mark {
                Ok(Ok(mark)) => Ok(mark),
                Ok(Err(error)) => Err(format!("can't be asked: {}", error.message)),
                Err(_) => Err("does not answer".to_owned()),
            };
            (name.clone(), mark)
        });
        let mut marks = Marks::default();
        for (name, mark) in join_all(asked).await {
            match mark {
                Ok(mark) => drop(marks.marks.insert(name, mark)),
                Err(why) => drop(marks.away.insert(name, why)),
            }
        }
        Ok(marks)
    }

    /// What of that which lies before `marks` is not where it belongs: in the targets of `sync`, and,
    /// unless only the `lanes` are asked for, in all of its sources where it has several.
    ///
    /// # Errors
    ///
    /// The config doesn't have the sync.
    pub fn missing(
        &self,
        sync: &str,
        marks: &BTreeMap<String, Lsn>,
        lanes: bool,
    ) -> Result<Vec<Missing>, Error> {
        let (names, _) = self.lanes_and_sources(sync)?;
        let mut missing = Vec::new();
        for name in &names {
            let Some(&mark) = marks.get(&name.source) else {
                continue;
            };
            let status = self.shared.with_source(&name.source, |streaming| {
                let seat = streaming.seats.get(name)?;
                let status = seat.status.get();
                // A lane that has nothing to do looks where its source stands only now and then.
                if status.passed < mark {
                    streaming.log.wake(seat.id);
                }
                Some(status)
            });
            match status.flatten() {
                Some(status) => missing.extend(missing::of_lane(name, &status, mark)),
                None => missing.push(Missing::new(format!("lane {name}"), "is starting")),
            }
        }
        let handle = lock(&self.shared.masters).get(sync).cloned();
        if let Some(handle) = handle.filter(|_| !lanes) {
            let found = missing::of_circle(&handle.status(), marks);
            if !found.is_empty() {
                handle.kick();
            }
            missing.extend(found);
        }
        Ok(missing)
    }

    /// The lanes and the sources of `sync`.
    fn lanes_and_sources(&self, sync: &str) -> Result<(Vec<LaneName>, Vec<String>), Error> {
        let config = self.shared.config();
        let part = Part::of_sync(sync);
        part.check(&config)?;
        let names = lanes_of(&config, Some(&part));
        let sources = config
            .syncs
            .get(sync)
            .map(|Sync { sources, .. }| sources.clone());
        Ok((names, sources.unwrap_or_default()))
    }
}
