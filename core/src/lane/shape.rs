//! What the tables of a lane looked like when the target was made ready for them.
//!
//! The stream tells of changed rows, not of values that a changed schema brings: a column added
//! with a default, a type changed with its values, a column dropped and another added under its
//! name. What the lane saw last of each table is kept in the state folder, so that such a table is
//! noticed, also after a restart, and copied again. Without the file nothing is noticed once.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use tahr_plugin_api::{Column, Relation, failpoint};

use crate::state_file;

/// The shapes of one lane's tables, by their name in the source.
#[derive(Debug)]
pub(crate) struct Shapes {
    path: PathBuf,
    known: BTreeMap<String, Shape>,
}

/// One table as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Shape {
    /// The highest number of any column of the source, excluded ones too.
    highest: i16,
    /// The table itself, whatever its name; 0 where it wasn't noted.
    #[serde(default)]
    oid: u32,
    columns: Vec<ColumnShape>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct ColumnShape {
    number: i16,
    name: String,
    type_oid: u32,
    type_modifier: i32,
}

/// Where the shapes of the lane from `sync` to `target` are kept; `tahr drop` removes them.
#[must_use]
pub fn shapes_path(state_dir: &Path, sync: &str, target: &str) -> PathBuf {
    state_dir
        .join("lanes")
        .join(format!("{sync}.{target}.json"))
}

impl Shapes {
    /// The shapes of the lane from `sync` to `target`, as an earlier run left them.
    pub(crate) fn load(state_dir: &Path, sync: &str, target: &str) -> Self {
        let path = shapes_path(state_dir, sync, target);
        let known = match fs_err::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|error| {
                tracing::warn!(path = %path.display(), %error, "shapes of tables can't be read");
                BTreeMap::new()
            }),
            Err(_) => BTreeMap::new(),
        };
        Self { path, known }
    }

    /// Why `relation` has to be copied again, as the stream doesn't bring its values; none where it
    /// does, or where the table was not seen before.
    /// `has_columns`: the target's tables have columns, so that its writer sees to renames.
    pub(super) fn reason(&self, relation: &Relation, has_columns: bool) -> Option<String> {
        let shape = self.known.get(&relation.source.to_string())?;
        let table = &relation.source;
        if shape.oid != 0 && relation.oid != 0 && shape.oid != relation.oid {
            return Some(format!("table {table} was dropped and made again"));
        }
        relation.columns.iter().find_map(|column| {
            let name = &column.name;
            match shape.find(column) {
                Some(known) if !has_columns && known.name != *name => {
                    Some(format!("column \"{}\" of {table} was renamed", known.name))
                }
                Some(known) if widens(known, column) => None,
                Some(_) => Some(format!("column \"{name}\" of {table} has another type")),
                None if shape.columns.iter().any(|known| known.name == *name) => Some(format!(
                    "column \"{name}\" of {table} was dropped and added again"
                )),
                None if column.filled || shape.held(column) => Some(format!(
                    "column \"{name}\" was added to {table} with values in it"
                )),
                None => None,
            }
        })
    }

    /// The columns of `relation` that the lane has not come to yet, and that hold no values: no change
    /// since has reached their table.
    ///
    /// # Errors
    ///
    /// How else the table was altered in the source, which the lane has not come to either.
    pub(crate) fn new_columns(
        &self,
        relation: &Relation,
        has_columns: bool,
    ) -> Result<Vec<String>, String> {
        if let Some(reason) = self.reason(relation, has_columns) {
            return Err(reason);
        }
        let Some(shape) = self.known.get(&relation.source.to_string()) else {
            return Ok(Vec::new());
        };
        let mut new = Vec::new();
        for column in &relation.columns {
            let name = &column.name;
            match shape.find(column) {
                Some(known) if known.name != *name => {
                    let table = &relation.source;
                    let known = &known.name;
                    return Err(format!("column \"{known}\" of {table} was renamed"));
                }
                Some(_) => {}
                None => new.push(name.clone()),
            }
        }
        Ok(new)
    }

    /// Notes that the target is ready for `relation`, which is `source` under the lane's rules.
    ///
    /// # Errors
    ///
    /// The state folder can't be written.
    pub(super) fn note(&mut self, relation: &Relation, source: &Relation) -> io::Result<()> {
        let columns = relation.columns.iter().map(|column| ColumnShape {
            number: column.number,
            name: column.name.clone(),
            type_oid: column.type_oid,
            type_modifier: column.type_modifier,
        });
        let highest = source
            .columns
            .iter()
            .map(|column| column.number)
            .max()
            .unwrap_or(0);
        let name = relation.source.to_string();
        let shape = Shape {
            highest,
            oid: relation.oid,
            columns: columns.collect(),
        };
        if self.known.get(&name) == Some(&shape) {
            return Ok(());
        }
        self.known.insert(name, shape);
        let json = serde_json::to_vec_pretty(&self.known)?;
        state_file::replace(&self.path, &json, || failpoint::pass("shapes.written"))
    }
}

impl Shape {
    /// The same column as it was: by its number where both are known, which outlives a rename.
    fn find(&self, column: &Column) -> Option<&ColumnShape> {
        self.columns
            .iter()
            .find(|known| match (known.number, column.number) {
                (0, _) | (_, 0) => known.name == column.name,
                (known, now) => known == now,
            })
    }

    /// Whether the source had the column then, and the lane left it out.
    fn held(&self, column: &Column) -> bool {
        column.number != 0 && column.number <= self.highest
    }
}

/// Whether every value of the column reads the same under its new type. A rewrite that alters
/// values under the same type can't be seen by anybody.
fn widens(known: &ColumnShape, column: &Column) -> bool {
    const INTS: [u32; 3] = [21, 23, 20];
    const TEXTS: [u32; 2] = [1043, 25];
    const NUMERIC: u32 = 1700;
    let (old, new) = (known.type_oid, column.type_oid);
    let (old_modifier, new_modifier) = (known.type_modifier, column.type_modifier);
    let place = |types: &[u32], oid| types.iter().position(|&known| known == oid);
    if let (Some(old), Some(new)) = (place(&INTS, old), place(&INTS, new)) {
        return new >= old;
    }
    if place(&TEXTS, old).is_some() && place(&TEXTS, new).is_some() {
        return new_modifier == -1 || (old_modifier != -1 && new_modifier >= old_modifier);
    }
    if (old, new) == (NUMERIC, NUMERIC) && old_modifier != -1 && new_modifier != -1 {
        let (precision, scale) = (new_modifier >> 16, new_modifier & 0xFFFF);
        return scale == old_modifier & 0xFFFF && precision >= old_modifier >> 16;
    }
    (old, old_modifier) == (new, new_modifier)
}

#[cfg(test)]
mod tests {
    use tahr_plugin_api::TableName;

    use super::*;

    fn column(number: i16, name: &str, type_oid: u32, type_modifier: i32) -> Column {
        let name = name.to_owned();
        Column {
            number,
            name,
            type_oid,
            type_modifier,
            ..Column::default()
        }
    }

    fn table(columns: Vec<Column>) -> Relation {
        Relation {
            source: TableName::new("public", "t"),
            columns,
            ..Relation::default()
        }
    }

    fn reason(then: Vec<Column>, now: Vec<Column>) -> Option<String> {
        let folder = tempfile::tempdir().unwrap();
        let then = table(then);
        let mut shapes = Shapes::load(folder.path(), "s", "t");
        assert_eq!(shapes.reason(&table(now.clone()), true), None, "never seen");
        shapes.note(&then, &then).unwrap();
        Shapes::load(folder.path(), "s", "t").reason(&table(now), true)
    }

    #[test]
    fn a_column_added_without_values_or_dropped_or_widened_needs_no_copy() {
        let id = || column(1, "id", 23, -1);
        let text = |modifier| column(2, "name", 1043, modifier);
        assert_eq!(reason(vec![id()], vec![id(), column(3, "n", 23, -1)]), None);
        assert_eq!(reason(vec![id(), text(14)], vec![id()]), None);
        assert_eq!(
            reason(
                vec![id(), text(14)],
                vec![column(1, "id", 20, -1), text(24)]
            ),
            None
        );
        assert_eq!(
            reason(vec![text(14)], vec![column(2, "name", 25, -1)]),
            None
        );
        // The writers see to renames.
        assert_eq!(
            reason(vec![text(14)], vec![column(2, "label", 1043, 14)]),
            None
        );
    }

    #[test]
    fn columns_that_the_lane_has_not_come_to_are_named_and_other_news_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let id = || column(1, "id", 23, -1);
        let mut shapes = Shapes::load(folder.path(), "s", "t");
        let added = table(vec![id(), column(2, "n", 23, -1)]);
        assert_eq!(shapes.new_columns(&added, true), Ok(vec![]), "never seen");
        let then = table(vec![id()]);
        shapes.note(&then, &then).unwrap();
        assert_eq!(shapes.new_columns(&then, true), Ok(vec![]));
        assert_eq!(shapes.new_columns(&added, true), Ok(vec!["n".to_owned()]));
        let filled = Column {
            filled: true,
            ..column(2, "n", 23, -1)
        };
        let filled = shapes.new_columns(&table(vec![id(), filled]), true);
        assert!(filled.unwrap_err().contains("with values in it"));
        let renamed = shapes.new_columns(&table(vec![column(1, "key", 23, -1)]), true);
        assert!(
            renamed
                .unwrap_err()
                .contains("\"id\" of public.t was renamed")
        );
    }

    #[test]
    fn a_rename_needs_a_copy_only_where_the_target_has_no_columns() {
        let folder = tempfile::tempdir().unwrap();
        let then = table(vec![column(2, "note", 25, -1)]);
        let now = table(vec![column(2, "remark", 25, -1)]);
        let mut shapes = Shapes::load(folder.path(), "s", "t");
        shapes.note(&then, &then).unwrap();
        assert_eq!(shapes.reason(&now, true), None);
        assert!(shapes.reason(&now, false).unwrap().contains("was renamed"));
        assert_eq!(shapes.reason(&then, false), None);
    }

    #[test]
    fn values_that_the_stream_does_not_bring_need_a_copy() {
        let id = || column(1, "id", 23, -1);
        let filled = Column {
            filled: true,
            ..column(3, "n", 23, -1)
        };
        let cases = [
            (vec![id()], vec![id(), filled], "with values"),
            (
                vec![id(), column(2, "n", 23, -1)],
                vec![id(), column(3, "n", 23, -1)],
                "again",
            ),
            (vec![column(1, "id", 20, -1)], vec![id()], "another type"),
            (
                vec![column(1, "at", 1184, -1)],
                vec![column(1, "at", 1082, -1)],
                "another type",
            ),
            (
                vec![column(1, "p", 1700, 655_366)],
                vec![column(1, "p", 1700, 655_365)],
                "another",
            ),
            // Excluded until now.
            (
                vec![column(3, "c", 23, -1)],
                vec![column(2, "b", 23, -1), column(3, "c", 23, -1)],
                "with values",
            ),
        ];
        for (then, now, expected) in cases {
            let reason = reason(then, now).expect(expected);
            assert!(reason.contains(expected), "{reason}");
        }
    }
}
