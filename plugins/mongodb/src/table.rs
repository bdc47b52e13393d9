//! What the writer knows of a relation: its collection, its fields, its `_id`.

use std::sync::Arc;

use tahr_plugin_api::{Relation, WriteError};

use crate::{
    names,
    options::Types,
    types::{self, Form},
};

/// A column as a document holds it.
#[derive(Debug)]
pub(crate) struct Field {
    /// Its name in the document; none where `_id` is all of it.
    pub(crate) name: Option<String>,
    /// Its name in an `_id` of several columns.
    pub(crate) key_name: String,
    pub(crate) form: Form,
    /// Whether plain updates can't set it; see [`names::is_special`].
    pub(crate) is_special: bool,
}

/// A relation as MongoDB is to hold it.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) relation: Arc<Relation>,
    /// The collection that is written to.
    pub(crate) collection: String,
    /// What it is called in messages: for a copy, the collection that it will be.
    pub(crate) name: String,
    /// Per column.
    pub(crate) fields: Vec<Field>,
    /// The positions of all columns.
    pub(crate) columns: Vec<usize>,
    /// The columns that `_id` is made of; empty: rows are matched whole.
    pub(crate) key: Vec<usize>,
    /// Whether some field is special, so that documents can't be replaced plainly.
    pub(crate) is_special: bool,
    /// Whether a unique index of the collection ties rows to each other, so that changes keep
    /// the source's order.
    pub(crate) in_order: bool,
    /// Whether it was emptied for a truncate that is still to come, so that rows may be missing which
    /// changes before that are about.
    pub(crate) is_emptied: bool,
}

impl Table {
    /// How `relation` is held in `collection`.
    pub(crate) fn new(relation: &Arc<Relation>, collection: String, types: Types) -> Self {
        let key = relation.key();
        let is_id = |index: usize| key == [index] && relation.columns[index].name == "_id";
        let fields = relation.columns.iter().enumerate().map(|(index, column)| {
            let name = names::field(&column.name);
            Field {
                name: (!is_id(index)).then(|| name.to_owned()),
                key_name: names::key_field(&column.name),
                form: types::form(column, types),
                is_special: names::is_special(name),
            }
        });
        let fields: Vec<Field> = fields.collect();
        let name = names::shown(&collection).to_owned();
        Self {
            relation: Arc::clone(relation),
            collection,
            name,
            columns: (0..fields.len()).collect(),
            is_special: fields.iter().any(|field| field.is_special),
            fields,
            key,
            in_order: false,
            is_emptied: false,
        }
    }

    /// What is wrong with the names of the columns, and what to do about it.
    pub(crate) fn name_fault(&self) -> Option<(String, String)> {
        let collection = &self.name;
        let exclude = |name: &str| {
            let source = &self.relation.source;
            format!("[syncs.NAME.table.\"{source}\"] exclude = [{name:?}]")
        };
        let names = self.fields.iter().filter_map(|field| field.name.as_deref());
        if let Some(twin) = names::twin(names) {
            let message = format!(
                "two columns of table {collection:?} would be field {twin:?}: a column \"_id\" that \
                 is not the whole key is stored as \"_id_\""
            );
            return Some((message, exclude(twin)));
        }
        let key = self.key.iter();
        let twin = names::twin(key.map(|&index| self.fields[index].key_name.as_str()))?;
        let message = format!("two key columns of table {collection:?} would be {twin:?} in `_id`");
        Some((message, exclude(twin)))
    }
}

/// The tables met so far, by number.
#[derive(Debug, Default)]
pub(crate) struct Tables(Vec<Table>);

impl Tables {
    /// The number of a relation version's table.
    pub(crate) fn number(&self, relation: &Relation) -> Option<usize> {
        let mut tables = self.0.iter();
        tables.position(|table| table.relation.version == relation.version)
    }

    /// Adds a table, in the place of one of the same version.
    pub(crate) fn add(&mut self, table: Table) -> usize {
        if let Some(number) = self.number(&table.relation) {
            self.0[number] = table;
            return number;
        }
        self.0.push(table);
        self.0.len() - 1
    }

    /// The table of a number.
    pub(crate) fn get(&self, number: usize) -> &Table {
        &self.0[number]
    }

    /// Has the changes of a table keep the source's order from now on; false where they do.
    pub(crate) fn keep_order(&mut self, number: usize) -> bool {
        !std::mem::replace(&mut self.0[number].in_order, true)
    }

    /// Notes of a collection whether it was emptied for a truncate that is still to come.
    pub(crate) fn set_emptied(&mut self, collection: &str, is_emptied: bool) {
        for table in &mut self.0 {
            if table.collection == collection {
                table.is_emptied = is_emptied;
            }
        }
    }

    /// Forgets them all.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

/// The error of a table that a user's setting can't be used for.
pub(crate) fn refused(table: &str, message: String, hint: impl Into<String>) -> WriteError {
    WriteError::rejected(message).hint(hint).table(table)
}

#[cfg(test)]
mod tests {
    use tahr_plugin_api::testing::relation;

    use super::*;

    fn table(columns: &[&str], key: &str) -> Table {
        let mut made = relation("public.t");
        for column in columns {
            made = made.column(column, "integer");
        }
        let made = made.key([key]).build();
        Table::new(&made, "t".to_owned(), Types::default())
    }

    #[test]
    fn a_column_named_id_is_the_id_or_has_another_name() {
        let alone = table(&["_id", "a"], "_id");
        assert_eq!(alone.fields[0].name, None);
        let beside = table(&["_id", "a"], "a");
        assert_eq!(beside.fields[0].name.as_deref(), Some("_id_"));
        assert_eq!(beside.name_fault(), None);
        let both = table(&["_id", "_id_", "a"], "a");
        assert!(
            both.name_fault()
                .unwrap()
                .1
                .contains("exclude = [\"_id_\"]")
        );
        let fits = table(&["_id", "_id_"], "_id");
        assert_eq!(fits.name_fault(), None);
    }
}
