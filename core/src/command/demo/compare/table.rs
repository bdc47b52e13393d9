//! The source's tables.

use tahr_postgres_connect::Session;

use crate::{Error, command::demo::postgres::failed};

/// What kind of value a column has, as far as a target's form of it differs from PostgreSQL's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::command::demo) enum Kind {
    Bool,
    Bytes,
    Float,
    Other,
}

/// A column.
#[derive(Clone, Debug)]
pub(in crate::command::demo) struct Column {
    pub(super) name: String,
    pub(super) kind: Kind,
}

/// A table of schema `public`.
#[derive(Clone, Debug)]
pub(in crate::command::demo) struct Table {
    pub(super) name: String,
    pub(super) columns: Vec<Column>,
    /// Places in `columns` of the primary key, in its order; empty without one.
    pub(super) key: Vec<usize>,
}

impl Table {
    /// As SQL names it.
    pub(in crate::command::demo) fn sql_name(&self) -> String {
        format!("public.{}", quoted(&self.name))
    }
}

/// A name as SQL, PostgreSQL's and SQLite's, spells it.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The tables of `session`'s database.
pub(in crate::command::demo) async fn tables(session: &Session) -> Result<Vec<Table>, Error> {
    const SQL: &str = "\
        SELECT c.relname::text, a.attname::text, a.atttypid::bigint, \
               coalesce(array_position(i.indkey::int2[], a.attnum), -1)::int \
          FROM pg_catalog.pg_class c \
          JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 \
                                            AND NOT a.attisdropped \
          LEFT JOIN pg_catalog.pg_index i ON i.indrelid = c.oid AND i.indisprimary \
         WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' \
         ORDER BY c.relname, a.attnum";
    let mut tables: Vec<(Table, Vec<(i32, usize)>)> = Vec::new();
    let rows = session
        .query(SQL, &[])
        .await
        .map_err(|error| failed("list tables", &error))?;
    for row in rows {
        let (name, place): (String, i32) = (row.get(0), row.get(3));
        if tables.last().is_none_or(|(table, _)| table.name != name) {
            tables.push((
                Table {
                    name,
                    columns: Vec::new(),
                    key: Vec::new(),
                },
                Vec::new(),
            ));
        }
        let Some((table, key)) = tables.last_mut() else {
            continue;
        };
        if place >= 0 {
            key.push((place, table.columns.len()));
        }
        let kind = match row.get::<_, i64>(2) {
            16 => Kind::Bool,
            17 => Kind::Bytes,
            700 | 701 => Kind::Float,
            _ => Kind::Other,
        };
        table.columns.push(Column {
            name: row.get(1),
            kind,
        });
    }
    let tables = tables.into_iter().map(|(mut table, mut key)| {
        key.sort_unstable();
        table.key = key.into_iter().map(|(_, column)| column).collect();
        table
    });
    Ok(tables.collect())
}
