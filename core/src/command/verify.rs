//! `tahr verify`.

use std::io::{self, IsTerminal as _, Write as _};

use super::Output;
use crate::{
    Error, Faults, cli,
    config::Config,
    control::{Answer, Request, ask_and_hear},
    progress::grouped,
    verify::{Differing, LaneReport, Progress, TableReport, Verified, Wanted},
};

/// Keys of a table that are shown.
const SHOWN: usize = 20;

/// Has the running engine compare targets with their sources, and prints what differs.
pub(super) fn verify(
    config: &Config,
    options: &cli::Verify,
    output: &mut Output,
) -> Result<(), Faults> {
    if let Some(part) = &options.part {
        part.check(config)?;
    }
    let wanted = Wanted {
        part: options.part.clone(),
        tables: options.tables.clone(),
        repairs: options.repair,
    };
    let is_shown = io::stderr().is_terminal() && !options.json;
    let request = Request::Verify(wanted);
    let answer = ask_and_hear(&config.engine.state_dir, &request, |progress| {
        if is_shown {
            show(&progress);
        }
    });
    if is_shown {
        // A closed stderr is nobody's fault.
        let _ = write!(io::stderr(), "\r\x1b[2K");
    }
    let verified = match answer? {
        Answer::Verified(verified) => verified,
        other => return Err(other.into_faults()),
    };
    if options.json {
        output.json(&verified, true)?;
    } else {
        lines(&verified).iter().for_each(|line| output.line(line));
    }
    Faults::unless_empty(faults(&verified, options.repair))
}

/// Shows how far it is, in the terminal's current line.
fn show(progress: &Progress) {
    let share = match progress.expected_rows {
        0 => String::new(),
        expected => {
            const WIDTH: u64 = 20;
            let done = progress.rows.min(expected);
            let full = usize::try_from(done * WIDTH / expected).unwrap_or(0);
            let rest = usize::try_from(WIDTH).unwrap_or(0).saturating_sub(full);
            format!(" [{}{}]", "=".repeat(full), " ".repeat(rest))
        }
    };
    let found = match progress.found {
        0 => String::new(),
        found => format!(", {} found to differ", grouped(found)),
    };
    let mut line = format!(
        "{}/{} {} {}: {}{share} {}{found}",
        progress.tables_done,
        progress.tables,
        progress.lane,
        progress.table,
        progress.doing,
        grouped(progress.rows),
    );
    line.retain(|letter| !letter.is_control());
    let line: String = line.chars().take(super::watch::width()).collect();
    let _ = write!(io::stderr(), "\r\x1b[2K{line}");
}

fn lines(verified: &Verified) -> Vec<String> {
    let mut lines = Vec::new();
    for LaneReport {
        lane,
        unable,
        tables,
    } in &verified.lanes
    {
        for table in tables {
            lines.push(format!("{lane}  {}  {}", table.table, verdict(lane, table)));
            let shown = table
                .keys
                .iter()
                .take(SHOWN)
                .map(|row| format!("    {}", name(row)));
            lines.extend(shown);
            let more = table
                .found()
                .saturating_sub(SHOWN.min(table.keys.len()) as u64);
            if more > 0 && !table.keys.is_empty() {
                lines.push(format!("    and {} more", grouped(more)));
            }
        }
        if let Some(why) = unable {
            lines.push(format!("{lane}  not compared: {why}"));
        }
    }
    lines
}

/// One table in a line.
fn verdict(lane: &str, table: &TableReport) -> String {
    if let Some(why) = &table.skipped {
        return format!("not compared: {why}");
    }
    let rows = match table.rows {
        1 => "1 row".to_owned(),
        rows => format!("{} rows", grouped(rows)),
    };
    let mut line = match (&table.unable, table.found()) {
        (Some(why), 0) => return format!("not compared: {why}"),
        (None, 0) => format!("{rows}: equal"),
        _ => format!(
            "{rows}: {} differing, {} missing, {} extra",
            grouped(table.differing),
            grouped(table.missing),
            grouped(table.extra)
        ),
    };
    if !table.new_columns.is_empty() {
        let s = if table.new_columns.len() == 1 {
            ""
        } else {
            "s"
        };
        let names = table.new_columns.join(", ");
        line = format!(
            "{line}; new column{s} {names} left out, which the target gets with the table's next change"
        );
    }
    if table.repaired > 0 {
        line = format!("{line}; {} repaired", grouped(table.repaired));
    }
    if table.set_aside > 0 {
        let count = grouped(table.set_aside);
        line = format!("{line}; {count} set aside, see `tahr rejected {lane}`");
    }
    if table.moving > 0 {
        line = format!("{line}; {} kept changing", grouped(table.moving));
    }
    for why in [&table.unable, &table.unrepaired].into_iter().flatten() {
        line = format!("{line}; {why}");
    }
    line
}

/// A row by its key.
fn name(row: &Differing) -> String {
    let key = row
        .key
        .iter()
        .map(|(column, text)| format!("{column} = {text}"));
    let mut key = key.collect::<Vec<_>>().join(", ");
    key.retain(|letter| !letter.is_control());
    let repaired = if row.repaired { ", repaired" } else { "" };
    format!("{}: {key}{repaired}", row.kind.as_str())
}

/// What is not as it should be.
fn faults(verified: &Verified, has_repaired: bool) -> Vec<Error> {
    let mut errors = Vec::new();
    for LaneReport {
        lane,
        unable,
        tables,
    } in &verified.lanes
    {
        if let Some(why) = unable {
            errors.push(Error::failed(format!(
                "lane {lane} was not compared: {why}"
            )));
        }
        for table in tables {
            let name = &table.table;
            if let Some(why) = &table.unable {
                let text = format!("table {name} of lane {lane} was not compared: {why}");
                errors.push(Error::failed(text));
            }
            let stays = table.stays();
            if stays == 0 {
                continue;
            }
            let rows = if stays == 1 { "row" } else { "rows" };
            let count = grouped(stays);
            let error = Error::failed(format!(
                "{count} {rows} of table {name} differ in lane {lane}"
            ));
            errors.push(if table.set_aside >= stays {
                error.hint(format!(
                    "the target refused them; mend it, then: tahr rejected retry {lane} --all"
                ))
            } else if has_repaired {
                error
            } else {
                error.hint(format!("tahr verify {lane} --table {name} --repair"))
            });
        }
    }
    errors
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::Kind;

    fn table(kinds: &[Kind]) -> TableReport {
        let mut table = TableReport {
            table: "public.t".to_owned(),
            rows: 12_000,
            ..TableReport::default()
        };
        for (number, &kind) in kinds.iter().enumerate() {
            match kind {
                Kind::Differing => table.differing += 1,
                Kind::Missing => table.missing += 1,
                Kind::Extra => table.extra += 1,
            }
            table.keys.push(Differing {
                kind,
                key: [("id".to_owned(), number.to_string())].into(),
                repaired: false,
            });
        }
        table
    }

    fn of(table: TableReport) -> Verified {
        Verified {
            lanes: vec![LaneReport {
                lane: "s/pg".to_owned(),
                unable: None,
                tables: vec![table],
            }],
        }
    }

    #[test]
    fn equal_tables_take_a_line_and_are_no_fault() {
        let verified = of(table(&[]));
        assert_eq!(lines(&verified).len(), 1);
        assert!(lines(&verified)[0].ends_with("12,000 rows: equal"));
        let mut one = table(&[]);
        one.rows = 1;
        assert!(lines(&of(one))[0].ends_with(" 1 row: equal"));
        assert!(faults(&verified, false).is_empty());
    }

    #[test]
    fn rows_that_differ_are_named_and_a_fault_until_they_are_repaired() {
        let mut found = table(&[Kind::Differing, Kind::Extra]);
        let shown = lines(&of(found.clone()));
        assert!(
            shown[0].contains("1 differing, 0 missing, 1 extra"),
            "{shown:?}"
        );
        assert_eq!(shown[1..], ["    differs: id = 0", "    extra: id = 1"]);
        let told = faults(&of(found.clone()), false);
        assert_eq!(told.len(), 1);
        let hint = told[0].hint_text().unwrap_or_default();
        assert_eq!(hint, "tahr verify s/pg --table public.t --repair");
        found.repaired = 2;
        assert!(faults(&of(found), true).is_empty());
    }

    #[test]
    fn what_was_not_compared_is_a_fault() {
        let mut not = table(&[]);
        not.unable = Some("it has no key".to_owned());
        assert_eq!(
            lines(&of(not.clone())),
            ["s/pg  public.t  not compared: it has no key"]
        );
        assert_eq!(faults(&of(not), false).len(), 1);
    }

    #[test]
    fn many_keys_are_cut_short() {
        let many = table(&[Kind::Missing; 50]);
        let shown = lines(&of(many));
        assert_eq!(shown.len(), 22);
        assert_eq!(shown[21], "    and 30 more");
    }
}
