//! Copies: into a collection of their own, which becomes the collection when it is complete.
//!
//! The new collection gets the options and indexes of the one that it will replace, so that a
//! validator refuses rows while they come, and nothing that a user added is lost. The rename puts it
//! in place in one step; then `copied_to` is noted. A crash between the two leaves a table that is
//! copied again, never one that is believed and not there.

use mongodb::bson::{Document, doc};
use tahr_plugin_api::{LoadMode, Lsn, StreamId, WriteError, failpoint};

use crate::{
    catalog, checkpoint,
    names::{self, CHECKPOINT},
    server::Server,
    table::Table,
};

/// Makes the collection that loaders fill, and notes that the copy has begun.
pub(crate) fn begin(
    server: &mut Server,
    stream: &StreamId,
    table: &Table,
    mode: LoadMode,
) -> Result<(), WriteError> {
    let collection = &table.collection;
    let source = names::source(&table.relation.source);
    catalog::create(server, CHECKPOINT, &Document::new())?;
    let is_ours = checkpoint::has_copy(server, stream, &source)?;
    if mode == LoadMode::Fresh && !is_ours && catalog::has_rows(server, collection)? {
        return Err(WriteError::rejected(format!(
            "collection {collection:?} holds documents already"
        ))
        .hint(format!(
            "db.getCollection({collection:?}).deleteMany({{}}), or set `existing = \
                     \"replace\"` in the sync to replace them"
        ))
        .table(collection));
    }
    let loading = names::load_collection(collection);
    catalog::drop_collection(server, &loading)?;
    let present = catalog::collection(server, collection)?.unwrap_or_default();
    catalog::create(server, &loading, &present.options)?;
    catalog::create_indexes(server, &loading, &present.indexes)?;
    checkpoint::set_copied_to(server, stream, &source, Lsn::ZERO)
}

/// Puts the copy in the collection's place, and notes what it stands for.
pub(crate) fn end(
    server: &mut Server,
    stream: &StreamId,
    table: &Table,
    copied_to: Lsn,
) -> Result<(), WriteError> {
    const ABSENT: &str = "26";
    let collection = &table.collection;
    let database = server.database().to_owned();
    let rename = doc! {
        "renameCollection": format!("{database}.{}", names::load_collection(collection)),
        "to": format!("{database}.{collection}"),
        "dropTarget": true,
        "writeConcern": { "w": "majority" },
    };
    let doing = format!("put the copy of collection {collection:?} in place");
    server.run("admin", &rename, &doing).map_err(|error| {
        if error.code == ABSENT {
            WriteError::transient(format!("the copy of collection {collection:?} is gone"))
                .hint("something dropped it; the copy begins anew")
        } else {
            error.table(collection)
        }
    })?;
    failpoint::pass("mongodb.renamed");
    checkpoint::forget_emptied(server, stream, collection)?;
    let source = names::source(&table.relation.source);
    checkpoint::set_copied_to(server, stream, &source, copied_to)
}

/// The error of a loader whose collection is not there: a command would make it.
pub(crate) fn absent(collection: &str) -> WriteError {
    WriteError::transient(format!("no copy of collection {collection:?} is under way"))
}
