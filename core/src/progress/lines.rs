//! From a report to the lines of the display.

use std::time::SystemTime;

use super::{
    number::{self, count},
    rate::Rates,
};
use crate::{
    engine::Report,
    lane::{CopyProgress, State, Status},
    source::SourceStatus,
};

/// Cells of a bar, and of one on a narrow terminal.
const BAR: usize = 20;
const SHORT_BAR: usize = 10;
/// What is too narrow for a full bar.
const NARROW: usize = 100;
/// The longest that a state is written.
const STATE: usize = 9;

/// The lines that show `report`, none longer than `width`.
pub(super) fn lines(report: &Report, rates: &Rates, width: usize) -> Vec<String> {
    let names: Vec<_> = report
        .lanes
        .iter()
        .map(|lane| format!("{}/{}", lane.sync, lane.target))
        .collect();
    let longest = names
        .iter()
        .map(|name| name.chars().count())
        .max()
        .unwrap_or(0);
    let mut lines: Vec<_> = report.sources.iter().flat_map(source).collect();
    for (lane, name) in report.lanes.iter().zip(names) {
        let margin = format!("{name:longest$}  ");
        let cells = if width < NARROW { SHORT_BAR } else { BAR };
        let blank = " ".repeat(margin.chars().count());
        let state = lane.state.as_str();
        match (lane.state, &lane.copy) {
            (State::Copying, Some(progress)) => {
                lines.push(format!(
                    "{margin}{}",
                    copying(progress, rates.copied(lane), cells)
                ));
            }
            (State::Retrying | State::Parked, _) => {
                let fault = lane.fault.as_ref();
                let message = fault.map_or("", |fault| fault.message.as_str());
                let since =
                    fault.map_or_else(String::new, |fault| format!(" ({} ago)", age(fault.since)));
                lines.push(format!(
                    "{margin}{state:STATE$}  {}{since}",
                    one_line(message)
                ));
                let hint = fault.map_or("", |fault| fault.hint.as_str());
                lines.extend(hint.lines().take(3).enumerate().map(|(index, line)| {
                    let label = if index == 0 { "hint:" } else { "" };
                    format!("{blank}{label:STATE$}  {line}")
                }));
            }
            (State::Streaming, _) => {
                lines.push(format!(
                    "{margin}{state:STATE$}  {}",
                    streaming(lane, rates)
                ));
            }
            _ => lines.push(format!("{margin}{state}")),
        }
    }
    for line in &mut lines {
        cut(line, width);
    }
    lines
}

fn source(source: &SourceStatus) -> Option<String> {
    if source.is_streaming {
        return None;
    }
    let name = &source.source;
    Some(match &source.fault {
        Some(fault) => {
            let since = source.away_since.unwrap_or(fault.since);
            format!(
                "source {name} is away: {} (for {})",
                one_line(&fault.message),
                age(since)
            )
        }
        None => format!("source {name} is connecting"),
    })
}

fn copying(copy: &CopyProgress, rate: f64, cells: usize) -> String {
    let CopyProgress {
        table,
        rows,
        expected_rows,
        tables_done,
        tables,
    } = copy;
    // The statistics may be old, or none.
    let expected = (*expected_rows).max(*rows);
    let left = expected - rows;
    let done = rows
        .saturating_mul(cells as u64)
        .checked_div(expected)
        .unwrap_or(0);
    let done = usize::try_from(done).unwrap_or(cells).min(cells);
    let bar = format!("{}{}", "█".repeat(done), "░".repeat(cells - done));
    let mut line = format!(
        "copying    {bar} {:>5}/{:<5} rows {:>5}/s",
        count(*rows),
        count(expected),
        number::float(rate)
    );
    if rate >= 1.0 && left > 0 {
        line.push_str(&format!(
            "  ETA {}",
            number::seconds((left as f64 / rate).ceil() as u64)
        ));
    }
    line.push_str(&format!(
        "  {table} ({} of {tables})",
        (tables_done + 1).min(*tables)
    ));
    line
}

fn streaming(lane: &Status, rates: &Rates) -> String {
    let lag = match lane.lag_bytes {
        _ if lane.source_away_since.is_some() => "unknown".to_owned(),
        0 => "none".to_owned(),
        // Nothing in them was for this lane, as far as it has looked.
        bytes => match lane.lag_seconds.filter(|lag| *lag > 0.0) {
            None => crate::command::size(bytes),
            Some(lag) => format!("{}, {}", number::lag(lag), crate::command::size(bytes)),
        },
    };
    let changes = number::grouped(lane.changes);
    let rate = number::float(rates.changes(lane));
    format!("{changes:>11} changes {rate:>6}/s   lag {lag}")
}

fn age(since: SystemTime) -> String {
    number::seconds(since.elapsed().unwrap_or_default().as_secs())
}

fn one_line(text: &str) -> String {
    text.lines().map(str::trim).collect::<Vec<_>>().join(" ")
}

/// Cuts a line that is too long: one that wraps can't be drawn over.
fn cut(line: &mut String, width: usize) {
    if line.chars().count() > width {
        let keep = width.saturating_sub(1);
        let end = line
            .char_indices()
            .nth(keep)
            .map_or(line.len(), |(at, _)| at);
        line.truncate(end);
        line.push('…');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lane::Fault;

    fn lane(target: &str, state: State) -> Status {
        Status {
            sync: "shop".into(),
            target: target.into(),
            state,
            ..Status::default()
        }
    }

    fn shown(lanes: Vec<Status>) -> Vec<String> {
        let report = Report {
            lanes,
            ..Report::default()
        };
        lines(&report, &Rates::default(), 120)
    }

    fn fault(message: &str, hint: &str) -> Option<Fault> {
        Some(Fault {
            message: message.into(),
            hint: hint.into(),
            table: None,
            column: None,
            since: SystemTime::now(),
        })
    }

    #[test]
    fn a_copy_is_a_bar_with_its_table() {
        let copy = CopyProgress {
            table: "public.orders".into(),
            rows: 1_200_000,
            expected_rows: 3_000_000,
            tables_done: 1,
            tables: 3,
        };
        let copying = Status {
            copy: Some(copy),
            ..lane("cache", State::Copying)
        };
        assert_eq!(
            shown(vec![copying]),
            [
                "shop/cache  copying    ████████░░░░░░░░░░░░  1.2M/3.0M  rows     0/s  public.orders (2 of 3)"
            ]
        );
    }

    #[test]
    fn statistics_that_are_too_small_never_overfill_a_bar() {
        for (rows, expected_rows) in [(50, 10), (50, 0), (0, 0), (u64::MAX, 1)] {
            let copy = CopyProgress {
                rows,
                expected_rows,
                tables: 1,
                ..CopyProgress::default()
            };
            let line = copying(&copy, 1.0, BAR);
            assert_eq!(line.matches(['█', '░']).count(), BAR, "{line}");
            assert!(!line.contains("ETA"), "{line}");
        }
    }

    #[test]
    fn lanes_that_stream_are_in_columns() {
        let busy = Status {
            changes: 1_234_567,
            lag_seconds: Some(0.25),
            lag_bytes: 4096,
            ..lane("a", State::Streaming)
        };
        assert_eq!(
            shown(vec![busy, lane("longer", State::Streaming)]),
            [
                "shop/a       streaming    1,234,567 changes      0/s   lag 250 ms, 4096 B",
                "shop/longer  streaming            0 changes      0/s   lag none",
            ]
        );
    }

    #[test]
    fn a_fault_is_shown_with_its_hint_and_only_while_it_matters() {
        let parked = Status {
            fault: fault(
                "table t\nis gone",
                "CREATE TABLE t ();\ntahr stop; tahr run",
            ),
            ..lane("a", State::Parked)
        };
        assert_eq!(
            shown(vec![parked]),
            [
                "shop/a  parked     table t is gone (0 s ago)",
                "        hint:      CREATE TABLE t ();",
                "                   tahr stop; tahr run",
            ]
        );
        let healed = Status {
            fault: fault("was down", "wait"),
            ..lane("a", State::Streaming)
        };
        let lines = shown(vec![healed]);
        assert!(
            lines.len() == 1 && !lines[0].contains("was down"),
            "{lines:?}"
        );
    }

    #[test]
    fn a_source_has_a_line_only_while_it_does_not_stream() {
        let down = SourceStatus {
            source: "db".into(),
            fault: fault("connection refused", ""),
            ..SourceStatus::default()
        };
        let up = SourceStatus {
            is_streaming: true,
            ..down.clone()
        };
        let mut lane = lane("a", State::Streaming);
        lane.source_away_since = Some(SystemTime::now());
        assert!(streaming(&lane, &Rates::default()).ends_with("lag unknown"));
        assert_eq!(source(&up), None);
        let line = source(&down).unwrap();
        assert_eq!(line, "source db is away: connection refused (for 0 s)");
    }

    #[test]
    fn lines_are_cut_to_the_terminal_by_characters() {
        let mut line = "äöü streaming".to_owned();
        cut(&mut line, 5);
        assert_eq!(line, "äöü …");
        cut(&mut line, 5);
        assert_eq!(line, "äöü …");
    }
}
