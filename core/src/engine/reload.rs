//! A changed config, carried out while the engine runs; or refused as a whole.
//!
//! 1. The file is read and compared with what runs: [`Plan`].
//! 2. Plugin folders are scanned, sources looked at, and the targets of lanes that change are asked,
//!    as at a start. Up to here nothing has changed, and any fault ends it.
//! 3. New tables are added to publications. Then the new config counts, and the seats of lanes that
//!    differ are told what is wanted, and those that are parked begin anew. A lane that stays as it is
//!    notices nothing, and one that a person has paused stays paused.
//! 4. Once the lanes that were to end have ended, tables that nobody wants any more leave the
//!    publications: a lane takes its mark of such a table back before the stream loses it.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use tokio::sync::oneshot;

use super::{
    Engine, Shared, lock, of_source,
    plan::{LaneName, Plan, Step, lanes},
    reloaded::Reloaded,
    running::plugin_for,
    seat::{Seat, Wanted},
    supervise::Verdict,
};
use crate::{Faults, config::Config, lane::State, plugin::Registry, source::Table};

/// How long the answer waits for lanes that end and begin.
const PATIENCE: Duration = Duration::from_secs(15);

impl Engine {
    /// Reads the config file again and carries out what differs. What was asked for has begun when
    /// this returns; lanes that take long to end may still be at it.
    ///
    /// # Errors
    ///
    /// All faults of the new config, of sources, and of targets whose lanes would change. Then nothing
    /// is other than before.
    pub async fn reload(&self) -> Result<Reloaded, Faults> {
        let shared = &self.shared;
        let one = shared.changing.lock().await;
        let old = shared.config();
        let new = Arc::new(Config::load(&old.path)?);
        let mut done = Reloaded::default();
        let plan = Plan::between(&old, &new)?;
        let news = shared.rescan(&new, false).await;
        done.plugins.extend(news.found.iter().map(|plugin| {
            let description = &plugin.description;
            format!("{} {}", description.name, description.version)
        }));
        let mut change = shared.prepare(&new, plan, &mut done).await?;
        // What parked a lane may be mended. Its target isn't asked beforehand: it refuses nothing.
        for name in shared.parked() {
            if let Some(step) = change.plan.lanes.get_mut(&name)
                && *step == Step::Keep
            {
                *step = Step::Restart(Vec::new());
                let reasons = change.moves.entry(name).or_default();
                reasons.push("it was parked".to_owned());
            }
        }
        shared.publish(&new, &change.tables, false).await?;
        *shared.claims.lock().await = change.claims;
        *lock(&shared.config) = Arc::clone(&new);
        done.notes.extend(shared.forget_pauses(&new));
        shared.convene(&new);
        shared.seat(&new, &change.plan, &change.tables, &change.registry);
        let begun: Vec<_> = (change.plan.added.iter())
            .map(|name| (name, shared.begin(name, None)))
            .collect();
        shared.untidy.notify_one();
        // From here on it is waited for what others do, who may have to change something themselves.
        drop(one);
        shared.settle(begun, &mut done).await;
        let one = shared.changing.lock().await;
        if Arc::ptr_eq(&new, &shared.config())
            && let Err(faults) = shared.publish(&new, &change.tables, true).await
        {
            let note = format!("{faults}; the next start or reload takes tables out again");
            done.notes.push(note);
        }
        drop(one);
        done.notes.extend(shared.paused_notes(&change.plan));
        done.tell(&old, change.plan, change.moves);
        let errors = change.registry.errors().iter().map(ToString::to_string);
        done.notes.extend(errors);
        done.notes.extend(shared.waiting_notes());
        Ok(done)
    }
}

impl Shared {
    /// Waits until what is wanted is there, for as long as an answer may take.
    async fn settle(&self, begun: Vec<(&String, oneshot::Receiver<Verdict>)>, done: &mut Reloaded) {
        let deadline = Instant::now() + PATIENCE;
        for (name, verdict) in begun {
            let left = deadline.saturating_duration_since(Instant::now());
            if let Ok(Ok(Verdict::Faulty(faults))) = tokio::time::timeout(left, verdict).await {
                let note = format!("{faults}; `tahr reload` tries source \"{name}\" again");
                done.notes.push(note);
            }
        }
        while !self.is_tidy() {
            if Instant::now() > deadline || self.stop.is_stopping() {
                let note = "some lanes are still ending; what follows them starts by itself";
                done.notes.push(note.to_owned());
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Adds tables to publications; or with `only` takes the others out, too.
    async fn publish(
        &self,
        config: &Config,
        tables: &BTreeMap<String, Vec<Table>>,
        only: bool,
    ) -> Result<(), Faults> {
        let published = tables.iter().map(async |(name, tables)| {
            let opened = self.with_source(name, |streaming| Arc::clone(&streaming.opened));
            match opened {
                Some(opened) => opened.publish(config, tables, only).await,
                None => Ok(()),
            }
            .map_err(|error| of_source(name, error))
        });
        let published = join_all(published).await;
        Faults::unless_empty(published.into_iter().filter_map(Result::err).collect())
    }

    /// Says in every seat that changes what is wanted there.
    fn seat(
        &self,
        new: &Config,
        plan: &Plan,
        tables: &BTreeMap<String, Vec<Table>>,
        registry: &Registry,
    ) {
        for (name, tables) in tables {
            self.with_source(name, |streaming| streaming.tables.clone_from(tables));
        }
        let mut specs = lanes(new);
        for (name, step) in &plan.lanes {
            let spec = specs.remove(name);
            self.with_source(&name.source, |streaming| match (step, spec) {
                (Step::Start | Step::Restart(_), Some(spec)) => {
                    let wanted = Wanted {
                        tables: streaming.tables_of(&spec),
                        plugin: plugin_for(registry, name, &spec),
                        paused: self.paused_since(name),
                        spec,
                    };
                    let plugin = wanted.spec.target.plugin.clone();
                    streaming.seat(name, &plugin, None).want(Some(wanted));
                }
                (Step::Stop, _) => {
                    if let Some(seat) = streaming.seats.get_mut(name) {
                        seat.want(None);
                    }
                }
                _ => {}
            });
        }
        let mut sources = lock(&self.sources);
        for name in &plan.removed {
            // One that is open ends after its last lane.
            if let Some(running) = sources
                .get(name)
                .filter(|running| running.streaming.is_none())
            {
                running.stop.stop();
            }
        }
        for name in &plan.added {
            sources.remove(name);
        }
    }

    /// Whether every lane that is wanted is there, and no other.
    fn is_tidy(&self) -> bool {
        let sources = lock(&self.sources);
        if sources.values().any(|running| running.stop.is_stopping()) {
            return false;
        }
        let mut all = sources
            .values()
            .filter_map(|running| running.streaming.as_ref());
        all.all(|streaming| {
            let mut seats = streaming.seats.values();
            seats.all(|seat| {
                let is_gone = seat.wanted().is_none();
                !is_gone && !seat.is_ending() && !seat.is_vacant()
            })
        })
    }

    /// Lanes that are parked for another reason than that their plugin is missing.
    fn parked(&self) -> Vec<LaneName> {
        let sources = lock(&self.sources);
        let all = sources
            .values()
            .filter_map(|running| running.streaming.as_ref());
        let seats = all.flat_map(|streaming| streaming.seats.values());
        let is_parked = |seat: &&Seat| {
            let is_there = seat.wanted().is_some_and(|wanted| wanted.plugin.is_ok());
            is_there && seat.status.get().state == State::Parked
        };
        seats
            .filter(is_parked)
            .map(|seat| seat.name.clone())
            .collect()
    }

    /// Which of the lanes that are new or changed don't start, being paused.
    fn paused_notes(&self, plan: &Plan) -> Vec<String> {
        let begins = |step: &Step| matches!(step, Step::Start | Step::Restart(_));
        let begun = plan.lanes.iter().filter(|(_, step)| begins(step));
        let paused = begun.filter(|(name, _)| self.paused_since(name).is_some());
        let note =
            |name: &LaneName| format!("lane {name} is paused; `tahr resume {name}` starts it");
        paused.map(|(name, _)| note(name)).collect()
    }

    /// Which lanes wait for a plugin.
    fn waiting_notes(&self) -> Vec<String> {
        let sources = lock(&self.sources);
        let all = sources
            .values()
            .filter_map(|running| running.streaming.as_ref());
        let seats = all.flat_map(|streaming| streaming.seats.values());
        seats
            .filter_map(|seat| {
                let hindrance = seat.wanted()?.plugin.as_ref().err()?;
                Some(format!(
                    "lane {} waits: {}",
                    seat.name, hindrance.fault.message
                ))
            })
            .collect()
    }
}
