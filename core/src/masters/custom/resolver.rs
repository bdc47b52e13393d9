//! The resolver: one file, asked again and again.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use mlua::Value;

use super::{
    answer::Asked,
    machine::Machine,
    question::{Names, Question, Shape},
};
use crate::{
    Error,
    masters::Tables,
    reconcile::{Answer, Candidate, Key, Quarrel, Resolver, SourceId, TableId},
};

/// The longest file that is read.
const LONGEST: u64 = 1 << 20;
/// Lua cuts longer names in its messages.
const LONGEST_NAME: usize = 50;

/// Conflicts decided by the function `resolve` of a file.
pub struct LuaResolver {
    /// How the file is called in messages.
    name: String,
    source: String,
    tables: Arc<Tables>,
    names: Names,
    /// Made anew after an error: whatever it did to the state is gone.
    state: Mutex<Option<State>>,
}

/// A Lua state, and what it knows of tables.
struct State {
    machine: Machine,
    shapes: HashMap<TableId, Shape>,
}

impl fmt::Debug for LuaResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LuaResolver").field(&self.name).finish()
    }
}

impl LuaResolver {
    /// Reads the file at `path` and runs it once. `members` are the sync's sources in order, `ids`
    /// all that a change may come from.
    ///
    /// # Errors
    ///
    /// The file can't be read, is no Lua, fails, or defines no function `resolve`; names the file
    /// and its line.
    pub fn load(
        path: &Path,
        tables: Arc<Tables>,
        members: Vec<String>,
        ids: BTreeMap<SourceId, String>,
    ) -> Result<Self, Error> {
        let file = path.display();
        let length = fs_err::metadata(path).map(|found| found.len());
        if length.as_ref().is_ok_and(|length| *length > LONGEST) {
            return Err(Error::usage(format!(
                "conflict code {file} is larger than 1 MiB"
            )));
        }
        let source = fs_err::read_to_string(path).map_err(|error| {
            Error::usage(format!("conflict code {file} can't be read"))
                .hint("conflict = { lua = \"FILE\" }: a path beside the config, or a whole one")
                .caused_by(error)
        })?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let from = name.len().saturating_sub(LONGEST_NAME);
        let from = (from..name.len()).find(|&at| name.is_char_boundary(at));
        let resolver = Self {
            name: name[from.unwrap_or(0)..].to_owned(),
            source,
            tables,
            names: Names { members, ids },
            state: Mutex::new(None),
        };
        let state = resolver.state().and_then(|state| {
            state.machine.run(|_| Ok(()))?;
            Ok(state)
        });
        let state = state.map_err(|message| {
            Error::usage(format!("conflict code {message}")).hint(
                "the file defines the function that decides:\nfunction resolve(conflict)\n  \
                 return conflict.candidates[1]\nend",
            )
        })?;
        *resolver
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(state);
        Ok(resolver)
    }

    /// The rule's name in the log of conflicts.
    #[must_use]
    pub fn rule(&self) -> String {
        format!("lua {}", self.name)
    }

    fn state(&self) -> Result<State, String> {
        Ok(State {
            machine: Machine::new(&self.name, &self.source)?,
            shapes: HashMap::new(),
        })
    }
}

impl Resolver for LuaResolver {
    fn resolve(
        &self,
        quarrel: Quarrel,
        key: &Key,
        candidates: &[Candidate],
    ) -> Result<Answer, String> {
        let mut held = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = match held.take() {
            Some(state) => state,
            None => self.state()?,
        };
        let answer = state.ask(self, quarrel, key, candidates)?;
        *held = Some(state);
        Ok(answer)
    }
}

impl State {
    fn ask(
        &mut self,
        resolver: &LuaResolver,
        quarrel: Quarrel,
        key: &Key,
        candidates: &[Candidate],
    ) -> Result<Answer, String> {
        let name = &resolver.name;
        let table = resolver.tables.get(key.table).ok_or_else(|| {
            format!("{name}: the conflict is about a table that the sync doesn't have any more")
        })?;
        let Self { machine, shapes } = self;
        machine.run(|resolve| {
            let shape = match shapes.entry(key.table) {
                std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
                std::collections::hash_map::Entry::Vacant(unknown) => {
                    unknown.insert(Shape::new(machine, table)?)
                }
            };
            let asked = (quarrel, key.row.as_ref(), candidates);
            let question = Question::new(machine, shape, table, &resolver.names, asked)?;
            let value: Value = resolve.call(&question.conflict)?;
            let asked = Asked {
                quarrel,
                key,
                candidates,
                table,
                shape,
                question: &question,
            };
            Ok(asked.answer(&value).map_err(|what| {
                // It has returned, so the line where it begins is the nearest.
                let line = resolve.info().line_defined.unwrap_or(1);
                format!("{name}:{line}: resolve returned {what}")
            }))
        })?
    }
}
