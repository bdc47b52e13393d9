//! What the windows of a round show: who holds what, who changed what, and having seen what.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Candidate, Effect, EffectKind, Flight, Holder, Key, Mutation, Rules, State, Strategy, TableId,
    TriggerEffects, Version,
    version::Mark,
    window::{Segment, Shown, Window},
};

/// The changes of one key in a round.
#[derive(Debug, Default)]
pub(super) struct Contest {
    /// Each source's last change, in order of sources.
    pub(super) candidates: Vec<Candidate>,
    /// Some change was made by a source that had the standing winner.
    pub(super) saw: bool,
    /// Some change was made by a source that was still owed it.
    pub(super) unseen: bool,
}

/// What the windows of a round show. Made of state and windows, changing neither: a round that
/// ends in a pause has not happened.
#[derive(Debug)]
pub(super) struct Sight<'a> {
    pub(super) rules: &'a Rules,
    pub(super) state: &'a State,
    windows: &'a [Window],
    /// Members that take part.
    pub(super) taking: Vec<bool>,
    /// What each member's stream showed last of a key.
    held: Vec<BTreeMap<Key, Mark>>,
    /// Tables that each member's stream showed emptied; keys not in `held` are absent there.
    wiped: Vec<BTreeMap<TableId, Mark>>,
    /// What each member was owed and now holds.
    pub(super) arrived: Vec<BTreeSet<Key>>,
    /// Rows that constraints refused.
    pub(super) refused: Vec<(usize, Key, Holder)>,
    /// Keys with changes to judge.
    pub(super) contests: BTreeMap<Key, Contest>,
    /// What applies did beside their plan.
    pub(super) effects: Vec<Effect>,
    /// Members whose applies did what may not be.
    pub(super) parking: Vec<(usize, Vec<Effect>)>,
}

impl<'a> Sight<'a> {
    /// Looks at all windows that can be judged: a source with an apply in flight takes part only
    /// when its marker is in its window, since before that nobody knows what it holds.
    pub(super) fn new(rules: &'a Rules, state: &'a State, windows: &'a [Window]) -> Self {
        let n = windows.len();
        let mut sight = Self {
            rules,
            state,
            windows,
            taking: vec![false; n],
            held: vec![BTreeMap::new(); n],
            wiped: vec![BTreeMap::new(); n],
            arrived: vec![BTreeSet::new(); n],
            refused: Vec::new(),
            contests: BTreeMap::new(),
            effects: Vec::new(),
            parking: Vec::new(),
        };
        for source in 0..n {
            sight.taking[source] = sight.can_take(source);
        }
        for source in (0..n)
            .filter(|&source| sight.taking[source])
            .collect::<Vec<_>>()
        {
            let window = &windows[source];
            sight.read(source, &window.before);
            if let (Some(flight), Some(shown)) = (&state.flights[source], &window.shown) {
                sight.land(source, flight, window, shown);
            }
            sight.read(source, &window.after);
        }
        sight
    }

    fn can_take(&mut self, source: usize) -> bool {
        let (window, flight) = (&self.windows[source], &self.state.flights[source]);
        if window.end.is_none() || self.state.parked[source].is_some() {
            return false;
        }
        let Some(flight) = flight else { return true };
        let Some(shown) = &window.shown else {
            return self.rules.breaks(Mutation::JoinBeforeMarker);
        };
        let effects = effects(source, flight, shown);
        let hops = flight
            .rows
            .values()
            .map(|version| version.hops)
            .max()
            .unwrap_or(0);
        let parks = match self.rules.trigger_effects {
            TriggerEffects::Park => true,
            TriggerEffects::Local => {
                hops >= self.rules.limits.hops && !self.rules.breaks(Mutation::EndlessHops)
            }
            TriggerEffects::Ignore => false,
        };
        if parks && !effects.is_empty() {
            self.parking.push((source, effects));
            return false;
        }
        self.effects.extend(effects);
        true
    }

    /// Takes in a run of a source's own changes.
    fn read(&mut self, source: usize, segment: &Segment) {
        for (&table, version) in &segment.wiped {
            let whole = Key::whole(table);
            self.wipe(source, table, version.mark());
            self.change(source, &whole, version, None);
            for key in self.known(table) {
                if !segment.last.contains_key(&key) {
                    self.change(source, &key, version, None);
                }
            }
        }
        for (key, last) in &segment.last {
            self.change(source, key, &last.version, last.previous.as_ref());
            if let Some(covered) = &last.covered {
                self.change(source, key, covered, None);
            }
        }
    }

    /// Keys of a table that this round is about, for a truncate is a candidate for each.
    fn known(&self, table: TableId) -> BTreeSet<Key> {
        if self.rules.breaks(Mutation::TruncateIsNoCandidate) {
            return BTreeSet::new();
        }
        let entries = self
            .state
            .entries
            .range(Key::whole(table)..)
            .map(|(key, _)| key);
        let mut keys: BTreeSet<Key> = entries
            .take_while(|key| key.table == table)
            .filter(|k| !k.is_whole())
            .cloned()
            .collect();
        for source in (0..self.windows.len()).filter(|&source| self.taking[source]) {
            let segments = self.windows[source].segments();
            let changed = segments.into_iter().flat_map(|segment| segment.last.keys());
            // An apply may bring back what is settled for all others.
            let flight = self.state.flights[source]
                .iter()
                .flat_map(|flight| flight.rows.keys());
            let keys_of = changed
                .chain(flight)
                .filter(|key| key.table == table && !key.is_whole());
            keys.extend(keys_of.cloned());
        }
        keys
    }

    fn wipe(&mut self, source: usize, table: TableId, mark: Mark) {
        self.held[source].retain(|key, _| key.table != table);
        self.wiped[source].insert(table, mark);
    }

    fn change(
        &mut self,
        source: usize,
        key: &Key,
        version: &Version,
        previous: Option<&super::Row>,
    ) {
        self.held[source].insert(key.clone(), version.mark());
        let whole = key.table_key();
        let standing = self.state.entries.contains_key(key)
            || (!key.is_whole() && self.state.entries.contains_key(&whole));
        let owed = self.owes(key, source) || (!key.is_whole() && self.owes(&whole, source));
        let contest = self.contests.entry(key.clone()).or_default();
        contest.saw |= standing && !owed;
        contest.unseen |= standing && owed;
        match contest
            .candidates
            .iter_mut()
            .find(|candidate| candidate.version.from == source)
        {
            Some(_) if self.rules.breaks(Mutation::FirstChange) => {}
            Some(candidate)
                if version.is_older_guest(&candidate.version)
                    && matches!(self.rules.strategy_of(key.table), Strategy::Latest) => {}
            Some(candidate) => candidate.version = version.clone(),
            None => contest.candidates.push(Candidate {
                version: version.clone(),
                previous: previous.cloned(),
                standing: false,
            }),
        }
    }

    /// Takes in an apply: only what the stream shows happened. A planned delete that left no trace
    /// found no row, and unless a local change came before it there is still none.
    fn land(&mut self, source: usize, flight: &Flight, window: &Window, shown: &Shown) {
        if self.rules.breaks(Mutation::OwnIsLocal) {
            self.read(source, &shown.segment);
        }
        let trusts = self.rules.breaks(Mutation::TrustPlan);
        let left = |key: &Key| shown.left(key) && !self.rules.breaks(Mutation::LeftIsDone);
        let planned = |key: &Key| flight.rows.contains_key(key) && !left(key);
        let wiped: BTreeSet<TableId> = shown.segment.wiped.keys().copied().collect();
        for &table in &wiped {
            let whole = Key::whole(table);
            if let Some(version) = flight.rows.get(&whole) {
                self.wipe(source, table, version.mark());
                self.arrive(source, &whole, version);
            }
        }
        for (key, version) in flight.rows.iter().filter(|(key, _)| !key.is_whole()) {
            if left(key) {
                continue;
            }
            // What a trigger altered is the source's own change, after it got what was planned.
            let shown = shown.segment.last.contains_key(key);
            let absent = wiped.contains(&key.table) || !window.before.touched(key);
            if shown || version.is_row() || absent || trusts {
                self.held[source].insert(key.clone(), version.mark());
            }
            self.arrive(source, key, version);
        }
        for left in &shown.left {
            if let Some(holder) = &left.holder {
                self.refused
                    .push((source, left.key.clone(), holder.clone()));
            }
        }
        if self.rules.trigger_effects != TriggerEffects::Local {
            return;
        }
        let hops = flight
            .rows
            .values()
            .map(|version| version.hops)
            .max()
            .unwrap_or(0);
        let version = |last: &Version| Version {
            hops: hops.saturating_add(1),
            ..last.clone()
        };
        let mut own = Segment::default();
        for (key, last) in &shown.segment.last {
            if !planned(key) || flight.rows[key].row != last.version.row {
                own.last
                    .insert(key.clone(), last.with(version(&last.version)));
            }
        }
        for (table, last) in &shown.segment.wiped {
            if !planned(&Key::whole(*table)) {
                own.wiped.insert(*table, version(last));
            }
        }
        self.read(source, &own);
    }

    /// Notes that a planned key reached its source, unless the source's table will still be emptied.
    fn arrive(&mut self, source: usize, key: &Key, version: &Version) {
        let Some(entry) = self.state.entries.get(key) else {
            return;
        };
        let pending = version.is_row()
            && self.owes(&key.table_key(), source)
            && !self.rules.breaks(Mutation::WipeKeepsRows);
        if !pending && self.held(source, key) == Some(entry.version_for(source).mark()) {
            self.arrived[source].insert(key.clone());
        }
    }

    /// Whether a source is owed a key, what arrived in this round taken off.
    pub(super) fn owes(&self, key: &Key, source: usize) -> bool {
        self.state.owes(key, source) && !self.arrived[source].contains(key)
    }

    /// What the source's window shows it to hold; none when it shows nothing of the key.
    pub(super) fn held(&self, source: usize, key: &Key) -> Option<Mark> {
        self.held[source]
            .get(key)
            .or_else(|| self.wiped[source].get(&key.table))
            .copied()
    }
}

/// What an apply did beside its plan.
fn effects(source: usize, flight: &Flight, shown: &Shown) -> Vec<Effect> {
    let effect = |key: &Key, kind| Effect {
        source,
        key: key.clone(),
        kind,
    };
    let segment = &shown.segment;
    let mut effects = Vec::new();
    for (key, version) in flight.rows.iter().filter(|(key, _)| !shown.left(key)) {
        if key.is_whole() {
            if !segment.wiped.contains_key(&key.table) {
                effects.push(effect(key, EffectKind::Missing));
            }
            continue;
        }
        match segment.last.get(key) {
            Some(last) if last.version.row != version.row => {
                effects.push(effect(key, EffectKind::Altered));
            }
            None if version.is_row() => effects.push(effect(key, EffectKind::Missing)),
            _ => {}
        }
    }
    let planned = |key: &Key| flight.rows.contains_key(key) && !shown.left(key);
    let tables = segment.wiped.keys().map(|&table| Key::whole(table));
    for key in segment
        .last
        .keys()
        .cloned()
        .chain(tables)
        .filter(|key| !planned(key))
    {
        effects.push(effect(&key, EffectKind::Unplanned));
    }
    effects
}
