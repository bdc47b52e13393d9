//! The block of `tahr status` for a sync of several sources.

use std::time::Duration;

use super::{output::table, status::age};
use crate::{
    lane::Fault,
    masters::{BY_PERSON, Member, MemberState, State, Status},
    progress::lag,
};

/// A clock that is further off than this is shown.
const SKEW_MS: u64 = 100;

/// The lines that show `status`.
pub(super) fn lines(status: &Status) -> Vec<String> {
    let mut lines = vec![format!(
        "sync {}: {}, {}",
        status.sync,
        status.state.as_str(),
        rounds(status)
    )];
    lines.push(format!(
        "  conflicts: {} since the start, {} in all",
        status.conflicts, status.conflicts_in_all
    ));
    if let Some(by) = &status.paused_by {
        let since = status.paused_since.map(age);
        let since = since.map_or_else(String::new, |since| format!(" {since} ago"));
        let by = if by == BY_PERSON {
            "a person"
        } else {
            by.as_str()
        };
        lines.push(format!(
            "  paused{since} by {by}; to go on: `tahr resume {}`",
            status.sync
        ));
    }
    let is_over = matches!(status.state, State::Running | State::Meeting);
    lines.extend(fault(status.fault.as_ref(), is_over));
    if status.state == State::Parked {
        lines.push(format!(
            "  once that is mended: `tahr resume {}`",
            status.sync
        ));
    }
    let head = [
        "source",
        "state",
        "lag",
        "owed",
        "under way",
        "rows in",
        "rows out",
    ];
    let rows: Vec<[String; 7]> = std::iter::once(head.map(str::to_owned))
        .chain(status.members.iter().map(row))
        .collect();
    if status.members.is_empty() {
        return lines;
    }
    for (index, line) in table(&rows).into_iter().enumerate() {
        lines.push(format!("  {line}"));
        let member = index.checked_sub(1);
        if let Some(member) = member.and_then(|index| status.members.get(index)) {
            lines.extend(details(member));
        }
    }
    lines
}

fn rounds(status: &Status) -> String {
    let Some(last) = &status.last_round else {
        return "no round yet".to_owned();
    };
    format!(
        "last round {} ago in {}: {} rows in, {} out, {} conflicts (round {})",
        age(last.at),
        lag(last.took),
        last.rows_in,
        last.rows_out,
        last.conflicts,
        status.round
    )
}

fn row(member: &Member) -> [String; 7] {
    [
        member.source.clone(),
        member.state.as_str().to_owned(),
        member.lag_seconds.map_or_else(|| "-".to_owned(), lag),
        member.owed.to_string(),
        member.in_flight.to_string(),
        member.rows_in.to_string(),
        member.rows_out.to_string(),
    ]
}

fn details(member: &Member) -> Vec<String> {
    let is_well = matches!(member.state, MemberState::Reading | MemberState::Applying);
    let mut lines = fault(member.fault.as_ref(), is_well);
    if let Some(skew) = member.skew_ms.filter(|skew| skew.unsigned_abs() > SKEW_MS) {
        let off = lag(Duration::from_millis(skew.unsigned_abs()).as_secs_f64());
        let way = if skew > 0 { "ahead of" } else { "behind" };
        lines.push(format!("  its clock is {off} {way} the engine's"));
    }
    lines.iter().map(|line| format!("  {line}")).collect()
}

/// The last error; one that is over as such.
fn fault(fault: Option<&Fault>, is_over: bool) -> Vec<String> {
    let Some(fault) = fault else {
        return Vec::new();
    };
    let over = if is_over { "last error " } else { "" };
    let mut lines = vec![format!(
        "  {over}{} ago: {}",
        age(fault.since),
        fault.message
    )];
    if !fault.hint.is_empty() && !is_over {
        lines.push(format!("  hint: {}", fault.hint));
    }
    lines
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::masters::Round;

    fn member(source: &str, state: MemberState) -> Member {
        Member {
            source: source.to_owned(),
            state,
            rows_in: 12,
            lag_seconds: Some(0.05),
            ..Member::default()
        }
    }

    fn fault(message: &str, hint: &str) -> Fault {
        Fault {
            message: message.to_owned(),
            hint: hint.to_owned(),
            table: None,
            column: None,
            since: SystemTime::now(),
        }
    }

    #[test]
    fn a_running_circle_is_a_block_with_a_line_for_each_source() {
        let away = Member {
            fault: Some(fault("connection refused", "start it")),
            lag_seconds: None,
            owed: 7,
            ..member("shake2", MemberState::Away)
        };
        let ahead = Member {
            skew_ms: Some(1500),
            ..member("b", MemberState::Reading)
        };
        let status = Status {
            sync: "shake".to_owned(),
            state: State::Running,
            round: 42,
            last_round: Some(Round {
                at: SystemTime::now(),
                took: 0.012,
                rows_in: 3,
                rows_out: 6,
                conflicts: 1,
            }),
            conflicts: 1,
            conflicts_in_all: 5,
            members: vec![away, ahead],
            ..Status::default()
        };
        assert_eq!(
            lines(&status),
            [
                "sync shake: running, last round 0 s ago in 12 ms: 3 rows in, 6 out, 1 conflicts (round 42)",
                "  conflicts: 1 since the start, 5 in all",
                "  source  state    lag    owed  under way  rows in  rows out",
                "  shake2  away     -      7     0          12       0",
                "    0 s ago: connection refused",
                "    hint: start it",
                "  b       reading  50 ms  0     0          12       0",
                "    its clock is 1.5 s ahead of the engine's",
            ]
        );
    }

    #[test]
    fn a_pause_says_whose_it_is_and_how_it_ends() {
        let mut status = Status {
            sync: "shake".to_owned(),
            state: State::Paused,
            paused_by: Some(BY_PERSON.to_owned()),
            paused_since: Some(SystemTime::now()),
            ..Status::default()
        };
        let says = |status: &Status, what: &str| {
            let lines = lines(status);
            assert!(lines.iter().any(|line| line.trim() == what), "{lines:?}");
        };
        says(&status, "sync shake: paused, no round yet");
        says(
            &status,
            "paused 0 s ago by a person; to go on: `tahr resume shake`",
        );
        status.paused_by = Some("rule \"abort\" of table public.t".to_owned());
        says(
            &status,
            "paused 0 s ago by rule \"abort\" of table public.t; to go on: `tahr resume shake`",
        );
        status.state = State::Parked;
        status.paused_by = None;
        status.fault = Some(fault("too much is owed to shake2", "tahr resync"));
        says(&status, "0 s ago: too much is owed to shake2");
        says(&status, "hint: tahr resync");
    }
}
