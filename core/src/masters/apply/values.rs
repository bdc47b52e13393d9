//! Packed values on their way to the server: as parameters, as arrays of them, as lines of `COPY`.

use std::error::Error;

use bytes::{BufMut as _, BytesMut};
use tokio_postgres::types::{Format, IsNull, ToSql, Type, to_sql_checked};

use crate::{
    masters::rows::{Field, fields},
    reconcile::Blob,
};

/// One value in PostgreSQL's text form, whatever the parameter's type: the server reads it with the
/// type's own input function.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text<'a>(Option<&'a str>);

impl ToSql for Text<'_> {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        let Some(text) = self.0 else {
            return Ok(IsNull::Yes);
        };
        out.put_slice(text.as_bytes());
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

/// A packed row's bytes don't hold a value for each column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Misfit;

/// The `width` values of a packed row or key.
pub(super) fn texts(packed: &Blob, width: usize) -> Result<Vec<Text<'_>>, Misfit> {
    let mut texts = Vec::with_capacity(width);
    for field in fields(packed) {
        texts.push(match field {
            Field::Null => Text(None),
            Field::Text(text) => Text(Some(text)),
            Field::Unchanged => return Err(Misfit),
        });
    }
    if texts.len() == width {
        Ok(texts)
    } else {
        Err(Misfit)
    }
}

/// One column of many rows as a `text[]` in binary form, made once and sent as it is.
#[derive(Debug)]
pub(super) struct Array(BytesMut);

/// Where the number of elements is in the header: after dimensions, flags and element type.
const COUNT: std::ops::Range<usize> = 12..16;

impl Array {
    fn new() -> Self {
        let mut bytes = BytesMut::with_capacity(1 << 10);
        bytes.put_i32(1);
        bytes.put_i32(1);
        bytes.put_u32(Type::TEXT.oid());
        bytes.put_i32(0);
        bytes.put_i32(1);
        Self(bytes)
    }

    fn push(&mut self, text: Option<&str>) -> Result<(), Misfit> {
        let Some(text) = text else {
            self.0.put_i32(-1);
            return Ok(());
        };
        self.0
            .put_i32(i32::try_from(text.len()).map_err(|_| Misfit)?);
        self.0.put_slice(text.as_bytes());
        Ok(())
    }
}

impl ToSql for Array {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.put_slice(&self.0);
        Ok(IsNull::No)
    }

    fn accepts(kind: &Type) -> bool {
        *kind == Type::TEXT_ARRAY
    }

    to_sql_checked!();
}

/// The columns of rows or keys of `width` values each.
pub(super) fn arrays<'a>(
    rows: impl IntoIterator<Item = &'a Blob>,
    width: usize,
) -> Result<Vec<Array>, Misfit> {
    let mut arrays: Vec<Array> = (0..width).map(|_| Array::new()).collect();
    let mut count = 0_i32;
    for row in rows {
        let mut place = 0;
        for field in fields(row) {
            let array = arrays.get_mut(place).ok_or(Misfit)?;
            array.push(match field {
                Field::Null => None,
                Field::Text(text) => Some(text),
                Field::Unchanged => return Err(Misfit),
            })?;
            place += 1;
        }
        if place != width {
            return Err(Misfit);
        }
        count += 1;
    }
    for array in &mut arrays {
        array.0[COUNT].copy_from_slice(&count.to_be_bytes());
    }
    Ok(arrays)
}

/// Adds a row of `width` values as `COPY … FROM STDIN` reads it.
pub(super) fn copy_line(row: &Blob, width: usize, out: &mut BytesMut) -> Result<(), Misfit> {
    let mut place = 0;
    for field in fields(row) {
        if place > 0 {
            out.put_u8(b'\t');
        }
        match field {
            Field::Null => out.put_slice(b"\\N"),
            Field::Text(text) => escaped(text.as_bytes(), out),
            Field::Unchanged => return Err(Misfit),
        }
        place += 1;
    }
    out.put_u8(b'\n');
    if place == width { Ok(()) } else { Err(Misfit) }
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

fn escaped(mut text: &[u8], out: &mut BytesMut) {
    out.reserve(text.len());
    // Nearly every value has nothing to escape and is one copy.
    while let Some((at, letter)) = text
        .iter()
        .enumerate()
        .find_map(|(at, &byte)| Some((at, escape(byte)?)))
    {
        out.put_slice(&text[..at]);
        out.put_slice(&[b'\\', letter]);
        text = &text[at + 1..];
    }
    out.put_slice(text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::masters::rows::Packer;

    fn packed(values: &[Option<&str>]) -> Blob {
        let mut packer = Packer::default();
        for value in values {
            packer.field(value.map_or(Field::Null, Field::Text));
        }
        packer.take()
    }

    #[test]
    fn a_row_is_a_line_that_copy_reads() {
        let mut out = BytesMut::new();
        let row = packed(&[
            Some("a\tb\\N\r\n"),
            None,
            Some("\\x00ff"),
            Some(""),
            Some("\\."),
        ]);
        copy_line(&row, 5, &mut out).unwrap();
        assert_eq!(&out[..], b"a\\tb\\\\N\\r\\n\t\\N\t\\\\x00ff\t\t\\\\.\n");
    }

    #[test]
    fn rows_become_columns() {
        let rows = [packed(&[Some("a"), None]), packed(&[Some(""), Some("b")])];
        let arrays = arrays(&rows, 2).unwrap();
        let header = [0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 25, 0, 0, 0, 2, 0, 0, 0, 1];
        assert_eq!(&arrays[0].0[..20], header);
        assert_eq!(&arrays[0].0[20..], [0, 0, 0, 1, b'a', 0, 0, 0, 0]);
        assert_eq!(&arrays[1].0[20..], [255, 255, 255, 255, 0, 0, 0, 1, b'b']);
    }

    #[test]
    fn a_row_of_other_columns_is_no_row() {
        let row = packed(&[Some("a"), None]);
        assert_eq!(arrays([&row], 3).err(), Some(Misfit));
        assert_eq!(arrays([&row], 1).err(), Some(Misfit));
        assert_eq!(texts(&row, 1).err(), Some(Misfit));
        assert_eq!(copy_line(&row, 3, &mut BytesMut::new()), Err(Misfit));
    }
}
