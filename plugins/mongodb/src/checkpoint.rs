//! The collection of checkpoints: a document per stream, and one per copied table.
//!
//! `_id` is `{sync, source, table}`. Where `table` is empty it is the stream's: `position` is where
//! the data stands, `session` the one whose transactions move it, `displaced` the keys that rows of
//! an open transaction have lost, `redo` a batch that a server without transactions is applying,
//! `emptied` the collections that were emptied for a truncate whose batch is not committed. The
//! others hold `copied_to` of a source table, `0/0` while its copy is under way.

use mongodb::bson::{Binary, Bson, Document, doc, spec::BinarySubtype};
use tahr_plugin_api::{Checkpoint, Lsn, Position, StreamId, WriteError};

use crate::{
    catalog,
    error::of_answer,
    moves::Displaced,
    names::{CHECKPOINT, LOAD_PREFIX, REDO},
    redo::Redo,
    server::Server,
};

const DOING: &str = "write collection \"tahr_checkpoint\"";

/// What is stored under a stream's sync and source.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stored {
    pub(crate) checkpoint: Checkpoint,
    pub(crate) displaced: Displaced,
    /// The session whose transactions moved it last.
    pub(crate) session: Option<Document>,
    pub(crate) redo: Option<Redo>,
    /// Collections that were emptied for a truncate that is still to come.
    pub(crate) emptied: Vec<String>,
}

fn id(stream: &StreamId, table: &str) -> Document {
    doc! { "sync": &stream.sync, "source": &stream.source, "table": table }
}

fn broken(what: &str) -> WriteError {
    WriteError::rejected(format!(
        "a document of collection \"tahr_checkpoint\" is no checkpoint: {what}"
    ))
    .hint("something else wrote to it; delete the document, and the tables are copied again")
}

/// What the database holds under the stream's sync and source.
pub(crate) fn read(server: &mut Server, stream: &StreamId) -> Result<Option<Stored>, WriteError> {
    let find = doc! {
        "find": CHECKPOINT,
        "filter": { "_id.sync": &stream.sync, "_id.source": &stream.source },
        // The stream's own document comes last: what it says of the stream counts.
        "sort": { "_id.table": -1 },
        "batchSize": 1000,
        "readConcern": { "level": if server.is_transactional() { "majority" } else { "local" } },
    };
    let mut found: Option<Stored> = None;
    for document in server.find(&find, "read collection \"tahr_checkpoint\"")? {
        let document = Document::try_from(document).map_err(|_| broken("malformed"))?;
        let text = |name: &str| document.get_str(name).map_err(|_| broken(name));
        let stored = found.get_or_insert_with(Stored::default);
        let table = document
            .get_document("_id")
            .and_then(|id| id.get_str("table"));
        let table = table.map_err(|_| broken("_id"))?;
        stored.checkpoint.stream =
            serde_json::from_str(text("stream")?).map_err(|_| broken("stream"))?;
        if !table.is_empty() {
            let copied_to: Lsn = text("copied_to")?
                .parse()
                .map_err(|_| broken("copied_to"))?;
            stored
                .checkpoint
                .copied_to
                .insert(table.to_owned(), copied_to);
            continue;
        }
        stored.checkpoint.position =
            Some(text("position")?.parse().map_err(|_| broken("position"))?);
        stored.session = document.get_document("session").ok().cloned();
        stored.displaced = displaced(&document).ok_or_else(|| broken("displaced"))?;
        let emptied = document.get_array("emptied").into_iter().flatten();
        let emptied = emptied.filter_map(|name| name.as_str());
        stored.emptied = emptied.map(str::to_owned).collect();
        if let Ok(redo) = document.get_document("redo") {
            stored.redo = Some(Redo::read(redo).ok_or_else(|| broken("redo"))?);
        }
    }
    Ok(found)
}

/// The stream's position.
pub(crate) fn position(
    server: &mut Server,
    stream: &StreamId,
) -> Result<Option<Position>, WriteError> {
    Ok(read(server, stream)?.and_then(|stored| stored.checkpoint.position))
}

/// What a move of the position stores beside it.
#[derive(Debug, Default)]
pub(crate) struct Beside<'a> {
    pub(crate) displaced: Option<&'a Displaced>,
    pub(crate) session: Option<&'a Document>,
    pub(crate) redo: Option<&'a Redo>,
    /// Collections that are truncated: what was noted by [`note_emptied`] has come.
    pub(crate) truncated: Vec<&'a str>,
}

/// Moves the stream from `previous` to `position`, in the transaction if one is open; false where
/// it is not at `previous`. Without `previous` it must have no position yet.
pub(crate) fn advance(
    server: &mut Server,
    stream: &StreamId,
    previous: Option<&Position>,
    position: &Position,
    beside: &Beside<'_>,
    is_inside: bool,
) -> Result<bool, WriteError> {
    let identity = serde_json::to_string(stream).map_err(|_| broken("stream"))?;
    let mut set = doc! { "stream": identity, "position": position.to_string() };
    if let Some(displaced) = beside.displaced {
        set.insert("displaced", written(displaced));
    }
    if let Some(session) = beside.session {
        set.insert("session", session.clone());
    }
    if let Some(redo) = beside.redo {
        set.insert("redo", redo.write());
    }
    let expected: Bson = match previous {
        Some(previous) => previous.to_string().into(),
        None => doc! { "$exists": false }.into(),
    };
    let mut change = doc! { "$set": set };
    if !beside.truncated.is_empty() {
        change.insert("$pullAll", doc! { "emptied": &beside.truncated });
    }
    let update = doc! {
        "q": { "_id": id(stream, ""), "position": expected, "redo": { "$exists": false } },
        "u": change,
        "upsert": previous.is_none(),
    };
    let mut command = doc! { "update": CHECKPOINT, "updates": [update] };
    if !is_inside {
        command.insert("writeConcern", concern(server));
    }
    let answer = server.send_document(&command, DOING)?;
    match of_answer(DOING, &answer) {
        // It has a position.
        Some(refused) if refused.index.is_some() && previous.is_none() => Ok(false),
        Some(refused) => Err(refused.error),
        None => Ok(answer.get_i32("n").unwrap_or(0) == 1),
    }
}

/// Notes that a collection is being emptied for a truncate behind `position`; false where the stream
/// is not there.
pub(crate) fn note_emptied(
    server: &mut Server,
    stream: &StreamId,
    position: &Position,
    collection: &str,
) -> Result<bool, WriteError> {
    let update = doc! {
        "q": { "_id": id(stream, ""), "position": position.to_string() },
        "u": { "$addToSet": { "emptied": collection } },
    };
    change(server, update)
}

/// Notes that a collection is no emptied one any more: it was copied.
pub(crate) fn forget_emptied(
    server: &mut Server,
    stream: &StreamId,
    collection: &str,
) -> Result<(), WriteError> {
    let update = doc! {
        "q": { "_id": id(stream, ""), "emptied": collection },
        "u": { "$pull": { "emptied": collection } },
    };
    change(server, update).map(drop)
}

/// Notes that the batch that was to be done again is done.
pub(crate) fn done(
    server: &mut Server,
    stream: &StreamId,
    redo: &Redo,
) -> Result<bool, WriteError> {
    let update = doc! {
        "q": { "_id": id(stream, ""), "redo.token": redo.token },
        "u": { "$unset": { "redo": 1 } },
    };
    // What is lost of it is lost with all that comes behind it, and the commands are run again.
    let command = doc! { "update": CHECKPOINT, "updates": [update] };
    let answer = server.run_here(&command, DOING)?;
    match of_answer(DOING, &answer) {
        Some(refused) => Err(refused.error),
        None => Ok(answer.get_i32("n").unwrap_or(0) == 1),
    }
}

/// Notes whose transactions move the stream from now on.
pub(crate) fn set_session(
    server: &mut Server,
    stream: &StreamId,
    session: &Document,
) -> Result<(), WriteError> {
    let update = doc! {
        "q": { "_id": id(stream, "") },
        "u": { "$set": { "session": session.clone() } },
    };
    change(server, update).map(drop)
}

/// Whether a copy of a table was begun.
pub(crate) fn has_copy(
    server: &mut Server,
    stream: &StreamId,
    table: &str,
) -> Result<bool, WriteError> {
    let find = doc! { "find": CHECKPOINT, "filter": { "_id": id(stream, table) }, "limit": 1 };
    let found = server.find(&find, "read collection \"tahr_checkpoint\"")?;
    Ok(!found.is_empty())
}

/// Notes where the copy of a table stands.
pub(crate) fn set_copied_to(
    server: &mut Server,
    stream: &StreamId,
    table: &str,
    copied_to: Lsn,
) -> Result<(), WriteError> {
    let identity = serde_json::to_string(stream).map_err(|_| broken("stream"))?;
    let update = doc! {
        "q": { "_id": id(stream, table) },
        "u": { "$set": { "stream": identity, "copied_to": copied_to.to_string() } },
        "upsert": true,
    };
    change(server, update).map(drop)
}

/// Changes a document, or makes it; whether there was one to change.
fn change(server: &mut Server, update: Document) -> Result<bool, WriteError> {
    let command = doc! {
        "update": CHECKPOINT, "updates": [update], "writeConcern": concern(server),
    };
    let answer = server.run_here(&command, DOING)?;
    match of_answer(DOING, &answer) {
        Some(refused) => Err(refused.error),
        None => Ok(answer.get_i32("n").unwrap_or(0) == 1),
    }
}

/// Removes the stream's documents, and with the last stream all that is tahr's own.
pub(crate) fn forget(server: &mut Server, stream: &StreamId) -> Result<(), WriteError> {
    const DOING: &str = "remove the bookkeeping";
    let names = catalog::names(server, "tahr_")?;
    if !names.iter().any(|name| name == CHECKPOINT) {
        return Ok(());
    }
    for (collection, filter) in [
        (
            REDO,
            doc! { "_id.sync": &stream.sync, "_id.source": &stream.source },
        ),
        (
            CHECKPOINT,
            doc! { "_id.sync": &stream.sync, "_id.source": &stream.source },
        ),
    ] {
        let command = doc! {
            "delete": collection, "deletes": [{ "q": filter, "limit": 0 }],
            "writeConcern": concern(server),
        };
        let answer = server.run_here(&command, DOING)?;
        if let Some(refused) = of_answer(DOING, &answer) {
            return Err(refused.error);
        }
    }
    if catalog::has_rows(server, CHECKPOINT)? {
        return Ok(());
    }
    for name in names {
        if name == CHECKPOINT || name == REDO || name.starts_with(LOAD_PREFIX) {
            catalog::drop_collection(server, &name)?;
        }
    }
    Ok(())
}

/// What a write is stored by before it counts.
pub(crate) fn concern(server: &Server) -> Document {
    if server.is_transactional() {
        doc! { "w": "majority" }
    } else {
        doc! { "w": 1, "j": true }
    }
}

fn written(displaced: &Displaced) -> Vec<Bson> {
    let entry = |(collection, id): &(String, Vec<u8>)| {
        let id = Binary {
            subtype: BinarySubtype::Generic,
            bytes: id.clone(),
        };
        Bson::Document(doc! { "collection": collection, "id": id })
    };
    displaced.0.iter().map(entry).collect()
}

fn displaced(document: &Document) -> Option<Displaced> {
    let Ok(list) = document.get_array("displaced") else {
        return Some(Displaced::default());
    };
    let entry = |entry: &Bson| {
        let entry = entry.as_document()?;
        let collection = entry.get_str("collection").ok()?;
        let id = entry.get_binary_generic("id").ok()?;
        Some((collection.to_owned(), id.clone()))
    };
    list.iter().map(entry).collect::<Option<_>>().map(Displaced)
}
