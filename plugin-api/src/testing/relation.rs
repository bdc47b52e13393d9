//! Relations made by hand.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use crate::{Column, Relation, ReplicaIdentity, TableName, ValueKind};

/// Starts a relation; `name` is `schema.table`, parted at the first dot.
#[must_use]
pub fn relation(name: &str) -> TestRelation {
    let (schema, table) = name.split_once('.').unwrap_or(("public", name));
    let name = TableName::new(schema, table);
    TestRelation(Relation {
        source: name.clone(),
        target: name,
        ..Relation::default()
    })
}

/// A relation in the making; [`relation()`] starts one.
#[derive(Clone, Debug)]
pub struct TestRelation(Relation);

impl From<&Relation> for TestRelation {
    /// A new version of a relation, to add columns to.
    fn from(relation: &Relation) -> Self {
        Self(relation.clone())
    }
}

impl TestRelation {
    /// Adds a column. Its kind follows from `type_name`, which is PostgreSQL's spelling; types
    /// that PostgreSQL doesn't have itself are [`ValueKind::Other`].
    #[must_use]
    pub fn column(mut self, name: &str, type_name: &str) -> Self {
        let oid = oid(type_name);
        self.0.columns.push(Column {
            name: name.to_owned(),
            kind: ValueKind::of_type(oid),
            type_name: type_name.to_owned(),
            type_oid: oid,
            type_modifier: modifier(type_name),
            in_identity: self.0.replica_identity == ReplicaIdentity::Full,
            source_index: u32::try_from(self.0.columns.len()).unwrap_or(u32::MAX),
            ..Column::default()
        });
        self
    }

    /// Makes `columns` the primary key, and the replica identity where nothing else is.
    ///
    /// # Panics
    ///
    /// Where one is not a column.
    #[must_use]
    pub fn key<const N: usize>(mut self, columns: [&str; N]) -> Self {
        let key = self.positions(columns);
        for &index in &key {
            let column = &mut self.0.columns[index];
            column.not_null = true;
            column.in_identity |= self.0.replica_identity == ReplicaIdentity::Default;
        }
        self.0.unique_keys.push(key.clone());
        self.0.primary_key = key;
        self
    }

    /// Adds a unique key beside the primary key.
    ///
    /// # Panics
    ///
    /// Where one is not a column.
    #[must_use]
    pub fn unique<const N: usize>(mut self, columns: [&str; N]) -> Self {
        let key = self.positions(columns);
        self.0.unique_keys.push(key);
        self
    }

    /// Makes the replica identity the whole old row.
    #[must_use]
    pub fn full(mut self) -> Self {
        self.0.replica_identity = ReplicaIdentity::Full;
        for column in &mut self.0.columns {
            column.in_identity = true;
        }
        self
    }

    /// Leaves the column out, as a sync's `exclude` does: the source sends it still.
    ///
    /// # Panics
    ///
    /// Where it is no column, or one of a key.
    #[must_use]
    pub fn exclude(mut self, column: &str) -> Self {
        let [gone] = self.positions([column])[..] else {
            unreachable!("one name has one position")
        };
        self.0.columns.remove(gone);
        let keys = self.0.unique_keys.iter_mut();
        for position in keys.chain([&mut self.0.primary_key]).flatten() {
            assert_ne!(*position, gone, "{column:?} is part of a key");
            *position -= usize::from(*position > gone);
        }
        self
    }

    /// Names the target's table otherwise, as a sync's `rename` does.
    #[must_use]
    pub fn rename(mut self, table: &str) -> Self {
        table.clone_into(&mut self.0.target.table);
        self
    }

    /// The relation, under a version number that no other has.
    #[must_use]
    pub fn build(mut self) -> Arc<Relation> {
        static VERSIONS: AtomicU32 = AtomicU32::new(1);
        let version = VERSIONS.fetch_add(1, Ordering::Relaxed);
        self.0.version = version;
        if self.0.oid == 0 {
            self.0.oid = 16_384 + version;
        }
        Arc::new(self.0)
    }

    fn positions<const N: usize>(&self, columns: [&str; N]) -> Vec<usize> {
        let position = |name| self.0.position_of(name);
        columns
            .iter()
            .map(|name| position(name).unwrap_or_else(|| panic!("{name:?} is no column")))
            .collect()
    }
}

/// The OID of the type in `pg_type`, 0 for types of users.
fn oid(type_name: &str) -> u32 {
    let name = type_name.split('(').next().unwrap_or(type_name).trim_end();
    match name {
        "boolean" => 16,
        "bytea" => 17,
        "bigint" => 20,
        "smallint" => 21,
        "integer" => 23,
        "text" => 25,
        "oid" => 26,
        "json" => 114,
        "xml" => 142,
        "point" => 600,
        "real" => 700,
        "double precision" => 701,
        "money" => 790,
        "inet" => 869,
        "integer[]" => 1007,
        "text[]" => 1009,
        "bytea[]" => 1001,
        "character" => 1042,
        "character varying" => 1043,
        "date" => 1082,
        "time without time zone" => 1083,
        "timestamp without time zone" => 1114,
        "timestamp with time zone" => 1184,
        "interval" => 1186,
        "numeric[]" => 1231,
        "time with time zone" => 1266,
        "bit varying" => 1562,
        "numeric" => 1700,
        "uuid" => 2950,
        "tsvector" => 3614,
        "jsonb" => 3802,
        "int4range" => 3904,
        "xid8" => 5069,
        _ => 0,
    }
}

/// The modifier that `type_name` spells in parentheses, as `pg_attribute.atttypmod` holds it.
fn modifier(type_name: &str) -> i32 {
    let Some((name, rest)) = type_name.split_once('(') else {
        return -1;
    };
    let mut numbers = rest
        .trim_end_matches(')')
        .split(',')
        .map_while(|number| number.trim().parse::<i32>().ok());
    match (name, numbers.next(), numbers.next()) {
        ("numeric", Some(precision), scale) => (precision << 16 | scale.unwrap_or(0)) + 4,
        ("character" | "character varying", Some(length), _) => length + 4,
        (_, Some(number), _) => number,
        _ => -1,
    }
}
