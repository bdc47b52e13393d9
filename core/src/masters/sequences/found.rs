//! Which sequences there are, and where they stand.

use std::collections::BTreeMap;

use tokio_postgres::{Client, Row};

use super::{Member, at, classes::Place};
use crate::{
    masters::Tables,
    source::{SourceError, quote_identifier},
};

/// Sequences of some tables' columns: that of the default or the identity, else the one that the
/// column owns.
const FIND: &str = "
WITH wanted AS (
    SELECT c.oid, w.schema, w.name
    FROM unnest($1::text[], $2::text[]) AS w(schema, name)
    JOIN pg_catalog.pg_namespace n ON n.nspname = w.schema
    JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = w.name
), uses AS (
    SELECT w.*, d.refobjid AS sequence, a.adnum::int AS number, 1 AS rank
    FROM wanted w JOIN pg_catalog.pg_attrdef a ON a.adrelid = w.oid
    JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_attrdef'::regclass
        AND d.objid = a.oid AND d.refclassid = 'pg_catalog.pg_class'::regclass
    UNION ALL
    SELECT w.*, d.objid, d.refobjsubid, CASE d.deptype WHEN 'i' THEN 1 ELSE 2 END
    FROM wanted w JOIN pg_catalog.pg_depend d ON d.refobjid = w.oid AND d.refobjsubid > 0
        AND d.refclassid = 'pg_catalog.pg_class'::regclass
        AND d.classid = 'pg_catalog.pg_class'::regclass AND d.deptype IN ('a', 'i')
)
SELECT DISTINCT ON (u.schema, u.name, t.attname)
       u.schema, u.name, t.attname::text,
       (SELECT CASE y.typtype WHEN 'd' THEN y.typbasetype ELSE y.oid END IN (20, 21, 23)
        FROM pg_catalog.pg_type y WHERE y.oid = t.atttypid),
       s.seqrelid, n.nspname::text, c.relname::text, pg_catalog.pg_get_userbyid(c.relowner)::text,
       pg_catalog.pg_has_role(c.relowner, 'USAGE'),
       pg_catalog.has_schema_privilege(n.oid, 'USAGE')
           AND pg_catalog.has_sequence_privilege(c.oid, 'SELECT'),
       pg_catalog.has_sequence_privilege(c.oid, 'UPDATE'), current_user::text,
       s.seqincrement, s.seqmin, s.seqmax, s.seqstart, s.seqcycle
FROM uses u JOIN pg_catalog.pg_sequence s ON s.seqrelid = u.sequence
JOIN pg_catalog.pg_class c ON c.oid = s.seqrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute t ON t.attrelid = u.oid AND t.attnum = u.number
ORDER BY u.schema, u.name, t.attname, u.rank, s.seqrelid";

/// A column that draws its values from a sequence.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Drawer {
    pub(super) schema: String,
    pub(super) table: String,
    pub(super) column: String,
}

/// A sequence on one source.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// The source's place in the sync.
    pub(super) member: usize,
    pub(super) oid: u32,
    pub(super) schema: String,
    pub(super) name: String,
    /// The role that it belongs to.
    owner: String,
    /// Whether the session's role may alter it, read it, set it; and who that is.
    pub(super) is_owned: bool,
    is_readable: bool,
    pub(super) is_writable: bool,
    role: String,
    pub(super) min: i64,
    pub(super) max: i64,
    pub(super) start: i64,
    pub(super) cycles: bool,
    pub(super) place: Place,
    /// The columns that draw from it, and whether those hold whole numbers.
    pub(super) drawers: Vec<(Drawer, bool)>,
}

impl Found {
    /// Its name in SQL.
    pub(super) fn quoted(&self) -> String {
        let (schema, name) = (quote_identifier(&self.schema), quote_identifier(&self.name));
        format!("{schema}.{name}")
    }

    /// Its name in messages.
    pub(super) fn shown(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }

    /// The error for a role that lacks the right to do `what`.
    pub(super) fn forbidden(&self, source: &str, what: &str, right: Option<&str>) -> SourceError {
        let (role, owner) = (quote_identifier(&self.role), quote_identifier(&self.owner));
        let hint = match right {
            Some(right) => format!("GRANT {right} ON SEQUENCE {} TO {role};", self.quoted()),
            None => format!("GRANT {owner} TO {role};"),
        };
        SourceError::unusable(format!(
            "source \"{source}\": sequence {} belongs to role {owner}, and role {role} may not \
             {what} it",
            self.shown()
        ))
        .hint(format!(
            "{hint}\nor leave sequences alone: sequences = \"leave\""
        ))
    }

    /// The highest value that its columns hold, or the lowest where it descends.
    pub(super) async fn stored(&self, client: &Client) -> Result<Option<i64>, SourceError> {
        let drawers = self.drawers.iter().filter(|(_, is_whole)| *is_whole);
        let drawers = drawers.map(|(drawer, _)| drawer);
        stored(client, &self.shown(), self.place.increment > 0, drawers).await
    }
}

/// The highest value that these columns of a sequence hold, or the lowest where it descends; read
/// without keeping anybody from writing.
pub(super) async fn stored(
    client: &Client,
    shown: &str,
    ascends: bool,
    drawers: impl Iterator<Item = &Drawer>,
) -> Result<Option<i64>, SourceError> {
    let aggregate = if ascends { "max" } else { "min" };
    let parts: Vec<String> = drawers
        .map(|drawer| {
            let column = quote_identifier(&drawer.column);
            let (schema, table) = (&drawer.schema, &drawer.table);
            let table = format!("{}.{}", quote_identifier(schema), quote_identifier(table));
            format!("SELECT {aggregate}({column})::bigint AS value FROM {table}")
        })
        .collect();
    if parts.is_empty() {
        return Ok(None);
    }
    let sql = format!(
        "SELECT {aggregate}(value) FROM ({}) t",
        parts.join(" UNION ALL ")
    );
    let row = client.query_one(&sql, &[]).await.map_err(|error| {
        SourceError::sql(format!("read the values of sequence {shown}"), &error)
    })?;
    Ok(row.get(0))
}

/// Sequences that have to be thought of together, by source and name.
pub(super) type Group = Vec<Found>;

/// The sequences of all tables on all members, in groups: those of the same column belong together,
/// and those that share one.
pub(super) async fn groups(
    tables: &Tables,
    members: &[Member],
    clients: &[impl std::ops::Deref<Target = Client>],
) -> Result<Vec<Group>, SourceError> {
    let names: Vec<_> = tables.iter().map(|table| &table.name).collect();
    let schemas: Vec<&str> = names.iter().map(|name| name.schema.as_str()).collect();
    let tables: Vec<&str> = names.iter().map(|name| name.table.as_str()).collect();
    let all = members
        .iter()
        .zip(clients)
        .enumerate()
        .map(|(index, (member, client))| {
            let (schemas, tables) = (&schemas, &tables);
            async move {
                let found = find(client, index, &member.name, schemas, tables).await;
                found.map_err(|error| at_once(&member.name, error))
            }
        });
    let all = futures_util::future::try_join_all(all).await?;
    Ok(gather(all.into_iter().flatten().collect()))
}

/// The error, with its source named, unless it names it.
fn at_once(source: &str, error: SourceError) -> SourceError {
    match error.message.starts_with("source \"") {
        true => error,
        false => at(source, error),
    }
}

async fn find(
    client: &Client,
    member: usize,
    source: &str,
    schemas: &[&str],
    tables: &[&str],
) -> Result<Vec<Found>, SourceError> {
    let rows = client.query(FIND, &[&schemas, &tables]).await;
    let rows = rows.map_err(|error| SourceError::sql("list sequences", &error))?;
    let mut all: BTreeMap<u32, Found> = BTreeMap::new();
    for row in &rows {
        let drawer = Drawer {
            schema: row.get(0),
            table: row.get(1),
            column: row.get(2),
        };
        let found = all.entry(row.get(4)).or_insert_with(|| read(row, member));
        found.drawers.push((drawer, row.get(3)));
    }
    let mut all: Vec<Found> = all.into_values().collect();
    if let Some(unreadable) = all.iter().find(|found| !found.is_readable) {
        return Err(unreadable.forbidden(source, "read", Some("SELECT, UPDATE")));
    }
    let places = places(client, &all).await?;
    for (found, (last, is_called)) in all.iter_mut().zip(places) {
        found.place.last = last;
        found.place.is_called = is_called;
    }
    Ok(all)
}

fn read(row: &Row, member: usize) -> Found {
    Found {
        member,
        oid: row.get(4),
        schema: row.get(5),
        name: row.get(6),
        owner: row.get(7),
        is_owned: row.get(8),
        is_readable: row.get(9),
        is_writable: row.get(10),
        role: row.get(11),
        min: row.get(13),
        max: row.get(14),
        start: row.get(15),
        cycles: row.get(16),
        place: Place {
            increment: row.get(12),
            last: 0,
            is_called: false,
        },
        drawers: Vec::new(),
    }
}

/// `last_value` and `is_called` of all these, in one query.
pub(super) async fn places(
    client: &Client,
    all: &[Found],
) -> Result<Vec<(i64, bool)>, SourceError> {
    if all.is_empty() {
        return Ok(Vec::new());
    }
    let parts = all.iter().enumerate().map(|(at, found)| {
        format!(
            "SELECT {at} AS at, last_value, is_called FROM {}",
            found.quoted()
        )
    });
    let sql = parts.collect::<Vec<_>>().join(" UNION ALL ") + " ORDER BY 1";
    let rows = client.query(&sql, &[]).await;
    let rows = rows.map_err(|error| SourceError::sql("read sequences", &error))?;
    Ok(rows.iter().map(|row| (row.get(1), row.get(2))).collect())
}

fn gather(all: Vec<Found>) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for found in all {
        let is_related = |group: &Group| {
            group.iter().any(|other| {
                let mut drawers = other.drawers.iter();
                drawers.any(|drawer| found.drawers.contains(drawer))
            })
        };
        let (related, others): (Vec<_>, Vec<_>) = groups.into_iter().partition(is_related);
        groups = others;
        let mut group: Group = related.into_iter().flatten().collect();
        group.push(found);
        group.sort_by_key(|found| (found.member, found.oid));
        groups.push(group);
    }
    groups.sort_by(|a, b| a[0].drawers[0].0.cmp(&b[0].drawers[0].0));
    groups
}
