//! `tahr status`.

use std::{path::Path, time::SystemTime};

use tahr_plugin_api::Lsn;

use crate::{
    Faults, cli,
    config::Config,
    control::{Answer, Request, ask},
    engine::Report,
    lane::{State, Status},
    progress,
    source::{Outlook, SourceStatus},
};

use super::{Output, masters, output::table, watch};

/// Prints what the running engine is doing.
pub(super) fn status(
    config: &Config,
    options: cli::Status,
    output: &mut Output,
) -> Result<(), Faults> {
    let state_dir = &config.engine.state_dir;
    if let Some(every) = options.watch {
        return watch::watch(state_dir, every, options.json, output);
    }
    let report = report(state_dir)?;
    if options.json {
        output.json(&report, true)?;
    } else {
        for line in lines(&report) {
            output.line(line);
        }
    }
    Ok(())
}

/// What the engine in `state_dir` is doing.
pub(super) fn report(state_dir: &Path) -> Result<Report, Faults> {
    match ask(state_dir, &Request::Status)? {
        Answer::Status(report) => Ok(report),
        other => Err(other.into_faults()),
    }
}

pub(super) fn lines(report: &Report) -> Vec<String> {
    let ending = if report.is_stopping { ", stopping" } else { "" };
    let mut lines = vec![format!(
        "engine {} (pid {}{ending})",
        report.engine, report.pid
    )];
    for source in &report.sources {
        let state = match (source.is_streaming, &source.fault, source.away_since) {
            (true, ..) => "streaming".to_owned(),
            (false, None, _) => "connecting".to_owned(),
            (false, Some(_), None) => "away".to_owned(),
            (false, Some(_), Some(since)) => format!("away for {}", age(since)),
        };
        let name = &source.source;
        lines.push(format!(
            "source {name}: {state}, read to {}, slot released to {}",
            source.read, source.released
        ));
        if let (Some(fault), false) = (&source.fault, source.is_streaming) {
            lines.push(format!("  {} ago: {}", age(fault.since), fault.message));
            if !fault.hint.is_empty() {
                lines.push(format!("  hint: {}", fault.hint));
            }
        }
        lines.extend(log_lines(source));
        lines.extend(source.slot.as_ref().and_then(slot));
    }
    for sync in &report.masters {
        lines.extend(masters::lines(sync));
    }
    let rows: Vec<[String; 6]> =
        std::iter::once(["lane", "state", "copied", "changes", "lag", "stored"].map(str::to_owned))
            .chain(report.lanes.iter().map(row))
            .collect();
    for (index, line) in table(&rows).into_iter().enumerate() {
        lines.push(line);
        if let Some(lane) = index
            .checked_sub(1)
            .and_then(|index| report.lanes.get(index))
        {
            lines.extend(details(lane));
        }
    }
    lines
}

/// What is kept for the lanes of `source`, and where.
fn log_lines(source: &SourceStatus) -> Vec<String> {
    let log = &source.log;
    let mut lines = Vec::new();
    if source.end != Lsn::ZERO {
        let is = if source.is_streaming { "is" } else { "was" };
        lines.push(format!(
            "  slot {is} {} behind the source, log holds {} in memory and {} of {} on disk",
            size(source.end.bytes_since(source.released)),
            size(log.memory),
            size(log.disk),
            size(log.limit)
        ));
    }
    if log.aside_count > 0 {
        lines.push(format!(
            "  {} on disk are of no use any more, set aside for looking at: {}",
            size(log.aside),
            match log.aside_count {
                1 => "1 file or folder".to_owned(),
                count => format!("{count} files or folders"),
            }
        ));
    }
    if let Some(fault) = &log.fault {
        lines.push(format!("  {} ago: {}", age(fault.since), fault.message));
    }
    if log.cut_off > 0 {
        lines.push(format!(
            "  lanes whose further changes only the source's WAL keeps: {}",
            log.cut_off
        ));
    }
    lines
}

/// What a person should know of the slot, if anything.
fn slot(outlook: &Outlook) -> Option<String> {
    /// A week is long enough to find out otherwise.
    const LONG: u64 = 7 * 24 * 3600;
    let held = size(outlook.held_bytes);
    let lasts = outlook.lasts_seconds.filter(|&seconds| seconds < LONG);
    match (outlook.wal_status.as_str(), lasts, outlook.safe_bytes) {
        ("unreserved", ..) => Some(format!(
            "  slot holds {held} of WAL, more than max_slot_wal_keep_size: lost at the source's next \
             checkpoint unless the lanes catch up"
        )),
        (_, Some(seconds), Some(safe)) => Some(format!(
            "  slot holds {held} of WAL; at the present rate it is lost in {}, after {} more \
             (max_slot_wal_keep_size)",
            progress::seconds(seconds),
            size(safe)
        )),
        _ => None,
    }
}

fn row(lane: &Status) -> [String; 6] {
    let is_away = lane.source_away_since.is_some();
    let is_at_work = matches!(lane.state, State::Streaming | State::Retrying);
    let lag = match (lane.lag_bytes, lane.lag_seconds) {
        (0, _) if is_away && is_at_work => "unknown: source away".to_owned(),
        (bytes, _) if is_away && is_at_work => {
            format!("unknown: source away; {} known", size(bytes))
        }
        // What it does has no time: it copies, or rests.
        (0, None) => "-".to_owned(),
        (0, Some(_)) => "0".to_owned(),
        (bytes, None) => format!("-, {}", size(bytes)),
        (bytes, Some(lag)) => format!("{lag:.1} s, {}", size(bytes)),
    };
    [
        format!("{}/{}", lane.sync, lane.target),
        lane.state.as_str().to_owned(),
        lane.rows_copied
            .map_or_else(|| "-".to_owned(), |rows| rows.to_string()),
        lane.changes.to_string(),
        lag,
        lane.stored
            .as_ref()
            .map_or_else(|| "-".to_owned(), ToString::to_string),
    ]
}

fn details(lane: &Status) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(copy) = &lane.copy {
        lines.push(format!(
            "  copying {}: {} of about {} rows, table {} of {}",
            copy.table,
            copy.rows,
            copy.expected_rows,
            copy.tables_done + 1,
            copy.tables
        ));
    }
    // The one that is being copied is shown already.
    if !lane.resync.is_empty() && lane.copy.is_none() {
        let tables = lane.resync.len();
        let s = if tables == 1 { "" } else { "s" };
        lines.push(format!("  to be copied again: {tables} table{s}"));
    }
    if let (Some(since), State::Paused) = (lane.paused_since, lane.state) {
        lines.push(format!(
            "  paused {} ago; to go on: `tahr resume {}/{}`",
            age(since),
            lane.sync,
            lane.target
        ));
    }
    let is_troubled = matches!(lane.state, State::Retrying | State::Parked | State::Paused);
    if let (Some(fault), true) = (&lane.fault, is_troubled) {
        lines.push(format!("  {} ago: {}", age(fault.since), fault.message));
        if !fault.hint.is_empty() {
            lines.push(format!("  hint: {}", fault.hint));
        }
        if let (Some(at), State::Retrying) = (lane.retry_at, lane.state) {
            lines.push(match at.duration_since(SystemTime::now()) {
                Ok(left) => format!("  tries again in {:.1} s", left.as_secs_f64()),
                Err(_) => "  is trying again".to_owned(),
            });
        }
        if lane.awaits.is_some() {
            lines.push("  it starts by itself when the plugin is there".to_owned());
        } else if lane.state == State::Parked {
            lines.push(format!(
                "  once that is mended: `tahr resume {}/{}`",
                lane.sync, lane.target
            ));
        }
    }
    if lane.rejected > 0 {
        let (rows, are) = match lane.rejected {
            1 => ("row", "is"),
            _ => ("rows", "are"),
        };
        lines.push(format!(
            "  {} {rows} {are} set aside; to see: `tahr rejected {}/{}`",
            lane.rejected, lane.sync, lane.target
        ));
    }
    for (name, count) in &lane.counters {
        lines.push(format!("  {name}: {count}"));
    }
    lines
}

pub(super) fn age(since: SystemTime) -> String {
    let seconds = since.elapsed().unwrap_or_default().as_secs();
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7199 => format!("{} min", seconds / 60),
        _ => format!("{} h", seconds / 3600),
    }
}

/// Bytes as people read them.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut unit = 0;
    let mut whole = bytes;
    while whole >= 10_240 && unit < UNITS.len() - 1 {
        whole /= 1024;
        unit += 1;
    }
    format!("{whole} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::fault::Fault;

    fn lane(state: State) -> Status {
        Status {
            sync: "shop".to_owned(),
            target: "copy".to_owned(),
            state,
            lag_seconds: Some(0.0),
            ..Status::default()
        }
    }

    #[test]
    fn a_source_that_is_away_is_seen_at_a_glance_and_the_lag_of_its_lanes_is_unknown() {
        let since = SystemTime::now() - Duration::from_secs(90);
        let mut source = SourceStatus {
            source: "db".to_owned(),
            away_since: Some(since),
            ..SourceStatus::default()
        };
        let report = |source: &SourceStatus, lane: Status| Report {
            sources: vec![source.clone()],
            lanes: vec![lane],
            ..Report::default()
        };
        let shown = lines(&report(&source, lane(State::Streaming)));
        assert!(shown[1].starts_with("source db: connecting, "), "{shown:?}");
        source.fault = Some(Fault::new("connection refused", "start it"));
        let mut streaming = lane(State::Streaming);
        streaming.source_away_since = Some(since);
        let shown = lines(&report(&source, streaming.clone()));
        assert!(
            shown[1].starts_with("source db: away for 90 s, "),
            "{shown:?}"
        );
        assert!(shown[2].ends_with("ago: connection refused"), "{shown:?}");
        assert_eq!(shown[3], "  hint: start it");
        assert!(shown[5].contains("streaming"), "{shown:?}");
        assert!(shown[5].contains("unknown: source away  "), "{shown:?}");
        streaming.lag_bytes = 4096;
        let shown = lines(&report(&source, streaming));
        assert!(shown[5].contains("away; 4096 B known"), "{shown:?}");
        // A lane that rests has no lag that anybody would look for.
        let mut paused = lane(State::Paused);
        (paused.source_away_since, paused.lag_seconds) = (Some(since), None);
        let shown = lines(&report(&source, paused));
        assert!(!shown[5].contains("unknown"), "{shown:?}");
    }

    #[test]
    fn rows_that_this_run_did_not_copy_are_no_zero() {
        let mut lane = lane(State::Streaming);
        assert_eq!(row(&lane)[2], "-");
        lane.rows_copied = Some(0);
        assert_eq!(row(&lane)[2], "0");
    }
}
