//! A history: sources that are written to while engines run between them, and then rest.

use tahr_plugin_api::Lsn;

use super::{
    Engine, Kind, Random, Settings, Source, Triggers, checks, engine,
    model::Model,
    oracle::Oracle,
    source::{Content, Did, KEYS, Locks, Logged, SLOTS, claim},
    writes::{Write, Writes},
};

/// What a history came to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) writes: usize,
    pub(crate) applies: usize,
    pub(crate) conflicts: usize,
    pub(crate) parked: usize,
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, one: Self) {
        self.writes += one.writes;
        self.applies += one.applies;
        self.conflicts += one.conflicts;
        self.parked += one.parked;
    }
}

/// A history under way.
pub(crate) struct History {
    pub(crate) settings: Settings,
    pub(crate) random: Random,
    pub(crate) sources: Vec<Source>,
    pub(crate) engines: Vec<Engine>,
    pub(crate) writes: Writes,
    clock: i64,
    /// Whether every round is compared with the model's.
    modelled: bool,
    /// The rows that sources held before, as writes: how many.
    pub(crate) initial: usize,
    /// What each row is at the first source, where not all of them held the same.
    pub(crate) unequal: [Option<Content>; SLOTS],
    /// For each table the latest truncate.
    pub(crate) truncated: [i64; 2],
}

impl History {
    /// A history's beginning.
    pub(crate) fn new(seed: u64, settings: Settings) -> Self {
        let mut random = Random(seed);
        let engines = engine::engines(&settings, &mut random);
        let mut sources = vec![Source::default(); settings.sources];
        for source in &mut sources {
            source.skew = if settings.skewed {
                random.below(40) as i64
            } else {
                0
            };
            source.triggers = random.percent(50);
        }
        let modelled = seed.is_multiple_of(4) && settings.is_whole();
        let mut history = Self {
            settings,
            random,
            sources,
            engines,
            writes: Writes::default(),
            clock: 1,
            modelled,
            initial: 0,
            unequal: [None; SLOTS],
            truncated: [0; 2],
        };
        if settings.meet.is_some() {
            history.populate();
        }
        history
    }

    /// Runs it to its end.
    ///
    /// # Errors
    ///
    /// The property that doesn't hold.
    pub(crate) fn run(mut self) -> Result<Tally, String> {
        if self.settings.phases {
            for _ in 0..1 + self.random.below(3) {
                self.phase()?;
            }
        } else {
            for _ in 0..self.settings.steps {
                if self.random.percent(60) {
                    let source = self.random.below(self.settings.sources);
                    self.write(source, &Locks::default());
                } else {
                    let engine = self.random.below(self.engines.len());
                    self.cycle(engine, false);
                }
            }
            self.rest()?;
        }
        checks::at_rest(&self)?;
        Ok(Tally {
            writes: self.writes.0.len(),
            applies: self.engines.iter().map(|engine| engine.applies).sum(),
            conflicts: self.engines.iter().map(|engine| engine.conflicts).sum(),
            parked: self.engines.iter().map(|engine| engine.parked).sum(),
        })
    }

    /// All sources write, unseen by each other; then one round sees it all.
    fn phase(&mut self) -> Result<(), String> {
        let oracle = Oracle::before(&self.sources);
        for _ in 0..2 + self.random.below(8) {
            let source = self.random.below(self.settings.sources);
            self.write(source, &Locks::default());
        }
        let expected = oracle.after(&self.settings, &self.sources);
        // A crash before the round is stored makes it begin again, with all of it.
        let cuts: Vec<Lsn> = self
            .sources
            .iter()
            .map(|s| Lsn(s.log.len() as u64))
            .collect();
        let reachable = vec![true; self.settings.sources];
        while self.engines[0].stored.cuts != cuts {
            for (member, cut) in cuts.iter().enumerate() {
                self.engines[0].feed(member, &self.sources[member], cut.0 as usize);
            }
            let settings = self.settings;
            self.engines[0].round(&reachable, &settings, &mut self.random);
            if self.engines[0].stored.paused.is_some() {
                self.engines[0].resume(&reachable, &settings, &mut self.random);
            }
        }
        self.rest()?;
        expected.compare(&self.sources)
    }

    /// Nobody writes any more: engines go on until nothing is left to do, undisturbed at last.
    fn rest(&mut self) -> Result<(), String> {
        let settings = self.settings;
        for round in 0..300 {
            if round == 10 {
                (self.settings.crash, self.settings.locked) = (0, 0);
            }
            for engine in 0..self.engines.len() {
                self.cycle(engine, true);
            }
            let done = self
                .engines
                .iter()
                .all(|engine| engine.is_done(&self.sources));
            if round >= 10 || done {
                let parked = |e: &Engine| e.stored.parked.iter().any(Option::is_some);
                if done && !self.engines.iter().any(parked) {
                    self.settings = settings;
                    return Ok(());
                }
                self.attend(done);
            }
        }
        let left: Vec<_> = self.engines.iter().map(|engine| &engine.stored).collect();
        Err(format!("never at rest: {left:?}"))
    }

    /// What people do in the end about sources that are parked.
    fn attend(&mut self, done: bool) {
        for engine in &mut self.engines {
            engine.ignore_triggers();
        }
        if done {
            for engine in 0..self.engines.len() {
                self.come_back(engine);
            }
        }
    }

    /// What an engine does over and over: sends, reads, judges.
    fn cycle(&mut self, engine: usize, resting: bool) {
        if !resting && self.settings.limit.is_some() && self.random.percent(15) {
            self.come_back(engine);
        }
        let members = self.engines[engine].members.clone();
        let down = if resting { 0 } else { self.settings.down };
        let reachable: Vec<bool> = members.iter().map(|_| !self.random.percent(down)).collect();
        for member in (0..members.len()).filter(|&member| reachable[member]) {
            self.send(engine, member, resting);
        }
        for (member, &source) in members.iter().enumerate() {
            let (end, fed) = (
                self.sources[source].log.len(),
                self.engines[engine].fed[member],
            );
            if reachable[member] && end > fed {
                let upto = if resting {
                    end
                } else {
                    fed + self.random.below(end - fed + 1)
                };
                self.engines[engine].feed(member, &self.sources[source], upto);
            }
        }
        self.talk(engine, &reachable, resting);
        let settings = self.settings;
        let engine = &mut self.engines[engine];
        let modelled = self.modelled && !engine.reconciler.is_meeting();
        if let Some(mut model) = modelled.then(|| Model::of(engine, &settings)).flatten() {
            // Rounds that a crash undoes are seen before it.
            model.round(engine, &self.sources);
            engine.model = Some(model);
        }
        if engine.stored.paused.is_some() && self.random.percent(if resting { 100 } else { 20 }) {
            engine.resume(&reachable, &settings, &mut self.random);
        } else {
            engine.round(&reachable, &settings, &mut self.random);
        }
    }

    /// Sends an apply that is not in the source yet. The engine may die before or after.
    fn send(&mut self, engine: usize, member: usize, resting: bool) {
        let settings = self.settings;
        let on = &self.engines[engine];
        let index = on.members[member];
        let Some(flight) = on.reconciler.flight(member).cloned() else {
            return;
        };
        if self.sources[index].markers[on.id] >= flight.sequence {
            return;
        }
        if self.random.percent(settings.crash) {
            return self.engines[engine].crash();
        }
        let rules = on.reconciler.rules();
        let open = self.sources[index].open(rules, member, &flight, &settings, &mut self.random);
        if !resting && !settings.phases {
            for _ in 0..[0, 0, 1, 2][self.random.below(4)] {
                self.write(index, &open.locks);
            }
        }
        for (key, _, origin) in &open.done {
            if let Ok(slot) = super::source::slot_of(key) {
                self.sources[index].last[slot] = self.writes.find(slot, origin.time);
            }
        }
        let time = self.tick(index);
        let id = self.engines[engine].id;
        self.sources[index].commit(id, flight.sequence, open, time, settings.triggers);
        if self.random.percent(settings.crash) {
            self.engines[engine].crash();
        }
    }

    /// A commit time that no other transaction has.
    pub(super) fn tick(&mut self, source: usize) -> i64 {
        self.clock += 1;
        (self.clock + self.sources[source].skew) * 8 + source as i64
    }

    /// A local transaction, which waits for nothing: it isn't made where it would have to.
    fn write(&mut self, index: usize, locks: &Locks) {
        let time = self.tick(index);
        let (settings, random) = (self.settings, &mut self.random);
        let source = &mut self.sources[index];
        let mut changes: Vec<Did> = Vec::new();
        let mut wrote = [None; SLOTS];
        for _ in 0..[1, 1, 1, 2, 3][random.below(5)] {
            let table = random.below(settings.tables);
            let slot = table * KEYS + random.below(settings.keys);
            let row = (time as Content) << 2 & 0x3FFF_FFFC
                | if settings.unique {
                    random.below(4) as u32
                } else {
                    0
                };
            let to = table * KEYS + random.below(settings.keys);
            let did = if random.percent(settings.truncates) {
                Did::Truncate(table)
            } else if source.rows[slot] != 0
                && source.rows[to] == 0
                && random.percent(settings.moves)
            {
                Did::Move(slot, to, source.rows[slot] & !3 ^ 1 << 29 | claim(row))
            } else if random.percent(70) {
                Did::Put(slot, row)
            } else {
                Did::Delete(slot)
            };
            let mut put = |source: &mut Source, slot: usize, content: Content| {
                let content = if content == 0 {
                    0
                } else {
                    source.altered(content, local(settings.triggers))
                };
                (source.rows[slot], source.times[slot]) = (content, time);
                wrote[slot] = Some(content);
                content
            };
            match did {
                Did::Put(slot, content)
                    if !locks.rows[slot] && source.fits(slot, content, locks) =>
                {
                    let content = put(source, slot, content);
                    changes.push(Did::Put(slot, content));
                }
                Did::Delete(slot) if !locks.rows[slot] && source.rows[slot] != 0 => {
                    put(source, slot, 0);
                    changes.push(did);
                }
                Did::Move(slot, to, content)
                    if !locks.rows[slot]
                        && !locks.rows[to]
                        && fits_moved(source, slot, to, content, locks) =>
                {
                    put(source, slot, 0);
                    let content = put(source, to, content);
                    changes.push(Did::Move(slot, to, content));
                }
                Did::Truncate(table) if !locks.rows[table * KEYS..][..KEYS].contains(&true) => {
                    for slot in table * KEYS..(table + 1) * KEYS {
                        if source.rows[slot] != 0 {
                            put(source, slot, 0);
                        }
                    }
                    self.truncated[table] = self.truncated[table].max(time);
                    changes.push(did);
                }
                _ => {}
            }
        }
        for (slot, content) in wrote.into_iter().enumerate() {
            if let Some(content) = content {
                let parent = source.last[slot].replace(self.writes.0.len());
                self.writes.0.push(Write {
                    slot,
                    time,
                    content,
                    parent,
                });
            }
        }
        if !changes.is_empty() {
            let changes = changes.into_iter().map(|did| (did, None)).collect();
            source.log.push(Logged {
                time,
                marker: None,
                changes,
            });
        }
    }

    /// Whether two sources' rows must be equal at rest.
    pub(crate) fn must_equal(&self, slot: usize) -> bool {
        let skips = |engine: &Engine| engine.diverged[slot] && self.settings.kind == Kind::Skip;
        !self
            .engines
            .iter()
            .any(|engine| skips(engine) || engine.altered[slot])
    }
}

/// What triggers do to local writes: the same as to applies, but they write nothing beside.
const fn local(triggers: Triggers) -> Triggers {
    match triggers {
        Triggers::Settling => Triggers::Settling,
        _ => Triggers::None,
    }
}

fn fits_moved(source: &Source, slot: usize, to: usize, content: Content, locks: &Locks) -> bool {
    let mut without = source.clone();
    without.rows[slot] = 0;
    without.fits(to, content, locks)
}
