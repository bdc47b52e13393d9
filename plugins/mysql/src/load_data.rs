//! Copies by `LOAD DATA LOCAL INFILE`: the rows of a batch as a file that is sent when the server asks.
//!
//! The server takes such a file leniently, whatever the `sql_mode`: it warns where a statement would
//! fail, cuts values, and leaves out rows whose key is there. So the rows count only where it took all of
//! them without a warning; otherwise the transaction is rolled back, and the same rows go by `INSERT`.

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use mysql_async::{Error, prelude::Queryable as _};
use tahr_plugin_api::{Batch, Op, WriteError};

use crate::{
    error::explain,
    load::is_lock,
    session::Session,
    table::Table,
    types::Form,
    value::{Counts, Fitted, put_hex},
};

/// How often a batch is sent again after a deadlock with another loader.
const ATTEMPTS: usize = 5;

/// What came of a batch.
pub(crate) struct Loaded {
    /// To be used again.
    pub(crate) buffer: Vec<u8>,
    /// None: not loaded, nor anything of it.
    pub(crate) counts: Option<Counts>,
}

/// Loads the rows of `batch` into `table`.
pub(crate) async fn load(
    session: &mut Session,
    table: &Table,
    batch: &Batch,
    mut buffer: Vec<u8>,
) -> Result<Loaded, WriteError> {
    buffer.clear();
    let mut counts = Counts::default();
    let mut rows = 0;
    for (index, change) in batch.changes().enumerate() {
        if change.op() != Op::Insert {
            continue;
        }
        for (place, &column) in table.written.iter().enumerate() {
            if place > 0 {
                buffer.push(b'\t');
            }
            let value = table.fit(column, change.value(column), &mut counts);
            put(&mut buffer, value.map_err(|error| error.change(index))?);
        }
        buffer.push(b'\n');
        rows += 1;
    }
    let file = Bytes::from(buffer);
    let statement = statement(table);
    let mut attempts = 0;
    let is_loaded = loop {
        attempts += 1;
        match send(session, &statement, file.clone(), rows).await {
            Ok(is_loaded) => break is_loaded,
            Err(error) if is_lock(&error) && attempts < ATTEMPTS => {}
            // The statement was refused: forbidden, or for a value.
            Err(Error::Server(_)) => break false,
            Err(error) => {
                return Err(explain(&error, &format!("copy table {:?}", table.name)));
            }
        }
        roll_back(session).await?;
    };
    if !is_loaded {
        roll_back(session).await?;
    }
    Ok(Loaded {
        buffer: file.try_into_mut().map(Into::into).unwrap_or_default(),
        counts: is_loaded.then_some(counts),
    })
}

async fn roll_back(session: &mut Session) -> Result<(), WriteError> {
    let rolled_back = session.run("ROLLBACK").await;
    rolled_back.map_err(|error| explain(&error, "roll back"))
}

/// Whether all rows are in.
async fn send(
    session: &mut Session,
    statement: &str,
    file: Bytes,
    rows: u64,
) -> Result<bool, Error> {
    session.run("START TRANSACTION").await?;
    let handler = async move { Ok(stream::iter([Ok(file)]).boxed()) };
    session.conn.set_infile_handler(handler);
    let result = session.conn.query_iter(statement).await?;
    let is_complete = result.affected_rows() == rows && result.warnings() == 0;
    result.drop_result().await?;
    if is_complete {
        session.run("COMMIT").await?;
    }
    Ok(is_complete)
}

fn statement(table: &Table) -> String {
    let mut sets = Vec::new();
    let fields: Vec<String> = (table.written.iter().enumerate())
        .map(|(place, &index)| {
            let column = &table.columns[index];
            if column.form != Form::Bytes {
                return column.quoted.clone();
            }
            // A file has one character set, which bytes don't have.
            sets.push(format!("{}=UNHEX(@tahr_{place})", column.quoted));
            format!("@tahr_{place}")
        })
        .collect();
    let sets = if sets.is_empty() {
        String::new()
    } else {
        format!(" SET {}", sets.join(","))
    };
    format!(
        "LOAD DATA LOCAL INFILE 'tahr' INTO TABLE {} CHARACTER SET utf8mb4 \
         FIELDS TERMINATED BY 0x09 ESCAPED BY 0x5c LINES TERMINATED BY 0x0a ({}){sets}",
        table.quoted,
        fields.join(",")
    )
}

/// Appends a value as a field.
fn put(out: &mut Vec<u8>, value: Fitted<'_>) {
    match value {
        Fitted::Null => out.extend_from_slice(b"\\N"),
        Fitted::Number(text) | Fitted::Float(text) => out.extend_from_slice(text.as_bytes()),
        Fitted::Text(text) => put_text(out, text.as_bytes()),
        Fitted::Bytes(bytes) => put_hex(out, bytes),
        Fitted::Hex(bytes) => {
            out.extend_from_slice(b"\\\\x");
            put_hex(out, bytes);
        }
    }
}

/// The letter after the backslash for the bytes that can't stand for themselves.
fn escape(byte: u8) -> Option<u8> {
    match byte {
        b'\\' => Some(b'\\'),
        b'\n' => Some(b'n'),
        b'\t' => Some(b't'),
        0 => Some(b'0'),
        _ => None,
    }
}

fn put_text(out: &mut Vec<u8>, mut text: &[u8]) {
    out.reserve(text.len());
    // Nearly every value has nothing to escape and is one copy.
    while let Some(at) = text.iter().position(|&byte| escape(byte).is_some()) {
        out.extend_from_slice(&text[..at]);
        out.push(b'\\');
        out.push(escape(text[at]).unwrap_or_default());
        text = &text[at + 1..];
    }
    out.extend_from_slice(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_escaped_as_the_server_reads_them() {
        let mut out = Vec::new();
        for value in [
            Fitted::Text("a\tb\\N\r\n"),
            Fitted::Null,
            Fitted::Bytes(&[0, 255]),
            Fitted::Text(""),
            Fitted::Hex(&[0xab]),
            Fitted::Float("1e+100"),
        ] {
            put(&mut out, value);
            out.push(b'|');
        }
        assert_eq!(out, b"a\\tb\\\\N\r\\n|\\N|00ff||\\\\xab|1e+100|");
    }
}
