//! Rows as documents: whole ones, parts of them, their `_id`, and filters that find them.

use tahr_plugin_api::{Unfit, Value, WriteError};

use crate::{
    raw::{self, kind},
    table::Table,
    values::{self, Notes},
};

/// The largest document that MongoDB takes.
pub(crate) const LARGEST: usize = 16 << 20;

/// A value to write.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cell<'a> {
    /// As the source sent it.
    Sent(Value<'a>),
    /// As a document held it: its type and its bytes.
    Held(u8, &'a [u8]),
}

/// Writes documents by one setting of the options, and notes what happened to values.
#[derive(Debug)]
pub(crate) struct Documents {
    unfit: Unfit,
    pub(crate) notes: Notes,
}

impl Documents {
    pub(crate) fn new(unfit: Unfit) -> Self {
        Self {
            unfit,
            notes: Notes::default(),
        }
    }

    /// Adds every element of the document of a row; `_id` first.
    pub(crate) fn row<'a>(
        &mut self,
        table: &Table,
        cell: impl Fn(usize) -> Cell<'a>,
        out: &mut Vec<u8>,
    ) -> Result<(), WriteError> {
        let start = out.len();
        if table.key.is_empty() {
            // Rows that nothing names get a name of no meaning.
            let place = raw::element(out, "_id");
            out[place] = kind::OBJECT_ID;
            out.extend_from_slice(&mongodb::bson::oid::ObjectId::new().bytes());
        } else {
            self.id(table, &cell, out)?;
        }
        self.fields(table, &cell, out)?;
        limit(table, out.len() - start + 5)
    }

    /// Adds every field of a row, without `_id`.
    pub(crate) fn fields<'a>(
        &mut self,
        table: &Table,
        cell: impl Fn(usize) -> Cell<'a>,
        out: &mut Vec<u8>,
    ) -> Result<(), WriteError> {
        for column in 0..table.fields.len() {
            self.field(table, column, cell(column), out)?;
        }
        Ok(())
    }

    /// Adds the field of one column, if it has one.
    pub(crate) fn field(
        &mut self,
        table: &Table,
        column: usize,
        cell: Cell<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), WriteError> {
        match &table.fields[column].name {
            Some(name) => self.named(name, table, column, cell, out),
            None => Ok(()),
        }
    }

    /// Adds the value of a column under any name.
    pub(crate) fn named(
        &mut self,
        name: &str,
        table: &Table,
        column: usize,
        cell: Cell<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), WriteError> {
        let place = raw::element(out, name);
        let value = match cell {
            Cell::Sent(value) => value,
            Cell::Held(kind, bytes) => {
                out[place] = kind;
                out.extend_from_slice(bytes);
                return Ok(());
            }
        };
        let start = out.len();
        let form = &table.fields[column].form;
        let clamp = self.unfit == Unfit::Clamp;
        let before = self.notes;
        out[place] = match values::value(value, form, clamp, out, &mut self.notes) {
            Ok(kind) => kind,
            Err(what) => {
                self.notes = before;
                out.truncate(start);
                match self.unfit {
                    Unfit::Error => return Err(unfit(table, column, what)),
                    Unfit::Null | Unfit::Clamp => {
                        self.notes.set_null += 1;
                        kind::NULL
                    }
                    Unfit::Text => raw::string(out, value.text().unwrap_or_default()),
                }
            }
        };
        Ok(())
    }

    /// Adds `_id`: the value of the only key column, or a document of several.
    pub(crate) fn id<'a>(
        &mut self,
        table: &Table,
        cell: impl Fn(usize) -> Cell<'a>,
        out: &mut Vec<u8>,
    ) -> Result<(), WriteError> {
        let place = raw::element(out, "_id");
        out[place] = self.id_value(table, cell, out)?;
        Ok(())
    }

    /// The `_id` by itself: its type, then its bytes.
    pub(crate) fn id_bytes<'a>(
        &mut self,
        table: &Table,
        cell: impl Fn(usize) -> Cell<'a>,
    ) -> Result<Vec<u8>, WriteError> {
        let mut out = vec![0];
        out[0] = self.id_value(table, cell, &mut out)?;
        Ok(out)
    }

    fn id_value<'a>(
        &mut self,
        table: &Table,
        cell: impl Fn(usize) -> Cell<'a>,
        out: &mut Vec<u8>,
    ) -> Result<u8, WriteError> {
        if let &[column] = &table.key[..] {
            return Ok(self.key_value(table, column, cell(column), out));
        }
        let start = raw::open(out);
        for &column in &table.key {
            let place = raw::element(out, &table.fields[column].key_name);
            out[place] = self.key_value(table, column, cell(column), out);
        }
        raw::close(out, start);
        Ok(kind::DOCUMENT)
    }

    /// A value in a key. What its form can't hold is text, whatever `unfit` says: two keys must
    /// never become one.
    fn key_value(&mut self, table: &Table, column: usize, cell: Cell<'_>, out: &mut Vec<u8>) -> u8 {
        let value = match cell {
            Cell::Sent(value) => value,
            Cell::Held(kind, bytes) => {
                out.extend_from_slice(bytes);
                return kind;
            }
        };
        let start = out.len();
        let form = table.fields[column].form.of_key();
        // The field of the same value counts what happens to it.
        values::value(value, form, false, out, &mut Notes::default()).unwrap_or_else(|_| {
            out.truncate(start);
            raw::string(out, value.text().unwrap_or_default())
        })
    }

    /// Adds the elements of a filter that finds documents of which every field equals a row's, as
    /// PostgreSQL's `IS NOT DISTINCT FROM` does.
    pub(crate) fn matching<'a>(
        &mut self,
        table: &Table,
        cell: impl Fn(usize) -> Cell<'a>,
        out: &mut Vec<u8>,
    ) -> Result<(), WriteError> {
        use crate::types::Form;
        // An index can help with the plain ones. A comparison with an array also finds it inside of
        // one, and a special name would be a path, so those are expressions.
        let is_plain = |column: usize| {
            let field = &table.fields[column];
            !field.is_special && !matches!(field.form, Form::Array { .. } | Form::Document)
        };
        let named = |column: usize| table.fields[column].name.as_deref().unwrap_or("_id");
        for column in (0..table.fields.len()).filter(|&column| is_plain(column)) {
            let equal = raw::document(out, named(column));
            self.named("$eq", table, column, cell(column), out)?;
            raw::close(out, equal);
        }
        let mut others = (0..table.fields.len())
            .filter(|&column| !is_plain(column))
            .peekable();
        if others.peek().is_none() {
            return Ok(());
        }
        let expression = raw::document(out, "$expr");
        let all = raw::array(out, "$and");
        for (index, column) in others.enumerate() {
            let item = raw::item_document(out, index);
            let equal = raw::array(out, "$eq");
            // A field that came later is absent, which means null.
            let held = raw::item_document(out, 0);
            let either = raw::array(out, "$ifNull");
            let get = raw::item_document(out, 0);
            let name = raw::document(out, "$getField");
            raw::add_string(out, "$literal", named(column));
            raw::close(out, name);
            raw::close(out, get);
            let place = raw::item(out, 1);
            out[place] = kind::NULL;
            raw::close(out, either);
            raw::close(out, held);
            let sent = raw::item_document(out, 1);
            self.named("$literal", table, column, cell(column), out)?;
            raw::close(out, sent);
            raw::close(out, equal);
            raw::close(out, item);
        }
        raw::close(out, all);
        raw::close(out, expression);
        Ok(())
    }
}

/// Refuses a document of so many bytes, if it is too large.
pub(crate) fn limit(table: &Table, bytes: usize) -> Result<(), WriteError> {
    if bytes <= LARGEST {
        return Ok(());
    }
    let collection = &table.name;
    Err(WriteError::rejected(format!(
        "a row of table {collection:?} is a document of {bytes} bytes, and MongoDB takes {LARGEST} \
         (16 MiB)"
    ))
    .hint(format!(
        "leave the large column out: [syncs.NAME.table.\"{}\"] exclude = [\"…\"]",
        table.relation.source
    ))
    .code("10334")
    .table(collection))
}

fn unfit(table: &Table, index: usize, what: &str) -> WriteError {
    let column = &table.relation.columns[index];
    let (name, form) = (&column.name, table.fields[index].form.name());
    WriteError::rejected(format!(
        "column {name:?} ({}) of table {:?} can't hold {what} in {form}",
        column.type_name, table.name
    ))
    .hint("set `unfit = \"null\"`, `\"clamp\"` or `\"text\"` in the options of the target")
    .table(&table.name)
    .column(name)
}
