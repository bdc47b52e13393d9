//! A target that misbehaves as it is told: the folder of a `scripted` writer.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use tahr::lane::State;
use tahr_plugin_api::Position;

use crate::database::{Database, Row};
use crate::engine::{Engine, EngineBuilder, Running};
use crate::postgres::Postgres;
use crate::run::Run;
use crate::table::Rows;

/// A scripted target; its folder goes with it. What scripts can say is documented in
/// `tests/scripted/src/script.rs`.
#[derive(Debug)]
pub struct Scripted {
    folder: PathBuf,
}

/// What a target had stored at some moment.
#[derive(Debug, Clone)]
pub struct Backup(Vec<u8>);

/// A batch as it was stored.
#[derive(Debug, Clone)]
pub struct Batch {
    /// `whole`, `first`, `middle` or `last`.
    pub part: String,
    /// The checkpoint before it.
    pub previous: Position,
    /// The checkpoint after it.
    pub position: Position,
    /// Its changes as the writer wrote them.
    pub changes: Vec<Value>,
}

/// A config with the source `src`, scripted targets of these names, and the sync `s` of all tables of
/// `public`, with `extra` lines in it.
pub fn sync(url: &str, targets: &[(&str, &Scripted)], extra: &str) -> String {
    let mut toml = format!("[sources.src]\nurl = \"{url}\"\nredo = \"200ms\"\n");
    for (name, target) in targets {
        let _infallible = write!(toml, "\n{}", target.section(name));
    }
    let names: Vec<_> = targets
        .iter()
        .map(|(name, _)| format!("\"{name}\""))
        .collect();
    let _infallible = write!(
        toml,
        "\n[syncs.s]\nsources = [\"src\"]\ntargets = [{}]\ntables = [\"public.*\"]\n{extra}\n",
        names.join(", ")
    );
    toml
}

impl EngineBuilder {
    /// A database that `setup` prepared, and an engine that streams it into `targets`, as
    /// [`sync`] says with `extra`.
    pub async fn streaming(
        self,
        setup: &str,
        targets: &[(&str, &Scripted)],
        extra: &str,
    ) -> (Database, Engine, Running) {
        let database = Postgres::shared().database().await;
        database.execute(setup).await;
        let engine = self.config(sync(database.url(), targets, extra)).build();
        let running = engine.start();
        for (name, _) in targets {
            engine.await_lane(name, State::Streaming).await;
        }
        (database, engine, running)
    }
}

impl Default for Scripted {
    fn default() -> Self {
        Self::new()
    }
}

impl Scripted {
    /// An empty one that behaves.
    pub fn new() -> Self {
        Self {
            folder: Run::current().make_folder("scripted"),
        }
    }

    /// Its section of the config.
    pub fn section(&self, name: &str) -> String {
        let folder = self.folder.display();
        format!("[targets.{name}]\nplugin = \"scripted\"\noptions = {{ folder = \"{folder}\" }}\n")
    }

    /// Tells what goes wrong from now on; an empty script: nothing.
    pub fn script(&self, text: &str) {
        self.replace("script", text.as_bytes());
    }

    /// The calls so far.
    pub fn calls(&self) -> Vec<String> {
        let calls = fs::read_to_string(self.folder.join("calls")).unwrap_or_default();
        calls.lines().map(str::to_owned).collect()
    }

    /// How many calls begin with `start`.
    pub fn count(&self, start: &str) -> usize {
        let calls = self.calls();
        calls.iter().filter(|call| call.starts_with(start)).count()
    }

    /// `Ok` once there is a call (or an end of one) that begins with `start`.
    pub fn called(&self, start: &str) -> Result<(), String> {
        let calls = self.calls();
        let is_there = calls.iter().any(|call| call.starts_with(start));
        is_there
            .then_some(())
            .ok_or_else(|| format!("the last of {} calls is {:?}", calls.len(), calls.last()))
    }

    /// The stored position.
    pub fn position(&self) -> Option<Position> {
        let text = self.store()["checkpoint"]["position"].as_str()?.to_owned();
        Some(text.parse().expect("a position"))
    }

    /// What it holds now, to be put back.
    pub fn backup(&self) -> Backup {
        Backup(fs::read(self.folder.join("store.json")).expect("read store.json"))
    }

    /// Restores a backup: data and checkpoint go back together.
    pub fn restore(&self, backup: &Backup) {
        self.replace("store.json", &backup.0);
    }

    /// Changes the checkpoint, as nobody should.
    pub fn tamper(&self, change: impl FnOnce(&mut Value)) {
        let mut store = self.store();
        change(&mut store["checkpoint"]);
        self.replace("store.json", store.to_string().as_bytes());
    }

    /// The batches stored, in order.
    ///
    /// # Panics
    ///
    /// Where they don't lead from one to the next, or hold a change twice.
    pub fn batches(&self) -> Vec<Batch> {
        let mut batches: Vec<Batch> = Vec::new();
        let mut seen = BTreeSet::new();
        let mut is_copy = false;
        for line in self.lines() {
            if line.get("copy").is_some() {
                is_copy = true;
            } else if let Some(head) = line.get("batch") {
                is_copy = false;
                let position = |key: &str| {
                    head[key]
                        .as_str()
                        .expect("text")
                        .parse()
                        .expect("a position")
                };
                let part = head["part"].as_str().expect("text").to_owned();
                let (previous, position) = (position("previous"), position("position"));
                // Bare advances lie between batches.
                let follows = batches.last().is_none_or(|last| last.position <= previous);
                assert!(
                    follows,
                    "a batch from {previous} follows {:?}",
                    batches.last()
                );
                batches.push(Batch {
                    part,
                    previous,
                    position,
                    changes: Vec::new(),
                });
            } else if !is_copy {
                let identity = (
                    line["xid"].to_string(),
                    line["ordinal"].as_u64(),
                    line["table"].to_string(),
                );
                assert!(seen.insert(identity), "stored twice: {line}");
                batches
                    .last_mut()
                    .expect("a batch before its changes")
                    .changes
                    .push(line);
            }
        }
        batches
    }

    /// `Ok` if it holds the rows of the source's `public.table`, by these columns; see
    /// [`rows`](Self::rows).
    pub async fn holds(
        &self,
        source: &Database,
        table: &str,
        columns: &[&str],
    ) -> Result<(), String> {
        let query = format!("SELECT {} FROM public.{table}", columns.join(", "));
        let expected = Rows::postgres(source, &query).await?;
        expected.same_as(&self.rows(&format!("public.{table}"), columns))
    }

    /// The rows that the changes amount to, by these columns, the first of which is the key or the
    /// only column that tells rows apart.
    pub fn rows(&self, table: &str, columns: &[&str]) -> Rows {
        let mut rows: BTreeMap<Option<String>, Vec<BTreeMap<String, Value>>> = BTreeMap::new();
        let key = |row: &BTreeMap<String, Value>| text(row.get(columns[0]));
        for line in self.lines() {
            if line.get("copy").is_some_and(|copied| copied == table) {
                rows.clear();
            }
            if line["table"] != table {
                continue;
            }
            let row = |side: &str| -> Option<BTreeMap<String, Value>> {
                let cells = line.get(side)?.as_object().expect("a row");
                Some(
                    cells
                        .iter()
                        .map(|(name, cell)| (name.clone(), cell.clone()))
                        .collect(),
                )
            };
            let (old, mut new) = (row("old"), row("new"));
            if line["op"] == "truncate" {
                rows.clear();
                continue;
            }
            if line["op"] != "insert" {
                let at = old.as_ref().or(new.as_ref()).expect("a row");
                let held = rows.get_mut(&key(at)).and_then(Vec::pop);
                let held = held.unwrap_or_else(|| panic!("no row for {line}"));
                for (name, cell) in new.iter_mut().flatten() {
                    if cell.is_object() {
                        *cell = held.get(name).cloned().unwrap_or_default();
                    }
                }
            }
            if let Some(new) = new {
                rows.entry(key(&new)).or_default().push(new);
            }
        }
        let cells = |row: &BTreeMap<String, Value>| -> Row {
            columns
                .iter()
                .map(|column| text(row.get(*column)))
                .collect()
        };
        Rows::new(rows.values().flatten().map(cells).collect())
    }

    /// The lines that are stored.
    fn lines(&self) -> Vec<Value> {
        let length = self.store()["length"].as_u64().unwrap_or(0);
        let data = fs::read(self.folder.join("data.jsonl")).unwrap_or_default();
        let stored = &data[..usize::try_from(length).expect("a length")];
        let lines = stored
            .split(|&byte| byte == b'\n')
            .filter(|line| !line.is_empty());
        lines
            .map(|line| serde_json::from_slice(line).expect("a line of JSON"))
            .collect()
    }

    fn store(&self) -> Value {
        let text = fs::read(self.folder.join("store.json"));
        text.map_or(Value::Null, |text| {
            serde_json::from_slice(&text).expect("JSON")
        })
    }

    /// Whoever reads it sees the old or the new one.
    fn replace(&self, name: &str, text: &[u8]) {
        let new = self.folder.join(format!("{name}.test"));
        fs::write(&new, text)
            .and_then(|()| fs::rename(new, self.folder.join(name)))
            .expect("replace a file");
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        // What can't be removed now is removed by the reaper.
        let _later = fs::remove_dir_all(&self.folder);
    }
}

fn text(cell: Option<&Value>) -> Option<String> {
    match cell {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text.clone()),
        Some(other) => Some(other.to_string()),
    }
}
