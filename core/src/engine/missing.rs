//! What is not where it belongs, and what it does in place of that.
//!
//! Pure: a lane's or a circle's status and the marks of the sources in, words for a person out.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};
use tahr_plugin_api::Lsn;

use super::plan::LaneName;
use crate::{
    lane::{self, State},
    masters::{self, MemberState},
};

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
    pub(super) fn new(what: impl Into<String>, why: impl Into<String>) -> Self {
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

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.what, self.why)
    }
}

/// A lane that waits for a person.
pub(super) fn of_resting(name: &LaneName, status: &lane::Status) -> Option<Missing> {
    let lane = format!("lane {name}");
    let missing = match (status.state, &status.fault) {
        (State::Paused, _) => Missing::new(lane, "is paused"),
        (State::Parked, Some(fault)) => Missing::new(lane, format!("is parked: {}", fault.message)),
        (State::Parked, None) => Missing::new(lane, "is parked"),
        _ => return None,
    };
    Some(missing.resting(true))
}

pub(super) fn of_lane(name: &LaneName, status: &lane::Status, mark: Lsn) -> Option<Missing> {
    let is_at_work = matches!(status.state, State::Streaming | State::Retrying);
    if is_at_work && status.passed >= mark {
        return None;
    }
    of_resting(name, status).or_else(|| {
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
pub(super) fn of_circle(status: &masters::Status, marks: &BTreeMap<String, Lsn>) -> Vec<Missing> {
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
        let of = |members| of_circle(&circle(masters::State::Running, members), &marks);
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
            let found = of_circle(status, &BTreeMap::new());
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
        assert!(!of_circle(&starting, &BTreeMap::new())[0].is_resting);
    }
}
