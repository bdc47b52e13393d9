//! What is not TOML: the faults of a broken file, without those that only follow from others.
//!
//! Where a bracket is missing, the parser takes the sections behind it for what belongs into the
//! bracket, and has something to say to each of their lines. So each section is read by itself.

use std::ops::Range;

use toml::de::{DeTable, Error as Broken};

use super::{document::Document, redact::redact_url};
use crate::error::{Error, Faults};

/// One fault per faulty line, with the line: what follows on it is mostly a consequence. `errors` are
/// what the parser has found in `text`; there is at least one.
pub(super) fn faults(document: &Document<'_>, text: &str, errors: &[Broken]) -> Faults {
    let mut found: Vec<(usize, &str)> = Vec::new();
    let whole: Vec<_> = errors.iter().map(|error| (start(error), error)).collect();
    let parts: Vec<_> = sections(text)
        .into_iter()
        .map(|part| (of_section(&text[part.clone()]), part))
        .collect();
    for (errors, part) in &parts {
        // The parser has seen it too, at the latest where the next section begins. (If not, this is
        // no section: its header stands in a string.)
        let next = text[part.end..]
            .find('\n')
            .map_or(text.len(), |line| part.end + line);
        if whole.iter().any(|(at, _)| (part.start..=next).contains(at)) {
            found.extend(
                errors
                    .iter()
                    .map(|error| (part.start + start(error), error.message())),
            );
        }
    }
    // The same section twice.
    let twice = whole.iter().filter(|(at, error)| {
        error.message().contains("duplicate") && is_header(&text[line_start(text, *at)..])
    });
    found.extend(twice.map(|(at, error)| (*at, error.message())));
    if found.is_empty() {
        found.extend(whole.iter().map(|(at, error)| (*at, error.message())).min());
    }
    found.sort();
    found.dedup_by_key(|(at, _)| document.position(*at).0);
    let faults = found.into_iter().map(|(at, message)| {
        let (line, column) = document.position(at);
        let shown = text.lines().nth(line - 1).unwrap_or_default();
        Error::usage(format!(
            "{}:{line}:{column}: not TOML: {message}\n{line} | {}",
            document.path().display(),
            redact_url(shown)
        ))
    });
    match Faults::unless_empty(faults.collect()) {
        Err(faults) => faults,
        Ok(()) => Error::usage(format!("{}: not TOML", document.path().display())).into(),
    }
}

fn start(error: &Broken) -> usize {
    error.span().map_or(0, |span| span.start)
}

/// What is wrong with a section; nothing behind a bracket that isn't closed.
fn of_section(text: &str) -> Vec<Broken> {
    // So that what is missing at its end is missing on its last line.
    let (_, mut errors) = DeTable::parse_recoverable(text.trim_end());
    errors.sort_by_key(start);
    let is_within_brackets = |error: &Broken| {
        ["array", "inline table"]
            .iter()
            .any(|bracket| error.message().contains(bracket))
    };
    if let Some(open) = errors.iter().position(is_within_brackets) {
        errors.truncate(open + 1);
    }
    errors
}

/// What stands before the first header, and each header with what follows it.
fn sections(text: &str) -> Vec<Range<usize>> {
    let mut starts = vec![0];
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if at != 0 && is_header(line) {
            starts.push(at);
        }
        at += line.len();
    }
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    starts
        .iter()
        .zip(ends)
        .map(|(&start, end)| start..end)
        .collect()
}

/// Whether `text` begins with what looks like the header of a section.
fn is_header(text: &str) -> bool {
    let name = text.strip_prefix("[[").or_else(|| text.strip_prefix('['));
    let first = name.and_then(|name| name.chars().next());
    first.is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
}

fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |end| end + 1)
}
