//! The circles of an engine: one per sync of several sources.
//!
//! As with seats, whoever changes the engine says what is wanted, and [`Circles::tend`] brings what
//! there is to it: a circle that is not wanted, or not like this, is ended first, and only then the
//! one that is wanted starts. Each is told of its sources as they are open.

use std::{collections::BTreeMap, sync::Arc};

use tokio::runtime::Handle as Runtime;

use super::running::Running;
use crate::{
    config::{Config, Sync},
    masters::{
        Handle,
        circle::{Circle, Present, Setup},
    },
    reconcile::SourceId,
    shutdown::Stop,
    source::Table,
};

/// The circles, by the names of their syncs.
#[derive(Debug, Default)]
pub(super) struct Circles(BTreeMap<String, Place>);

#[derive(Debug)]
struct Place {
    handle: Handle,
    wanted: Option<Arc<Wanted>>,
    taken: Option<Taken>,
}

/// A circle as it is wanted.
#[derive(Debug, PartialEq)]
pub(super) struct Wanted {
    sync: Arc<Sync>,
    names: BTreeMap<SourceId, String>,
    further: Vec<bool>,
}

#[derive(Debug)]
struct Taken {
    by: Arc<Wanted>,
    circle: Circle,
    /// For each member what it was told.
    told: Vec<Option<Vec<Table>>>,
}

impl Circles {
    /// Says which circles there shall be; `handle` makes what people hold of a new one.
    pub(super) fn want(&mut self, config: &Config, mut handle: impl FnMut(&str) -> Handle) {
        let names: BTreeMap<_, _> = (config.sources.keys())
            .map(|name| (SourceId::of(name), name.clone()))
            .collect();
        let circles = || config.syncs.iter().filter(|(_, sync)| sync.has_masters());
        for (name, place) in &mut self.0 {
            if !circles().any(|(wanted, _)| wanted == name) {
                place.wanted = None;
            }
        }
        for (name, sync) in circles() {
            let is_further = |source: &String| {
                circles().any(|(other, sync)| other != name && sync.sources.contains(source))
            };
            // Targets have lanes of their own.
            let alone = Sync {
                targets: Vec::new(),
                ..sync.clone()
            };
            let wanted = Wanted {
                further: sync.sources.iter().map(is_further).collect(),
                sync: Arc::new(alone),
                names: names.clone(),
            };
            let place = self.0.entry(name.clone()).or_insert_with(|| Place {
                handle: handle(name),
                wanted: None,
                taken: None,
            });
            if place.wanted.as_deref() != Some(&wanted) {
                place.wanted = Some(Arc::new(wanted));
            }
        }
    }

    /// Brings what there is closer to what is wanted; whether nothing is left to do.
    pub(super) fn tend(
        &mut self,
        config: &Config,
        sources: &mut BTreeMap<String, Running>,
        stop: &Stop,
    ) -> bool {
        let mut is_done = true;
        self.0.retain(|name, place| {
            if !place.clear(sources) {
                is_done = false;
                return true;
            }
            if place.taken.is_none() && place.wanted.is_none() {
                for running in sources.values_mut() {
                    if let Some(streaming) = &mut running.streaming {
                        streaming.leave(name);
                    }
                }
                return false;
            }
            place.fill(name, config, sources, stop);
            true
        });
        is_done
    }

    /// Asks all circles to end.
    pub(super) fn take(&mut self) -> Vec<Circle> {
        let places = std::mem::take(&mut self.0);
        let circles: Vec<_> = places
            .into_values()
            .filter_map(|place| place.taken.map(|taken| taken.circle))
            .collect();
        circles.iter().for_each(Circle::stop);
        circles
    }
}

impl Place {
    /// Ends the circle that is here and is not wanted like this; whether none such is left.
    fn clear(&mut self, sources: &BTreeMap<String, Running>) -> bool {
        let Some(taken) = &self.taken else {
            return true;
        };
        let fits = self
            .wanted
            .as_ref()
            .is_some_and(|wanted| Arc::ptr_eq(wanted, &taken.by));
        // Tables that have changed make another circle of it.
        let is_told_right = taken
            .by
            .sync
            .sources
            .iter()
            .zip(&taken.told)
            .all(|(source, told)| {
                let streaming = sources
                    .get(source)
                    .and_then(|running| running.streaming.as_ref());
                match (told, streaming) {
                    (Some(told), Some(streaming)) => {
                        same_shape(told, &streaming.tables_of_sync(&taken.by.sync))
                    }
                    _ => true,
                }
            });
        if fits && is_told_right {
            return true;
        }
        taken.circle.stop();
        if !taken.circle.is_finished() {
            return false;
        }
        if let Some(taken) = self.taken.take() {
            taken.circle.join();
        }
        true
    }

    /// Lets the wanted circle begin, and tells it of its sources.
    fn fill(
        &mut self,
        name: &str,
        config: &Config,
        sources: &mut BTreeMap<String, Running>,
        stop: &Stop,
    ) {
        let Some(wanted) = &self.wanted else { return };
        if self.taken.is_none() {
            let setup = Setup {
                engine: config.engine.name.clone(),
                name: name.to_owned(),
                sync: Arc::clone(&wanted.sync),
                names: wanted.names.clone(),
                further: wanted.further.clone(),
                folder: config.engine.state_dir.join("masters").join(name),
                handle: self.handle.clone(),
                runtime: Runtime::current(),
                stop: stop.child(),
            };
            let told = vec![None; wanted.sync.sources.len()];
            match Circle::spawn(setup) {
                Ok(circle) => {
                    self.taken = Some(Taken {
                        by: Arc::clone(wanted),
                        circle,
                        told,
                    });
                }
                Err(error) => {
                    tracing::error!(sync = name, %error, "a sync's thread can't start");
                    return;
                }
            }
        }
        let Some(taken) = &mut self.taken else { return };
        for (member, source) in wanted.sync.sources.iter().enumerate() {
            let Some(running) = sources.get_mut(source) else {
                continue;
            };
            let Some(streaming) = &mut running.streaming else {
                continue;
            };
            if taken.told[member].is_none() {
                let present: Present = streaming.present(name, &wanted.sync);
                taken.told[member] = Some(present.tables.clone());
                taken.circle.arrive(member, present);
            }
        }
    }
}

/// Whether tables are what they were, as far as the sources exchange them.
fn same_shape(before: &[Table], now: &[Table]) -> bool {
    before.len() == now.len()
        && before.iter().all(|table| {
            let mut others = now.iter();
            others.any(|other| {
                let (a, b) = (&table.relation, &other.relation);
                a.source == b.source
                    && a.oid == b.oid
                    && a.columns == b.columns
                    && a.primary_key == b.primary_key
                    && a.unique_keys == b.unique_keys
            })
        })
}
