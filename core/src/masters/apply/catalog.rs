//! What a source's catalog says of the tables that are written, asked once per session.

use std::collections::HashMap;

use tokio_postgres::{Client, Error};

use crate::masters::{SharedTable, Tables};

/// A column as the source has it.
#[derive(Clone, Debug)]
pub(super) struct FoundColumn {
    /// Its type without modifiers, domains followed down to what they are made of: values are cast
    /// to it, and what remains is the assignment's, which checks lengths and domains.
    pub(super) base: String,
    /// `GENERATED ALWAYS AS IDENTITY`.
    pub(super) is_identity_always: bool,
    /// The operator that tells equal keys, as SQL: `=`, but with its schema for the types of
    /// extensions, which the session's empty `search_path` doesn't see.
    pub(super) equals: String,
    /// Whether casting text to its type reads the text as the type's input function does.
    pub(super) is_cast_plain: bool,
}

/// A table as the source has it.
#[derive(Clone, Debug, Default)]
pub(super) struct FoundTable {
    pub(super) columns: HashMap<String, FoundColumn>,
    /// Whether a table references it.
    pub(super) is_referenced: bool,
    /// Whether it references itself.
    pub(super) is_recursive: bool,
    /// How many tables must be written before it, so that foreign keys find their rows.
    pub(super) rank: usize,
}

/// All that is asked.
#[derive(Clone, Debug, Default)]
pub(super) struct Catalog {
    /// The tables in the order of [`Tables::iter`]; none where a table is missing.
    pub(super) tables: Vec<Option<FoundTable>>,
    /// Whether some foreign key among them can be deferred.
    pub(super) is_deferrable: bool,
}

const COLUMNS: &str = "
SELECT w.n, c.oid, a.attname::text, pg_catalog.format_type(b.oid, -1), a.attidentity = 'a',
       coalesce((SELECT format('OPERATOR(%I.%s)', n.nspname, o.oprname)
         FROM pg_catalog.pg_opclass k JOIN pg_catalog.pg_am m ON m.oid = k.opcmethod AND m.amname = 'btree'
         JOIN pg_catalog.pg_amop p ON p.amopfamily = k.opcfamily AND p.amopstrategy = 3
           AND p.amoplefttype = k.opcintype AND p.amoprighttype = k.opcintype
         JOIN pg_catalog.pg_operator o ON o.oid = p.amopopr
         JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace
         WHERE k.opcdefault AND k.opcintype = b.oid AND n.nspname <> 'pg_catalog' LIMIT 1), '='),
       NOT EXISTS (SELECT FROM pg_catalog.pg_cast x WHERE x.castsource = 'text'::regtype
         AND x.casttarget = b.oid AND x.castmethod = 'f' AND b.oid NOT IN ('xml'::regtype, 'name'::regtype))
FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS w(schema, name, n)
JOIN pg_catalog.pg_namespace s ON s.nspname = w.schema
JOIN pg_catalog.pg_class c ON c.relnamespace = s.oid AND c.relname = w.name AND c.relkind IN ('r', 'p')
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  AND a.attgenerated = ''
CROSS JOIN LATERAL (
    WITH RECURSIVE chain AS (
        SELECT t.oid, t.typtype, t.typbasetype FROM pg_catalog.pg_type t WHERE t.oid = a.atttypid
        UNION ALL
        SELECT t.oid, t.typtype, t.typbasetype FROM chain d
        JOIN pg_catalog.pg_type t ON t.oid = d.typbasetype WHERE d.typtype = 'd'
    )
    SELECT chain.oid FROM chain WHERE chain.typtype <> 'd'
) b";

const FOREIGN_KEYS: &str = "
SELECT conrelid, confrelid, condeferrable FROM pg_catalog.pg_constraint
WHERE contype = 'f' AND confrelid = ANY ($1)";

impl Catalog {
    /// Asks for the sync's tables.
    pub(super) async fn read(client: &Client, tables: &Tables) -> Result<Self, Error> {
        let shared: Vec<&SharedTable> = tables.iter().collect();
        let part = |text: fn(&SharedTable) -> &str| -> Vec<&str> {
            shared.iter().map(|table| text(table)).collect()
        };
        let schemas = part(|table| &table.name.schema);
        let names = part(|table| &table.name.table);
        let mut found: Vec<Option<FoundTable>> = vec![None; shared.len()];
        let mut places: HashMap<u32, usize> = HashMap::new();
        for row in client.query(COLUMNS, &[&schemas, &names]).await? {
            let place = usize::try_from(row.get::<_, i64>(0) - 1).unwrap_or(usize::MAX);
            let Some(table) = found.get_mut(place) else {
                continue;
            };
            places.insert(row.get(1), place);
            let column = FoundColumn {
                base: row.get(3),
                is_identity_always: row.get(4),
                equals: row.get(5),
                is_cast_plain: row.get(6),
            };
            let columns = &mut table.get_or_insert_default().columns;
            columns.insert(row.get(2), column);
        }
        let oids: Vec<u32> = places.keys().copied().collect();
        let mut is_deferrable = false;
        let mut edges = Vec::new();
        for row in client.query(FOREIGN_KEYS, &[&oids]).await? {
            let (child, parent): (u32, u32) = (row.get(0), row.get(1));
            let Some(&parent) = places.get(&parent) else {
                continue;
            };
            let child = places.get(&child).copied();
            is_deferrable |= child.is_some() && row.get::<_, bool>(2);
            if let Some(table) = found[parent].as_mut() {
                table.is_referenced = true;
                table.is_recursive |= child == Some(parent);
            }
            edges.extend(child.filter(|&child| child != parent).map(|c| (c, parent)));
        }
        for (table, rank) in found.iter_mut().zip(ranks(shared.len(), &edges)) {
            if let Some(table) = table {
                table.rank = rank;
            }
        }
        Ok(Self {
            tables: found,
            is_deferrable,
        })
    }
}

/// For each table how long the longest chain of parents above it is; tables of a circle come after
/// all that are in none.
fn ranks(count: usize, edges: &[(usize, usize)]) -> Vec<usize> {
    let mut ranks = vec![0; count];
    for _ in 0..count {
        let mut moved = false;
        for &(child, parent) in edges {
            let least = (ranks[parent] + 1).min(count);
            moved |= ranks[child] < least;
            ranks[child] = ranks[child].max(least);
        }
        if !moved {
            break;
        }
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::ranks;

    #[test]
    fn parents_come_before_children_and_circles_end() {
        assert_eq!(ranks(4, &[(0, 1), (1, 2), (0, 2)]), [2, 1, 0, 0]);
        let ranks = ranks(3, &[(0, 1), (1, 0), (0, 2)]);
        assert!(ranks[2] < ranks[0] && ranks[2] < ranks[1]);
    }
}
