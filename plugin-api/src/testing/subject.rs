//! What a plugin supplies to be tested.

use serde_json::Value;

use crate::{Column, Relation};

/// A row read back: per column of the relation its value as PostgreSQL prints it, none for NULL.
pub type Row = Vec<Option<String>>;

/// A real target under test, and the plugin's knowledge of how to look into it from outside.
///
/// Every case begins with [`fresh`](Self::fresh); the other calls mean the newest target. Methods
/// panic where the target is out of reach.
pub trait Subject {
    /// Makes an empty target and returns a writer's options for it.
    fn fresh(&mut self) -> Value;

    /// The rows of the object that `relation` maps to, in any order; none where it doesn't exist.
    /// They are read over a connection of its own, so that it sees what other readers see. A
    /// `bytea` is `\x` and hexadecimal digits, a boolean `t` or `f`.
    fn rows(&mut self, relation: &Relation) -> Vec<Row>;

    /// What [`rows`](Self::rows) gives for `value`, where a documented rule of the plugin changes
    /// it; `None`: the rule makes it NULL. Most plugins change nothing.
    fn reads_back(&self, column: &Column, value: &str) -> Option<String> {
        let _ = column;
        Some(value.to_owned())
    }

    /// Makes the target refuse the row of `relation` (which is prepared) whose key is the number
    /// `id`, by a constraint or a wrong object in its place. False where it can't; the cases of
    /// errors are skipped then.
    fn poison(&mut self, relation: &Relation, id: &str) -> bool {
        let _ = (relation, id);
        false
    }

    /// Takes the poison away again.
    fn cure(&mut self, relation: &Relation, id: &str) {
        let _ = (relation, id);
    }

    /// Puts a row with the key `id` (other columns null) into the object of `relation`, which is
    /// prepared, behind the writer's back. False where the writer can't tell such rows from its
    /// own; the cases of foreign rows are skipped then.
    fn add_foreign_row(&mut self, relation: &Relation, id: &str) -> bool {
        let _ = (relation, id);
        false
    }

    /// Whether an object of tahr's bookkeeping is left in the target.
    fn has_bookkeeping(&mut self) -> bool;
}
