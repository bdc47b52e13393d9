//! The entries of a book in memory: those that are not over, and where their rows are.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use tahr_plugin_api::Relation;

use super::lines::Record;
use crate::lane::rejected::{deed::Key, entry::Entry};

/// Numbers of entries, by their table and what names their row.
type Places = HashMap<(u32, Key), BTreeSet<u64>>;

/// See the module. What they are follows from the records that they [took](Self::take), in order.
#[derive(Debug, Default)]
pub(super) struct Entries {
    live: BTreeMap<u64, Arc<Entry>>,
    /// How many entries there are of each table.
    tables: HashMap<u32, usize>,
    /// Where an entry's row is in the source, and in the target.
    rows: Places,
    places: Places,
    size: usize,
    /// Above the number of any entry that there was.
    next: u64,
}

impl Entries {
    /// None yet; the first that comes gets the number `next`, or a later one.
    pub(super) fn new(next: u64) -> Self {
        Self {
            next,
            ..Self::default()
        }
    }

    /// By number.
    pub(super) fn live(&self) -> &BTreeMap<u64, Arc<Entry>> {
        &self.live
    }

    /// Bytes that they take in memory, about.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// The number that the next new one gets.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Whether some entry is of the table `oid`.
    pub(super) fn has_table(&self, oid: u32) -> bool {
        self.tables.contains_key(&oid)
    }

    /// The oldest entry of the row of `relation` that `key` names in the source.
    pub(super) fn of_row(&self, relation: &Relation, key: Option<&Key>) -> Option<&Arc<Entry>> {
        self.named(&self.rows, relation, key).next()
    }

    /// Entries whose row of `relation` the target still has under `key`.
    pub(super) fn at_place(
        &self,
        relation: &Relation,
        key: Option<&Key>,
    ) -> impl Iterator<Item = &Arc<Entry>> {
        self.named(&self.places, relation, key)
    }

    fn named<'a>(
        &'a self,
        places: &'a Places,
        relation: &Relation,
        key: Option<&Key>,
    ) -> impl Iterator<Item = &'a Arc<Entry>> {
        let numbers = key.and_then(|key| places.get(&(relation.oid, key.clone())));
        let entries = numbers.into_iter().flatten();
        let entries = entries.filter_map(|number| self.live.get(number));
        // The table's key may have had other columns then, with the same values.
        entries.filter(|entry| entry.is_named_as(relation))
    }

    /// Does what `record` says.
    pub(super) fn take(&mut self, record: &Record) {
        self.forget(record.number());
        if let Record::Put(entry) = record {
            self.next = self.next.max(entry.number.saturating_add(1));
            self.size += entry.size();
            *self.tables.entry(entry.oid).or_default() += 1;
            note(&mut self.rows, entry, entry.row());
            note(&mut self.places, entry, entry.place());
            self.live.insert(entry.number, Arc::clone(entry));
        }
    }

    fn forget(&mut self, number: u64) {
        let Some(before) = self.live.remove(&number) else {
            return;
        };
        self.size -= before.size();
        if let Some(count) = self.tables.get_mut(&before.oid) {
            *count -= 1;
            if *count == 0 {
                self.tables.remove(&before.oid);
            }
        }
        unnote(&mut self.rows, &before, before.row());
        unnote(&mut self.places, &before, before.place());
    }
}

fn note(places: &mut Places, entry: &Entry, key: Option<Key>) {
    if let Some(key) = key {
        let numbers = places.entry((entry.oid, key)).or_default();
        numbers.insert(entry.number);
    }
}

fn unnote(places: &mut Places, entry: &Entry, key: Option<Key>) {
    let Some(key) = key else { return };
    let place = (entry.oid, key);
    if let Some(numbers) = places.get_mut(&place) {
        numbers.remove(&entry.number);
        if numbers.is_empty() {
            places.remove(&place);
        }
    }
}
