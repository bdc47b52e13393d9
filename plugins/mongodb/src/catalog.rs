//! What the database has: collections, their options, their indexes.

use mongodb::bson::{Bson, Document, RawDocumentBuf, doc};
use tahr_plugin_api::WriteError;

use crate::server::Server;

/// A collection as the database knows it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Collection {
    /// `collection`, `view` or `timeseries`.
    pub(crate) kind: String,
    /// As `create` takes them.
    pub(crate) options: Document,
    /// Beside that of `_id`; as `createIndexes` takes them.
    pub(crate) indexes: Vec<Document>,
}

impl Collection {
    /// Whether a unique index ties its documents.
    pub(crate) fn has_unique(&self) -> bool {
        let mut indexes = self.indexes.iter();
        indexes.any(|index| index.get_bool("unique").unwrap_or(false))
    }

    /// What keeps it from holding a table, and what to do about it.
    pub(crate) fn fault(&self, name: &str) -> Option<(String, String)> {
        if self.kind != "collection" {
            return Some((
                format!("{name:?} is a {}, not a collection", self.kind),
                rename(),
            ));
        }
        if self.options.contains_key("collation") {
            return Some((
                format!("collection {name:?} has a collation, under which two keys may be one"),
                "create it without a default collation".to_owned(),
            ));
        }
        let is_capped = self.options.get_bool("capped").unwrap_or(false);
        is_capped.then(|| (format!("collection {name:?} is capped"), rename()))
    }
}

fn rename() -> String {
    "[syncs.NAME.table.\"…\"] rename = \"another_name\"".to_owned()
}

/// The collection `name`, if there is one.
pub(crate) fn collection(
    server: &mut Server,
    name: &str,
) -> Result<Option<Collection>, WriteError> {
    let doing = format!("look at collection {name:?}");
    let list = doc! { "listCollections": 1, "filter": { "name": name } };
    let found = server.find(&list, &doing)?;
    let Some(found) = found.first().and_then(document) else {
        return Ok(None);
    };
    let mut collection = Collection {
        kind: found.get_str("type").unwrap_or("collection").to_owned(),
        options: found.get_document("options").cloned().unwrap_or_default(),
        indexes: Vec::new(),
    };
    if collection.kind == "collection" {
        let found = server.find(&doc! { "listIndexes": name }, &doing)?;
        let indexes = found.iter().filter_map(document);
        let is_own = |index: &Document| !index.get_str("name").is_ok_and(|name| name == "_id_");
        collection.indexes = indexes.filter(is_own).collect();
    }
    Ok(Some(collection))
}

/// The names of all collections that begin with `prefix`.
pub(crate) fn names(server: &mut Server, prefix: &str) -> Result<Vec<String>, WriteError> {
    let list = doc! { "listCollections": 1, "nameOnly": true };
    let found = server.find(&list, "list the collections")?;
    let found = found.iter().filter_map(document);
    let names = found.filter_map(|found| found.get_str("name").ok().map(str::to_owned));
    Ok(names.filter(|name| name.starts_with(prefix)).collect())
}

/// Makes a collection; one that is there already is left alone.
pub(crate) fn create(
    server: &mut Server,
    name: &str,
    options: &Document,
) -> Result<(), WriteError> {
    const EXISTS: &str = "48";
    let mut command = doc! { "create": name };
    command.extend(options.clone());
    command.insert("writeConcern", doc! { "w": "majority" });
    match server.run_here(&command, &format!("create collection {name:?}")) {
        Err(error) if error.code == EXISTS => Ok(()),
        made => made.map(drop).map_err(|error| error.table(name)),
    }
}

/// Makes the indexes of a collection.
pub(crate) fn create_indexes(
    server: &mut Server,
    name: &str,
    indexes: &[Document],
) -> Result<(), WriteError> {
    if indexes.is_empty() {
        return Ok(());
    }
    let indexes = indexes.iter().map(|index| Bson::Document(index.clone()));
    let indexes: Vec<Bson> = indexes.collect();
    let command = doc! { "createIndexes": name, "indexes": indexes };
    let doing = format!("create the indexes of collection {name:?}");
    server.run_here(&command, &doing).map(drop)
}

/// Drops a collection, if it is there.
pub(crate) fn drop_collection(server: &mut Server, name: &str) -> Result<(), WriteError> {
    const ABSENT: &str = "26";
    let command = doc! { "drop": name, "writeConcern": { "w": "majority" } };
    match server.run_here(&command, &format!("drop collection {name:?}")) {
        Err(error) if error.code == ABSENT => Ok(()),
        dropped => dropped.map(drop),
    }
}

/// Whether a collection holds a document.
pub(crate) fn has_rows(server: &mut Server, name: &str) -> Result<bool, WriteError> {
    let find = doc! {
        "find": name, "limit": 1, "projection": { "_id": 1 }, "singleBatch": true,
    };
    let found = server.find(&find, &format!("read collection {name:?}"))?;
    Ok(!found.is_empty())
}

fn document(raw: &RawDocumentBuf) -> Option<Document> {
    Document::try_from(raw.clone()).ok()
}
