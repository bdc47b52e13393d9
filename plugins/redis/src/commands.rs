//! From a plan to one call of the script: rows of one shape in blocks, each block three packed
//! arrays (see `write.lua`).
//!
//! Packed, since an argument per value costs Redis more than storing the value; field names are
//! sent once per block.

use std::collections::HashMap;

use tahr_plugin_api::Value;

use crate::{
    options::Format,
    plan::{Cell, Content, Entry, State},
    table::Table,
    types,
};

/// A block is full at so many rows (Lua takes some thousand arguments in one call) …
const BLOCK_ROWS: usize = 512;
/// … or bytes (larger arguments cost Redis a copy).
const BLOCK_BYTES: usize = 30_000;

/// What a block does with its rows; the script knows them by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum What {
    Full,
    Load,
    Part,
    Set,
    Touch,
    Del,
}

impl What {
    fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Load => "load",
            Self::Part => "part",
            Self::Set => "set",
            Self::Touch => "touch",
            Self::Del => "del",
        }
    }
}

/// What becomes of a column: of a field that is absent, written, or removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Fate {
    Left,
    Written,
    Removed,
}

/// Rows of one shape share their blocks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Shape {
    table: usize,
    what: What,
    columns: Vec<Fate>,
}

/// A packed array that grows: its length is filled in at the end.
#[derive(Debug, Default)]
struct Packed {
    bytes: Vec<u8>,
    items: u32,
}

impl Packed {
    fn push(&mut self, text: &[u8]) {
        if self.bytes.is_empty() {
            self.bytes.extend_from_slice(&[0xdd, 0, 0, 0, 0]);
        }
        push_text(text, &mut self.bytes);
        self.items += 1;
    }

    fn finish(&mut self) -> &[u8] {
        if self.bytes.is_empty() {
            return &[0x90];
        }
        self.bytes[1..5].copy_from_slice(&self.items.to_be_bytes());
        &self.bytes
    }
}

fn push_text(text: &[u8], out: &mut Vec<u8>) {
    let len = text.len();
    match len {
        0..32 => out.push(0xa0 | len as u8),
        32..0x100 => out.extend_from_slice(&[0xd9, len as u8]),
        0x100..0x1_0000 => {
            out.push(0xda);
            out.extend_from_slice(&(len as u16).to_be_bytes());
        }
        // Redis itself ends at 512 MiB.
        _ => {
            out.push(0xdb);
            out.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes());
        }
    }
    out.extend_from_slice(text);
}

#[derive(Debug, Default)]
struct Block {
    table: usize,
    header: Packed,
    keys: Packed,
    values: Packed,
    /// The change to blame, per row.
    changes: Vec<usize>,
}

/// The rows of one call of the script.
#[derive(Debug, Default)]
pub(crate) struct Commands {
    blocks: Vec<Block>,
    open: HashMap<Shape, usize>,
    last: Option<(Shape, usize)>,
    scratch: Vec<u8>,
}

impl Commands {
    /// Removes keys, whosever they are.
    pub(crate) fn remove(keys: &[Vec<u8>]) -> Self {
        let mut commands = Self::default();
        let shape = Shape {
            table: 0,
            what: What::Del,
            columns: Vec::new(),
        };
        for key in keys {
            let block = commands.block(&shape, &[]);
            block.keys.push(key);
            block.changes.push(0);
        }
        commands
    }

    /// Adds what `entry` says. `is_load`: its key is known to be new.
    pub(crate) fn add(
        &mut self,
        entry: &Entry<'_>,
        tables: &[Table],
        format: Format,
        is_load: bool,
    ) {
        let table = &tables[entry.table];
        let mut columns = match &mut self.last {
            Some((shape, _)) => std::mem::take(&mut shape.columns),
            None => Vec::new(),
        };
        // The shape of the row before is what this one has, most often.
        let before = columns.clone();
        columns.clear();
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        let mut written = 0;
        let what = match (&entry.state, format) {
            (State::Gone, _) => What::Del,
            (State::Full(content), Format::Hash) => {
                written = hash(content, table, &mut columns, &mut scratch, Fate::Left);
                match (written, is_load) {
                    (0, _) => What::Del,
                    (_, false) => What::Full,
                    (_, true) => What::Load,
                }
            }
            (State::Part(content), Format::Hash) => {
                written = hash(content, table, &mut columns, &mut scratch, Fate::Removed);
                What::Part
            }
            (State::Part(_), _) => What::Touch,
            (State::Full(content), Format::Json) => {
                let mut text = Vec::new();
                document(content, table, &mut text);
                push_text(&text, &mut scratch);
                written = 1;
                What::Set
            }
            (State::Full(content), Format::String) => match bytes(content.get(table.stored[0])) {
                Some(text) => {
                    push_text(text, &mut scratch);
                    written = 1;
                    What::Set
                }
                None => What::Del,
            },
        };
        if what == What::Del {
            columns.clear();
        }
        if let Some((shape, _)) = &mut self.last {
            shape.columns = before;
        }
        let shape = Shape {
            table: entry.table,
            what,
            columns,
        };
        let block = self.block(&shape, &table.relation.columns);
        block.keys.push(entry.key);
        block.changes.push(entry.change);
        if written > 0 {
            if block.values.bytes.is_empty() {
                block.values.bytes.extend_from_slice(&[0xdd, 0, 0, 0, 0]);
            }
            block.values.bytes.extend_from_slice(&scratch);
            block.values.items += written;
        }
        self.scratch = scratch;
    }

    /// The block for rows of `shape` that has room.
    fn block(&mut self, shape: &Shape, names: &[tahr_plugin_api::Column]) -> &mut Block {
        let known = match &self.last {
            Some((last, number)) if last == shape => Some(*number),
            _ => self.open.get(shape).copied(),
        };
        let has_room = |number: &usize| {
            let block = &self.blocks[*number];
            block.changes.len() < BLOCK_ROWS && block.values.bytes.len() < BLOCK_BYTES
        };
        let number = known.filter(has_room).unwrap_or_else(|| {
            let number = self.blocks.len();
            self.blocks.push(Block::new(shape, names));
            self.open.insert(shape.clone(), number);
            number
        });
        match &mut self.last {
            Some((last, place)) if last == shape => *place = number,
            last => *last = Some((shape.clone(), number)),
        }
        &mut self.blocks[number]
    }

    /// Where the script found a row's key to be of another type: its table and change.
    pub(crate) fn place(&self, block: usize, row: usize) -> Option<(usize, usize)> {
        let block = self.blocks.get(block)?;
        Some((block.table, *block.changes.get(row)?))
    }

    /// Appends the call of the script to `out`.
    pub(crate) fn write_to(&mut self, call: &Call<'_>, out: &mut Vec<u8>) {
        let arguments = 8 + 3 * self.blocks.len();
        out.extend_from_slice(format!("*{arguments}\r\n").as_bytes());
        let mut push = |text: &[u8]| {
            out.push(b'$');
            let mut digits = itoa::Buffer::new();
            out.extend_from_slice(digits.format(text.len()).as_bytes());
            out.extend_from_slice(b"\r\n");
            out.extend_from_slice(text);
            out.extend_from_slice(b"\r\n");
        };
        push(b"EVALSHA");
        push(call.sha.as_bytes());
        push(b"1");
        push(call.checkpoint_key.as_bytes());
        let (field, expected) = call.guard;
        push(field.as_bytes());
        push(expected.as_bytes());
        push(call.ttl.as_bytes());
        push(&packed_changes(call.changes));
        for block in &mut self.blocks {
            push(block.header.finish());
            push(block.keys.finish());
            push(block.values.finish());
        }
    }
}

impl Block {
    fn new(shape: &Shape, names: &[tahr_plugin_api::Column]) -> Self {
        let mut block = Self {
            table: shape.table,
            ..Self::default()
        };
        block.header.push(shape.what.name().as_bytes());
        for fate in [Fate::Written, Fate::Removed] {
            let columns = shape.columns.iter().zip(names);
            for (_, column) in columns.filter(|(of, _)| **of == fate) {
                block.header.push(column.name.as_bytes());
            }
        }
        if shape.what == What::Part {
            let written = shape.columns.iter().filter(|fate| **fate == Fate::Written);
            let written = u16::try_from(written.count()).unwrap_or(u16::MAX);
            block
                .values
                .bytes
                .extend_from_slice(&[0xdd, 0, 0, 0, 0, 0xcd]);
            block.values.bytes.extend_from_slice(&written.to_be_bytes());
            block.values.items = 1;
        }
        block
    }
}

/// One call of the script, but for its rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call<'a> {
    /// The script's hash.
    pub(crate) sha: &'a str,
    /// The checkpoint's key.
    pub(crate) checkpoint_key: &'a str,
    /// A field of the checkpoint and what it must be; both may be empty.
    pub(crate) guard: (&'a str, &'a str),
    /// Milliseconds that written keys live; may be empty.
    pub(crate) ttl: &'a str,
    /// Fields of the checkpoint to write, or to remove.
    pub(crate) changes: &'a [(&'a str, Option<&'a str>)],
}

fn packed_changes(changes: &[(&str, Option<&str>)]) -> Vec<u8> {
    let mut packed = Packed::default();
    for (field, value) in changes {
        packed.push(field.as_bytes());
        match value {
            Some(value) => packed.push(value.as_bytes()),
            None => {
                packed.bytes.push(0xc2);
                packed.items += 1;
            }
        }
    }
    packed.finish().to_vec()
}

/// Packs the fields of a hash; returns how many.
fn hash(
    content: &Content<'_>,
    table: &Table,
    columns: &mut Vec<Fate>,
    out: &mut Vec<u8>,
    null: Fate,
) -> u32 {
    let mut written = 0;
    for column in 0..table.relation.columns.len() {
        let cell = content.get(column);
        columns.push(match (bytes(cell), cell) {
            (Some(text), _) => {
                push_text(text, out);
                written += 1;
                Fate::Written
            }
            (None, Cell::Sent(Value::Unchanged)) => Fate::Left,
            (None, _) => null,
        });
    }
    written
}

fn document(content: &Content<'_>, table: &Table, out: &mut Vec<u8>) {
    for (column, label) in table.labels.iter().enumerate() {
        out.push(if column == 0 { b'{' } else { b',' });
        out.extend_from_slice(label);
        match content.get(column) {
            Cell::Sent(value) => types::json(value, out),
            Cell::Held(text) => out.extend_from_slice(text.unwrap_or(b"null")),
        }
    }
    out.push(b'}');
}

fn bytes<'a>(cell: Cell<'a>) -> Option<&'a [u8]> {
    match cell {
        Cell::Sent(value) => types::raw(value),
        Cell::Held(bytes) => bytes,
    }
}
