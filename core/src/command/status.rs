//! `tahr status`.

use std::time::SystemTime;

use crate::{
    Error, Faults, cli,
    config::Config,
    control::{Answer, Request, ask},
    engine::Report,
    lane::{State, Status},
};

use super::{Output, output::table};

/// Prints what the running engine is doing.
pub(super) fn status(
    config: &Config,
    options: cli::Status,
    output: &mut Output,
) -> Result<(), Faults> {
    let report = match ask(&config.engine.state_dir, &Request::Status)? {
        Answer::Status(report) => report,
        Answer::Refused(why) => return Err(Error::failed(why).into()),
        _ => return Err(Error::failed("the engine answered something else").into()),
    };
    if options.json {
        let json = serde_json::to_string_pretty(&report);
        output.line(json.map_err(|error| Error::failed("write JSON").caused_by(error))?);
    } else {
        for line in lines(&report) {
            output.line(line);
        }
    }
    Ok(())
}

fn lines(report: &Report) -> Vec<String> {
    let mut lines = vec![format!("engine {} (pid {})", report.engine, report.pid)];
    for source in &report.sources {
        let state = if source.is_streaming {
            "streaming"
        } else {
            "not streaming"
        };
        let name = &source.source;
        lines.push(format!(
            "source {name}: {state}, read to {}, slot released to {}",
            source.read, source.released
        ));
        if let (Some((fault, since)), false) = (&source.fault, source.is_streaming) {
            lines.push(format!("  {} ago: {fault}", age(*since)));
        }
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

fn row(lane: &Status) -> [String; 6] {
    let lag = match lane.lag_bytes {
        0 => "0".to_owned(),
        bytes => format!("{:.1} s, {}", lane.lag_seconds, size(bytes)),
    };
    [
        format!("{}/{}", lane.sync, lane.target),
        lane.state.as_str().to_owned(),
        lane.rows_copied.to_string(),
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
    let is_troubled = matches!(lane.state, State::Retrying | State::Parked);
    if let (Some(fault), true) = (&lane.fault, is_troubled) {
        lines.push(format!("  {} ago: {}", age(fault.since), fault.message));
        if !fault.hint.is_empty() {
            lines.push(format!("  hint: {}", fault.hint));
        }
        if lane.awaits.is_some() {
            lines.push("  it starts by itself when the plugin is there".to_owned());
        } else if lane.state == State::Parked {
            lines.push("  once that is mended: `tahr reload`".to_owned());
        }
    }
    for (name, count) in &lane.counters {
        lines.push(format!("  {name}: {count}"));
    }
    lines
}

fn age(since: SystemTime) -> String {
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
