//! One table, on its way from the source to a target.

use std::sync::Arc;

use tahr_plugin_api::Relation;

use super::{Differing, Key, Kind, Subject, origin::Origin};
use crate::{
    lane::Routes,
    source::{SourceError, Table, TableKind, catalog, quote_identifier, quote_table},
};

/// A table under comparison.
#[derive(Debug)]
pub(super) struct Compared {
    /// As the source has it now.
    pub(super) source: Arc<Relation>,
    /// As the lane sees it.
    pub(super) whole: Arc<Relation>,
    /// Likewise, without the columns that the target can't have yet.
    pub(super) relation: Arc<Relation>,
    /// Those columns.
    pub(super) new_columns: Vec<String>,
    /// Positions of the key's columns in `relation`.
    pub(super) key: Vec<usize>,
    /// The same in `source`.
    pub(super) places: Vec<usize>,
    /// What tells equal keys, per column.
    pub(super) equals: Vec<String>,
    /// The columns' types without modifiers, domains as what they are made of.
    pub(super) types: Vec<String>,
    /// The table as SQL spells it after `FROM`.
    from: String,
    pub(super) estimated_rows: u64,
}

/// The operators that tell equal values, which for the types of extensions an empty `search_path`
/// doesn't find; and the type without a modifier.
const EQUALS: &str = "
SELECT coalesce((SELECT pg_catalog.format('OPERATOR(%I.%s)', n.nspname, o.oprname)
    FROM pg_catalog.pg_opclass c
    JOIN pg_catalog.pg_am m ON m.oid = c.opcmethod AND m.amname = 'btree'
    JOIN pg_catalog.pg_amop p ON p.amopfamily = c.opcfamily AND p.amopstrategy = 3
      AND p.amoplefttype = c.opcintype AND p.amoprighttype = c.opcintype
    JOIN pg_catalog.pg_operator o ON o.oid = p.amopopr
    JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace
    WHERE c.opcdefault AND c.opcintype = coalesce(nullif(t.typbasetype, 0), t.oid)
      AND n.nspname <> 'pg_catalog' LIMIT 1), '='),
  pg_catalog.format_type(coalesce(nullif(t.typbasetype, 0), t.oid), -1)
FROM pg_catalog.pg_type t WHERE t.oid = $1";

impl Compared {
    /// The table as it is now; or why it can't be compared.
    pub(super) async fn find(
        subject: &Subject,
        origin: &Origin,
        oid: u32,
    ) -> Result<Result<Self, String>, SourceError> {
        let mut tables = catalog::by_oid(&origin.client, &[oid]).await?;
        let Some(table) = tables.pop() else {
            let why = "it was dropped in the source; take it out of `tables` where it is named, and \
                       `tahr reload`: its rows stay in the target";
            return Ok(Err(why.to_owned()));
        };
        let Table { kind, .. } = table;
        let estimated_rows = table.estimated_rows;
        let source = subject.relations.version_of(table.relation);
        let sync = Arc::clone(&subject.sync);
        let mut routes = Routes::new(sync, Arc::clone(&subject.relations));
        let whole = match routes.relation(source.version) {
            Ok(Some(relation)) => relation,
            Ok(None) => return Ok(Err("it has left the sync".to_owned())),
            Err(error) => return Ok(Err(error.to_string())),
        };
        let new_columns = match subject.new_columns(&whole) {
            Ok(new) => new,
            Err(why) => return Ok(Err(why)),
        };
        let relation = match new_columns.is_empty() {
            true => Arc::clone(&whole),
            false => Arc::new(without(&whole, &new_columns)),
        };
        let key = relation.key();
        let (mut equals, mut types) = (Vec::new(), Vec::new());
        for &index in &key {
            let oid = relation.columns[index].type_oid;
            let found = origin.client.query_opt(EQUALS, &[&oid]).await;
            let found = found.map_err(|error| SourceError::sql("look up an operator", &error))?;
            let plain = || ("=".to_owned(), relation.columns[index].type_name.clone());
            let (operator, name) = found.map_or_else(plain, |row| (row.get(0), row.get(1)));
            equals.push(operator);
            types.push(name);
        }
        let place = |&index: &usize| relation.columns[index].source_index as usize;
        let only = match kind {
            TableKind::Partitioned => "",
            _ => "ONLY ",
        };
        Ok(Ok(Self {
            places: key.iter().map(place).collect(),
            from: format!("{only}{}", quote_table(&relation.source)),
            estimated_rows,
            source,
            key,
            equals,
            types,
            whole,
            relation,
            new_columns,
        }))
    }

    /// The columns of the source, in order.
    fn columns(&self) -> String {
        let columns = self.source.columns.iter();
        let columns = columns.map(|column| format!("t.{}", quote_identifier(&column.name)));
        columns.collect::<Vec<_>>().join(", ")
    }

    /// The row under `key`, for a person.
    pub(super) fn named(&self, key: &Key, kind: Kind) -> Differing {
        let names = self.key.iter().zip(key.texts()).map(|(&index, text)| {
            let name = self.relation.columns[index].name.clone();
            (name, text.to_string())
        });
        Differing {
            kind,
            key: names.collect(),
            repaired: false,
        }
    }

    /// Prints all rows.
    pub(super) fn all(&self) -> String {
        format!(
            "COPY (SELECT {} FROM {} t) TO STDOUT",
            self.columns(),
            self.from
        )
    }

    /// Prints the rows under `keys`, as [`Origin::values`] spells them.
    pub(super) fn under(&self, keys: &str) -> String {
        let same = self.key.iter().zip(&self.equals).enumerate();
        let same = same.map(|(place, (&index, equals))| {
            let name = quote_identifier(&self.relation.columns[index].name);
            format!("t.{name} {equals} v.k{place}")
        });
        format!(
            "COPY (SELECT {} FROM {keys} JOIN {} t ON {}) TO STDOUT",
            self.columns(),
            self.from,
            same.collect::<Vec<_>>().join(" AND ")
        )
    }
}

/// `relation` without the columns `names`, none of which is part of its key.
fn without(relation: &Relation, names: &[String]) -> Relation {
    let kept: Vec<usize> = (0..relation.columns.len())
        .filter(|&index| !names.contains(&relation.columns[index].name))
        .collect();
    let place = |index: &usize| kept.iter().position(|kept| kept == index);
    let keep_key = |key: &Vec<usize>| key.iter().map(place).collect::<Option<Vec<usize>>>();
    let columns = kept.iter().map(|&index| relation.columns[index].clone());
    Relation {
        columns: columns.collect(),
        primary_key: keep_key(&relation.primary_key).unwrap_or_default(),
        unique_keys: relation.unique_keys.iter().filter_map(keep_key).collect(),
        ..relation.clone()
    }
}
