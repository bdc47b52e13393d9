//! Everything that a reload finds out before it changes anything.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use tahr_plugin_api::TableName;

use super::{
    Shared, lock, of_source,
    plan::{LaneName, Plan, Step, tables_differ, used},
    reloaded::Reloaded,
    running::plugin_for,
};
use crate::{
    Error, ErrorKind, Faults,
    config::{Config, Source},
    lane::{Claims, View, views},
    plugin::Registry,
    source::{Table, look, usable},
};

/// What was found out before anything is changed.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) plan: Plan,
    /// The tables of each source that is open.
    pub(super) tables: BTreeMap<String, Vec<Table>>,
    /// Tables that joined and left lanes.
    pub(super) moves: BTreeMap<LaneName, Vec<String>>,
    pub(super) registry: Registry,
    pub(super) claims: Claims,
}

impl Shared {
    /// Looks at everything, as a start does.
    pub(super) async fn prepare(
        &self,
        new: &Config,
        mut plan: Plan,
        done: &mut Reloaded,
    ) -> Result<Change, Faults> {
        let registry = self.registry();
        let mut errors = Vec::new();
        let asked = used(new).filter(|(name, _)| !self.is_opening(name));
        let looked = join_all(
            asked.map(async |(name, source)| (name, self.look(new, (name, source), &plan).await)),
        );
        let mut tables = BTreeMap::new();
        for (name, found) in looked.await {
            match found {
                Ok(Ok(found)) => drop(tables.insert(name.clone(), found)),
                Ok(Err(note)) => done.notes.push(note),
                Err(faults) => errors.extend(faults.into_errors()),
            }
        }
        let moves = self.compare_seats(&mut plan, &tables, &registry);
        let (claims, more) = self.claim(new, &plan, &tables, &registry).await;
        errors.extend(more);
        Faults::unless_empty(errors)?;
        // One that could not be opened is tried again.
        let again = used(new).filter(|(name, _)| self.has_failed(name));
        plan.added.extend(again.map(|(name, _)| name.clone()));
        Ok(Change {
            plan,
            tables,
            moves,
            registry,
            claims,
        })
    }

    /// The tables of a source; or why they can't be looked at, where that does no harm.
    async fn look(
        &self,
        new: &Config,
        (name, source): (&str, &Source),
        plan: &Plan,
    ) -> Result<Result<Vec<Table>, String>, Faults> {
        if lock(&self.sources)
            .get(name)
            .is_some_and(|running| running.stop.is_stopping())
        {
            let message = format!("source \"{name}\" is still being left by its old lanes");
            return Err(Error::failed(message).hint("`tahr reload` again").into());
        }
        let error = match look(new, name, source).await {
            Ok(report) => return usable(name, report).map(|(_, tables)| Ok(tables)),
            Err(error) => error,
        };
        let mut steps = plan.lanes.iter().filter(|(lane, _)| lane.source == name);
        let is_needed = steps.any(|(_, step)| matches!(step, Step::Start | Step::Restart(_)));
        if is_needed || !error.is_transient() {
            return Err(of_source(name, error).into());
        }
        Ok(Err(format!(
            "source \"{name}\" is out of reach, so its tables were not looked at: {}",
            error.message
        )))
    }

    /// Looks for lanes that stay by the config and yet change: their tables are others, or the plugin
    /// that they wait for is here. Returns which tables come and go.
    fn compare_seats(
        &self,
        plan: &mut Plan,
        tables: &BTreeMap<String, Vec<Table>>,
        registry: &Registry,
    ) -> BTreeMap<LaneName, Vec<String>> {
        let sources = lock(&self.sources);
        let mut moves = BTreeMap::new();
        for (name, step) in &mut plan.lanes {
            let streaming = sources
                .get(&name.source)
                .and_then(|running| running.streaming.as_ref());
            let seat = streaming.and_then(|streaming| streaming.seats.get(name));
            let Some(wanted) = seat.and_then(|seat| seat.wanted()) else {
                continue;
            };
            let is_waiting = wanted.plugin.as_ref().is_err_and(|error| error.is_plugin);
            if *step == Step::Keep && is_waiting && plugin_for(registry, name, &wanted.spec).is_ok()
            {
                *step = Step::Start;
            }
            let Some(all) = tables.get(&name.source) else {
                continue;
            };
            let chosen = |table: &&Table| wanted.spec.sync.selects(&table.relation.source);
            let now: Vec<Table> = all.iter().filter(chosen).cloned().collect();
            if *step == Step::Keep && tables_differ(&wanted.tables, &now) {
                moves.insert(name.clone(), moved(&wanted.tables, &now));
                *step = Step::Restart(Vec::new());
            }
        }
        moves
    }

    /// The claims of all lanes as they will be, and what speaks against those that change.
    async fn claim(
        &self,
        new: &Config,
        plan: &Plan,
        tables: &BTreeMap<String, Vec<Table>>,
        registry: &Registry,
    ) -> (Claims, Vec<Error>) {
        let changes = |sync: &str, source: &str, target: &str| {
            let name = LaneName {
                sync: sync.to_owned(),
                target: target.to_owned(),
                source: source.to_owned(),
            };
            plan.lanes.get(&name) != Some(&Step::Keep)
        };
        let kept = |sync: &str, source: &str, target: &str| !changes(sync, source, target);
        let mut claims = self.claims.lock().await.of_lanes(kept);
        let mut part = new.clone();
        part.syncs.retain(|name, sync| {
            let mut targets = sync.targets.iter();
            targets.any(|target| {
                let mut followed = sync.followed().into_iter();
                followed.any(|source| changes(name, source, target))
            })
        });
        let mut all: Vec<View> = Vec::new();
        let mut errors = Vec::new();
        for (source, tables) in tables {
            let (found, misfits) = views(&part, source, tables);
            errors.extend(misfits);
            all.extend(
                found
                    .into_iter()
                    .filter(|view| changes(&view.sync, source, &view.target)),
            );
        }
        let (collisions, answers) = claims.ask(new, registry, &all).await;
        errors.extend(collisions);
        for (view, answer) in all.iter().zip(answers) {
            let of_target = |kind, message: String, hint: String| {
                let error = Error::new(kind, format!("target \"{}\": {message}", view.target));
                if hint.is_empty() {
                    error
                } else {
                    error.hint(hint)
                }
            };
            match answer {
                Some(Err(error)) if !error.is_transient() => {
                    let kind = Error::from(error.clone()).kind();
                    errors.push(of_target(kind, error.to_string(), error.hint));
                }
                Some(Ok(report)) => {
                    let findings = report
                        .findings
                        .into_iter()
                        .filter(|finding| finding.is_error);
                    errors.extend(findings.map(|finding| {
                        of_target(
                            ErrorKind::Target,
                            format!("{}: {}", finding.object, finding.message),
                            finding.hint,
                        )
                    }));
                }
                _ => {}
            }
        }
        (claims, errors)
    }

    fn is_opening(&self, name: &str) -> bool {
        let sources = lock(&self.sources);
        let running = sources.get(name);
        running.is_some_and(|running| running.streaming.is_none() && !running.task.is_finished())
    }

    fn has_failed(&self, name: &str) -> bool {
        let sources = lock(&self.sources);
        let running = sources.get(name);
        running.is_some_and(|running| running.streaming.is_none() && running.task.is_finished())
    }
}

/// The tables that come and go.
fn moved(before: &[Table], now: &[Table]) -> Vec<String> {
    let names = |tables: &[Table]| -> Vec<TableName> {
        let names = tables.iter().map(|table| table.relation.source.clone());
        names.collect()
    };
    let (before, now) = (names(before), names(now));
    let joined = now.iter().filter(|name| !before.contains(name));
    let left = before.iter().filter(|name| !now.contains(name));
    let moves: Vec<_> = joined
        .map(|name| format!("table {name} joins"))
        .chain(left.map(|name| format!("table {name} leaves")))
        .collect();
    match moves.is_empty() {
        true => vec!["a table was made anew".to_owned()],
        false => moves,
    }
}
