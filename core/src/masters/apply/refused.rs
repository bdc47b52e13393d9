//! Who holds what a unique or exclusion constraint gives to one row only.
//!
//! Asked of the catalog is what the constraint compares; asked of the table is which rows compare so
//! with those to be written. That finds all of them at once, whatever the index is made of:
//! columns, expressions, a part of the rows.
//!
//! Rows of one order may exchange what is unique among themselves, so that none can be written before
//! the others. Those that hold what others want are deleted first and then written anew: a change
//! of two steps, of which only the last counts to whoever reads the stream. Setting the column to
//! null instead keeps the row, so it is done where a delete would reach further (foreign keys that
//! cascade, where they can't be switched off); but not every column may be null.

use std::collections::{BTreeMap, HashMap, HashSet};

use tokio_postgres::{Row, types::ToSql};

use super::{
    Order,
    careful::{Careful, Holder},
    error::{Failure, What},
    session::Session,
    table::{TableSql, join, unnest},
    values::arrays,
    writer::chunks,
};
use crate::{
    masters::rows::{Field, Packer},
    reconcile::{Key, TableId},
};

/// Rows of which all pairs are looked at, where the server has to.
const PAIRS: usize = 2_000;

/// How a row is taken out of others' way.
#[derive(Clone, Debug)]
pub(super) enum Way {
    /// It is deleted, and written anew.
    Delete,
    /// This statement sets what they want to null.
    Clear(String),
}

/// What a constraint compares.
#[derive(Clone, Debug)]
pub(super) struct Index {
    oid: u32,
    table: TableId,
    /// What is compared, as SQL over unqualified columns, each with its operator.
    parts: Vec<(String, String)>,
    predicate: Option<String>,
    /// Whether nulls are equal.
    joins_nulls: bool,
    is_exclusion: bool,
    /// Names of its columns that may be null.
    nullable: Vec<String>,
}

impl PartialEq for Index {
    fn eq(&self, other: &Self) -> bool {
        self.oid == other.oid
    }
}

const INDEX: &str = "
SELECT i.indexrelid, pg_catalog.pg_get_expr(i.indpred, i.indrelid),
       coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::bool, false), i.indisexclusion,
       ARRAY(SELECT n.nspname::text FROM pg_catalog.pg_class c
             JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
             WHERE c.oid = i.indrelid OR c.oid IN (SELECT pg_catalog.pg_partition_ancestors(i.indrelid))
             ORDER BY c.oid),
       ARRAY(SELECT c.relname::text FROM pg_catalog.pg_class c
             WHERE c.oid = i.indrelid OR c.oid IN (SELECT pg_catalog.pg_partition_ancestors(i.indrelid))
             ORDER BY c.oid),
       ARRAY(SELECT '(' || pg_catalog.pg_get_indexdef(i.indexrelid, k, false) || ')' ||
                    coalesce((SELECT format(' COLLATE %I.%I', n.nspname, l.collname)
                              FROM pg_catalog.pg_collation l
                              JOIN pg_catalog.pg_namespace n ON n.oid = l.collnamespace
                              WHERE l.oid = i.indcollation[k - 1]), '')
             FROM generate_series(1, i.indnkeyatts::int) k ORDER BY k),
       ARRAY(SELECT (SELECT format('OPERATOR(%I.%s)', n.nspname, o.oprname)
                     FROM pg_catalog.pg_operator o JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace
                     WHERE o.oid = coalesce(x.conexclop[k], (SELECT p.amopopr FROM pg_catalog.pg_opclass s
                         JOIN pg_catalog.pg_amop p ON p.amopfamily = s.opcfamily AND p.amopstrategy = 3
                           AND p.amoplefttype = s.opcintype AND p.amoprighttype = s.opcintype
                         WHERE s.oid = i.indclass[k - 1])))
             FROM generate_series(1, i.indnkeyatts::int) k ORDER BY k),
       ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute a
             WHERE a.attrelid = i.indrelid AND NOT a.attnotnull AND a.attgenerated = ''
               AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1]))
FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_constraint x ON x.conindid = i.indexrelid AND x.contype = 'x'
WHERE n.nspname = $1 AND c.relname = $2";

impl Index {
    /// The constraint that refused a row; none where it can't be told.
    pub(super) async fn find<'a>(
        session: &Session,
        failure: &Failure<'a>,
    ) -> Result<Option<Self>, Failure<'a>> {
        let named = failure.db().and_then(|db| db.schema().zip(db.constraint()));
        let Some((schema, name)) = named else {
            return Ok(None);
        };
        let row = session.client.query_opt(INDEX, &[&schema, &name]).await;
        let Some(row) = row.map_err(Failure::session)? else {
            return Ok(None);
        };
        // The index may be a partition's.
        let (schemas, names): (Vec<String>, Vec<String>) = (row.get(4), row.get(5));
        let tables = session.tables.iter();
        let mut tables = tables.filter(|(_, table)| {
            let mut pairs = schemas.iter().zip(&names);
            pairs.any(|(s, n)| *s == table.name.schema && *n == table.name.table)
        });
        let Some((&table, _)) = tables.next() else {
            return Ok(None);
        };
        let (texts, operators): (Vec<String>, Vec<Option<String>>) = (row.get(6), row.get(7));
        let parts: Option<Vec<_>> = texts
            .into_iter()
            .zip(operators)
            .map(|(text, operator)| Some((text, operator?)))
            .collect();
        let predicate: Option<String> = row.get(1);
        Ok(parts.map(|parts| Self {
            oid: row.get(0),
            table,
            parts,
            predicate,
            joins_nulls: row.get(2),
            is_exclusion: row.get(3),
            nullable: row.get(8),
        }))
    }

    /// What makes one row of the table hold nothing that the constraint compares; parameters: the
    /// key.
    pub(super) fn clear(&self, table: &TableSql) -> Option<String> {
        let is_key = |at: &usize| table.key.contains(at);
        let column = self.nullable.iter().find_map(|name| {
            let quoted = crate::source::quote_identifier(name);
            let at = table.columns.iter().position(|column| *column == quoted)?;
            Some(at).filter(|at| !is_key(at) && !self.joins_nulls)
        })?;
        Some(format!(
            "UPDATE {} SET {} = NULL WHERE {}",
            table.quoted,
            table.columns[column],
            table.key_is()
        ))
    }

    /// The rows to be written, numbered, with what is compared and their keys. No other name in
    /// it is one that a column may well have.
    fn wanted(&self, table: &TableSql) -> String {
        let columns = join(0..table.columns.len(), ", ", |at| {
            format!(
                "{} AS {}",
                table.cast(at, &format!("k.c{at}")),
                table.columns[at]
            )
        });
        let parts = join(self.parts.iter().enumerate(), ", ", |(at, (text, _))| {
            format!("{text} AS \"tahr {at}\"")
        });
        let keys = join(table.key.iter().enumerate(), ", ", |(place, &at)| {
            format!("s.{} AS \"tahr key {place}\"", table.columns[at])
        });
        format!(
            "WITH n AS MATERIALIZED (SELECT s.\"tahr n\", {parts}, {keys} FROM \
             (SELECT k.n AS \"tahr n\", {columns} FROM {}) AS s{})",
            unnest(table.columns.len(), ", n"),
            self.only(" WHERE")
        )
    }

    fn only(&self, word: &str) -> String {
        let predicate = self.predicate.as_ref();
        predicate.map_or_else(String::new, |text| format!("{word} ({text})"))
    }

    fn compare(&self, left: impl Fn(usize, &str) -> String, right: &str) -> String {
        join(
            self.parts.iter().enumerate(),
            " AND ",
            |(at, (text, operator))| {
                let (left, right) = (left(at, text), format!("{right}.\"tahr {at}\""));
                let equal = format!("{left} {operator} {right}");
                match self.joins_nulls {
                    true => format!("({equal} OR {left} IS NULL AND {right} IS NULL)"),
                    false => equal,
                }
            },
        )
    }

    /// For each row to be written the rows that hold what it wants: number, columns as text, time.
    fn held(&self, table: &TableSql, tracks_time: bool) -> String {
        let columns = join(&table.columns, ", ", |column| {
            format!("CASE WHEN t.{column} IS DISTINCT FROM NULL THEN format('%s', t.{column}) END")
        });
        // Times count from the year 2000, as in the stream. The first transactions have none.
        let time = match tracks_time {
            true => {
                "CASE WHEN t.xmin::text::bigint > 2 THEN (extract(epoch FROM \
                 pg_catalog.pg_xact_commit_timestamp(t.xmin)) * 1000000)::bigint \
                 - 946684800000000 END"
            }
            false => "NULL::bigint",
        };
        let same_key = join(table.key.iter().enumerate(), " AND ", |(place, &at)| {
            let column = &table.columns[at];
            let equals = &table.found[at].equals;
            format!("t.{column} {equals} n.\"tahr key {place}\"")
        });
        format!(
            "{} SELECT n.\"tahr n\", {columns}, {time} FROM n JOIN {} AS t ON {} \
             WHERE NOT ({same_key}){}",
            self.wanted(table),
            table.quoted,
            self.compare(|_, text| text.to_owned(), "n"),
            self.only(" AND")
        )
    }

    /// Pairs of rows to be written of which both want the same, the later first.
    fn twice(&self, table: &TableSql) -> String {
        format!(
            "{} SELECT a.\"tahr n\", b.\"tahr n\" FROM n a JOIN n b ON {} \
             AND a.\"tahr n\" > b.\"tahr n\"",
            self.wanted(table),
            self.compare(|at, _| format!("a.\"tahr {at}\""), "b")
        )
    }
}

/// What rows of an order want that others have, or want too.
#[derive(Debug, Default)]
pub(super) struct Clashes {
    /// The place of a row, who has what it wants, and by which constraint, as looked for.
    held: Vec<(usize, Holder, usize)>,
    /// Places of rows that want the same, the later first.
    twice: HashSet<(usize, usize)>,
    looks: usize,
}

impl Clashes {
    /// Looks for what `index` says of the rows at `places`.
    pub(super) async fn look<'a>(
        &mut self,
        careful: &Careful<'a>,
        index: &Index,
        places: &[usize],
    ) -> Result<(), Failure<'a>> {
        let (session, order) = (careful.session, careful.order);
        let Some(table) = session.tables.get(&index.table) else {
            return Ok(());
        };
        let row = |at: &usize| {
            let (key, version) = &order.rows[*at];
            let row = version.row.as_ref().filter(|_| key.table == index.table)?;
            Some(&row.payload)
        };
        let places: Vec<usize> = places
            .iter()
            .copied()
            .filter(|at| row(at).is_some())
            .collect();
        let failed = |error| Failure::sql(What::Rows(table), error);
        for chunk in chunks(table, &places, |at| {
            row(at).map_or(0, |row| row.as_ref().len())
        }) {
            let values = arrays(chunk.iter().filter_map(row), table.columns.len());
            let values = values.map_err(Failure::misfit(table))?;
            let values: Vec<&(dyn ToSql + Sync)> = values.iter().map(|v| v as _).collect();
            let place = |row: &Row, column: usize| {
                let number = usize::try_from(row.get::<_, i64>(column) - 1).ok();
                number.and_then(|number| chunk.get(number).copied())
            };
            let text = index.held(table, session.tracks_time);
            for row in session.client.query(&text, &values).await.map_err(failed)? {
                let holder = holder(index.table, table, &row);
                self.held
                    .extend(place(&row, 0).map(|at| (at, holder, self.looks)));
            }
            if chunk.len() > 1 && (!index.is_exclusion || chunk.len() <= PAIRS) {
                let text = index.twice(table);
                let pairs = session.client.query(&text, &values).await.map_err(failed)?;
                let pairs = pairs.iter().map(|row| place(row, 0).zip(place(row, 1)));
                self.twice.extend(pairs.flatten());
            }
        }
        self.looks += 1;
        Ok(())
    }

    /// The first row in the way.
    pub(super) fn holder(self) -> Option<Holder> {
        self.held.into_iter().next().map(|(_, holder, _)| holder)
    }

    /// Leaves out what is refused, and says which rows have to be taken out of others' way and how.
    /// `way` says how that goes for the row at a place and the constraint of that many looks before;
    /// where it doesn't go, who wants the place is left out, and such a place is returned.
    pub(super) fn part(
        self,
        order: &Order,
        left: &mut BTreeMap<usize, Option<Holder>>,
        ways: &mut BTreeMap<usize, Way>,
        way: impl Fn(usize, usize) -> Option<Way>,
    ) -> Option<usize> {
        let mut stuck = None;
        let holders: HashSet<&Key> = self.held.iter().map(|(_, holder, _)| &holder.0).collect();
        let in_order = order.rows.iter().enumerate();
        let places: HashMap<&Key, usize> = in_order
            .filter(|(_, (key, _))| holders.contains(key))
            .map(|(at, (key, _))| (key, at))
            .collect();
        let place = |holder: &Holder| places.get(&holder.0).copied();
        let planned = |at: usize| {
            let (key, version) = &order.rows[at];
            let row = version.row.as_ref()?;
            Some((key.clone(), row.payload.clone(), None))
        };
        let meet = |a: usize, b: usize| self.twice.contains(&(a.max(b), a.min(b)));
        for (at, holder, _) in &self.held {
            // Who has it already keeps it.
            match place(holder) {
                None => _ = left.entry(*at).or_insert_with(|| Some(holder.clone())),
                Some(other) if meet(*at, other) => {
                    left.entry(*at).or_insert_with(|| planned(other));
                }
                Some(_) => {}
            }
        }
        for &(later, earlier) in &self.twice {
            if !left.contains_key(&later) && !left.contains_key(&earlier) {
                left.insert(later, planned(earlier));
            }
        }
        loop {
            let before = left.len();
            ways.clear();
            for (at, holder, index) in &self.held {
                let Some(other) = place(holder).filter(|_| !left.contains_key(at)) else {
                    continue;
                };
                // A row that isn't written stays where it is.
                if left.contains_key(&other) {
                    left.insert(*at, Some(holder.clone()));
                    continue;
                }
                match way(other, *index) {
                    Some(way) => _ = ways.insert(other, way),
                    None => {
                        stuck = Some(other);
                        left.insert(*at, Some(holder.clone()));
                    }
                }
            }
            if left.len() == before {
                return stuck;
            }
        }
    }
}

/// The row that an answer of [`Index::held`] shows.
fn holder(id: TableId, table: &TableSql, row: &Row) -> Holder {
    let mut packer = Packer::default();
    let field = |at: usize| {
        let text: Option<&str> = row.get(1 + at);
        text.map_or(Field::Null, Field::Text)
    };
    for &at in &table.key {
        packer.field(field(at));
    }
    let key = Key::new(id, packer.take());
    for at in 0..table.columns.len() {
        packer.field(field(at));
    }
    (key, packer.take(), row.get(1 + table.columns.len()))
}
