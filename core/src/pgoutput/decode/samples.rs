//! One well-formed message of each kind, put together by hand.

use super::super::message::TupleValue;

/// Puts messages together as PostgreSQL does.
#[derive(Default)]
pub(super) struct Bytes(pub(super) Vec<u8>);

impl Bytes {
    pub(super) fn new(tag: u8) -> Self {
        Self(vec![tag])
    }
    pub(super) fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }
    pub(super) fn u8(self, value: u8) -> Self {
        self.raw(&[value])
    }
    pub(super) fn i16(self, value: i16) -> Self {
        self.raw(&value.to_be_bytes())
    }
    pub(super) fn u32(self, value: u32) -> Self {
        self.raw(&value.to_be_bytes())
    }
    pub(super) fn i32(self, value: i32) -> Self {
        self.raw(&value.to_be_bytes())
    }
    pub(super) fn u64(self, value: u64) -> Self {
        self.raw(&value.to_be_bytes())
    }
    pub(super) fn name(self, name: &str) -> Self {
        self.raw(name.as_bytes()).u8(0)
    }
    pub(super) fn tuple(self, tag: u8, values: &[TupleValue<'_>]) -> Self {
        let count = i16::try_from(values.len()).unwrap();
        values
            .iter()
            .fold(self.u8(tag).i16(count), |bytes, value| match value {
                TupleValue::Null => bytes.u8(b'n'),
                TupleValue::Unchanged => bytes.u8(b'u'),
                TupleValue::Text(text) => bytes.u8(b't').u32(text.len() as u32).raw(text),
                TupleValue::Binary(data) => bytes.u8(b'b').u32(data.len() as u32).raw(data),
            })
    }
}

pub(super) fn begin() -> Vec<u8> {
    Bytes::new(b'B')
        .u64(0x16_B374_D848)
        .u64(777_000_000)
        .u32(4711)
        .0
}

pub(super) fn commit() -> Vec<u8> {
    Bytes::new(b'C').u8(0).u64(0x10).u64(0x20).u64(5).0
}

pub(super) fn origin() -> Vec<u8> {
    Bytes::new(b'O').u64(9).name("elsewhere").0
}

pub(super) fn relation() -> Vec<u8> {
    let table = Bytes::new(b'R')
        .u32(16384)
        .name("shöp")
        .name("items")
        .u8(b'd')
        .i16(2);
    let first = table.u8(1).name("id").u32(23).i32(-1);
    first.u8(0).name("price").u32(1700).i32(655_366).0
}

pub(super) fn type_name() -> Vec<u8> {
    Bytes::new(b'Y').u32(16500).name("public").name("mood").0
}

pub(super) const ROW: [TupleValue<'_>; 4] = [
    TupleValue::Text(b"1"),
    TupleValue::Null,
    TupleValue::Unchanged,
    TupleValue::Text(b""),
];
pub(super) const KEY: [TupleValue<'_>; 2] = [TupleValue::Binary(&[0, 255]), TupleValue::Null];

pub(super) fn insert() -> Vec<u8> {
    Bytes::new(b'I').u32(16384).tuple(b'N', &ROW).0
}

pub(super) fn update(old: Option<u8>) -> Vec<u8> {
    let bytes = Bytes::new(b'U').u32(16384);
    let bytes = match old {
        Some(tag) => bytes.tuple(tag, &KEY),
        None => bytes,
    };
    bytes.tuple(b'N', &ROW).0
}

pub(super) fn delete(tag: u8) -> Vec<u8> {
    Bytes::new(b'D').u32(16384).tuple(tag, &KEY).0
}

pub(super) fn truncate() -> Vec<u8> {
    Bytes::new(b'T').i32(2).u8(0b10).u32(16384).u32(16400).0
}

pub(super) fn logical() -> Vec<u8> {
    Bytes::new(b'M')
        .u8(1)
        .u64(0x30)
        .name("tahr")
        .i32(3)
        .raw(&[0, 1, 2])
        .0
}

pub(super) fn every_message() -> Vec<Vec<u8>> {
    let mut all = vec![
        begin(),
        commit(),
        origin(),
        relation(),
        type_name(),
        insert(),
    ];
    all.extend([update(None), update(Some(b'K')), update(Some(b'O'))]);
    all.extend([delete(b'K'), delete(b'O'), truncate(), logical()]);
    all
}
