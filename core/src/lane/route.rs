//! Which relations a lane takes, and as what.

use std::{collections::HashMap, sync::Arc};

use tahr_plugin_api::{Lsn, Relation, ReplicaIdentity, Route, TableName, WriteError};

use crate::{config, record::Relations};

/// The rules of one sync applied to the relations of its source.
#[derive(Debug)]
pub struct Routes {
    sync: Arc<config::Sync>,
    relations: Arc<Relations>,
    /// By relation version.
    known: HashMap<u32, Option<Arc<Relation>>>,
    copied_to: HashMap<TableName, Lsn>,
}

impl Routes {
    /// The routes of `sync` from the source that `relations` belongs to.
    #[must_use]
    pub fn new(sync: Arc<config::Sync>, relations: Arc<Relations>) -> Self {
        Self {
            sync,
            relations,
            known: HashMap::new(),
            copied_to: HashMap::new(),
        }
    }

    /// Notes that the target's copy of `table` stands for `copied_to`: earlier changes of it are
    /// not for the lane.
    pub fn copied(&mut self, table: TableName, copied_to: Lsn) {
        self.copied_to.insert(table, copied_to);
    }

    /// What the target's copy of `table` stands for; zero where that isn't known.
    #[must_use]
    pub fn copied_to(&self, table: &TableName) -> Lsn {
        self.copied_to.get(table).copied().unwrap_or(Lsn::ZERO)
    }

    /// Whether there is a copy of `table` in the target.
    #[must_use]
    pub fn is_copied(&self, table: &TableName) -> bool {
        self.copied_to.contains_key(table)
    }

    /// Takes no changes of relation version `version` from now on.
    pub fn leave_out(&mut self, version: u32) {
        self.known.insert(version, None);
    }

    /// The relation of version `version` as this lane sees it; none where it isn't for it.
    ///
    /// # Errors
    ///
    /// The sync's rules don't fit the relation.
    pub fn relation(&mut self, version: u32) -> Result<Option<Arc<Relation>>, WriteError> {
        if let Some(known) = self.known.get(&version) {
            return Ok(known.as_ref().map(Arc::clone));
        }
        let source = self.relations.get(version).ok_or_else(|| {
            WriteError::fatal(format!(
                "relation version {version} is not known to the engine"
            ))
        })?;
        let relation = match self.sync.selects(&source.source) {
            true => Some(Arc::new(see(&self.sync, &source)?)),
            false => None,
        };
        self.known
            .insert(version, relation.as_ref().map(Arc::clone));
        Ok(relation)
    }

    /// The route of changes of relation version `version`.
    ///
    /// # Errors
    ///
    /// As [`relation`](Self::relation).
    pub fn route(&mut self, version: u32) -> Result<Option<Route>, WriteError> {
        Ok(self.relation(version)?.map(|relation| {
            let from = self.copied_to(&relation.source);
            Route { relation, from }
        }))
    }
}

/// `source` under the rules of `sync`: renamed, without excluded columns.
fn see(sync: &config::Sync, source: &Relation) -> Result<Relation, WriteError> {
    let Some(rule) = sync.tables_rules.get(&source.source) else {
        return Ok(source.clone());
    };
    let table = &source.source;
    let mut relation = source.clone();
    if let Some(name) = &rule.rename {
        relation.target = name.clone();
    }
    for name in &rule.exclude {
        if source.position_of(name).is_none() {
            return Err(WriteError::rejected(format!(
                "table {table} has no column \"{name}\", which the sync excludes"
            ))
            .hint(format!("mend `exclude` of [syncs.*.table.\"{table}\"]"))
            .table(table.to_string())
            .column(name));
        }
    }
    let kept: Vec<usize> = (0..source.columns.len())
        .filter(|&index| !rule.exclude.contains(&source.columns[index].name))
        .collect();
    let place = |index: &usize| kept.iter().position(|kept| kept == index);
    let keep_key = |key: &Vec<usize>| key.iter().map(place).collect::<Option<Vec<usize>>>();
    relation.columns = kept
        .iter()
        .map(|&index| source.columns[index].clone())
        .collect();
    relation.primary_key = keep_key(&source.primary_key).unwrap_or_default();
    relation.unique_keys = source.unique_keys.iter().filter_map(keep_key).collect();
    let lost = source
        .key()
        .into_iter()
        .find(|index| place(index).is_none());
    if let Some(index) = lost {
        let column = &source.columns[index].name;
        let message =
            format!("column \"{column}\" of {table} is part of its key and can't be excluded");
        return Err(WriteError::rejected(message)
            .hint(format!(
                "remove \"{column}\" from `exclude` of [syncs.*.table.\"{table}\"]"
            ))
            .table(table.to_string())
            .column(column));
    }
    debug_assert!(
        relation.replica_identity == ReplicaIdentity::Full
            || relation.key().len() == source.key().len()
    );
    Ok(relation)
}

#[cfg(test)]
mod tests {
    use tahr_plugin_api::{Column, ValueKind};

    use super::*;
    use crate::config::TableRule;

    fn relation() -> Relation {
        let column = |(index, name): (u32, &str)| Column {
            name: name.to_owned(),
            kind: ValueKind::Text,
            source_index: index,
            in_identity: index == 1,
            ..Column::default()
        };
        Relation {
            oid: 7,
            source: TableName::new("public", "customers"),
            target: TableName::new("public", "customers"),
            columns: (0..).zip(["secret", "id", "name"]).map(column).collect(),
            primary_key: vec![1],
            unique_keys: vec![vec![1], vec![0, 2]],
            ..Relation::default()
        }
    }

    fn seen(rule: TableRule) -> Result<Relation, WriteError> {
        let mut sync = config::Sync::default();
        sync.tables_rules
            .insert(TableName::new("public", "customers"), rule);
        see(&sync, &relation())
    }

    #[test]
    fn excluded_columns_are_gone_and_keys_point_at_what_is_left() {
        let seen = seen(TableRule {
            conflict: None,
            rename: Some(TableName::new("public", "clients")),
            exclude: vec!["secret".to_owned()],
        })
        .unwrap();
        assert_eq!(seen.target.to_string(), "public.clients");
        assert_eq!(seen.source.to_string(), "public.customers");
        assert_eq!(seen.columns[0].name, "id");
        assert_eq!(seen.columns[0].source_index, 1);
        assert_eq!((seen.key(), seen.unique_keys), (vec![0], vec![vec![0]]));
    }

    #[test]
    fn a_key_column_or_an_unknown_one_can_not_be_excluded() {
        for (name, part) in [("id", "part of its key"), ("nmae", "has no column")] {
            let error = seen(TableRule {
                conflict: None,
                rename: None,
                exclude: vec![name.to_owned()],
            })
            .unwrap_err();
            assert!(
                error.message.contains(part) && !error.hint.is_empty(),
                "{error}"
            );
        }
    }
}
