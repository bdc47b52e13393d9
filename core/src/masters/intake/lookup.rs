//! Lookups: the present values of rows by their keys, in SQL.
//!
//! The rows come by the simple protocol, whose values are printed as the stream prints them: a cast
//! to `text` is something else for some types.

use std::fmt::Write as _;

use tahr_plugin_api::TableName;
use tokio_postgres::{Client, Row, SimpleQueryMessage, SimpleQueryRow};

use crate::{
    masters::{
        SharedTable,
        rows::{self, Field},
    },
    reconcile::Key,
    source::{quote_identifier, quote_literal, quote_table},
};

/// A table by its OID, and for each key column what compares it: names may have changed since.
///
/// The operator is the one of the key's index, since the session's search path is empty.
const TABLE: &str = "
SELECT n.nspname, c.relname, c.relkind = 'p', a.attname,
       pg_catalog.format_type(a.atttypid, a.atttypmod),
       coalesce(op.nspname, 'pg_catalog'), coalesce(op.oprname, '=')
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_index i ON i.indrelid = c.oid AND i.indisprimary
CROSS JOIN LATERAL ROWS FROM (pg_catalog.unnest(i.indkey), pg_catalog.unnest(i.indclass))
     AS k(attnum, class)
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
LEFT JOIN LATERAL (
  SELECT s.nspname, o.oprname
  FROM pg_catalog.pg_opclass oc
  JOIN pg_catalog.pg_am m ON m.oid = oc.opcmethod AND m.amname = 'btree'
  JOIN pg_catalog.pg_amop ao ON ao.amopfamily = oc.opcfamily AND ao.amopstrategy = 3
       AND ao.amoplefttype = oc.opcintype AND ao.amoprighttype = oc.opcintype
  JOIN pg_catalog.pg_operator o ON o.oid = ao.amopopr
  JOIN pg_catalog.pg_namespace s ON s.oid = o.oprnamespace
  WHERE oc.oid = k.class) op ON true
WHERE c.oid = $1 AND k.class IS NOT NULL";

/// A table as it is now.
#[derive(Debug)]
pub(super) struct Located {
    /// What it is selected from.
    from: String,
    /// In order of the shared key.
    key: Vec<KeyColumn>,
}

#[derive(Debug)]
struct KeyColumn {
    name: String,
    type_name: String,
    operator: String,
}

impl Located {
    /// The table that has `oid`; none where no such table has the shared key.
    pub(super) async fn find(
        client: &Client,
        table: &SharedTable,
        oid: u32,
    ) -> Result<Option<Self>, tokio_postgres::Error> {
        let rows = client.query(TABLE, &[&oid]).await?;
        let column = |row: &Row| KeyColumn {
            name: row.get(3),
            type_name: row.get(4),
            operator: format!(
                "OPERATOR({}.{})",
                quote_identifier(row.get(5)),
                row.get::<_, &str>(6)
            ),
        };
        let mut found: Vec<KeyColumn> = rows.iter().map(column).collect();
        if found.len() != table.key.len() {
            return Ok(None);
        }
        let mut key = Vec::with_capacity(found.len());
        for &index in &table.key {
            let name = &table.columns[index].name;
            let Some(place) = found.iter().position(|column| column.name == *name) else {
                return Ok(None);
            };
            key.push(found.swap_remove(place));
        }
        let name = TableName::new(rows[0].get::<_, &str>(0), rows[0].get::<_, &str>(1));
        // Tables that inherit from it are tables of their own; partitions are not.
        let only = if rows[0].get(2) { "" } else { "ONLY " };
        let from = format!("{only}{}", quote_table(&name));
        Ok(Some(Self { from, key }))
    }

    /// The values of `columns` in the rows at `keys`, where there are such rows; none where some
    /// of the transactions `xids`, which the stream has shown, are not visible yet: PostgreSQL lets
    /// others see a commit only some time after it is in the WAL.
    pub(super) async fn rows(
        &self,
        client: &Client,
        xids: &[u32],
        columns: &[&str],
        keys: &[&Key],
    ) -> Result<Option<Vec<Option<SimpleQueryRow>>>, tokio_postgres::Error> {
        let sql = format!("{}; {}", are_visible(xids), self.select(columns, keys));
        let mut found: Vec<Option<SimpleQueryRow>> = Vec::new();
        found.resize_with(keys.len(), || None);
        let mut is_first = true;
        for message in client.simple_query(&sql).await? {
            let SimpleQueryMessage::Row(row) = message else {
                continue;
            };
            if std::mem::take(&mut is_first) {
                if row.get(0) != Some("t") {
                    return Ok(None);
                }
                continue;
            }
            let number = row.get(0).and_then(|number| number.parse::<usize>().ok());
            let place = number.and_then(|number| found.get_mut(number.checked_sub(1)?));
            if let Some(place) = place {
                *place = Some(row);
            }
        }
        Ok(Some(found))
    }

    /// The rows at `keys`: first the number of the key, counted from one.
    fn select(&self, columns: &[&str], keys: &[&Key]) -> String {
        let mut lists = vec![String::new(); self.key.len()];
        for key in keys {
            let mut fields = key.row.iter().flat_map(rows::fields);
            for list in &mut lists {
                if !list.is_empty() {
                    list.push(',');
                }
                match fields.next() {
                    Some(Field::Text(text)) => list.push_str(&quote_literal(text)),
                    _ => list.push_str("NULL"),
                }
            }
        }
        let mut sql = "SELECT k.n".to_owned();
        for column in columns {
            let _ = write!(sql, ", t.{}", quote_identifier(column));
        }
        let lists = lists
            .iter()
            .map(|list| format!("pg_catalog.unnest(ARRAY[{list}]::pg_catalog.text[])"));
        let lists = lists.collect::<Vec<_>>().join(", ");
        let names: Vec<_> = (0..self.key.len())
            .map(|place| format!("k{place}"))
            .collect();
        let pairs = self.key.iter().zip(&names).map(|(column, name)| {
            let (at, operator) = (quote_identifier(&column.name), &column.operator);
            format!("t.{at} {operator} k.{name}::{}", column.type_name)
        });
        let _ = write!(
            sql,
            " FROM ROWS FROM ({lists}) WITH ORDINALITY k({}, n) JOIN {} t ON {}",
            names.join(", "),
            self.from,
            pairs.collect::<Vec<_>>().join(" AND ")
        );
        sql
    }
}

/// Whether all transactions `xids` can be seen. The stream tells the lower half of their numbers;
/// the upper is that of the nearest number to the present.
fn are_visible(xids: &[u32]) -> String {
    let list = xids.iter().map(u32::to_string).collect::<Vec<_>>();
    format!(
        "SELECT pg_catalog.bool_and(pg_catalog.txid_visible_in_snapshot(\
           far - pg_catalog.mod(far - xid, 4294967296), pg_catalog.txid_current_snapshot())) \
         FROM pg_catalog.unnest(ARRAY[{}]::pg_catalog.int8[]) xid, \
           (SELECT pg_catalog.txid_snapshot_xmax(pg_catalog.txid_current_snapshot()) \
              + 2147483648) p(far)",
        list.join(",")
    )
}
