//! What a change does to one row, apart from the batch it came in; and what two of them come to.

use serde::{Deserialize, Serialize};
use tahr_plugin_api::{Change, Op, Relation};

use super::cell::Cell;

/// What is done to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// It is new.
    Insert,
    /// It gets new values.
    Update,
    /// It ends.
    Delete,
}

impl Verb {
    /// As it is shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }

    pub(super) fn op(self) -> Op {
        match self {
            Self::Insert => Op::Insert,
            Self::Update => Op::Update,
            Self::Delete => Op::Delete,
        }
    }
}

/// The values that name a row among those of its table: its key, or all of it without one.
pub(super) type Key = Vec<Cell>;

/// One insert, update or delete, whose rows have the columns of a relation in their order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deed {
    /// What is done.
    pub verb: Verb,
    /// The row before, where the source sent it.
    pub old: Option<Vec<Cell>>,
    /// Whether only the identity columns of `old` mean anything.
    pub key_only: bool,
    /// The row after an insert or update.
    pub new: Option<Vec<Cell>>,
}

impl Deed {
    /// What `change` does; none for one that isn't about a row.
    pub(super) fn of(change: &Change<'_>) -> Option<Self> {
        let verb = match change.op() {
            Op::Insert => Verb::Insert,
            Op::Update => Verb::Update,
            Op::Delete => Verb::Delete,
            Op::Truncate => return None,
        };
        let columns = 0..change.relation().columns.len();
        let old = change.old_row();
        Some(Self {
            verb,
            key_only: old.is_some_and(|old| old.is_key_only()),
            old: old.map(|old| old.values().map(Cell::from).collect()),
            new: change
                .new_row()
                .map(|_| columns.map(|index| change.value(index).into()).collect()),
        })
    }

    /// The key of the row before it; none where there was none. `key` are the positions of the key's
    /// columns, none without a key.
    pub(super) fn before(&self, key: &[usize]) -> Option<Key> {
        match self.verb {
            Verb::Insert => None,
            Verb::Update | Verb::Delete => {
                let row = self.old.as_ref().or(self.new.as_ref());
                row.map(|row| select(row, key))
            }
        }
    }

    /// The key of the row after it; none where there is none any more.
    pub(super) fn after(&self, key: &[usize]) -> Option<Key> {
        self.new.as_ref().map(|row| select(row, key))
    }

    /// What it and the `next` one of the same row come to; none where no row is left of what never
    /// was there.
    pub(super) fn then(self, next: Self, key: &[usize]) -> Option<Self> {
        let old_of = |first: Self, second: &Self| match first.old {
            Some(old) => (Some(old), first.key_only),
            None => (second.old.clone(), second.key_only),
        };
        match (self.verb, next.verb) {
            (Verb::Insert, Verb::Delete) => None,
            (Verb::Insert, _) => Some(Self {
                new: over(self.new, next.new),
                ..self
            }),
            (Verb::Update, Verb::Delete) => {
                let (old, key_only) = old_of(self, &next);
                Some(Self {
                    verb: Verb::Delete,
                    old,
                    key_only,
                    new: None,
                })
            }
            (Verb::Update, _) => {
                let new = over(self.new.clone(), next.new.clone());
                let (old, key_only) = old_of(self, &next);
                Some(Self {
                    verb: Verb::Update,
                    old,
                    key_only,
                    new,
                })
            }
            (Verb::Delete, Verb::Insert) => {
                let is_same = self.before(key) == next.after(key);
                // As the source itself tells of a row whose key stays.
                let old = self.old.filter(|_| !(is_same && self.key_only));
                Some(Self {
                    verb: Verb::Update,
                    key_only: self.key_only && old.is_some(),
                    old,
                    new: next.new,
                })
            }
            (Verb::Delete, _) => Some(next),
        }
    }

    /// Bytes that it takes in memory, about.
    pub(super) fn size(&self) -> usize {
        let cells = self.old.iter().chain(&self.new).flatten();
        cells.map(Cell::size).sum::<usize>() + 256
    }
}

/// The newer row, with the older one's values where it has none of its own.
fn over(older: Option<Vec<Cell>>, newer: Option<Vec<Cell>>) -> Option<Vec<Cell>> {
    let (Some(older), Some(mut newer)) = (older, newer) else {
        return None;
    };
    for (cell, before) in newer.iter_mut().zip(older) {
        if cell.is_unchanged() {
            *cell = before;
        }
    }
    Some(newer)
}

fn select(row: &[Cell], key: &[usize]) -> Key {
    match key {
        [] => row.to_vec(),
        _ => key.iter().map(|&index| row[index].clone()).collect(),
    }
}

/// Names of the columns that name a row of `relation`; none where it has no key.
pub(super) fn key_names(relation: &Relation) -> Vec<String> {
    let name = |index: usize| relation.columns[index].name.clone();
    relation.key().into_iter().map(name).collect()
}

/// Whether two keys of `relation` are the same only if their texts are.
pub(super) fn names_by_text(relation: &Relation) -> bool {
    let mut key = relation.key().into_iter();
    key.all(|index| relation.columns[index].has_one_text_per_value())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: &[&str]) -> Option<Vec<Cell>> {
        let cell = |text: &&str| match *text {
            "" => Cell::Null,
            "~" => Cell::UNCHANGED,
            text => Cell::Text(text.to_owned()),
        };
        Some(cells.iter().map(cell).collect())
    }

    fn insert(new: &[&str]) -> Deed {
        Deed {
            verb: Verb::Insert,
            old: None,
            key_only: false,
            new: row(new),
        }
    }

    fn update(old: Option<&[&str]>, new: &[&str]) -> Deed {
        Deed {
            verb: Verb::Update,
            old: old.and_then(row),
            key_only: old.is_some(),
            new: row(new),
        }
    }

    fn delete(old: &[&str]) -> Deed {
        Deed {
            verb: Verb::Delete,
            old: row(old),
            key_only: true,
            new: None,
        }
    }

    const KEY: &[usize] = &[0];

    #[test]
    fn what_was_set_aside_and_what_follows_come_to_one() {
        let new = insert(&["1", "a", "x"]);
        assert_eq!(
            new.clone().then(update(None, &["1", "b", "~"]), KEY),
            Some(insert(&["1", "b", "x"]))
        );
        assert_eq!(new.clone().then(delete(&["1", "", ""]), KEY), None);
        let moved = update(Some(&["1", "", ""]), &["2", "b", "~"]);
        assert_eq!(new.then(moved.clone(), KEY), Some(insert(&["2", "b", "x"])));
        let renamed = update(None, &["1", "c", "~"]);
        assert_eq!(
            renamed.clone().then(moved.clone(), KEY),
            Some(moved.clone()),
            "the target's row still has the old key"
        );
        assert_eq!(
            renamed.then(update(None, &["1", "~", "y"]), KEY),
            Some(update(None, &["1", "c", "y"]))
        );
        assert_eq!(
            moved.clone().then(delete(&["2", "", ""]), KEY),
            Some(delete(&["1", "", ""])),
            "and that one goes"
        );
        assert_eq!(
            moved.then(update(Some(&["2", "", ""]), &["1", "d", "z"]), KEY),
            Some(update(Some(&["1", "", ""]), &["1", "d", "z"]))
        );
        assert_eq!(
            delete(&["1", "", ""]).then(insert(&["1", "e", "w"]), KEY),
            Some(update(None, &["1", "e", "w"]))
        );
    }

    #[test]
    fn a_row_is_found_by_where_it_is_and_where_it_was() {
        let moved = update(Some(&["1", "", ""]), &["2", "b", "~"]);
        let key = |text: &str| Some(vec![Cell::Text(text.to_owned())]);
        assert_eq!((moved.before(KEY), moved.after(KEY)), (key("1"), key("2")));
        let new = insert(&["1", "a", "x"]);
        assert_eq!((new.before(KEY), new.after(KEY)), (None, key("1")));
        assert_eq!(new.after(&[]), new.new, "without a key it is the whole row");
        let gone = delete(&["1", "", ""]);
        assert_eq!((gone.before(KEY), gone.after(KEY)), (key("1"), None));
    }
}
