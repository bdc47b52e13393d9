//! `tahr rejected`.

use serde::{Serialize, Serializer, ser::SerializeMap as _};

use super::{Output, conflicts::value};
use crate::{
    Error, ErrorKind, Faults,
    cli::{self, RejectedCommand},
    config::Config,
    control::{Answer, Request, StateLock, ask},
    engine::{Part, Rejected},
    lane::rejected::{Cell, Choice, ColumnName, Entry, Reason, Settled},
};

/// Lists, retries or discards rows that were set aside.
pub(super) fn rejected(
    config: &Config,
    options: &cli::Rejected,
    output: &mut Output,
) -> Result<(), Faults> {
    match &options.command {
        None => list(config, &options.list, output),
        Some(RejectedCommand::List(options)) => list(config, options, output),
        Some(RejectedCommand::Retry(options)) => {
            let choice = choice(options, "retry")?;
            let request = Request::RetryRejected(options.part.clone(), choice);
            let settled = match ask(&config.engine.state_dir, &request)? {
                Answer::Settled(settled) => settled,
                other => return Err(other.into_faults()),
            };
            show(&settled, "applied", options.json, output)
        }
        Some(RejectedCommand::Discard(options)) => {
            let choice = choice(options, "discard")?;
            let settled = discard(config, &options.part, choice)?;
            show(&settled, "discarded", options.json, output)
        }
    }
}

fn choice(options: &cli::SettleRejected, verb: &str) -> Result<Choice, Error> {
    match (options.all, options.numbers.is_empty()) {
        (true, _) => Ok(Choice::All),
        (false, false) => Ok(Choice::Numbers(options.numbers.iter().copied().collect())),
        (false, true) => Err(Error::usage("which rows?").hint(format!(
            "`tahr rejected {verb} {} --all`, or the numbers that `tahr rejected` shows",
            options.part
        ))),
    }
}

fn list(config: &Config, options: &cli::ListRejected, output: &mut Output) -> Result<(), Faults> {
    let part = options.part.as_ref();
    if let Some(part) = part {
        part.check(config)?;
    }
    let request = Request::Rejected(part.cloned());
    let rejected = match ask(&config.engine.state_dir, &request) {
        Ok(Answer::Rejected(rejected)) => rejected,
        Ok(other) => return Err(other.into_faults()),
        Err(error) if error.kind() == ErrorKind::NoEngine => Rejected::of_files(config, part)?,
        Err(error) => return Err(error.into()),
    };
    let rows = || {
        rejected
            .iter()
            .flat_map(|lane| lane.rows.iter().map(move |row| (lane, row)))
    };
    if options.json {
        let rows: Vec<_> = rows().map(|(lane, row)| Shown::new(lane, row)).collect();
        output.json(&rows, true)?;
        parked(&rejected).iter().for_each(|line| output.note(line));
        return Ok(());
    }
    for (index, (lane, row)) in rows().enumerate() {
        if index > 0 {
            output.line("");
        }
        block(lane, row)
            .into_iter()
            .for_each(|line| output.line(line));
    }
    if rows().next().is_none() {
        let of = part.map_or_else(String::new, |part| format!(" in {part}"));
        output.line(format!("no rows are set aside{of}"));
    }
    parked(&rejected).iter().for_each(|line| output.line(line));
    Ok(())
}

/// The lanes that wait for a person: where one stopped at a row, that is not set aside.
fn parked(rejected: &[Rejected]) -> Vec<String> {
    let parked = rejected
        .iter()
        .filter_map(|lane| Some((lane, lane.parked.as_ref()?)));
    let lines = parked.flat_map(|(lane, fault)| {
        let name = format!("{}/{}", lane.sync, lane.target);
        let mut lines = vec![format!(
            "lane {name} is parked, and sets nothing aside: {}",
            fault.message
        )];
        if !fault.hint.is_empty() {
            lines.push(format!("  hint: {}", fault.hint));
        }
        lines.push(format!(
            "  once that is mended: `tahr resume {name}`; more: `tahr status`"
        ));
        lines
    });
    lines.collect()
}

/// Has rows discarded, by the engine or where none runs.
fn discard(config: &Config, part: &Part, choice: Choice) -> Result<Vec<Settled>, Faults> {
    part.check(config)?;
    let state_dir = &config.engine.state_dir;
    let request = Request::DiscardRejected(part.clone(), choice.clone());
    match ask(state_dir, &request) {
        Ok(Answer::Settled(settled)) => return Ok(settled),
        Ok(other) => return Err(other.into_faults()),
        Err(error) if error.kind() == ErrorKind::NoEngine && state_dir.exists() => {}
        Err(error) => return Err(error.into()),
    }
    // An engine that starts just now would go on from the file as it was.
    let _lock = StateLock::take_for(state_dir, "rejected")?;
    Ok(Rejected::discard_in_files(config, part, &choice)?)
}

fn show(settled: &[Settled], done: &str, is_json: bool, output: &mut Output) -> Result<(), Faults> {
    if is_json {
        output.json(&settled, true)?;
    }
    let mut errors = Vec::new();
    for Settled {
        lane,
        done: numbers,
        refused,
        unknown,
        failed,
    } in settled
    {
        if !is_json && failed.is_none() {
            output.line(format!("lane {lane}: {done} {}", count(numbers.len())));
        }
        for (number, reason) in refused {
            let error = Error::target(format!("{lane} {number}: {}", reason.message));
            errors.push(match reason.hint.is_empty() {
                true => error,
                false => error.hint(reason.hint.clone()),
            });
        }
        for number in unknown {
            errors.push(Error::failed(format!(
                "lane {lane} has set no row {number} aside"
            )));
        }
        if let Some(why) = failed {
            errors.push(Error::failed(format!("lane {lane}: {why}")));
        }
    }
    Faults::unless_empty(errors)
}

fn count(rows: usize) -> String {
    match rows {
        1 => "1 row".to_owned(),
        _ => format!("{rows} rows"),
    }
}

/// A row as people read it.
fn block(lane: &Rejected, row: &Entry) -> Vec<String> {
    let changes = match row.changes {
        1 => String::new(),
        changes => format!(", {changes} changes"),
    };
    let mut lines = vec![format!(
        "{} {}/{}  {}  {}  {}{changes}",
        row.number,
        lane.sync,
        lane.target,
        row.table,
        row.deed.verb.as_str(),
        row.committed_at,
    )];
    if let Some(old) = &row.deed.old {
        let is_meant = |column: &ColumnName| !row.deed.key_only || row.key.contains(&column.name);
        lines.push(format!("  was {}", cells(row, old, is_meant)));
    }
    if let Some(new) = &row.deed.new {
        lines.push(format!("  {}", cells(row, new, |_| true)));
    }
    lines.push(format!("  {}", row.reason.message));
    if !row.reason.hint.is_empty() {
        lines.push(format!("  hint: {}", row.reason.hint));
    }
    lines
}

fn cells(row: &Entry, cells: &[Cell], is_meant: impl Fn(&ColumnName) -> bool) -> String {
    let named = row.columns.iter().zip(cells);
    let shown = named.filter(|(column, _)| is_meant(column));
    let shown: Vec<_> = shown
        .map(|(column, cell)| {
            let text = match cell {
                Cell::Null => value(None),
                Cell::Text(text) => value(Some(text)),
                Cell::Bytes { bytes } => value(Some(&format!("\\x{bytes}"))),
                Cell::Unchanged { .. } => "(unchanged)".to_owned(),
            };
            format!("{}={text}", column.name)
        })
        .collect();
    shown.join(" ")
}

/// A row as programs read it.
#[derive(Debug, Serialize)]
struct Shown<'a> {
    sync: &'a str,
    target: &'a str,
    number: u64,
    table: String,
    op: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    old: Option<Cells<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    new: Option<Cells<'a>>,
    changes: u64,
    xid: u32,
    committed_at: String,
    set_aside_at: String,
    error: &'a Reason,
}

impl<'a> Shown<'a> {
    fn new(lane: &'a Rejected, row: &'a Entry) -> Self {
        let is_meant = |column: &ColumnName| !row.deed.key_only || row.key.contains(&column.name);
        let old = row.deed.old.as_ref().map(|cells| {
            let named = row.columns.iter().zip(cells);
            Cells(named.filter(|(column, _)| is_meant(column)).collect())
        });
        let new = row.deed.new.as_ref();
        Self {
            sync: &lane.sync,
            target: &lane.target,
            number: row.number,
            table: row.table.to_string(),
            op: row.deed.verb.as_str(),
            old,
            new: new.map(|cells| Cells(row.columns.iter().zip(cells).collect())),
            changes: row.changes,
            xid: row.xid,
            committed_at: row.committed_at.to_string(),
            set_aside_at: row.since.to_string(),
            error: &row.reason,
        }
    }
}

/// An object of columns, in the table's order.
#[derive(Debug)]
struct Cells<'a>(Vec<(&'a ColumnName, &'a Cell)>);

impl Serialize for Cells<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (column, cell) in &self.0 {
            match cell {
                Cell::Bytes { bytes } => {
                    map.serialize_entry(&column.name, &format!("\\x{bytes}"))?;
                }
                cell => map.serialize_entry(&column.name, cell)?,
            }
        }
        map.end()
    }
}
