//! The catalog: which tables there are and what they look like.

use std::collections::HashMap;

use tahr_plugin_api::{Column, Relation, ReplicaIdentity, TableName, ValueKind};
use tokio_postgres::{Client, Row};

use super::{SourceError, Table, TableKind};

/// Says whether a table is wanted.
pub type Wanted<'a> = &'a (dyn Fn(&TableName) -> bool + Send + Sync);

/// Every relation that could be wanted, and the partitioned tables that it is part of. tahr's own
/// tables never are.
const LIST: &str = "
SELECT c.oid, n.nspname::text, c.relname::text,
       CASE WHEN c.relispartition THEN ARRAY(
           SELECT an.nspname::text FROM pg_catalog.pg_partition_ancestors(c.oid) AS a(oid)
           JOIN pg_catalog.pg_class ac ON ac.oid = a.oid
           JOIN pg_catalog.pg_namespace an ON an.oid = ac.relnamespace
           WHERE a.oid <> c.oid ORDER BY a.oid) END,
       CASE WHEN c.relispartition THEN ARRAY(
           SELECT ac.relname::text FROM pg_catalog.pg_partition_ancestors(c.oid) AS a(oid)
           JOIN pg_catalog.pg_class ac ON ac.oid = a.oid
           WHERE a.oid <> c.oid ORDER BY a.oid) END
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'f', 'm')
  AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND NOT (n.nspname = 'tahr' AND c.relname IN ('checkpoint', 'sequence'))
ORDER BY 2, 3";

/// Facts of some relations; `leaves` are the partitions that hold the rows. Where `$2` is false there
/// are none, and nothing waits for a lock: sizes and partitions are asked of the tables themselves.
const FACTS: &str = "
WITH wanted AS (
    SELECT c.* FROM pg_catalog.pg_class c WHERE c.oid = ANY ($1)
), leaves AS (
    SELECT w.oid AS root, c.oid, c.relname, c.relkind, c.relpersistence, c.reltuples, c.relpages
    FROM wanted w
    CROSS JOIN LATERAL (
        SELECT w.oid WHERE w.relkind <> 'p' AND $2 UNION ALL
        SELECT t.relid FROM pg_catalog.pg_partition_tree(w.oid) t
        WHERE w.relkind = 'p' AND t.isleaf AND $2
    ) l(oid) JOIN pg_catalog.pg_class c ON c.oid = l.oid
), sizes AS (
    SELECT root,
           bool_or(relpersistence = 'u') AS unlogged,
           array_agg(relname::text ORDER BY relname) FILTER (WHERE relkind = 'f') AS foreign_leaves,
           sum(pages)::bigint AS pages,
           sum(pages * CASE WHEN reltuples >= 0 AND relpages > 0
                            THEN reltuples / relpages ELSE 80 END)::bigint AS tuples
    FROM (SELECT *, CASE WHEN relkind IN ('r', 'm') THEN
                 coalesce(pg_catalog.pg_relation_size(oid), 0)
                     / pg_catalog.current_setting('block_size')::int ELSE 0 END AS pages
          FROM leaves) l
    GROUP BY root
)
SELECT w.oid, n.nspname::text, w.relname::text, w.relkind::text, w.relreplident::text,
       coalesce(s.unlogged, false) OR w.relpersistence = 'u',
       coalesce(s.foreign_leaves, '{}'), pg_catalog.pg_get_userbyid(w.relowner)::text,
       pg_catalog.pg_has_role(w.relowner, 'USAGE'),
       pg_catalog.has_schema_privilege(n.oid, 'USAGE')
           AND pg_catalog.has_table_privilege(w.oid, 'SELECT'),
       pg_catalog.row_security_active(w.oid),
       EXISTS (SELECT FROM pg_catalog.pg_constraint k
               WHERE k.contype = 'f' AND w.oid IN (k.conrelid, k.confrelid)),
       coalesce(s.tuples, 0), coalesce(s.pages, 0),
       (SELECT o.rolsuper FROM pg_catalog.pg_roles o WHERE o.oid = w.relowner)
FROM wanted w JOIN pg_catalog.pg_namespace n ON n.oid = w.relnamespace
LEFT JOIN sizes s ON s.root = w.oid
ORDER BY 2, 3";

const COLUMNS: &str = "
SELECT attrelid, attnum, attname::text, atttypid, atttypmod, attnotnull, attgenerated::text <> '',
       pg_catalog.format_type(atttypid, atttypmod),
       CASE WHEN atthasmissing THEN attmissingval::text <> '{NULL}'
            ELSE atthasdef OR attidentity <> '' END
FROM pg_catalog.pg_attribute
WHERE attrelid = ANY ($1) AND attnum > 0 AND NOT attisdropped
ORDER BY attrelid, attnum";

/// Types of the columns, domains followed down to what they are made of.
const TYPES: &str = "
WITH RECURSIVE chain AS (
    SELECT t.oid AS start, t.* FROM pg_catalog.pg_type t WHERE t.oid = ANY ($1)
    UNION ALL
    SELECT c.start, t.* FROM chain c JOIN pg_catalog.pg_type t ON t.oid = c.typbasetype
    WHERE c.typtype = 'd'
)
SELECT c.start, c.oid, c.typname::text, c.typtype::text,
       coalesce((SELECT e.typarray = c.oid FROM pg_catalog.pg_type e WHERE e.oid = c.typelem), false)
FROM chain c WHERE c.typtype <> 'd'";

/// Unique indexes over plain columns, and the replica identity's index.
const KEYS: &str = "
SELECT i.indrelid, i.indisprimary, i.indisreplident, i.indimmediate,
       ARRAY(SELECT k.attnum FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, place)
             WHERE k.place <= i.indnkeyatts ORDER BY k.place)
FROM pg_catalog.pg_index i
WHERE i.indrelid = ANY ($1) AND i.indisunique AND i.indisvalid
  AND i.indpred IS NULL AND i.indexprs IS NULL
ORDER BY i.indrelid, i.indisprimary DESC, i.indexrelid";

/// The tables that are `wanted`, by name. Of a partitioned table the root is listed and its
/// partitions are not, unless only partitions are wanted.
///
/// # Errors
/// The catalog could not be read.
pub async fn tables(client: &Client, wanted: Wanted<'_>) -> Result<Vec<Table>, SourceError> {
    let rows = query(client, LIST, None).await?;
    let oids = rows.iter().filter(|row| {
        let schemas: Option<Vec<String>> = row.get(3);
        let names: Option<Vec<String>> = row.get(4);
        let mut ancestors = schemas
            .into_iter()
            .flatten()
            .zip(names.into_iter().flatten());
        wanted(&TableName::new(
            row.get::<_, &str>(1),
            row.get::<_, &str>(2),
        )) && !ancestors.any(|(schema, table)| wanted(&TableName { schema, table }))
    });
    by_oid(client, &oids.map(|row| row.get(0)).collect::<Vec<u32>>()).await
}

/// The names of all relations that could be wanted, partitions among them.
///
/// # Errors
/// The catalog could not be read.
pub async fn names(client: &Client) -> Result<Vec<TableName>, SourceError> {
    let rows = query(client, LIST, None).await?;
    let name = |row: &Row| TableName::new(row.get::<_, &str>(1), row.get::<_, &str>(2));
    Ok(rows.iter().map(name).collect())
}

/// The relations with these OIDs, by name; those that are gone are left out.
///
/// # Errors
/// The catalog could not be read.
pub async fn by_oid(client: &Client, oids: &[u32]) -> Result<Vec<Table>, SourceError> {
    look_up(client, oids, true).await
}

/// The relation of OID `oid`, unless it is gone. Who holds a lock on it is not waited for.
///
/// # Errors
/// The catalog could not be read.
pub async fn relation(client: &Client, oid: u32) -> Result<Option<Relation>, SourceError> {
    let mut tables = look_up(client, &[oid], false).await?;
    Ok(tables.pop().map(|table| table.relation))
}

async fn look_up(client: &Client, oids: &[u32], sizes: bool) -> Result<Vec<Table>, SourceError> {
    let facts = client.query(FACTS, &[&oids, &sizes]).await;
    let facts = facts.map_err(|error| SourceError::sql("read the catalog", &error))?;
    let columns = query(client, COLUMNS, Some(oids)).await?;
    let types: Vec<u32> = columns.iter().map(|row| row.get(3)).collect();
    let kinds = query(client, TYPES, Some(&types)).await?;
    let kinds = kinds.iter().map(|row| (row.get(0), kind(row))).collect();
    let keys = query(client, KEYS, Some(oids)).await?;
    Ok(facts
        .iter()
        .map(|row| {
            let oid = row.get(0);
            table(row, of(&columns, oid), of(&keys, oid), &kinds)
        })
        .collect())
}

/// The rows of the relation `oid`, of `rows` that are in the order of their relations.
fn of(rows: &[Row], oid: u32) -> &[Row] {
    let start = rows.partition_point(|row| row.get::<_, u32>(0) < oid);
    let end = rows.partition_point(|row| row.get::<_, u32>(0) <= oid);
    &rows[start..end]
}

async fn query(client: &Client, sql: &str, oids: Option<&[u32]>) -> Result<Vec<Row>, SourceError> {
    let result = match &oids {
        Some(oids) => client.query(sql, &[oids]).await,
        None => client.query(sql, &[]).await,
    };
    result.map_err(|error| SourceError::sql("read the catalog", &error))
}

fn kind(row: &Row) -> ValueKind {
    let (name, typtype, is_array): (&str, &str, bool) = (row.get(2), row.get(3), row.get(4));
    match ValueKind::of_type(row.get(1)) {
        ValueKind::Other if is_array => ValueKind::Array,
        ValueKind::Other if typtype == "e" || name == "citext" => ValueKind::Text,
        kind => kind,
    }
}

fn table(facts: &Row, columns: &[Row], keys: &[Row], kinds: &HashMap<u32, ValueKind>) -> Table {
    let name = TableName::new(facts.get::<_, &str>(1), facts.get::<_, &str>(2));
    let (sent, computed): (Vec<&Row>, Vec<&Row>) =
        columns.iter().partition(|row| !row.get::<_, bool>(6));
    let position = |attnum: i16| sent.iter().position(|row| row.get::<_, i16>(1) == attnum);
    let attnums = |key: &Row| key.get::<_, Vec<i16>>(4);
    // None where a column is computed.
    let positions = |key: &Row| {
        attnums(key)
            .into_iter()
            .map(position)
            .collect::<Option<Vec<_>>>()
    };
    let immediate = |key: &&Row| key.get::<_, bool>(3);
    let is_primary = |key: &&Row| key.get::<_, bool>(1);

    let primary = keys.iter().find(is_primary);
    let replica_identity = match facts.get::<_, &str>(4) {
        "f" => ReplicaIdentity::Full,
        "i" => ReplicaIdentity::Index,
        "n" => ReplicaIdentity::Nothing,
        _ => ReplicaIdentity::Default,
    };
    let identity = match replica_identity {
        ReplicaIdentity::Full => Some(columns.iter().map(|row| row.get(1)).collect()),
        ReplicaIdentity::Default => primary.filter(immediate).map(attnums),
        ReplicaIdentity::Index => keys.iter().find(|key| key.get::<_, bool>(2)).map(attnums),
        ReplicaIdentity::Nothing => None,
    };
    let in_identity = |row: &Row| {
        identity
            .as_ref()
            .is_some_and(|attnums: &Vec<i16>| attnums.contains(&row.get(1)))
    };
    let column = |(place, row): (usize, &&Row)| {
        let type_oid: u32 = row.get(3);
        Column {
            name: row.get(2),
            kind: kinds.get(&type_oid).copied().unwrap_or_default(),
            type_name: row.get(7),
            type_oid,
            type_modifier: row.get(4),
            in_identity: in_identity(row),
            not_null: row.get(5),
            generated: false,
            number: row.get(1),
            filled: row.get(8),
            source_index: u32::try_from(place).unwrap_or(u32::MAX),
        }
    };
    let relation = Relation {
        oid: facts.get(0),
        version: 0,
        source: name.clone(),
        target: name,
        columns: sent.iter().enumerate().map(column).collect(),
        replica_identity,
        primary_key: primary
            .filter(immediate)
            .and_then(positions)
            .unwrap_or_default(),
        unique_keys: keys
            .iter()
            .filter(immediate)
            .filter_map(positions)
            .collect(),
        foreign_keys: facts.get(11),
    };
    let count = |index| u64::try_from(facts.get::<_, i64>(index)).unwrap_or_default();
    Table {
        relation,
        kind: match facts.get::<_, &str>(3) {
            "p" => TableKind::Partitioned,
            "f" => TableKind::Foreign,
            "m" => TableKind::MaterializedView,
            _ => TableKind::Plain,
        },
        unlogged: facts.get(5),
        foreign_partitions: facts.get(6),
        owner: facts.get(7),
        owned: facts.get(8),
        owner_is_superuser: facts.get(14),
        readable: facts.get(9),
        row_security: facts.get(10),
        generated: computed.iter().map(|row| row.get(2)).collect(),
        generated_in_identity: computed.iter().any(|row| in_identity(row)),
        deferrable_key: primary.is_some_and(|key| !immediate(&key)),
        has_identity: identity.is_some(),
        estimated_rows: count(12),
        pages: count(13),
    }
}

/// How PostgreSQL spells the type of OID `oid` with `modifier`.
///
/// # Errors
/// The connection broke.
pub async fn type_name(client: &Client, oid: u32, modifier: i32) -> Result<String, SourceError> {
    let row = client
        .query_one("SELECT pg_catalog.format_type($1, $2)", &[&oid, &modifier])
        .await;
    let row = row.map_err(|error| SourceError::sql("read the name of a type", &error))?;
    Ok(row
        .get::<_, Option<String>>(0)
        .unwrap_or_else(|| "text".to_owned()))
}
