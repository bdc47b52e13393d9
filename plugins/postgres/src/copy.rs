//! Rows in the text format of `COPY … FROM STDIN`.

use std::pin::pin;

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::SinkExt;
use tokio_postgres::{Client, Error, Statement};

use crate::parameter::{Parameter, put_hex};

/// Bytes that are gathered before they are sent.
const CHUNK: usize = 128 << 10;

/// Sends rows through `COPY`; `statement` is a prepared `COPY … FROM STDIN`.
pub(crate) async fn copy_rows<'a, R, V>(
    client: &Client,
    statement: &Statement,
    rows: R,
) -> Result<u64, Error>
where
    R: IntoIterator<Item = V>,
    V: IntoIterator<Item = Parameter<'a>>,
{
    let mut sink = pin!(client.copy_in::<_, Bytes>(statement).await?);
    let mut buffer = BytesMut::with_capacity(CHUNK + CHUNK / 8);
    for row in rows {
        put_row(row, &mut buffer);
        if buffer.len() >= CHUNK {
            sink.send(buffer.split().freeze()).await?;
            buffer.reserve(CHUNK + CHUNK / 8);
        }
    }
    if !buffer.is_empty() {
        sink.send(buffer.freeze()).await?;
    }
    sink.finish().await
}

fn put_row<'a>(row: impl IntoIterator<Item = Parameter<'a>>, out: &mut BytesMut) {
    for (index, value) in row.into_iter().enumerate() {
        if index > 0 {
            out.put_u8(b'\t');
        }
        match value {
            Parameter::Null => out.put_slice(b"\\N"),
            Parameter::Text(text) => put_text(text.as_bytes(), out),
            Parameter::Raw(text) => put_text(text, out),
            Parameter::Bytes(bytes) => {
                out.put_slice(b"\\\\x");
                put_hex(bytes, out);
            }
        }
    }
    out.put_u8(b'\n');
}

/// The letter after the backslash for the bytes that can't stand for themselves.
fn escape(byte: u8) -> Option<u8> {
    match byte {
        b'\\' => Some(b'\\'),
        b'\n' => Some(b'n'),
        b'\r' => Some(b'r'),
        b'\t' => Some(b't'),
        _ => None,
    }
}

fn put_text(mut text: &[u8], out: &mut BytesMut) {
    out.reserve(text.len());
    // Nearly every value has nothing to escape and is one copy.
    while let Some(at) = text.iter().position(|&byte| escape(byte).is_some()) {
        out.put_slice(&text[..at]);
        out.put_u8(b'\\');
        out.put_u8(escape(text[at]).unwrap_or_default());
        text = &text[at + 1..];
    }
    out.put_slice(text);
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use crate::parameter::Parameter;

    #[test]
    fn a_row_is_escaped_as_copy_reads_it() {
        let mut out = BytesMut::new();
        let row = [
            Parameter::Text("a\tb\\N\r\n"),
            Parameter::Null,
            Parameter::Bytes(&[0, 255]),
            Parameter::Text(""),
            Parameter::Text("\\."),
        ];
        super::put_row(row, &mut out);
        assert_eq!(&out[..], b"a\\tb\\\\N\\r\\n\t\\N\t\\\\x00ff\t\t\\\\.\n");
    }
}
