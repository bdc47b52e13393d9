//! Reading the documents of a table back, for comparison with the source.
//!
//! A row is its `_id` and its fields, in the very bytes that would be written, whatever their order in
//! the document. A field that is absent is null. Those that no column has count for nothing: those of
//! a column that was dropped in the source stay until the row is written again.

use std::sync::Arc;

use mongodb::bson::{Bson, Document, doc};
use tahr_plugin_api::{
    Batch, Relation, WriteError,
    read_back::{Digest, Digester, KeyName, ReadBack},
};

use crate::{
    apply,
    documents::{Cell, Documents},
    names,
    options::Options,
    raw::{self, kind},
    server::Server,
    table::Table,
};

/// What is put in the place of a value that no document can have.
const STRANGE: u8 = 0xFE;

/// Reads tables back as these options have written them.
pub(crate) struct Reader {
    documents: Documents,
    digester: Digester,
}

impl Reader {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            documents: Documents::new(options.unfit),
            digester: Digester::default(),
        }
    }

    /// What would be stored of each change of `batch`, all of which are of one relation.
    pub(crate) fn digests(
        &mut self,
        batch: &Batch,
        options: &Options,
    ) -> Result<Vec<Digest>, WriteError> {
        let mut digests = Vec::new();
        let mut table: Option<Table> = None;
        let mut value = Vec::new();
        for change in batch.changes() {
            let relation = change.relation();
            let table = match &mut table {
                Some(table) if table.relation.version == relation.version => table,
                table => table.insert(table_of(relation, options)),
            };
            let new = change.new_row();
            let Some(row) = new.or(change.old_row()) else {
                digests.push(self.digester.finish());
                continue;
            };
            let cell = |column: usize| Cell::Sent(row.value(column));
            let id = self.documents.id_bytes(table, cell)?;
            self.digester.value(true, id[0], &id[1..]);
            let columns = 0..new.map_or(0, |_| table.fields.len());
            for column in columns.filter(|&column| table.fields[column].name.is_some()) {
                value.clear();
                let put = self
                    .documents
                    .named("", table, column, cell(column), &mut value);
                match put {
                    Ok(()) if value[0] == kind::NULL => self.digester.null(false),
                    // The name, which is empty, ends with a NUL.
                    Ok(()) => self.digester.value(false, value[0], &value[2..]),
                    Err(_) => self.digester.value(false, STRANGE, &[]),
                }
            }
            digests.push(self.digester.finish());
        }
        Ok(digests)
    }

    /// What MongoDB holds of `relation`'s table, or what of it is under the keys of `keys`.
    pub(crate) fn read_back(
        &mut self,
        server: &mut Server,
        relation: &Arc<Relation>,
        keys: Option<&Batch>,
        options: &Options,
        rows: &mut ReadBack<'_>,
    ) -> Result<(), WriteError> {
        let table = table_of(relation, options);
        let Some(keys) = keys else {
            let find = doc! { "find": &table.collection, "filter": {} };
            let doing = format!("read collection {:?}", table.name);
            return server.find_each(&find, &doing, |document| {
                self.row(&table, document.as_bytes(), rows)
            });
        };
        let mut ids = Vec::new();
        for change in keys.changes() {
            if let Some(row) = change.old_row().or(change.new_row()) {
                let cell = |column: usize| Cell::Sent(row.value(column));
                ids.push(self.documents.id_bytes(&table, cell)?);
            }
        }
        apply::find(server, &table.collection, &ids, |document| {
            self.row(&table, document.as_bytes(), rows)
        })
    }

    fn row(
        &mut self,
        table: &Table,
        document: &[u8],
        rows: &mut ReadBack<'_>,
    ) -> Result<(), WriteError> {
        let elements: Vec<_> = raw::elements(document).collect();
        let of = |name: &str| elements.iter().find(|(has, ..)| *has == name);
        match of("_id") {
            Some((_, value, kind)) => self.digester.value(true, *kind, value),
            None => self.digester.value(true, STRANGE, &[]),
        }
        for name in table
            .fields
            .iter()
            .filter_map(|field| field.name.as_deref())
        {
            match of(name) {
                Some((_, value, kind)) if *kind != kind::NULL => {
                    self.digester.value(false, *kind, value);
                }
                _ => self.digester.null(false),
            }
        }
        let digest = self.digester.finish();
        rows.row(digest, |name| name_of(name, table, document))
    }
}

/// The table of a relation, whether its collection is there or not.
fn table_of(relation: &Arc<Relation>, options: &Options) -> Table {
    let collection = names::collection(relation);
    Table::new(relation, collection, options.types())
}

/// The values of the key that `_id` was made of.
fn name_of(name: &mut KeyName<'_>, table: &Table, document: &[u8]) {
    let document = Document::from_reader(document).unwrap_or_default();
    let id = document.get("_id");
    for &column in &table.key {
        let value = match (id, &table.key[..]) {
            (id, [_]) => id,
            (Some(Bson::Document(several)), _) => several.get(&table.fields[column].key_name),
            _ => None,
        };
        match value {
            Some(Bson::String(text)) => name.text(text),
            Some(Bson::Int32(number)) => name.text(&number.to_string()),
            Some(Bson::Int64(number)) => name.text(&number.to_string()),
            Some(Bson::Double(number)) => name.text(&number.to_string()),
            Some(Bson::Decimal128(number)) => name.text(&number.to_string()),
            Some(Bson::Boolean(truth)) => name.text(if *truth { "t" } else { "f" }),
            Some(Bson::Binary(binary)) => match binary.to_uuid() {
                Ok(uuid) => name.text(&uuid.to_string()),
                Err(_) => name.bytes(&binary.bytes),
            },
            _ => name.null(),
        }
    }
}
