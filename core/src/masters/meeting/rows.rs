//! The rows of one source's table, one at a time, as lines of `COPY`'s text format.

use bytes::Bytes;
use futures_util::StreamExt as _;

use super::order::Key;
use crate::{
    masters::rows::{Field, Packer},
    reconcile::{Blob, Held, Row},
    source::{Rows, SourceError},
};

/// The rows of a table in order of their keys.
#[derive(Debug)]
pub(super) struct Sorted {
    rows: Rows,
    source: String,
    /// What was received and not looked at yet.
    chunk: Bytes,
    /// The present line without its end; none when there are no more.
    line: Option<Bytes>,
    /// What sorts as its key does; empty as long as nobody asked.
    key: Vec<u8>,
}

impl Sorted {
    pub(super) fn new(rows: Rows, source: &str) -> Self {
        Self {
            rows,
            source: source.to_owned(),
            chunk: Bytes::new(),
            line: None,
            key: Vec::new(),
        }
    }

    /// Goes to the next row.
    pub(super) async fn advance(&mut self) -> Result<(), SourceError> {
        self.key.clear();
        while self.chunk.is_empty() {
            match self.rows.next().await {
                Some(Ok(chunk)) => self.chunk = chunk,
                Some(Err(mut error)) => {
                    error.message = format!("source \"{}\": {}", self.source, error.message);
                    return Err(error);
                }
                None => {
                    self.line = None;
                    return Ok(());
                }
            }
        }
        // The server sends a line at a time, so mostly there is nothing to look for.
        let end = match self.chunk.iter().position(|&byte| byte == b'\n') {
            Some(end) => end,
            None => return Err(self.malformed()),
        };
        let mut line = self.chunk.split_to(end + 1);
        line.truncate(end);
        self.line = Some(line);
        Ok(())
    }

    /// The row's values, without when it was committed.
    pub(super) fn values(&self) -> Option<&[u8]> {
        let line = self.line.as_ref()?;
        let tab = line.iter().position(|&byte| byte == b'\t');
        Some(tab.map_or(&[][..], |tab| &line[tab + 1..]))
    }

    /// What sorts as the row's key does; none when there are no more rows.
    pub(super) fn key(&mut self, order: &Key) -> Result<Option<&[u8]>, SourceError> {
        if self.line.is_none() {
            return Ok(None);
        }
        if self.key.is_empty() {
            let mut bytes = std::mem::take(&mut self.key);
            let pushed = self.push_key(order, &mut bytes);
            self.key = bytes;
            if pushed.is_none() {
                return Err(self.malformed());
            }
        }
        Ok(Some(&self.key))
    }

    /// As [`key`](Self::key), where somebody has asked for it already.
    pub(super) fn known_key(&self) -> Option<&[u8]> {
        self.line.is_some().then_some(self.key.as_slice())
    }

    fn push_key(&self, order: &Key, bytes: &mut Vec<u8>) -> Option<()> {
        let values: Vec<&[u8]> = fields(self.values()?).collect();
        let mut scratch = Vec::new();
        for (place, column) in order.columns().enumerate() {
            let text = unescape(values.get(column)?, &mut scratch)?;
            order.push(place, text, bytes)?;
        }
        Some(())
    }

    /// The row's packed key.
    pub(super) fn packed_key(&self, order: &Key, packer: &mut Packer) -> Result<Blob, SourceError> {
        let mut pack = || {
            let values: Vec<&[u8]> = fields(self.values()?).collect();
            let mut scratch = Vec::new();
            for column in order.columns() {
                pack(values.get(column)?, &mut scratch, packer)?;
            }
            Some(packer.take())
        };
        pack().ok_or_else(|| self.malformed())
    }

    /// The row, and when it was committed.
    pub(super) fn held(&self, packer: &mut Packer) -> Result<Held, SourceError> {
        let row: Option<Row> = self.values().and_then(|values| {
            let mut scratch = Vec::new();
            for value in fields(values) {
                pack(value, &mut scratch, packer)?;
            }
            Some(packer.take_row())
        });
        let row = row.ok_or_else(|| self.malformed())?;
        let time = self.line.as_ref().and_then(|line| fields(line).next());
        let time = time.and_then(|text| std::str::from_utf8(text).ok()?.parse().ok());
        Ok(Held { row, time })
    }

    pub(super) fn source(&self) -> &str {
        &self.source
    }

    fn malformed(&self) -> SourceError {
        SourceError::unusable(format!(
            "source \"{}\": a copied row is malformed",
            self.source
        ))
    }
}

fn fields(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|&byte| byte == b'\t')
}

/// Adds a value to a packed row.
fn pack(value: &[u8], scratch: &mut Vec<u8>, packer: &mut Packer) -> Option<()> {
    if value == b"\\N" {
        packer.field(Field::Null);
        return Some(());
    }
    let text = unescape(value, scratch)?;
    packer.field(Field::Text(std::str::from_utf8(text).ok()?));
    Some(())
}

/// A value of `COPY`'s text format as it was.
fn unescape<'a>(value: &'a [u8], scratch: &'a mut Vec<u8>) -> Option<&'a [u8]> {
    if !value.contains(&b'\\') {
        return Some(value);
    }
    scratch.clear();
    let mut bytes = value.iter();
    while let Some(&byte) = bytes.next() {
        scratch.push(match byte {
            b'\\' => match bytes.next()? {
                b'b' => 8,
                b't' => b'\t',
                b'n' => b'\n',
                b'v' => 11,
                b'f' => 12,
                b'r' => b'\r',
                &other => other,
            },
            byte => byte,
        });
    }
    Some(scratch)
}

#[cfg(test)]
mod tests {
    use super::unescape;

    #[test]
    fn escapes_are_undone() {
        let mut scratch = Vec::new();
        for (value, expected) in [
            (&b"plain"[..], Some(&b"plain"[..])),
            (b"", Some(b"")),
            (
                br"a\tb\nc\\d\re\bf\vg\f",
                Some(b"a\tb\nc\\d\re\x08f\x0bg\x0c"),
            ),
            (br"\\x00ff", Some(br"\x00ff")),
            (b"\\", None),
        ] {
            assert_eq!(unescape(value, &mut scratch), expected);
        }
    }
}
