//! The versions of tables' schemas.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use tahr_plugin_api::{Column, Relation, TableName, ValueKind};

use crate::pgoutput::RelationMessage;

/// Every relation version that a source has shown in this run, by number. The reader and the
/// copies add, lanes look up.
#[derive(Debug, Default)]
pub struct Relations(RwLock<Versions>);

#[derive(Debug, Default)]
struct Versions {
    /// Version `n` is at `n - 1`; 0 means none, on the ABI too. None where an earlier run had it
    /// and the log needs it no more.
    all: Vec<Option<Arc<Relation>>>,
    /// The newest of each table, by OID.
    newest: HashMap<u32, Arc<Relation>>,
}

impl Relations {
    /// The version of `relation`, whatever it says of its version: the newest known one where it
    /// is equal, otherwise a new one.
    pub fn version_of(&self, mut relation: Relation) -> Arc<Relation> {
        let mut versions = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(newest) = versions.newest.get(&relation.oid) {
            relation.version = newest.version;
            if relation == **newest {
                return Arc::clone(newest);
            }
        }
        relation.version = u32::try_from(versions.all.len() + 1).unwrap_or(u32::MAX);
        let relation = Arc::new(relation);
        versions.all.push(Some(Arc::clone(&relation)));
        versions.newest.insert(relation.oid, Arc::clone(&relation));
        relation
    }

    /// The relation of version `version`.
    #[must_use]
    pub fn get(&self, version: u32) -> Option<Arc<Relation>> {
        let versions = self.0.read().unwrap_or_else(PoisonError::into_inner);
        versions
            .all
            .get((version as usize).checked_sub(1)?)?
            .as_ref()
            .map(Arc::clone)
    }

    /// Takes over versions of an earlier run, to which its log refers; before anything else.
    pub fn restore(&self, mut relations: Vec<Relation>) {
        let mut versions = self.0.write().unwrap_or_else(PoisonError::into_inner);
        relations.sort_by_key(|relation| relation.version);
        for relation in relations {
            let Some(index) = (relation.version as usize).checked_sub(1) else {
                continue;
            };
            let relation = Arc::new(relation);
            let len = versions.all.len().max(index + 1);
            versions.all.resize(len, None);
            versions.all[index] = Some(Arc::clone(&relation));
            versions.newest.insert(relation.oid, relation);
        }
    }

    /// The newest version of each table.
    #[must_use]
    pub fn newest(&self) -> Vec<Arc<Relation>> {
        let versions = self.0.read().unwrap_or_else(PoisonError::into_inner);
        versions.newest.values().map(Arc::clone).collect()
    }
}

/// The relation that a message of the stream announces. The stream says which columns come, in
/// which order and under which identity; `catalog`, which may be newer than the stream, adds what
/// the stream doesn't say, for columns that are still the same. `type_names` has the spelling of
/// types that the catalog's answer lacks, by OID and modifier.
#[must_use]
pub fn reconcile(
    message: &RelationMessage<'_>,
    catalog: Option<&Relation>,
    type_names: &HashMap<(u32, i32), String>,
) -> Relation {
    let schema = if message.schema.is_empty() {
        "pg_catalog"
    } else {
        message.schema
    };
    let name = TableName::new(schema, message.table);
    let columns: Vec<Column> = (0..)
        .zip(&message.columns)
        .map(|(source_index, column)| {
            let known = catalog.and_then(|relation| {
                relation
                    .columns
                    .iter()
                    .find(|known| known.name == column.name && known.type_oid == column.type_oid)
            });
            let is_same_type =
                known.is_some_and(|known| known.type_modifier == column.type_modifier);
            let type_name = match known {
                Some(known) if is_same_type => known.type_name.clone(),
                _ => type_names
                    .get(&(column.type_oid, column.type_modifier))
                    .cloned()
                    .unwrap_or_else(|| "text".to_owned()),
            };
            Column {
                name: column.name.to_owned(),
                kind: known.map_or_else(|| ValueKind::of_type(column.type_oid), |known| known.kind),
                type_name,
                type_oid: column.type_oid,
                type_modifier: column.type_modifier,
                in_identity: column.in_key,
                not_null: known.is_some_and(|known| known.not_null),
                generated: known.is_some_and(|known| known.generated),
                number: known.map_or(0, |known| known.number),
                filled: known.is_some_and(|known| known.filled),
                source_index,
            }
        })
        .collect();
    // Keys come as positions in the catalog's columns; they count only where every column is here.
    let translate = |key: &Vec<usize>, catalog: &Relation| {
        key.iter()
            .map(|&index| {
                let name = &catalog.columns.get(index)?.name;
                columns.iter().position(|column| column.name == *name)
            })
            .collect::<Option<Vec<usize>>>()
    };
    let primary_key = catalog.and_then(|catalog| translate(&catalog.primary_key, catalog));
    let unique_keys = catalog.map(|catalog| {
        catalog
            .unique_keys
            .iter()
            .filter_map(|key| translate(key, catalog))
            .collect()
    });
    Relation {
        oid: message.oid,
        version: 0,
        source: name.clone(),
        target: name,
        columns,
        replica_identity: message.replica_identity,
        primary_key: primary_key.unwrap_or_default(),
        unique_keys: unique_keys.unwrap_or_default(),
        foreign_keys: catalog.is_some_and(|catalog| catalog.foreign_keys),
    }
}

#[cfg(test)]
mod tests {
    use tahr_plugin_api::ReplicaIdentity;

    use super::*;
    use crate::pgoutput::RelationColumn;

    fn column(name: &str, type_oid: u32) -> Column {
        Column {
            name: name.to_owned(),
            type_name: format!("type {type_oid}"),
            kind: ValueKind::of_type(type_oid),
            type_oid,
            type_modifier: -1,
            not_null: true,
            ..Column::default()
        }
    }

    fn catalog() -> Relation {
        Relation {
            oid: 1,
            columns: vec![column("total", 20), column("id", 20), column("note", 25)],
            primary_key: vec![1],
            unique_keys: vec![vec![1], vec![2, 1], vec![0]],
            foreign_keys: true,
            ..Relation::default()
        }
    }

    fn message(columns: &[(&'static str, u32, i32)]) -> RelationMessage<'static> {
        let columns = columns
            .iter()
            .map(|&(name, type_oid, type_modifier)| RelationColumn {
                in_key: name == "id",
                name,
                type_oid,
                type_modifier,
            });
        RelationMessage {
            oid: 1,
            schema: "shop",
            table: "t",
            replica_identity: ReplicaIdentity::Default,
            columns: columns.collect(),
        }
    }

    #[test]
    fn the_stream_rules_over_columns_and_the_catalog_adds_keys_and_hints() {
        let message = message(&[("id", 20, -1), ("note", 25, -1)]);
        let relation = reconcile(&message, Some(&catalog()), &HashMap::new());
        let names: Vec<_> = relation
            .columns
            .iter()
            .map(|column| column.name.as_str())
            .collect();
        assert_eq!(names, ["id", "note"]);
        assert_eq!(relation.source, TableName::new("shop", "t"));
        assert_eq!(relation.primary_key, [0]);
        // The key over a column that doesn't come (a generated one, say) doesn't count.
        assert_eq!(relation.unique_keys, [vec![0], vec![1, 0]]);
        assert!(relation.columns[0].in_identity && relation.columns[0].not_null);
        let places: Vec<_> = relation
            .columns
            .iter()
            .map(|column| column.source_index)
            .collect();
        assert_eq!(places, [0, 1]);
        assert!(relation.foreign_keys);
    }

    #[test]
    fn a_catalog_that_is_newer_than_the_stream_says_nothing_of_what_differs() {
        let names = HashMap::from([((1700, 9), "numeric(2,5)".to_owned())]);
        let message = message(&[("old_name", 20, -1), ("note", 1700, 9)]);
        let relation = reconcile(&message, Some(&catalog()), &names);
        assert!(relation.primary_key.is_empty() && relation.columns.iter().all(|c| !c.not_null));
        assert_eq!(relation.columns[1].type_name, "numeric(2,5)");
        assert_eq!(relation.columns[1].kind, ValueKind::Decimal);
        let alone = reconcile(&message, None, &names);
        assert!(alone.unique_keys.is_empty() && !alone.foreign_keys);
    }

    #[test]
    fn keys_that_the_catalog_gets_wrong_are_no_keys() {
        let broken = Relation {
            primary_key: vec![7],
            ..catalog()
        };
        let relation = reconcile(&message(&[("id", 20, -1)]), Some(&broken), &HashMap::new());
        assert!(relation.primary_key.is_empty());
    }

    #[test]
    fn versions_count_from_one_and_only_for_what_differs() {
        let relations = Relations::default();
        let first = relations.version_of(Relation {
            version: 77,
            ..catalog()
        });
        assert_eq!(first.version, 1);
        assert_eq!(relations.version_of(catalog()).version, 1);
        let narrow = Relation {
            columns: vec![column("id", 20)],
            ..catalog()
        };
        assert_eq!(relations.version_of(narrow).version, 2);
        // What comes back has to be made ready in the target again.
        assert_eq!(relations.version_of(catalog()).version, 3);
        assert_eq!(
            relations
                .version_of(Relation {
                    oid: 2,
                    ..catalog()
                })
                .version,
            4
        );
        assert_eq!(relations.get(1), Some(first));
        assert!(relations.get(0).is_none() && relations.get(5).is_none());
        let mut newest: Vec<_> = relations.newest().iter().map(|r| r.version).collect();
        newest.sort_unstable();
        assert_eq!(newest, [3, 4]);
    }
}
