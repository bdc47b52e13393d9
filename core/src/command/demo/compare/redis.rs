//! The rows of the Redis target.

use std::collections::HashMap;

use super::{
    rows::{Row, Rows, Tally},
    rules::Found,
    table::Table,
    verdict::Verdict,
};
use crate::{
    Error,
    command::demo::resp::{Answer, Client},
};

/// Keys in one round trip.
const KEYS: &[u8] = b"500";
/// What the keys of tahr's own bookkeeping begin with.
const BOOKKEEPING: &[u8] = b"tahr:";

/// Compares all keys that there are.
pub(super) async fn compare(
    port: u16,
    password: &str,
    tables: &[Table],
    rows: &Rows,
) -> Result<Verdict, Error> {
    let mut client = Client::connect(port, password).await?;
    let mut tally = Tally::new("redis", rows);
    let mut cursor = b"0".to_vec();
    // A scan may give a key twice while Redis makes room for more of them.
    let mut seen = std::collections::HashSet::new();
    loop {
        let scan: &[&[u8]] = &[b"SCAN", &cursor, b"COUNT", KEYS];
        let mut answer = client
            .ask(&[scan])
            .await?
            .pop()
            .unwrap_or(Answer::Nothing)
            .into_list();
        let keys = answer.pop().unwrap_or(Answer::Nothing).into_list();
        cursor = answer.pop().unwrap_or(Answer::Nothing).into_bytes();
        let keys: Vec<_> = keys
            .into_iter()
            .map(Answer::into_bytes)
            .filter(|key| !key.starts_with(BOOKKEEPING) && seen.insert(key.clone()))
            .collect();
        let commands: Vec<[&[u8]; 2]> = keys.iter().map(|key| [&b"HGETALL"[..], key]).collect();
        let commands: Vec<&[&[u8]]> = commands.iter().map(<[&[u8]; 2]>::as_slice).collect();
        for (key, fields) in keys.iter().zip(client.ask(&commands).await?) {
            match tables.iter().find(|table| is_of(table, key)) {
                Some(table) => see(&mut tally, table, key, fields.into_list()),
                None => tally.note(key, "is of no table of the source"),
            }
        }
        if cursor == b"0" || cursor.is_empty() {
            return Ok(tally.finish(|table| !tables[table].key.is_empty()));
        }
    }
}

/// Whether a key names a row of `table`.
fn is_of(table: &Table, key: &[u8]) -> bool {
    key.strip_prefix(table.name.as_bytes())
        .is_some_and(|rest| rest.starts_with(b":"))
}

fn see(tally: &mut Tally<'_>, table: &Table, key: &[u8], fields: Vec<Answer>) {
    let mut fields = fields.into_iter().map(Answer::into_bytes);
    let mut values = HashMap::new();
    while let (Some(name), Some(value)) = (fields.next(), fields.next()) {
        values.insert(name, value);
    }
    let found = table.columns.iter().map(|column| {
        values
            .get(column.name.as_bytes())
            .map_or(Found::Null, |value| Found::Field(value))
    });
    let row = Row::new(table, found);
    let known = |name: &Vec<u8>| {
        table
            .columns
            .iter()
            .any(|column| column.name.as_bytes() == *name)
    };
    if row.name != key {
        tally.note(key, "has the values of another row");
    } else if !values.keys().all(known) {
        tally.note(key, "has a field that is no column");
    } else {
        tally.see(&row);
    }
}
