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
    Control, Part, lock,
    plan::{LaneName, lanes},
};
use crate::{
    Error,
    config::Sync,
    lane::{self, State},
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

/// Something that is not there yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// Lane, sync or source.
    pub what: String,
    /// What it does in its place.
    pub why: String,
    /// Whether it waits for a person.
    pub is_resting: bool,
}

impl Missing {
    fn new(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            why: why.into(),
            is_resting: false,
        }
    }

    fn resting(self, is_resting: bool) -> Self {
        Self { is_resting, ..self }
    }
}

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.what, self.why)
    }
}

impl Control {
    /// Tries at once what waits in the sync `sync`: its sources' connections, its lanes, and, where it
    /// has several sources, what its circle has to do.
    ///
    /// # Errors
    ///
    /// The config doesn't have it.
    pub fn kick(&self, sync: &str) -> Result<Kicked, Error> {
        let (names, sources) = self.lanes_of(sync)?;
        let mut kicked = Kicked::default();
        for source in &sources {
            if let Some(running) = lock(&self.shared.sources).get(source) {
                running.stop.rouse();
                if !running.status.get().is_streaming {
                    kicked.tried.push(format!("source {source}"));
                }
            }
        }
        for name in &names {
            let status = self.shared.with_source(&name.source, |streaming| {
                let seat = streaming.seats.get(name)?;
                seat.rouse(&streaming.log);
                Some(seat.status.get())
            });
            let Some(status) = status.flatten() else {
                continue;
            };
            if status.state == State::Retrying {
                kicked.tried.push(format!("lane {name}"));
            }
            kicked.resting.extend(resting(name, &status));
        }
        let handle = lock(&self.shared.masters).get(sync).cloned();
        if let Some(handle) = handle {
            handle.kick();
            let status = handle.status();
            let waits = |member: &&masters::Member| member.state == MemberState::Away;
            let away = status.members.iter().filter(waits);
            kicked
                .tried
                .extend(away.map(|member| format!("source {}", member.source)));
            let found = missing_of_circle(&status, &BTreeMap::new());
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
        let (_, all) = self.lanes_of(sync)?;
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
        let (names, _) = self.lanes_of(sync)?;
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
                Some(status) => missing.extend(missing_of_lane(name, &status, mark)),
                None => missing.push(Missing::new(format!("lane {name}"), "is starting")),
            }
        }
        let handle = lock(&self.shared.masters).get(sync).cloned();
        if let Some(handle) = handle.filter(|_| !lanes) {
            let found = missing_of_circle(&handle.status(), marks);
            if !found.is_empty() {
                handle.kick();
            }
            missing.extend(found);
        }
        Ok(missing)
    }

    /// The lanes and the sources of `sync`.
    fn lanes_of(&self, sync: &str) -> Result<(Vec<LaneName>, Vec<String>), Error> {
        let config = self.shared.config();
        Part::of_sync(sync).check(&config)?;
        let names = lanes(&config).into_keys();
        let names = names.filter(|name| name.sync == sync).collect();
        let sources = config
            .syncs
            .get(sync)
            .map(|Sync { sources, .. }| sources.clone());
        Ok((names, sources.unwrap_or_default()))
    }
}

/// A lane that waits for a person.
fn resting(name: &LaneName, status: &lane::Status) -> Option<Missing> {
    let lane = format!("lane {name}");
    let missing = match (status.state, &status.fault) {
        (State::Paused, _) => Missing::new(lane, "is paused"),
        (State::Parked, Some(fault)) => Missing::new(lane, format!("is parked: {}", fault.message)),
        (State::Parked, None) => Missing::new(lane, "is parked"),
        _ => return None,
    };
    Some(missing.resting(true))
}

fn missing_of_lane(name: &LaneName, status: &lane::Status, mark: Lsn) -> Option<Missing> {
    let is_at_work = matches!(status.state, State::Streaming | State::Retrying);
    if is_at_work && status.passed >= mark {
        return None;
    }
    resting(name, status).or_else(|| {
        let why = match (status.state, &status.fault) {
            (State::Retrying, Some(fault)) => format!("is retrying: {}", fault.message),
            (State::Streaming, _) => {
                let behind = mark.bytes_since(status.passed);
                format!("is {} behind", crate::command::size(behind))
            }
            (state, _) => format!("is {}", state.as_str()),
        };
        Some(Missing::new(format!("lane {name}"), why))
    })
}

/// What a circle has not taken from its members, or not given to them.
fn missing_of_circle(status: &masters::Status, marks: &BTreeMap<String, Lsn>) -> Vec<Missing> {
    let sync = format!("sync {}", status.sync);
    let is_paused = status.state == masters::State::Paused || status.paused_by.is_some();
    if is_paused || status.state == masters::State::Parked {
        let by = status.paused_by.as_deref();
        let fault = status.fault.as_ref().map(|fault| fault.message.as_str());
        let why = match (is_paused, by, fault) {
            (true, Some(by), _) if by != masters::BY_PERSON => format!("is paused: {by}"),
            (true, ..) => "is paused".to_owned(),
            (false, _, Some(fault)) => format!("is parked: {fault}"),
            (false, ..) => "is parked".to_owned(),
        };
        return vec![Missing::new(sync, why).resting(true)];
    }
    if status.state != masters::State::Running {
        return vec![Missing::new(sync, format!("is {}", status.state.as_str()))];
    }
    let members = status.members.iter().filter_map(|member| {
        let mark = marks.get(&member.source).copied().unwrap_or_default();
        let is_parked = member.state == MemberState::Parked;
        if member.has_settled(mark) && !is_parked {
            return None;
        }
        let fault = member.fault.as_ref().map(|fault| fault.message.as_str());
        let why = match (member.state, fault) {
            (MemberState::Parked | MemberState::Away, Some(fault)) => {
                format!("is {}: {fault}", member.state.as_str())
            }
            (MemberState::Parked | MemberState::Away, None) => {
                format!("is {}", member.state.as_str())
            }
            _ if member.owed > 0 => format!("is owed {} keys", member.owed),
            _ if member.in_flight > 0 => format!("has {} rows under way to it", member.in_flight),
            _ => format!(
                "is read {} behind",
                crate::command::size(mark.bytes_since(member.cut))
            ),
        };
        let what = format!("source {} of sync {}", member.source, status.sync);
        Some(Missing::new(what, why).resting(is_parked))
    });
    members.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn circle(state: masters::State, members: Vec<masters::Member>) -> masters::Status {
        masters::Status {
            sync: "shop".to_owned(),
            state,
            members,
            ..masters::Status::default()
        }
    }

    fn member(source: &str, cut: u64, owed: u64, in_flight: u64) -> masters::Member {
        masters::Member {
            source: source.to_owned(),
            state: MemberState::Reading,
            cut: Lsn(cut),
            owed,
            in_flight,
            ..masters::Member::default()
        }
    }

    #[test]
    fn a_circle_is_there_when_every_cut_has_passed_and_nothing_is_owed_or_under_way() {
        let marks = BTreeMap::from([("a".to_owned(), Lsn(100)), ("b".to_owned(), Lsn(50))]);
        let of = |members| missing_of_circle(&circle(masters::State::Running, members), &marks);
        assert_eq!(of(vec![member("a", 100, 0, 0), member("b", 60, 0, 0)]), []);
        let found = of(vec![member("a", 99, 0, 0), member("b", 50, 2, 0)]);
        let found: Vec<_> = found.iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "source a of sync shop is read 1 B behind",
                "source b of sync shop is owed 2 keys"
            ]
        );
        assert_eq!(of(vec![member("b", 50, 0, 1)]).len(), 1);
        let mut parked = member("b", 50, 0, 0);
        parked.state = MemberState::Parked;
        assert!(of(vec![parked])[0].is_resting);
    }

    #[test]
    fn a_circle_that_rests_is_named_as_a_whole_and_with_its_reason() {
        let mut status = circle(masters::State::Paused, vec![member("a", 0, 9, 0)]);
        let of = |status: &masters::Status| {
            let found = missing_of_circle(status, &BTreeMap::new());
            assert!(found.len() == 1 && found[0].is_resting);
            found[0].to_string()
        };
        assert_eq!(of(&status), "sync shop is paused");
        status.paused_by = Some("rule \"abort\" of table public.t".to_owned());
        assert_eq!(
            of(&status),
            "sync shop is paused: rule \"abort\" of table public.t"
        );
        let starting = circle(masters::State::Starting, Vec::new());
        assert!(!missing_of_circle(&starting, &BTreeMap::new())[0].is_resting);
    }
}
