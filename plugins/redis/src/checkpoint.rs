//! The checkpoint: a hash with the fields `stream`, `position` and `copied:<schema.table>`, and
//! `displaced` while a split transaction has rows whose key another row took (see `plan`).

use std::collections::{BTreeMap, HashMap};

use tahr_plugin_api::{Checkpoint, Lsn, Position, StreamId, TableName, WriteError};

use crate::{connection::Connection, key};

/// What every checkpoint's key begins with.
pub(crate) const PREFIX: &str = "tahr:checkpoint:";

/// Field of the position.
pub(crate) const POSITION: &str = "position";
/// Field of the stream's identity.
pub(crate) const STREAM: &str = "stream";
/// Field of the keys that rows of an open transaction have lost.
pub(crate) const DISPLACED: &str = "displaced";

/// What a table's field says between the copy's begin and end: [`Lsn::ZERO`].
pub(crate) const COPIED_NOT: &str = "0/0";

const COPIED: &str = "copied:";

/// The key of a stream's checkpoint.
pub(crate) fn key_of(stream: &StreamId) -> String {
    let mut key = PREFIX.as_bytes().to_vec();
    key::escape(stream.sync.as_bytes(), b':', &mut key);
    key.push(b':');
    key::escape(stream.source.as_bytes(), b':', &mut key);
    String::from_utf8_lossy(&key).into_owned()
}

/// Field of a table's copy.
pub(crate) fn copied_field(table: &TableName) -> String {
    format!("{COPIED}{table}")
}

/// A checkpoint as Redis holds it.
#[derive(Debug, Default)]
pub(crate) struct Stored {
    /// The checkpoint.
    pub(crate) checkpoint: Checkpoint,
    /// Keys that rows of the open transaction have lost.
    pub(crate) displaced: Vec<String>,
}

/// Reads the checkpoint at `key`.
pub(crate) fn read(connection: &mut Connection, key: &str) -> Result<Option<Stored>, WriteError> {
    let fields: HashMap<String, String> = connection.query(redis::cmd("HGETALL").arg(key))?;
    if fields.is_empty() {
        return Ok(None);
    }
    let damaged = |field: &str| {
        WriteError::rejected(format!("checkpoint {key:?} holds no valid {field:?}"))
            .hint(format!("to copy everything anew: redis-cli DEL '{key}'"))
    };
    let stream = fields
        .get(STREAM)
        .and_then(|text| serde_json::from_str(text).ok());
    let position = fields.get(POSITION).map(|text| text.parse::<Position>());
    let displaced = fields.get(DISPLACED).map(|text| serde_json::from_str(text));
    let mut copied_to = BTreeMap::new();
    for (field, text) in &fields {
        if let Some(table) = field.strip_prefix(COPIED) {
            let lsn: Lsn = text.parse().map_err(|_| damaged(field))?;
            copied_to.insert(table.to_owned(), lsn);
        }
    }
    Ok(Some(Stored {
        checkpoint: Checkpoint {
            stream: stream.ok_or_else(|| damaged(STREAM))?,
            position: position.transpose().map_err(|_| damaged(POSITION))?,
            copied_to,
        },
        displaced: displaced
            .transpose()
            .map_err(|_| damaged(DISPLACED))?
            .unwrap_or_default(),
    }))
}
