//! Plans: what the changes of one version of a relation are to the sync.
//!
//! The stream's columns may come in another order than the catalog's, and in another number after
//! columns were dropped: so they are matched by name, once per version.

use std::{collections::HashMap, sync::Arc};

use tahr_plugin_api::{Relation, ReplicaIdentity, TableName};

use crate::{
    masters::{SharedTable, Tables, checkpoint},
    reconcile::TableId,
    record::Relations,
};

/// What the changes of a relation version are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// Not the sync's.
    Other,
    /// Rows of a shared table.
    Shared(Shape),
    /// Marks of applies.
    Checkpoint(Mark),
    /// Of a shared table that isn't as the sources agreed on any more.
    Reshaped { table: TableName, message: String },
}

/// Where a shared table's columns are in the rows of the stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) table: TableId,
    /// For each shared column.
    pub(super) columns: Box<[Place]>,
    /// For each key column.
    pub(super) key: Box<[Place]>,
}

/// Where a column is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Its place in the row as the stream has it.
    pub(super) at: usize,
    /// Whether an old row that names its row only has it.
    pub(super) in_identity: bool,
}

/// Where the columns of `tahr.checkpoint` are.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) engine: usize,
    pub(super) sync: usize,
    pub(super) sequence: usize,
    pub(super) notes: usize,
}

/// The plans of one member, by relation version.
#[derive(Debug)]
pub(super) struct Plans {
    member: usize,
    tables: Arc<Tables>,
    relations: Arc<Relations>,
    known: HashMap<u32, Arc<Plan>>,
}

impl Plans {
    pub(super) fn new(member: usize, tables: Arc<Tables>, relations: Arc<Relations>) -> Self {
        Self {
            member,
            tables,
            relations,
            known: HashMap::new(),
        }
    }

    /// The plan for relation version `version`; none where nobody knows that.
    pub(super) fn get(&mut self, version: u32) -> Option<Arc<Plan>> {
        if let Some(known) = self.known.get(&version) {
            return Some(Arc::clone(known));
        }
        let relation = self.relations.get(version)?;
        let plan = Arc::new(plan(&self.tables, self.member, &relation));
        self.known.insert(version, Arc::clone(&plan));
        Some(plan)
    }
}

fn plan(tables: &Tables, member: usize, relation: &Relation) -> Plan {
    let name = &relation.source;
    if name.schema == checkpoint::SCHEMA && name.table == checkpoint::TABLE {
        return mark(relation).map_or(Plan::Other, Plan::Checkpoint);
    }
    let reshaped = |table: &TableName, message| Plan::Reshaped {
        table: table.clone(),
        message,
    };
    if let Some(shared) = tables.of_oid(member, relation.oid) {
        return match shape(shared, relation) {
            Ok(shape) => Plan::Shared(shape),
            Err(message) => reshaped(&shared.name, message),
        };
    }
    // Under the name of a shared table, and yet not what the sources agreed on.
    let namesake = tables.get(TableId::of(name));
    match namesake.filter(|shared| shared.name == *name) {
        Some(shared) => reshaped(&shared.name, "it was made anew".to_owned()),
        None => Plan::Other,
    }
}

/// Where the columns of `shared` are in `relation`; or what is different.
fn shape(shared: &SharedTable, relation: &Relation) -> Result<Shape, String> {
    if relation.source != shared.name {
        return Err(format!("it is called {} now", relation.source));
    }
    // Generated columns come only with a publication that says so, and are nobody's to write.
    let found = relation.columns.iter().filter(|column| !column.generated);
    let is_shared = |name: &String| shared.columns.iter().any(|column| column.name == *name);
    if let Some(column) = found.clone().find(|column| !is_shared(&column.name)) {
        return Err(format!("column \"{}\" is new", column.name));
    }
    let mut columns = Vec::with_capacity(shared.columns.len());
    for column in &shared.columns {
        let found = found.clone().find(|found| found.name == column.name);
        let found = found.ok_or_else(|| format!("column \"{}\" is gone", column.name))?;
        columns.push(Place {
            at: found.source_index as usize,
            in_identity: found.in_identity,
        });
    }
    let key: Box<[Place]> = shared.key.iter().map(|&index| columns[index]).collect();
    check_key(shared, relation, &key)?;
    Ok(Shape {
        table: shared.id,
        columns: columns.into(),
        key,
    })
}

/// Whether old rows name their row by the shared key.
fn check_key(shared: &SharedTable, relation: &Relation, key: &[Place]) -> Result<(), String> {
    let identity = || {
        let columns = relation.columns.iter().filter(|column| column.in_identity);
        columns.map(|column| column.name.as_str()).collect()
    };
    let primary = || {
        let columns = relation.primary_key.iter();
        columns
            .map(|&index| relation.columns[index].name.as_str())
            .collect()
    };
    // Under the default identity the stream itself says what the key was at that time.
    let mut found: Vec<&str> = match relation.replica_identity {
        ReplicaIdentity::Default => identity(),
        ReplicaIdentity::Full | ReplicaIdentity::Index => primary(),
        ReplicaIdentity::Nothing => return Err("it has REPLICA IDENTITY NOTHING".to_owned()),
    };
    let wanted = shared.key.iter();
    // In order of their names.
    let wanted: Vec<&str> = wanted
        .map(|&index| shared.columns[index].name.as_str())
        .collect();
    found.sort_unstable();
    if found != wanted {
        return Err(format!(
            "its primary key is not ({}) any more",
            wanted.join(", ")
        ));
    }
    if key.iter().any(|place| !place.in_identity) {
        return Err(
            "its REPLICA IDENTITY is an index without all columns of the primary key".to_owned(),
        );
    }
    Ok(())
}

fn mark(relation: &Relation) -> Option<Mark> {
    let place = |name: &str| {
        let index = relation.position_of(name)?;
        Some(relation.columns[index].source_index as usize)
    };
    Some(Mark {
        engine: place("engine")?,
        sync: place("sync")?,
        sequence: place("sequence")?,
        notes: place("notes")?,
    })
}
