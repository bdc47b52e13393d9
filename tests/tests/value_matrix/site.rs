//! An engine with every kind of target, judged.

use std::collections::BTreeMap;

use tahr::lane::State;
use tahr_tests::{Database, Engine, Running, eventually};

use super::judge::{Cells, EMPTY_KEYS, Judge, Table};
use super::postgres::select;
use crate::scene::{PATIENCE, fail_if_parked};

/// How many faults a report shows.
const SHOWN: usize = 12;

pub(super) struct Site {
    pub(super) engine: Engine,
    judges: Vec<Box<dyn Judge>>,
}

impl Site {
    /// An engine that copies all of `source` to a target of each judge.
    pub(super) fn new(source: &Database, judges: Vec<Box<dyn Judge>>) -> Self {
        let targets = judges
            .iter()
            .map(|judge| format!("[targets.{}]\n{}\n", judge.name(), judge.config()));
        let sync = |name: &str, tables: &str, has_empty: bool| {
            let takers = judges
                .iter()
                .filter(|judge| judge.takes_empty_keys() == has_empty);
            let names: Vec<&str> = takers.map(|judge| judge.name()).collect();
            match names.is_empty() {
                true => String::new(),
                false => format!(
                    "[syncs.{name}]\nsources = ['src']\ntargets = {names:?}\ntables = [{tables}]\n"
                ),
            }
        };
        let config = format!(
            "[sources.src]\nurl = '{}'\n{}\n{}{}",
            source.url(),
            targets.collect::<String>(),
            sync("s", "'*.*'", true),
            sync("filled", &format!("'*.*', '!*.{EMPTY_KEYS}*'"), false),
        );
        let engine = Engine::builder().config(config).build();
        Self { engine, judges }
    }

    /// Waits until every target holds what was there to copy.
    pub(super) async fn streams(&self, running: &Running) {
        for judge in &self.judges {
            fail_if_parked(running);
            self.engine.await_lane(judge.name(), State::Streaming).await;
        }
    }

    /// Waits until every target holds the row that the source wrote last, into the table `done`.
    pub(super) async fn arrives(&self, running: &Running) {
        let done = done();
        for judge in &self.judges {
            let what = format!("{} holds all", judge.name());
            eventually(PATIENCE, what, async || {
                fail_if_parked(running);
                let id = judge.expected("integer", Some("1"));
                let rows = judge.read(&done).await?;
                let is_there = rows.iter().any(|row| row[0] == id);
                is_there.then_some(()).ok_or(format!("{} rows", rows.len()))
            })
            .await;
        }
    }

    /// Compares every row of every target with the source's under the target's rule.
    pub(super) async fn judge(&self, source: &Database, tables: &[&Judged]) {
        let mut faults = Vec::new();
        for table in tables {
            let truth = source.query(&select(&table.table)).await;
            let truth = by_id(truth, |cell| cell);
            for judge in self.judges.iter().filter(|judge| judge.takes(&table.table)) {
                let read = judge.read(&table.table).await;
                let rows = read.unwrap_or_else(|error| panic!("{}: {error}", judge.name()));
                let count = rows.len();
                let rows = by_id(rows, |id| {
                    let mut ids = truth.keys();
                    let is_it = |known: &&String| {
                        judge.expected("integer", Some(known)).as_deref() == Some(&*id)
                    };
                    ids.find(is_it).cloned().unwrap_or(id)
                });
                assert_eq!(rows.len(), count, "{}: an id twice", judge.name());
                table.compare(&**judge, &truth, &rows, &mut faults);
            }
        }
        assert!(
            faults.is_empty(),
            "{} faults:\n{}",
            faults.len(),
            faults[..faults.len().min(SHOWN)].join("\n")
        );
    }
}

/// The table whose rows say how far a target is.
pub(super) fn done() -> Table {
    Table {
        name: "done".to_owned(),
        columns: vec![super::judge::Column {
            name: "id".to_owned(),
            base: "integer".to_owned(),
            is_domain: false,
        }],
    }
}

/// A table with what was written into it.
pub(super) struct Judged {
    pub(super) table: Table,
    /// By id and column, the SQL that made the value.
    pub(super) literals: BTreeMap<String, Vec<String>>,
    /// Added to the id of a copied row gives that of a streamed one with the same values; none
    /// where there are no such twins.
    pub(super) twin: Option<i64>,
}

type Rows = BTreeMap<String, Cells>;

fn by_id(rows: Vec<Cells>, id: impl Fn(String) -> String) -> Rows {
    let row = |row: Cells| (id(row[0].clone().unwrap_or_default()), row);
    rows.into_iter().map(row).collect()
}

impl Judged {
    fn compare(&self, judge: &dyn Judge, truth: &Rows, rows: &Rows, faults: &mut Vec<String>) {
        let named = format!("{}, table {}", judge.name(), self.table.name);
        for id in rows.keys().filter(|id| !truth.contains_key(*id)) {
            faults.push(format!("{named}: surplus row {id}"));
        }
        for (id, expected) in truth {
            let Some(found) = rows.get(id) else {
                faults.push(format!("{named}: no row {id}"));
                continue;
            };
            let twin = self.twin.and_then(|twin| {
                let id: i64 = id.parse().ok()?;
                rows.get(&(id + twin).to_string())
            });
            for (index, column) in self.table.columns.iter().enumerate() {
                let text = expected[index].as_deref();
                let wanted = match column.is_domain {
                    true => judge.expected_of_domain(&column.base, text),
                    false => judge.expected(&column.base, text),
                };
                let literal = self.literals.get(id).map_or("", |row| &row[index]);
                if wanted != found[index] {
                    faults.push(format!(
                        "{named}, id {id}, column {} ({}): {literal:.300} printed {text:.300?} \
                         expected {wanted:.300?} found {:.300?}",
                        column.name, column.base, found[index]
                    ));
                } else if let Some(twin) =
                    twin.filter(|twin| index > 0 && twin[index] != found[index])
                {
                    faults.push(format!(
                        "{named}, id {id}, column {} ({}): {literal:.300} copied is {:.300?} \
                         streamed {:.300?}",
                        column.name, column.base, found[index], twin[index]
                    ));
                }
            }
        }
    }
}
