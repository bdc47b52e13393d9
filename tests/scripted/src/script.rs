//! What goes wrong, and when.
//!
//! A script is lines `CALL ACT [KEY=VALUE]…`. CALL is a method of the writer: `open`, `checkpoint`,
//! `prepare`, `begin_load`, `load`, `end_load`, `write`, `flush`, `reset`. ACT is one of
//!
//! | act | the call |
//! |---|---|
//! | `reject` | is rejected |
//! | `transient` | fails, and may work later |
//! | `fatal` | fails for good |
//! | `fail_after` | works, and then answers with a transient error: the answer was lost |
//! | `hold` | blocks while the script says so, or until it is cancelled |
//! | `slow` | takes `ms=…` longer |
//! | `panic` | panics |
//! | `accept` | (`write`) is only accepted |
//!
//! under the conditions `table=public.t`, `value=x` (some new row holds it), `part=middle`; skipping the
//! first `after=…` that match, and at most `times=…`. Counting starts anew when the script changes.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tahr_plugin_api::{Batch, WriteError};

use crate::change::part_name;

/// What stays to be done by the call itself.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Orders {
    /// Work, then answer with [`lost`].
    pub(crate) fail_after: bool,
    /// Don't store yet.
    pub(crate) accept: bool,
}

/// The error of an answer that did not arrive.
pub(crate) fn lost() -> WriteError {
    WriteError::transient("scripted: the answer was lost").code("lost")
}

/// What a call is about.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Subject<'a> {
    Nothing,
    Table(&'a str),
    Batch(&'a Batch),
}

/// How often each line of a folder's script has matched; all writers of a process share it.
static MATCHED: Mutex<BTreeMap<PathBuf, (String, Vec<u64>)>> = Mutex::new(BTreeMap::new());

/// Does what the script in `folder` says of `call`.
pub(crate) fn follow(
    folder: &Path,
    call: &str,
    subject: Subject<'_>,
    cancelled: &AtomicBool,
    note: &dyn Fn(&str),
) -> Result<Orders, WriteError> {
    let text = read(folder);
    let mut orders = Orders::default();
    for (index, line) in text.lines().enumerate() {
        let words = Words::parse(line)?;
        if words.call != call || !is_due(folder, &text, index, &words, subject) {
            continue;
        }
        match words.act {
            "reject" => return Err(rejection(&words, subject)),
            "transient" => return Err(WriteError::transient("scripted: transient").code("soon")),
            "fatal" => return Err(WriteError::fatal("scripted: fatal")),
            "panic" => panic!("scripted: panic in {call}"),
            "slow" => std::thread::sleep(Duration::from_millis(words.number("ms")?.unwrap_or(10))),
            "fail_after" => orders.fail_after = true,
            "accept" => orders.accept = true,
            "hold" => {
                note("held");
                while read(folder) == text {
                    if cancelled.load(Ordering::SeqCst) {
                        note("cancelled");
                        return Err(WriteError::transient("scripted: cancelled"));
                    }
                    std::thread::sleep(Duration::from_millis(2));
                }
                note("released");
            }
            other => {
                return Err(WriteError::fatal(format!(
                    "scripted: unknown act {other:?}"
                )));
            }
        }
    }
    Ok(orders)
}

fn read(folder: &Path) -> String {
    fs::read_to_string(folder.join("script")).unwrap_or_default()
}

/// Whether the line matches, counting it.
fn is_due(
    folder: &Path,
    text: &str,
    index: usize,
    words: &Words<'_>,
    subject: Subject<'_>,
) -> bool {
    if !words.fit(subject) {
        return false;
    }
    let mut all = MATCHED.lock().unwrap_or_else(PoisonError::into_inner);
    let (known, counts) = all.entry(folder.to_owned()).or_default();
    if known != text {
        text.clone_into(known);
        *counts = vec![0; text.lines().count()];
    }
    let before = counts[index];
    counts[index] += 1;
    let after = words.number("after").ok().flatten().unwrap_or(0);
    let times = words.number("times").ok().flatten().unwrap_or(u64::MAX);
    before >= after && before - after < times
}

/// One line.
struct Words<'a> {
    call: &'a str,
    act: &'a str,
    keys: BTreeMap<&'a str, &'a str>,
}

impl<'a> Words<'a> {
    fn parse(line: &'a str) -> Result<Self, WriteError> {
        let fault = || WriteError::fatal(format!("scripted: can't read {line:?}"));
        let mut words = line.split_whitespace();
        let (Some(call), Some(act)) = (words.next(), words.next()) else {
            return Err(fault());
        };
        let keys = words.map(|word| word.split_once('=').ok_or_else(fault));
        Ok(Self {
            call,
            act,
            keys: keys.collect::<Result<_, _>>()?,
        })
    }

    fn number(&self, key: &str) -> Result<Option<u64>, WriteError> {
        let fault = |_| WriteError::fatal(format!("scripted: {key} is no number"));
        self.keys
            .get(key)
            .map(|text| text.parse().map_err(fault))
            .transpose()
    }

    fn fit(&self, subject: Subject<'_>) -> bool {
        let table_fits = self.keys.get("table").is_none_or(|wanted| match subject {
            Subject::Nothing => false,
            Subject::Table(table) => table == *wanted,
            Subject::Batch(_) => self.change(subject).is_some(),
        });
        let part_fits = self.keys.get("part").is_none_or(|wanted| match subject {
            Subject::Batch(batch) => part_name(batch.part()) == *wanted,
            _ => false,
        });
        table_fits
            && part_fits
            && (!self.keys.contains_key("value") || self.change(subject).is_some())
    }

    /// The first change that fits `table` and `value`.
    fn change(&self, subject: Subject<'_>) -> Option<(usize, String, Option<String>)> {
        let Subject::Batch(batch) = subject else {
            return None;
        };
        batch.changes().enumerate().find_map(|(index, change)| {
            let relation = change.relation();
            let table = relation.source.to_string();
            if self
                .keys
                .get("table")
                .is_some_and(|wanted| *wanted != table)
            {
                return None;
            }
            let Some(wanted) = self.keys.get("value") else {
                return Some((index, table, None));
            };
            let column = change
                .new_row()?
                .values()
                .position(|value| value.text() == Some(wanted))?;
            Some((index, table, Some(relation.columns[column].name.clone())))
        })
    }
}

fn rejection(words: &Words<'_>, subject: Subject<'_>) -> WriteError {
    let error = WriteError::rejected("scripted: rejected")
        .code("no")
        .hint("take the line out of the script");
    let Some((index, table, column)) = words.change(subject) else {
        return error;
    };
    let error = error.change(index).table(table);
    match column {
        Some(column) => error.column(column),
        None => error,
    }
}
