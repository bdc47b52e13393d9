//! A table of the target as the writer uses it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tahr_plugin_api::{Relation, Row};
use tokio_postgres::{Client, Error};

use crate::{
    catalog::Existing,
    parameter::Parameter,
    statements::{Statement, join, quote},
};

/// Prepared statements kept per table; masks of partial updates could make very many.
const STATEMENTS: usize = 64;

/// One relation version and the table that it is written to.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) relation: Arc<Relation>,
    /// Schema and table, quoted.
    pub(crate) name: String,
    /// Positions of the relation's columns that are written: all but those that the target
    /// computes itself.
    pub(crate) written: Vec<usize>,
    /// Positions of the columns that name a row; empty for a table without a key.
    pub(crate) key: Vec<usize>,
    /// Per column of `key`, the operator that tells equal keys, and the cast to its right side.
    equality: Vec<(String, String)>,
    pub(crate) is_partitioned: bool,
    /// Whether a column is `GENERATED ALWAYS AS IDENTITY`.
    pub(crate) overrides_identity: bool,
    /// Whether changes of different keys may change places: nothing but the key is unique, and
    /// keys are told apart by their text.
    pub(crate) is_free: bool,
    /// Whether triggers or foreign keys run, so that the order among tables matters too.
    pub(crate) is_tied: bool,
    prepared: Mutex<HashMap<Statement, tokio_postgres::Statement>>,
}

impl Table {
    /// `relation` in the table `existing`.
    pub(crate) fn new(relation: &Arc<Relation>, existing: &Existing, is_replica: bool) -> Self {
        let written: Vec<usize> = (0..relation.columns.len())
            .filter(|&index| {
                let column = existing.column(&relation.columns[index].name);
                column.is_some_and(|column| !column.is_generated)
            })
            .collect();
        let key = relation.key();
        let equality = |&index: &usize| {
            let column = existing.column(&relation.columns[index].name);
            column.map_or_else(Default::default, |column| {
                (column.equals.clone(), column.cast.clone())
            })
        };
        let equality = key.iter().map(equality).collect();
        let has_plain_key = !key.is_empty()
            && key.iter().all(|&index| {
                let column = &relation.columns[index];
                column.has_one_text_per_value()
                    && existing.column(&column.name).is_some_and(|found| {
                        found.type_name == column.type_name && !found.is_nondeterministic
                    })
            });
        let is_tied = !is_replica
            && (relation.foreign_keys || existing.has_triggers || existing.is_referenced);
        let is_free = has_plain_key
            && !is_tied
            && relation.unique_keys.len() <= 1
            && existing.unique.len() <= 1
            && !existing.has_other_constraints;
        Self {
            name: table_name(relation),
            is_partitioned: existing.kind == 'p',
            overrides_identity: written.iter().any(|&index| {
                let column = existing.column(&relation.columns[index].name);
                column.is_some_and(|column| column.is_identity_always)
            }),
            relation: Arc::clone(relation),
            written,
            key,
            equality,
            is_free,
            is_tied,
            prepared: Mutex::default(),
        }
    }

    /// The values of `columns` of `row`.
    pub(crate) fn parameters<'b>(
        &'b self,
        row: Row<'b>,
        columns: &'b [usize],
    ) -> impl ExactSizeIterator<Item = Parameter<'b>> {
        columns.iter().map(move |&column| {
            Parameter::new(row.value(column), self.relation.columns[column].kind)
        })
    }

    /// Whether the key's columns, spelled by `left`, are those that `right` spells: joined by AND.
    pub(crate) fn same_key(
        &self,
        left: impl Fn(&str) -> String,
        right: impl Fn(usize, &str) -> String,
    ) -> String {
        let mut place = 0;
        join(&self.key, " AND ", |column| {
            let name = self.quoted(column);
            let (equals, cast) = &self.equality[place];
            let text = format!("{} {equals} {}{cast}", left(&name), right(place, &name));
            place += 1;
            text
        })
    }

    /// Of one thread only; the lock is what lets the table be shared.
    fn cache(&self) -> MutexGuard<'_, HashMap<Statement, tokio_postgres::Statement>> {
        self.prepared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `statement`, where it was prepared before.
    pub(crate) fn known(&self, statement: &Statement) -> Option<tokio_postgres::Statement> {
        self.cache().get(statement).cloned()
    }

    /// Prepares `statement` and keeps it.
    pub(crate) async fn prepare(
        &self,
        client: &Client,
        statement: Statement,
    ) -> Result<tokio_postgres::Statement, Error> {
        let prepared = client.prepare(&self.sql(&statement)).await?;
        let mut cache = self.cache();
        if cache.len() >= STATEMENTS {
            cache.clear();
        }
        cache.insert(statement, prepared.clone());
        Ok(prepared)
    }
}

/// The target table of `relation`, quoted.
pub(crate) fn table_name(relation: &Relation) -> String {
    format!(
        "{}.{}",
        quote(&relation.target.schema),
        quote(&relation.target.table)
    )
}
