//! `tahr conflicts`.

use std::fmt::Write as _;

use tahr_plugin_api::{TableName, did_you_mean};

use super::Output;
use crate::{
    Error, Faults, cli,
    config::{Config, parse_table_name},
    control::{Answer, Request, ask},
    masters::chronicle::{Candidate, Columns, Entry, Question},
    reconcile::Quarrel,
};

/// A value is shown with so many characters; all of it is in the JSON.
const SHOWN: usize = 60;

/// Prints the newest conflicts.
pub(super) fn conflicts(
    config: &Config,
    options: &cli::Conflicts,
    output: &mut Output,
) -> Result<(), Faults> {
    let cli::Past { sync, limit, json } = &options.past;
    let table = options.table.as_deref().map(table).transpose()?;
    let question = question(config, sync.as_deref(), table, *limit)?;
    let request = Request::Conflicts(question.clone());
    let entries = match ask(&config.engine.state_dir, &request)? {
        Answer::Conflicts(entries) => entries,
        other => return Err(unexpected(other)),
    };
    if *json {
        return print_json(&entries, output);
    }
    for (index, entry) in entries.iter().enumerate() {
        if index > 0 {
            output.line("");
        }
        block(entry).into_iter().for_each(|line| output.line(line));
    }
    if entries.is_empty() {
        output.line(nothing("conflicts", config, &question));
    }
    Ok(())
}

/// What is asked, of a sync that the config has.
pub(super) fn question(
    config: &Config,
    sync: Option<&str>,
    table: Option<String>,
    limit: u32,
) -> Result<Question, Error> {
    if let Some(name) = sync.filter(|name| !config.syncs.contains_key(*name)) {
        let known = || config.syncs.keys().map(String::as_str);
        let hint = did_you_mean(name, known());
        let hint =
            hint.unwrap_or_else(|| format!("it has: {}", Vec::from_iter(known()).join(", ")));
        return Err(Error::usage(format!("the config has no sync \"{name}\"")).hint(hint));
    }
    Ok(Question {
        sync: sync.map(str::to_owned),
        table,
        limit: limit as usize,
    })
}

/// That there are no `things`, and why, where it can't be otherwise.
pub(super) fn nothing(things: &str, config: &Config, question: &Question) -> String {
    let has_several = |name: &String| config.syncs[name].sources.len() > 1;
    let table = question.table.as_ref();
    let table = table.map_or_else(String::new, |table| format!(" on table {table}"));
    match &question.sync {
        Some(sync) if has_several(sync) => format!("no {things} in sync \"{sync}\"{table}"),
        Some(sync) => {
            format!("no {things}: sync \"{sync}\" has one source, and {things} are between several")
        }
        None if config.syncs.keys().any(has_several) => format!("no {things}{table}"),
        None => format!("no {things}: no sync has several sources, between which they would be"),
    }
}

/// The fault in an answer that isn't the one expected.
pub(super) fn unexpected(answer: Answer) -> Faults {
    let errors = match answer {
        Answer::Faulty(told) => told.into_iter().map(Error::from).collect(),
        Answer::Refused(why) => vec![Error::failed(why)],
        _ => Vec::new(),
    };
    let other = || Error::failed("the engine answered something else").into();
    Faults::unless_empty(errors).err().unwrap_or_else(other)
}

/// Prints a list as JSON.
pub(super) fn print_json(list: &impl serde::Serialize, output: &mut Output) -> Result<(), Faults> {
    let json = serde_json::to_string_pretty(list);
    output.line(json.map_err(|error| Error::failed("write JSON").caused_by(error))?);
    Ok(())
}

/// The table that was typed, as the log names it.
fn table(text: &str) -> Result<String, Error> {
    let (schema, table) = parse_table_name(text).map_err(|wrong| {
        Error::usage(format!("table {text:?} {wrong}")).hint("--table public.orders")
    })?;
    let schema = schema.unwrap_or_else(|| "public".to_owned());
    Ok(TableName::new(schema, table).to_string())
}

/// A conflict as people read it.
fn block(entry: &Entry) -> Vec<String> {
    let key = match &entry.key {
        Some(key) => columns(key, None),
        None => "(truncated)".to_owned(),
    };
    let mut lines = vec![format!(
        "{}  {}  {}  {key}  (conflict {} of sync {}, round {})",
        entry.when, entry.table, entry.rule, entry.number, entry.sync, entry.round
    )];
    if let (Quarrel::Unique, Some(other)) = (entry.quarrel, &entry.other) {
        let other = columns(other, None);
        lines.push(format!(
            "  a unique constraint lets only one of this row and {other} live"
        ));
    }
    let width = entry.candidates.iter().map(|c| c.source.chars().count());
    let width = width.max().unwrap_or(0);
    // All candidates of a key have it, and it is said above.
    let said = entry.key.as_ref().filter(|_| entry.quarrel == Quarrel::Key);
    for candidate in &entry.candidates {
        lines.push(line(candidate, width, said));
    }
    match entry.winner.as_str() {
        "merged" if entry.candidates.iter().all(|c| !c.won) => {
            lines.push(format!("  * merged: {}", row(entry.merged.as_ref(), said)));
        }
        "nobody" if entry.candidates.iter().all(|c| !c.won) => {
            lines.push("  nobody won: each source keeps its own".to_owned());
        }
        _ => {}
    }
    for key in &entry.withdrawn {
        let key = columns(key, None);
        lines.push(format!("  taken back with the losing delete: {key}"));
    }
    lines
}

fn line(candidate: &Candidate, width: usize, said: Option<&Columns>) -> String {
    let mark = if candidate.won { '*' } else { ' ' };
    let source = &candidate.source;
    let mut line = format!("  {mark} {source:width$}  {}", candidate.committed_at);
    if candidate.origin_source != candidate.source {
        let _ = write!(line, " on {}", candidate.origin_source);
    }
    let standing = if candidate.standing {
        "had won before: "
    } else {
        ""
    };
    let _ = write!(line, "  {standing}{}", row(candidate.row.as_ref(), said));
    line
}

fn row(row: Option<&Columns>, said: Option<&Columns>) -> String {
    row.map_or_else(|| "deleted".to_owned(), |row| columns(row, said))
}

/// `column=value` for each, but those that were said already.
fn columns(columns: &Columns, said: Option<&Columns>) -> String {
    let is_said = |column| said.is_some_and(|said| said.0.contains(column));
    let shown = columns.0.iter().filter(|column| !is_said(column));
    let shown: Vec<_> = shown
        .map(|(name, text)| format!("{name}={}", value(text.as_deref())))
        .collect();
    shown.join(" ")
}

/// A value, quoted where it could be read otherwise, and without what a terminal would obey.
pub(super) fn value(text: Option<&str>) -> String {
    let Some(text) = text else {
        return "NULL".to_owned();
    };
    let cut: String = text.chars().take(SHOWN).collect();
    let more = if cut.len() < text.len() { "…" } else { "" };
    let is_plain = |c: char| c.is_alphanumeric() || "-_.:+/@%\\".contains(c);
    match !cut.is_empty() && cut != "NULL" && cut.chars().all(is_plain) {
        true => cut + more,
        false => format!("{cut:?}{more}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::masters::chronicle::Moment;

    fn of(columns: &[(&str, Option<&str>)]) -> Columns {
        let owned =
            |&(name, text): &(&str, Option<&str>)| (name.to_owned(), text.map(str::to_owned));
        Columns(columns.iter().map(owned).collect())
    }

    fn candidate(source: &str, won: bool, row: Option<Columns>) -> Candidate {
        Candidate {
            source: source.into(),
            origin_source: source.into(),
            committed_at: Moment::committed(60_000_000),
            standing: false,
            won,
            row,
        }
    }

    fn entry() -> Entry {
        let row = |count| {
            Some(of(&[
                ("id", Some("7")),
                ("name", Some(count)),
                ("note", None),
            ]))
        };
        Entry {
            number: 3,
            when: Moment::committed(61_000_000),
            round: 12,
            sync: "shakes".into(),
            table: "public.t".into(),
            quarrel: Quarrel::Key,
            key: Some(of(&[("id", Some("7"))])),
            other: None,
            candidates: vec![
                candidate("shake1", false, row("a b")),
                candidate("shake12", true, None),
            ],
            winner: "shake12".into(),
            merged: None,
            rule: "latest".into(),
            withdrawn: Vec::new(),
        }
    }

    #[test]
    fn a_conflict_is_a_block_with_a_star_at_the_winner() {
        let expected = "\
2000-01-01T00:01:01.000000Z  public.t  latest  id=7  (conflict 3 of sync shakes, round 12)
    shake1   2000-01-01T00:01:00.000000Z  name=\"a b\" note=NULL
  * shake12  2000-01-01T00:01:00.000000Z  deleted";
        assert_eq!(block(&entry()).join("\n"), expected);
    }

    #[test]
    fn a_merged_row_and_one_that_nobody_won_are_told_from_a_source_of_that_name() {
        let mut merged = entry();
        merged.candidates[1].won = false;
        merged.winner = "merged".into();
        merged.merged = Some(of(&[("id", Some("7")), ("name", Some("c"))]));
        assert_eq!(block(&merged).last().unwrap(), "  * merged: name=c");
        merged.winner = "nobody".into();
        assert!(block(&merged).last().unwrap().contains("each source keeps"));
        let mut named = entry();
        named.winner = "nobody".into();
        assert!(block(&named).last().unwrap().contains("deleted"));
    }

    #[test]
    fn values_are_quoted_where_they_could_be_misread_and_cut_where_they_are_long() {
        assert_eq!(value(Some("\\x00ff")), "\\x00ff");
        assert_eq!(value(Some("NULL")), "\"NULL\"");
        assert_eq!(value(Some("")), "\"\"");
        assert_eq!(value(Some("a\u{1b}[2Jb\nc")), "\"a\\u{1b}[2Jb\\nc\"");
        assert_eq!(value(Some(&"ä".repeat(61))), "ä".repeat(60) + "…");
    }

    #[test]
    fn a_table_without_a_schema_is_in_public_and_a_pattern_is_none() {
        assert_eq!(table("t").unwrap(), "public.t");
        assert_eq!(table("s.t").unwrap(), "s.t");
        assert!(table("s.*").unwrap_err().hint_text().is_some());
    }
}
