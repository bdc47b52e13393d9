//! One value from PostgreSQL's text into an arena.

use tahr_plugin_api::{Relation, ValueKind, abi::ArenaBuilder};

/// Adds `text`, a value of a column that holds bytes or anything else, to the row being built.
///
/// `bytea` becomes its bytes. Text that isn't UTF-8, which a `SQL_ASCII` database may hold, is
/// kept as bytes rather than altered.
pub(super) fn push(builder: &mut ArenaBuilder, is_bytes: bool, text: &[u8]) {
    if is_bytes
        && let Some(digits) = text.strip_prefix(b"\\x")
        && builder.push_hex(digits)
    {
        return;
    }
    match simdutf8::basic::from_utf8(text) {
        Ok(text) => builder.push_text(text),
        Err(_) => builder.push_bytes(text),
    }
}

/// For each column of `relation`, whether it holds bytes.
pub(super) fn bytes_columns(relation: &Relation) -> Box<[bool]> {
    relation
        .columns
        .iter()
        .map(|column| column.kind == ValueKind::Bytes)
        .collect()
}
