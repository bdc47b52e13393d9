//! A value of a change as a statement's parameter.

use bytes::{BufMut, BytesMut};
use tahr_plugin_api::{Value, ValueKind};
use tokio_postgres::types::{Format, IsNull, ToSql, Type, to_sql_checked};

/// A value sent in PostgreSQL's text form, whatever the parameter's type: the server reads it with
/// the type's own input function, just as the source printed it with the output function.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Parameter<'a> {
    /// Null.
    Null,
    /// Text.
    Text(&'a str),
    /// Bytes, written as `\x…`.
    Bytes(&'a [u8]),
    /// Text that is not UTF-8, which the server refuses unless its encoding takes it.
    Raw(&'a [u8]),
}

impl<'a> Parameter<'a> {
    /// The value of a column of kind `kind`.
    ///
    /// An unchanged value has no parameter: callers leave its column out. Should one come here it
    /// reads as null.
    pub(crate) fn new(value: Value<'a>, kind: ValueKind) -> Self {
        match value {
            Value::Null | Value::Unchanged => Self::Null,
            Value::Text(_, text) => Self::Text(text),
            Value::Bytes(bytes) if kind == ValueKind::Bytes => Self::Bytes(bytes),
            Value::Bytes(text) => Self::Raw(text),
        }
    }
}

impl ToSql for Parameter<'_> {
    fn to_sql(
        &self,
        _: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Self::Null => return Ok(IsNull::Yes),
            Self::Text(text) => out.put_slice(text.as_bytes()),
            Self::Raw(text) => out.put_slice(text),
            Self::Bytes(bytes) => {
                out.put_slice(b"\\x");
                put_hex(bytes, out);
            }
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    to_sql_checked!();
}

/// Writes `bytes` as hexadecimal digits.
pub(crate) fn put_hex(bytes: &[u8], out: &mut BytesMut) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.reserve(bytes.len() * 2);
    for byte in bytes {
        out.put_u8(DIGITS[usize::from(byte >> 4)]);
        out.put_u8(DIGITS[usize::from(byte & 15)]);
    }
}
