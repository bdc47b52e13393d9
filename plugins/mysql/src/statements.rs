//! The SQL of single changes and what multi-row statements are made of, appended to one buffer.

use tahr_plugin_api::{Change, Row, Value, WriteError};

use crate::{
    table::Table,
    types::Form,
    value::{Counts, Fitted, put},
};

/// Appends the values of a change's new row: `(1,'a')`.
pub(crate) fn put_row<'a>(
    out: &mut Vec<u8>,
    table: &Table,
    value: impl Fn(usize) -> Value<'a>,
    counts: &mut Counts,
) -> Result<(), WriteError> {
    out.push(b'(');
    for (place, &index) in table.written.iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        put(out, table.fit(index, value(index), counts)?);
    }
    out.push(b')');
    Ok(())
}

/// Appends what one key is in a list of keys: `1`, or `(a=1 AND b=2)`.
pub(crate) fn put_key<'a>(
    out: &mut Vec<u8>,
    table: &Table,
    value: impl Fn(usize) -> Value<'a>,
    counts: &mut Counts,
) -> Result<(), WriteError> {
    if let [only] = *table.key {
        put(out, table.fit(only, value(only), counts)?);
        return Ok(());
    }
    out.push(b'(');
    put_condition(out, table, &table.key, value, counts)?;
    out.push(b')');
    Ok(())
}

/// Appends `a=1 AND b=2`.
fn put_condition<'a>(
    out: &mut Vec<u8>,
    table: &Table,
    columns: &[usize],
    value: impl Fn(usize) -> Value<'a>,
    counts: &mut Counts,
) -> Result<(), WriteError> {
    for (place, &index) in columns.iter().enumerate() {
        if place > 0 {
            out.extend_from_slice(b" AND ");
        }
        out.extend_from_slice(table.columns[index].quoted.as_bytes());
        out.push(b'=');
        put(out, table.fit(index, value(index), counts)?);
    }
    Ok(())
}

/// Appends ` WHERE …` for the row that `row` names.
pub(crate) fn put_where(out: &mut Vec<u8>, table: &Table, row: Row<'_>) -> Result<(), WriteError> {
    // What was altered on its way in was counted then.
    let mut counts = Counts::default();
    out.extend_from_slice(b" WHERE ");
    if !table.key.is_empty() {
        return put_condition(
            out,
            table,
            &table.key,
            |index| row.value(index),
            &mut counts,
        );
    }
    for (place, &index) in table.written.iter().enumerate() {
        if place > 0 {
            out.extend_from_slice(b" AND ");
        }
        let column = &table.columns[index];
        let value = table.fit(index, row.value(index), &mut counts)?;
        if column.compares_exactly || value == Fitted::Null {
            out.extend_from_slice(column.quoted.as_bytes());
            out.extend_from_slice(b"<=>");
            put(out, value);
        } else if column.form == Form::Text {
            // Its collation takes different texts for one.
            out.extend_from_slice(b"CAST(CONVERT(");
            out.extend_from_slice(column.quoted.as_bytes());
            out.extend_from_slice(b" USING utf8mb4) AS BINARY)<=>CAST(");
            put(out, value);
            out.extend_from_slice(b" AS BINARY)");
        }
    }
    out.extend_from_slice(b" LIMIT 1");
    Ok(())
}

/// Appends `UPDATE t SET a=1` for the columns of which `is_set` holds; false where there are none.
pub(crate) fn put_update<'a>(
    out: &mut Vec<u8>,
    table: &Table,
    value: impl Fn(usize) -> Value<'a>,
    is_set: impl Fn(usize) -> bool,
    counts: &mut Counts,
) -> Result<bool, WriteError> {
    let start = out.len();
    out.extend_from_slice(b"UPDATE ");
    out.extend_from_slice(table.quoted.as_bytes());
    out.extend_from_slice(b" SET ");
    let mut is_first = true;
    for &index in &table.written {
        if !is_set(index) {
            continue;
        }
        if !std::mem::take(&mut is_first) {
            out.push(b',');
        }
        out.extend_from_slice(table.columns[index].quoted.as_bytes());
        out.push(b'=');
        put(out, table.fit(index, value(index), counts)?);
    }
    if is_first {
        out.truncate(start);
    }
    Ok(!is_first)
}

/// Appends `DELETE FROM t`, all of it or what comes behind.
pub(crate) fn put_delete(out: &mut Vec<u8>, table: &Table) {
    out.extend_from_slice(b"DELETE FROM ");
    out.extend_from_slice(table.quoted.as_bytes());
}

/// Whether an update sets the column: not where the source did not send it, and a key only where it
/// moves.
pub(crate) fn sets(change: &Change<'_>, table: &Table, moves_key: bool, index: usize) -> bool {
    !change.value(index).is_unchanged() && (moves_key || !table.key.contains(&index))
}
