//! Changes as JSON, for writers whose target takes text.
//!
//! [`lines`] makes a line of each change of a batch, [`write_change`] appends one to a buffer:
//!
//! ```json
//! {"op":"update","schema":"public","table":"items","lsn":"16/B374D848","ordinal":3,"xid":790,"time":"2026-01-31 12:00:00.5+00","key":{"id":7},"new":{"id":7,"price":12.50}}
//! ```
//!
//! | member | holds |
//! |---|---|
//! | `op` | `insert`, `update`, `delete`, `truncate` |
//! | `schema`, `table` | the table, as the sync names it in the target |
//! | `lsn`, `ordinal` | the start of its transaction's commit record, and its number within the transaction: together they name the change, however often it is sent. Rows of a copy have the point that the copy stands for |
//! | `xid`, `time` | the transaction and when it committed; absent from the rows of a copy |
//! | `key` | the key of the row before the change (of an insert: its key); absent from tables without one |
//! | `old` | the whole row before the change, where the source sends it (`REPLICA IDENTITY FULL`) |
//! | `new` | the row after an insert or update; a column that is absent is unchanged |
//!
//! [`rule`] says what a value becomes: JSON's own form where that is exact, and PostgreSQL's text in a
//! string otherwise. Nothing is lost but the layout of a `json` document. Numbers have all the digits
//! they had; a program that reads them into doubles rounds them itself. Text that is not UTF-8, which a
//! database with encoding `SQL_ASCII` may hold, is written as `bytea` is.

use std::{fmt, io::Write as _};

use crate::{Batch, Change, Column, Op, Relation, Row, Rule, Value, ValueKind};

/// What the values of `column` become. For [`Writer::rules`](crate::Writer::rules):
///
/// ```
/// use tahr_plugin_api::{RuleTable, json};
/// let rules = vec![RuleTable::of("", json::rule)];
/// assert_eq!(rules[0].rules[0].1.target, "boolean");
/// ```
#[must_use]
pub fn rule(column: &Column) -> Rule {
    match column.kind {
        ValueKind::Bool => Rule::exact("boolean"),
        ValueKind::Int => Rule::exact("number"),
        ValueKind::Float => Rule::exact("number").form("NaN, Infinity and -Infinity as strings"),
        ValueKind::Decimal => {
            Rule::exact("number").form("all digits; NaN, Infinity and -Infinity as strings")
        }
        ValueKind::Text => Rule::exact("string"),
        ValueKind::Bytes => Rule::exact("string").form("\\x and hexadecimal digits"),
        ValueKind::Json => {
            let rule = Rule::exact("object, array or string")
                .form("an object or array as itself, any other document as a string with its text");
            match column.type_name.as_str() {
                "jsonb" => rule,
                _ => rule.except("a line break between its parts becomes a blank"),
            }
        }
        _ => Rule::exact("string").form("PostgreSQL's text"),
    }
}

/// The changes of a batch, each with a line break behind it.
#[must_use]
pub fn lines(batch: &Batch) -> Vec<u8> {
    let mut out = Vec::new();
    for change in batch.changes() {
        write_change(&mut out, &change);
        out.push(b'\n');
    }
    out
}

/// Appends a change, as the [module](self) says, without a line break anywhere in it.
pub fn write_change(out: &mut Vec<u8>, change: &Change<'_>) {
    let relation = change.relation();
    let op = match change.op() {
        Op::Insert => "insert",
        Op::Update => "update",
        Op::Delete => "delete",
        Op::Truncate => "truncate",
    };
    print(out, format_args!("{{\"op\":\"{op}\",\"schema\":"));
    write_text(out, &relation.target.schema);
    out.extend_from_slice(b",\"table\":");
    write_text(out, &relation.target.table);
    let (lsn, ordinal) = (change.commit_lsn(), change.ordinal());
    print(
        out,
        format_args!(",\"lsn\":\"{lsn}\",\"ordinal\":{ordinal}"),
    );
    if change.xid() != 0 {
        let (xid, time) = (change.xid(), change.commit_time().in_utc());
        print(out, format_args!(",\"xid\":{xid},\"time\":\"{time}\""));
    }
    let (old, new) = (change.old_row(), change.new_row());
    if let Some(row) = old.or(new)
        && (0..relation.columns.len()).any(|index| relation.is_in_key(index))
    {
        out.extend_from_slice(b",\"key\":");
        write_columns(out, relation, row, |index| relation.is_in_key(index));
    }
    if let Some(row) = old.filter(|row| !row.is_key_only()) {
        out.extend_from_slice(b",\"old\":");
        write_columns(out, relation, row, |_| true);
    }
    if let Some(row) = new {
        out.extend_from_slice(b",\"new\":");
        write_columns(out, relation, row, |_| true);
    }
    out.push(b'}');
}

/// Appends a row as an object. Unchanged values are left out, and so is all but the key of a
/// [key](Row::is_key_only).
pub fn write_row(out: &mut Vec<u8>, relation: &Relation, row: Row<'_>) {
    let is_sent = |index: usize| !row.is_key_only() || relation.columns[index].in_identity;
    write_columns(out, relation, row, is_sent);
}

fn write_columns(
    out: &mut Vec<u8>,
    relation: &Relation,
    row: Row<'_>,
    is_wanted: impl Fn(usize) -> bool,
) {
    let mut separator = b'{';
    for (index, (column, value)) in relation.columns.iter().zip(row.values()).enumerate() {
        if value.is_unchanged() || !is_wanted(index) {
            continue;
        }
        out.push(separator);
        separator = b',';
        write_text(out, &column.name);
        out.push(b':');
        write_value(out, value);
    }
    if separator == b'{' {
        out.push(b'{');
    }
    out.push(b'}');
}

/// Appends a value by its [`rule`]. [`Value::Unchanged`] has none, and becomes `null` as
/// [`Value::Null`] does: leave it out instead.
pub fn write_value(out: &mut Vec<u8>, value: Value<'_>) {
    match value {
        Value::Null | Value::Unchanged => out.extend_from_slice(b"null"),
        Value::Bytes(bytes) => write_hex(out, bytes),
        Value::Text(ValueKind::Bool, "t") => out.extend_from_slice(b"true"),
        Value::Text(ValueKind::Bool, "f") => out.extend_from_slice(b"false"),
        Value::Text(ValueKind::Int | ValueKind::Float | ValueKind::Decimal, text)
            if is_number(text) =>
        {
            out.extend_from_slice(text.as_bytes());
        }
        Value::Text(ValueKind::Json, text) if text.trim_start().starts_with(['{', '[']) => {
            // Within its strings a line break is an escape, so one that is not lies between parts.
            let one_line = |byte: u8| if let b'\n' | b'\r' = byte { b' ' } else { byte };
            out.extend(text.bytes().map(one_line));
        }
        Value::Text(_, text) => write_text(out, text),
    }
}

/// Appends `text` as a string.
pub fn write_text(out: &mut Vec<u8>, text: &str) {
    // A vector takes everything, and so does JSON of text.
    let _ = serde_json::to_writer(out, text);
}

fn write_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.extend_from_slice(b"\"\\\\x");
    for byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 15)]);
    }
    out.push(b'"');
}

/// Whether PostgreSQL's text of a number is JSON's too: all but its words for what is no number.
fn is_number(text: &str) -> bool {
    text.starts_with(|first: char| first == '-' || first.is_ascii_digit())
        && text.ends_with(|last: char| last.is_ascii_digit())
}

fn print(out: &mut Vec<u8>, text: fmt::Arguments<'_>) {
    // A vector takes everything.
    let _ = out.write_fmt(text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Position,
        testing::{BatchBuilder, Cell, relation},
    };

    #[test]
    fn values_are_json_where_that_is_exact() {
        for (kind, text, expected) in [
            (ValueKind::Bool, "t", "true"),
            (ValueKind::Bool, "f", "false"),
            (
                ValueKind::Int,
                "-9223372036854775808",
                "-9223372036854775808",
            ),
            (ValueKind::Float, "1e-07", "1e-07"),
            (ValueKind::Float, "-0", "-0"),
            (ValueKind::Float, "-Infinity", "\"-Infinity\""),
            (ValueKind::Decimal, "10.50", "10.50"),
            (ValueKind::Decimal, "NaN", "\"NaN\""),
            (ValueKind::Json, "{\"a\":\n [1]}", "{\"a\":  [1]}"),
            (ValueKind::Json, " [null]", " [null]"),
            // Or it could not be told from SQL's NULL.
            (ValueKind::Json, "null", "\"null\""),
            (ValueKind::Json, "\"null\"", "\"\\\"null\\\"\""),
            (ValueKind::Text, "a\"\n\u{2028}", "\"a\\\"\\n\u{2028}\""),
            (ValueKind::Text, "12", "\"12\""),
            (ValueKind::Array, "{1,NULL}", "\"{1,NULL}\""),
            (ValueKind::Date, "0044-03-15 BC", "\"0044-03-15 BC\""),
        ] {
            let mut out = Vec::new();
            write_value(&mut out, Value::Text(kind, text));
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
        let mut out = Vec::new();
        write_value(&mut out, Value::Bytes(&[0, 255]));
        assert_eq!(out, b"\"\\\\x00ff\"");
    }

    #[test]
    fn a_change_is_one_line() {
        let items = relation("public.it\"ems")
            .column("name", "text")
            .column("id", "integer")
            .column("note", "text")
            .key(["id"])
            .build();
        let log = relation("public.log").column("line", "text").full().build();
        let batch = BatchBuilder::after(&Position::default())
            .insert(&items, ["a\nb", "1", "x"])
            .update(&items, [Cell::Null, Cell::Text("1"), Cell::Unchanged])
            .update_moved(&items, ["1"], ["c", "2", "x"])
            .delete(&items, ["2"])
            .delete_full(&log, ["gone"])
            .truncate(&log)
            .build();
        let mut lines = String::new();
        for change in batch.changes() {
            let mut out = Vec::new();
            write_change(&mut out, &change);
            let line = String::from_utf8(out).unwrap();
            let _: serde_json::Value = serde_json::from_str(&line).unwrap();
            let rest = line.split_once("+00\"").map_or("", |(_, rest)| rest);
            lines += &format!("{} {rest}\n", &line[7..10]);
        }
        assert_eq!(
            lines,
            "ins ,\"key\":{\"id\":1},\"new\":{\"name\":\"a\\nb\",\"id\":1,\"note\":\"x\"}}\n\
             upd ,\"key\":{\"id\":1},\"new\":{\"name\":null,\"id\":1}}\n\
             upd ,\"key\":{\"id\":1},\"new\":{\"name\":\"c\",\"id\":2,\"note\":\"x\"}}\n\
             del ,\"key\":{\"id\":2}}\n\
             del ,\"old\":{\"line\":\"gone\"}}\n\
             tru }\n"
        );
    }

    #[test]
    fn the_key_of_a_relation_is_made_of_the_columns_in_it() {
        let keyed = relation("public.a")
            .column("x", "integer")
            .column("id", "integer")
            .key(["id"]);
        for relation in [keyed.clone().build(), keyed.full().build()] {
            let in_key: Vec<usize> = (0..2).filter(|&index| relation.is_in_key(index)).collect();
            assert_eq!(in_key, relation.key());
        }
    }
}
