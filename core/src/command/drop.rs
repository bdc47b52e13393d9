//! `tahr drop`: removes what tahr made.
//!
//! Targets first, sources last: a slot that is gone can't be told from one that never was, while a
//! checkpoint without its slot explains itself. On a source the slot goes before its publication,
//! which it could not pass without.

mod lanes;
mod masters;
mod sources;

use std::{
    cell::Cell,
    collections::BTreeMap,
    io::{self, BufRead as _, IsTerminal as _},
    path::Path,
};

use super::{Output, runtime::runtime};
use crate::{
    Error, Faults, cli,
    config::{Config, Sync},
    control::{StateLock, socket_path},
    engine::{Part, Pauses},
    lane::{rejected::rejected_path, resyncs_path, shapes_path},
    masters::store::Store,
    plugin::{Pins, Registry},
};

/// What is to go, and what stays.
struct Plan<'a> {
    config: &'a Config,
    /// The syncs that are dropped.
    dropped: BTreeMap<String, Sync>,
    /// The config without them.
    rest: Config,
    with_data: bool,
    /// Whether anything was there to be removed.
    found: Cell<bool>,
}

impl Plan<'_> {
    /// Notes that something was there to be removed.
    fn note_found(&self) {
        self.found.set(true);
    }

    fn is_used(&self, source: &str) -> bool {
        self.rest
            .syncs
            .values()
            .any(|sync| sync.sources.iter().any(|has| has == source))
    }
}

/// Removes the traces of one sync, or of all.
pub(super) fn drop(
    config: &Config,
    options: &cli::Drop,
    output: &mut Output,
) -> Result<(), Faults> {
    let plan = plan(config, options)?;
    // The lock makes the folder where there is none.
    if config.engine.state_dir.exists() {
        plan.note_found();
    }
    let had_folder = plan.found.get();
    let lock = StateLock::take_for(&config.engine.state_dir, "drop")?;
    confirm(&plan, options.yes, output)?;
    let registry = Registry::scan(&config.engine.plugin_dirs, &Pins::of(config));
    for error in registry.errors() {
        tracing::warn!(hint = error.hint.as_deref(), "{error}");
    }
    let mut errors = Vec::new();
    let runtime = runtime()?;
    let sources = runtime.block_on(sources::connect(&plan, &mut errors));
    lanes::forget(&plan, &registry, &sources, &mut errors, output);
    runtime.block_on(sources::drop_objects(&plan, &sources, &mut errors, output));
    clean(&plan, lock, had_folder, output)?;
    if errors.is_empty() && !plan.found.get() {
        output.line("nothing is left to drop");
    }
    if !plan.rest.syncs.is_empty() || options.sync.is_some() {
        let names: Vec<_> = plan
            .dropped
            .keys()
            .map(|name| format!("[syncs.{name}]"))
            .collect();
        output.note(format!(
            "remove {} from {} too, or the next `tahr run` makes all of it anew",
            names.join(", "),
            config.path.display()
        ));
    }
    Faults::unless_empty(errors)
}

fn plan<'a>(config: &'a Config, options: &cli::Drop) -> Result<Plan<'a>, Error> {
    let mut rest = config.clone();
    let dropped = match &options.sync {
        None => std::mem::take(&mut rest.syncs),
        Some(name) => match rest.syncs.remove_entry(name) {
            Some(sync) => BTreeMap::from([sync]),
            None => {
                let names: Vec<_> = config.syncs.keys().map(String::as_str).collect();
                return Err(Error::usage(format!("the config has no sync \"{name}\""))
                    .hint(format!("it has: {}", names.join(", "))));
            }
        },
    };
    Ok(Plan {
        config,
        dropped,
        rest,
        with_data: options.with_data,
        found: Cell::new(false),
    })
}

/// Asks, and once more about the data.
fn confirm(plan: &Plan<'_>, yes: bool, output: &Output) -> Result<(), Error> {
    if yes {
        return Ok(());
    }
    if !io::stdin().is_terminal() {
        return Err(
            Error::usage("drop asks before it removes, and there is no terminal to ask")
                .hint("answer in advance: tahr drop --yes"),
        );
    }
    let names: Vec<_> = plan.dropped.keys().map(String::as_str).collect();
    let targets: Vec<_> = plan
        .dropped
        .values()
        .flat_map(|sync| sync.targets.iter().map(String::as_str))
        .collect();
    let names = names.join(", ");
    let has_masters = plan.dropped.values().any(Sync::has_masters);
    ask(output, &question(&names, has_masters))?;
    if plan.with_data {
        ask(
            output,
            &format!(
                "and EMPTY the tables copied by {names} in {}?",
                targets.join(", ")
            ),
        )?;
    }
    Ok(())
}

/// What is asked first. Conflicts show rows that are nowhere else.
fn question(names: &str, has_masters: bool) -> String {
    let what = match has_masters {
        true => {
            "slots, publications, bookkeeping, and what `tahr conflicts` and `tahr history` show"
        }
        false => "slots, publications and bookkeeping",
    };
    format!("drop {names}: {what}?")
}

fn ask(output: &Output, question: &str) -> Result<(), Error> {
    output.note(format!("{question} [yes/no]"));
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer);
    read.map_err(|error| Error::failed("read the answer").caused_by(error))?;
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Error::failed("nothing was dropped")),
    }
}

/// Removes what the state folder holds for sources that no sync is left of; the folder too, where
/// nothing is.
fn clean(
    plan: &Plan<'_>,
    lock: StateLock,
    had_folder: bool,
    output: &mut Output,
) -> Result<(), Error> {
    let state_dir = &plan.config.engine.state_dir;
    let log = state_dir.join("log");
    let is_all = plan.rest.syncs.is_empty();
    for (name, sync) in &plan.dropped {
        remove(&Store::folder_of(state_dir, name))?;
        for target in &sync.targets {
            remove(&shapes_path(state_dir, name, target))?;
            remove(&resyncs_path(state_dir, name, target))?;
            remove(&rejected_path(state_dir, name, target))?;
        }
        remove(&state_dir.join("masters").join(name))?;
    }
    let mut pauses = match is_all {
        true => Pauses::default(),
        false => Pauses::load(state_dir)?,
    };
    for name in plan.dropped.keys() {
        pauses.resume(&Part::of_sync(name.as_str()));
    }
    pauses.save(state_dir)?;
    if is_all {
        remove(&state_dir.join("lanes"))?;
        remove(&state_dir.join("masters"))?;
        remove(&log)?;
        remove(&socket_path(state_dir))?;
        lock.remove(state_dir)?;
    } else {
        for name in plan
            .config
            .sources
            .keys()
            .filter(|name| !plan.is_used(name))
        {
            remove(&log.join(name))?;
        }
    }
    // Someone else's files in it are a reason to keep it, and no error.
    if is_all && fs_err::remove_dir(state_dir).is_ok() && had_folder {
        output.line(format!("removed state folder {}", state_dir.display()));
    }
    Ok(())
}

fn remove(path: &Path) -> Result<(), Error> {
    let removed = match path.is_dir() {
        true => fs_err::remove_dir_all(path),
        false => fs_err::remove_file(path),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::failed(format!("remove {}", path.display())).caused_by(error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::question;

    #[test]
    fn the_question_names_conflicts_only_where_there_can_be_some() {
        assert_eq!(
            question("s", false),
            "drop s: slots, publications and bookkeeping?"
        );
        assert!(question("s", true).contains("tahr conflicts"));
    }
}
