//! What the windows of a round show: who holds what, who changed what, and having seen what.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Effect, EffectKind, Flight, Holder, Key, Mutation, Row, Rules, State, Strategy, TableId,
    TriggerEffects, Version,
    case::{Case, Claim},
    key::KeyMap,
    version::Mark,
    window::{Segment, Shown, Window},
};

/// What the windows of a round show. Made of state and windows, changing neither: a round that
/// ends in a pause has not happened.
#[derive(Debug)]
pub(super) struct Sight<'a> {
    pub(super) rules: &'a Rules,
    pub(super) state: &'a State,
    windows: &'a [Window],
    /// What triggers and cascades made of applies, by member: changes of its own.
    own: &'a [Segment],
    /// Members that take part.
    pub(super) taking: Vec<bool>,
    /// The keys that the round is about.
    pub(super) cases: KeyMap<Case<'a>>,
    /// Tables that each member's stream showed emptied; keys that it showed nothing of since are
    /// absent there.
    wiped: Vec<BTreeMap<TableId, Mark>>,
    /// Rows that constraints refused.
    pub(super) refused: Vec<(usize, Key, Holder)>,
    /// What applies did beside their plan.
    pub(super) effects: Vec<Effect>,
    /// Members whose applies did what may not be.
    pub(super) parking: Vec<(usize, Vec<Effect>)>,
}

/// What triggers and cascades made of each member's apply, where that counts as the member's own
/// changes.
pub(super) fn own_changes(rules: &Rules, state: &State, windows: &[Window]) -> Vec<Segment> {
    let own = |(source, window): (usize, &Window)| {
        let (Some(flight), Some(shown)) = (&state.flights[source], &window.shown) else {
            return Segment::default();
        };
        let is_empty = shown.segment.last.is_empty() && shown.segment.wiped.is_empty();
        if rules.trigger_effects != TriggerEffects::Local || is_empty {
            return Segment::default();
        }
        let hops = flight.hops().saturating_add(1);
        let version = |last: &Version| Version {
            hops,
            ..last.clone()
        };
        let ignores_left = rules.breaks(Mutation::LeftIsDone);
        let plan = |key: &Key| flight.get(key).filter(|_| ignores_left || !shown.left(key));
        let rows = shown.segment.last.iter();
        let rows = rows
            .filter(|(key, last)| plan(key).is_none_or(|planned| planned.row != last.version.row));
        let tables = shown.segment.wiped.iter();
        let tables = tables.filter(|(table, _)| plan(&Key::whole(**table)).is_none());
        Segment {
            last: rows
                .map(|(key, last)| (key.clone(), last.with(version(&last.version))))
                .collect(),
            wiped: tables
                .map(|(table, last)| (*table, version(last)))
                .collect(),
        }
    };
    windows.iter().enumerate().map(own).collect()
}

impl<'a> Sight<'a> {
    /// Looks at all windows that can be judged: a source with an apply in flight takes part only
    /// when its marker is in its window, since before that nobody knows what it holds.
    pub(super) fn new(
        rules: &'a Rules,
        state: &'a State,
        windows: &'a [Window],
        own: &'a [Segment],
    ) -> Self {
        let n = windows.len();
        let mut sight = Self {
            rules,
            state,
            windows,
            own,
            taking: vec![false; n],
            cases: KeyMap::default(),
            wiped: vec![BTreeMap::new(); n],
            refused: Vec::new(),
            effects: Vec::new(),
            parking: Vec::new(),
        };
        let mut keys = 0;
        for (source, window) in windows.iter().enumerate() {
            sight.taking[source] = sight.can_take(source);
            if sight.taking[source] {
                let planned = state.flights[source].as_ref();
                keys += window.len() + planned.map_or(0, |flight| flight.rows.len());
            }
        }
        sight.cases.reserve(keys);
        for (source, window) in windows.iter().enumerate() {
            if !sight.taking[source] {
                continue;
            }
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
        let parks = match self.rules.trigger_effects {
            TriggerEffects::Park => true,
            TriggerEffects::Local => {
                flight.hops() >= self.rules.limits.hops && !self.rules.breaks(Mutation::EndlessHops)
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

    /// The case of a key, begun where there is none.
    pub(super) fn case(&mut self, key: &Key) -> &mut Case<'a> {
        let entries = &self.state.entries;
        self.cases
            .entry(key.clone())
            .or_insert_with(|| Case::of(entries.get(key)))
    }

    /// The place of a key's case, begun where there is none.
    pub(super) fn place(&mut self, key: &Key) -> usize {
        self.case(key);
        self.cases.get_index_of(key).unwrap_or_default()
    }

    /// Takes in a run of a source's own changes.
    fn read(&mut self, source: usize, segment: &'a Segment) {
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
        let mut keys = BTreeSet::new();
        let is_row = |key: &&Key| key.table == table && !key.is_whole();
        keys.extend(self.state.entries.keys().filter(is_row).cloned());
        for source in (0..self.windows.len()).filter(|&source| self.taking[source]) {
            for segment in self.windows[source].segments() {
                keys.extend(segment.last.keys().filter(is_row).cloned());
            }
            // An apply may bring back what is settled for all others.
            let flight = self.state.flights[source].iter();
            let planned = flight.flat_map(|flight| flight.rows.iter().map(|(key, _)| key));
            keys.extend(planned.filter(is_row).cloned());
        }
        keys
    }

    fn wipe(&mut self, source: usize, table: TableId, mark: Mark) {
        for (_, case) in self.cases.iter_mut().filter(|(key, _)| key.table == table) {
            case.unhold(source);
        }
        self.wiped[source].insert(table, mark);
    }

    fn change(
        &mut self,
        source: usize,
        key: &Key,
        version: &'a Version,
        previous: Option<&'a Row>,
    ) {
        let whole = (!key.is_whole()).then(|| key.table_key());
        let (stands, owed) = whole.map_or((false, false), |whole| {
            (
                self.state.entries.contains_key(&whole),
                self.owes(&whole, source),
            )
        });
        let rules = self.rules;
        let case = self.case(key);
        case.hold(source, version.mark());
        let (stands, owed) = (stands || case.entry.is_some(), owed || case.owes(source));
        case.saw |= stands && !owed;
        case.unseen |= stands && owed;
        let mut claims = case.claims.iter_mut();
        match claims.find(|claim| claim.version.from == source) {
            Some(_) if rules.breaks(Mutation::FirstChange) => {}
            Some(claim)
                if version.is_older_guest(claim.version)
                    && matches!(rules.strategy_of(key.table), Strategy::Latest) => {}
            Some(claim) => claim.version = version,
            None => case.claims.push(Claim { version, previous }),
        }
    }

    /// Takes in an apply: only what the stream shows happened. A planned delete that left no trace
    /// found no row, and unless a local change came before it there is still none.
    fn land(&mut self, source: usize, flight: &'a Flight, window: &'a Window, shown: &'a Shown) {
        if self.rules.breaks(Mutation::OwnIsLocal) {
            self.read(source, &shown.segment);
        }
        let trusts = self.rules.breaks(Mutation::TrustPlan);
        let keeps_left = !self.rules.breaks(Mutation::LeftIsDone);
        let wiped = &shown.segment.wiped;
        for &table in wiped.keys() {
            let whole = Key::whole(table);
            if let Some(version) = flight.get(&whole) {
                self.wipe(source, table, version.mark());
                self.arrive(source, &whole, version);
            }
        }
        for (place, (key, version)) in flight.rows.iter().enumerate() {
            if key.is_whole() || (keeps_left && shown.left(key)) {
                continue;
            }
            // What a trigger altered is the source's own change, after it got what was planned.
            let holds = version.is_row()
                || trusts
                || shown.has(place, key)
                || wiped.contains_key(&key.table)
                || !window.before.touched(key);
            if holds {
                self.case(key).hold(source, version.mark());
            }
            self.arrive(source, key, version);
        }
        for (key, holder) in &shown.left {
            if let Some(holder) = holder {
                self.refused.push((source, key.clone(), holder.clone()));
            }
        }
        let own: &'a [Segment] = self.own;
        self.read(source, &own[source]);
    }

    /// Notes that a planned key reached its source, unless the source's table will still be emptied.
    fn arrive(&mut self, source: usize, key: &Key, version: &Version) {
        let pending = version.is_row()
            && !self.rules.breaks(Mutation::WipeKeepsRows)
            && self.owes(&key.table_key(), source);
        if pending {
            return;
        }
        let wiped = self.wiped[source].get(&key.table).copied();
        let case = self.case(key);
        let held = case.held(source).or(wiped);
        if let Some(entry) = case.entry
            && held == Some(entry.version_for(source).mark())
        {
            case.arrived |= 1 << source;
        }
    }

    /// Whether a source is owed a key, what arrived in this round taken off.
    pub(super) fn owes(&self, key: &Key, source: usize) -> bool {
        self.state.owes(key, source)
            && self
                .cases
                .get(key)
                .is_none_or(|case| case.arrived >> source & 1 == 0)
    }

    /// What the source's window shows it to hold; none when it shows nothing of the key.
    pub(super) fn held(&self, source: usize, key: &Key, case: &Case<'_>) -> Option<Mark> {
        let wiped = || self.wiped[source].get(&key.table).copied();
        case.held(source).or_else(wiped)
    }
}

/// What an apply did beside its plan, in order of keys.
fn effects(source: usize, flight: &Flight, shown: &Shown) -> Vec<Effect> {
    let mut effects = Vec::new();
    let mut effect = |key: &Key, kind| {
        effects.push(Effect {
            source,
            key: key.clone(),
            kind,
        });
    };
    let segment = &shown.segment;
    for (place, (key, version)) in flight.rows.iter().enumerate() {
        if shown.left(key) {
            continue;
        }
        if key.is_whole() {
            if !segment.wiped.contains_key(&key.table) {
                effect(key, EffectKind::Missing);
            }
            continue;
        }
        match segment.last.get(key) {
            Some(last) if last.version.row != version.row => effect(key, EffectKind::Altered),
            None if version.is_row() && !shown.has(place, key) => effect(key, EffectKind::Missing),
            _ => {}
        }
    }
    let tables: Vec<Key> = segment
        .wiped
        .keys()
        .map(|&table| Key::whole(table))
        .collect();
    for key in segment.last.keys().chain(&tables) {
        if flight.get(key).is_none() || shown.left(key) {
            effect(key, EffectKind::Unplanned);
        }
    }
    effects.sort_by(|a, b| a.key.cmp(&b.key));
    effects
}
