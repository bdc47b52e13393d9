//! What a circle shows of itself, and what it writes down.

use std::time::{Instant, SystemTime};

use super::{books::Books, member::Member};
use crate::{
    lane::Fault,
    masters::{self, BY_PERSON, Handle, MemberState, State},
    reconcile::{Parked, Reconciler},
};

/// Shows how a circle is.
pub(super) fn show(
    handle: &Handle,
    reconciler: &Reconciler,
    members: &mut [Member],
    books: &Books,
    (is_meeting, is_beginning): (bool, bool),
) {
    let state = reconciler.state();
    let mut shown = Vec::with_capacity(members.len());
    for (index, member) in members.iter_mut().enumerate() {
        let is_owed = state.owed(index) > 0 || state.flights[index].is_some();
        if is_owed {
            member.owed_since.get_or_insert_with(Instant::now);
        } else {
            member.owed_since = None;
        }
        let parked = state.parked[index].as_ref();
        let in_flight = state.flights[index]
            .as_ref()
            .map_or(0, |flight| flight.rows.len());
        let is_idle = reconciler.window_len(index) == 0;
        shown.push(masters::Member {
            source: member.source.clone(),
            state: match () {
                () if parked.is_some() => MemberState::Parked,
                () if !member.is_ready => MemberState::Away,
                () if in_flight > 0 => MemberState::Applying,
                () => MemberState::Reading,
            },
            fault: parked
                .map(|parked| why_parked(parked, &member.triggers))
                .or_else(|| member.fault.clone()),
            cut: state.cuts[index],
            owed: state.owed(index) as u64,
            in_flight: in_flight as u64,
            rows_in: member.rows_in,
            rows_out: member.rows_out,
            lag_seconds: match member.owed_since {
                Some(since) => Some(since.elapsed().as_secs_f64()),
                None => is_idle.then_some(0.0),
            },
            skew_ms: member.skew_ms,
        });
    }
    handle.update(|status| {
        let paused = state.paused.as_ref().map(|pause| {
            let table = books.table(pause.key.table);
            format!("conflict in {table}: {}", pause.reason)
        });
        let by = match handle.is_paused() {
            true => Some(BY_PERSON.to_owned()),
            false => paused,
        };
        if by.is_some() && status.paused_by != by {
            status.paused_since = Some(SystemTime::now());
        }
        status.state = match &by {
            Some(_) => State::Paused,
            None if is_meeting => State::Meeting,
            None if is_beginning => State::Starting,
            None => State::Running,
        };
        if by.is_none() {
            status.paused_since = None;
        }
        status.paused_by = by;
        status.round = books.rounds();
        status.last_round.clone_from(books.last_round());
        (status.conflicts, status.conflicts_in_all) = books.conflicts();
        status.sequence = state.sequence;
        status.members = shown;
    });
}

/// Why a member is parked, as it is shown.
fn why_parked(parked: &Parked, triggers: &[String]) -> Fault {
    let (message, hint) = match parked {
        Parked::Effects(effects) => (
            match triggers {
                [] => format!(
                    "triggers or cascades altered {} applied rows",
                    effects.len()
                ),
                triggers => format!(
                    "triggers or cascades altered {} applied rows; the tables' triggers: {}",
                    effects.len(),
                    triggers.join(", ")
                ),
            },
            "trigger_effects of the sync says what becomes of their work; then: tahr resume",
        ),
        Parked::Resync => (
            "it was owed too much, or is not what it was: it needs the others' rows".to_owned(),
            "tahr resume compares it with the others and gives it what it lacks",
        ),
    };
    Fault {
        message,
        hint: hint.to_owned(),
        table: None,
        column: None,
        since: SystemTime::now(),
    }
}
