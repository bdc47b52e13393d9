//! The Lua state: what code may use, how long it may run, how much it may hold.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use mlua::{
    ChunkMode, Error, Function, HookTriggers, Lua, LuaOptions, MultiValue, StdLib, String as Text,
    Table, Value, VmState,
};

use super::{
    explain::explain,
    pattern::{Capture, Fault, Search, find},
};

/// How many instructions one call may take; steps of pattern matching count as such.
pub const INSTRUCTIONS: u64 = 10_000_000;
/// How much memory one call may hold, in bytes.
pub const MEMORY: usize = 64 << 20;
/// How long one call may take, whatever it does.
pub const TIME: Duration = Duration::from_secs(10);

/// The budget is looked at each time that so many instructions have run.
const INTERVAL: u32 = 1000;
/// How far up the stack a line of the file is looked for.
const LEVELS: usize = 20;
const PRELUDE: &str = include_str!("prelude.lua");

/// A Lua state with one file in it.
pub(super) struct Machine {
    pub(super) lua: Lua,
    /// How the file is called in messages.
    name: String,
    /// The file's code: takes its world, and defines `resolve` in it.
    main: Function,
    /// Metatable of each call's world.
    world: Table,
    /// Makes the metatable of a table's rows.
    shape: Function,
    budget: Arc<Budget>,
}

/// What a call has used up.
#[derive(Debug)]
struct Budget {
    spent: AtomicU64,
    begun: Mutex<Instant>,
    /// The line of the file that was seen last.
    line: AtomicU32,
}

impl Machine {
    /// A state that knows the file `name` with the code `source`.
    ///
    /// # Errors
    ///
    /// The code is no Lua, in one line that names the file's.
    pub(super) fn new(name: &str, source: &str) -> Result<Self, String> {
        let told = |error: Error| explain(&error, name, None);
        let libraries = StdLib::STRING | StdLib::TABLE | StdLib::MATH | StdLib::UTF8;
        let lua = Lua::new_with(libraries, LuaOptions::new().catch_rust_panics(false));
        let lua = lua.map_err(told)?;
        lua.set_memory_limit(MEMORY).map_err(told)?;
        let budget = Arc::new(Budget::new());
        let natives = natives(&lua, &budget).map_err(told)?;
        let prelude = lua.load(PRELUDE).set_name("=tahr");
        let (world, shape) = prelude.call::<(Table, Function)>(natives).map_err(told)?;
        // On the first line, so that lines keep their numbers. Every global name is looked up in
        // the world that the call passes.
        let source = source.strip_prefix('\u{feff}').unwrap_or(source);
        let code = format!("local _ENV = ...; {source}");
        let main = lua.load(code).set_name(format!("@{name}"));
        let main = main
            .set_mode(ChunkMode::Text)
            .into_function()
            .map_err(told)?;
        Ok(Self {
            name: name.to_owned(),
            main,
            world,
            shape,
            budget,
            lua,
        })
    }

    /// Runs the file in a new world, and `work` with the function that it defines.
    ///
    /// # Errors
    ///
    /// What the code did wrong, in one line that names the file's.
    pub(super) fn run<T>(
        &self,
        work: impl FnOnce(&Function) -> Result<T, Error>,
    ) -> Result<T, String> {
        self.begin()
            .and_then(|()| {
                let resolve = self.resolve()?;
                // Calls in the place of a return leave no line to be found.
                let line = resolve
                    .info()
                    .line_defined
                    .and_then(|line| u32::try_from(line).ok());
                self.budget.line.store(line.unwrap_or(0), Relaxed);
                work(&resolve)
            })
            .map_err(|error| {
                let line = self.budget.line.load(Relaxed);
                explain(&error, &self.name, (line > 0).then_some(line))
            })
    }

    /// Metatable of the rows of the table `name`.
    pub(super) fn shape(&self, name: &str, columns: &Table) -> Result<Table, Error> {
        self.shape.call((name, columns))
    }

    fn resolve(&self) -> Result<Function, Error> {
        let world = self.lua.create_table()?;
        world.set_metatable(Some(self.world.clone()))?;
        self.main.call::<()>(&world)?;
        match world.raw_get("resolve")? {
            Value::Function(resolve) => Ok(resolve),
            Value::Nil => Err(Error::runtime("defines no function `resolve`")),
            other => Err(Error::runtime(format!(
                "`resolve` is no function but a {}",
                other.type_name()
            ))),
        }
    }

    /// A full budget, counted from the first instruction: so that a question which once had an
    /// answer has it again.
    fn begin(&self) -> Result<(), Error> {
        self.budget.spent.store(0, Relaxed);
        self.budget.line.store(0, Relaxed);
        *self
            .budget
            .begun
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Instant::now();
        let budget = Arc::clone(&self.budget);
        let source = format!("@{}", self.name);
        let triggers = HookTriggers::new().every_nth_instruction(INTERVAL);
        self.lua.set_hook(triggers, move |lua, _| {
            // From the innermost call outwards: the prelude's own lines tell nobody anything.
            let line_at = |level| {
                lua.inspect_stack(level, |debug| {
                    let is_file = debug.source().source.as_deref() == Some(source.as_str());
                    debug.current_line().filter(|_| is_file)
                })
            };
            let line = (0..LEVELS).map_while(line_at).flatten().next();
            if let Some(line) = line.and_then(|line| u32::try_from(line).ok()) {
                budget.line.store(line, Relaxed);
            }
            budget.spend(u64::from(INTERVAL))?;
            Ok(VmState::Continue)
        })
    }
}

impl Budget {
    fn new() -> Self {
        Self {
            spent: AtomicU64::new(0),
            begun: Mutex::new(Instant::now()),
            line: AtomicU32::new(0),
        }
    }

    fn left(&self) -> u64 {
        INSTRUCTIONS.saturating_sub(self.spent.load(Relaxed))
    }

    fn spend(&self, cost: u64) -> Result<(), Error> {
        let spent = self.spent.load(Relaxed).saturating_add(cost);
        self.spent.store(spent, Relaxed);
        if spent > INSTRUCTIONS {
            return Err(Error::runtime(format!(
                "does not end: stopped after {INSTRUCTIONS} instructions"
            )));
        }
        let begun = *self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        if begun.elapsed() > TIME {
            let seconds = TIME.as_secs();
            return Err(Error::runtime(format!(
                "does not end: stopped after {seconds} seconds"
            )));
        }
        Ok(())
    }
}

/// What the prelude can't do in Lua.
fn natives(lua: &Lua, budget: &Arc<Budget>) -> Result<Table, Error> {
    let natives = lua.create_table()?;
    natives.raw_set("null", Value::NULL)?;
    natives.raw_set("most", MEMORY)?;
    let own = Arc::clone(budget);
    let copy = lua.create_function(move |lua, from: Table| {
        let copy = lua.create_table()?;
        let mut count = 0;
        from.for_each(|key: Value, value: Value| {
            count += 1;
            copy.raw_set(key, value)
        })?;
        copy.set_metatable(from.metatable())?;
        own.spend(count)?;
        Ok(copy)
    })?;
    natives.raw_set("copy", copy)?;
    let own = Arc::clone(budget);
    natives.raw_set(
        "find",
        lua.create_function(move |lua, asked| found(lua, &own, asked))?,
    )?;
    Ok(natives)
}

/// Text, pattern, the first place, whether the pattern is plain, whether `^` ties it, and the end
/// of the match before.
type Asked = (Text, Text, i64, bool, bool, Option<usize>);

/// `string.find`: the first and the last place and what was caught, nil, or false and what is wrong.
fn found(
    lua: &Lua,
    budget: &Budget,
    (text, pattern, from, is_plain, anchors, not_at): Asked,
) -> Result<MultiValue, Error> {
    let (text, pattern) = (text.as_bytes(), pattern.as_bytes());
    let Some(from) = usize::try_from(from - 1)
        .ok()
        .filter(|from| *from <= text.len())
    else {
        return Ok(MultiValue::from_iter([Value::Nil]));
    };
    let place = |place: usize| Value::Integer(place as i64);
    if is_plain || !pattern.iter().any(|byte| b"^$*+?.([%-".contains(byte)) && not_at.is_none() {
        budget.spend(1 + (text.len() - from + pattern.len()) as u64 / 32)?;
        let found = memchr::memmem::find(&text[from..], &pattern);
        return Ok(match found {
            Some(at) => {
                let start = from + at;
                MultiValue::from_iter([place(start + 1), place(start + pattern.len())])
            }
            None => MultiValue::from_iter([Value::Nil]),
        });
    }
    let left = budget.left();
    let mut steps = left;
    let search = Search {
        from,
        anchors,
        not_at,
    };
    let found = find(&text, &pattern, search, &mut steps);
    budget.spend(left - steps)?;
    match found {
        Ok(None) => Ok(MultiValue::from_iter([Value::Nil])),
        Ok(Some(found)) => {
            let mut values = vec![place(found.start + 1), place(found.end)];
            for capture in &found.captures {
                values.push(match *capture {
                    Capture::Text(start, end) => {
                        Value::String(lua.create_string(&text[start..end])?)
                    }
                    Capture::Place(at) | Capture::Open(at) => place(at + 1),
                });
            }
            Ok(MultiValue::from_iter(values))
        }
        Err(Fault::Malformed(what)) => {
            let what = Value::String(lua.create_string(what)?);
            Ok(MultiValue::from_iter([Value::Boolean(false), what]))
        }
        Err(Fault::Endless) => {
            budget.spend(INSTRUCTIONS)?;
            Ok(MultiValue::new())
        }
    }
}
