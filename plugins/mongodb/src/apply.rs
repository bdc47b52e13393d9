//! Running commands, and what their answers mean.

use mongodb::bson::{Document, RawDocumentBuf, doc};
use tahr_plugin_api::WriteError;

use crate::{
    commands::{Command, Verb},
    error::{Refused, of_answer},
    moves::missing,
    plan::Held,
    raw,
    server::Server,
    table::Tables,
};

/// Documents asked for in one command.
const READS: usize = 1000;
/// Rows that are looked at one by one to find the one that is missing.
const LOOKED_AT: usize = 1000;

/// Why a command was not run.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A row to insert is there already.
    IsThere,
    /// A unique index of the collection was broken: perhaps only since changes don't keep the
    /// source's order.
    Broken { table: usize, error: WriteError },
    /// Anything else.
    Error(WriteError),
}

impl From<WriteError> for Failure {
    fn from(error: WriteError) -> Self {
        Self::Error(error)
    }
}

/// Runs a command; returns how many deletes found no document.
pub(crate) fn run(server: &mut Server, tables: &Tables, command: Command) -> Result<u64, Failure> {
    let table = tables.get(command.table);
    let (collection, shown) = (&table.collection, &table.name);
    let doing = match command.verb {
        Verb::Insert => "insert into",
        Verb::Put | Verb::Set | Verb::ReplaceEqual => "update",
        Verb::Delete | Verb::Truncate | Verb::DeleteEqual => "delete from",
    };
    let doing = format!("{doing} collection {shown:?}");
    let rows = command.changes.len();
    // Looked at again only where a row turns out to be missing.
    let kept = (command.verb == Verb::Set).then(|| command.body.clone());
    let name = |error: WriteError| error.table(shown);
    let answer = server.send(command.body, &doing).map_err(name)?;
    if let Some(refused) = of_answer(&doing, &answer) {
        return Err(refusal(
            refused,
            &command.changes,
            command.table,
            command.verb,
            shown,
        ));
    }
    let done = usize::try_from(answer.get_i32("n").unwrap_or(0)).unwrap_or(0);
    match command.verb {
        Verb::Set | Verb::ReplaceEqual if done < rows && !table.is_emptied => {
            let place = match kept {
                Some(body) => find_missing(server, collection, &body)?,
                None => None,
            };
            let error = missing(collection);
            Err(Failure::Error(
                match place.and_then(|place| command.changes.get(place)) {
                    Some(&change) => error.change(change),
                    None => error,
                },
            ))
        }
        Verb::Delete | Verb::DeleteEqual => Ok(rows.saturating_sub(done) as u64),
        _ => Ok(0),
    }
}

fn refusal(
    refused: Refused,
    changes: &[usize],
    table: usize,
    verb: Verb,
    collection: &str,
) -> Failure {
    let is_id = refused.index.as_deref() == Some("_id_");
    if is_id && verb == Verb::Insert {
        return Failure::IsThere;
    }
    let mut error = refused.error.table(collection);
    if let Some(&change) = refused.place.and_then(|place| changes.get(place)) {
        error = error.change(change);
    }
    match refused.index {
        Some(_) if !is_id => Failure::Broken { table, error },
        // Two writers have made the same document.
        Some(_) => Failure::Error(WriteError::transient(error.message)),
        None => Failure::Error(error),
    }
}

/// The place of the first row of an `update` that finds no document.
fn find_missing(
    server: &mut Server,
    collection: &str,
    body: &[u8],
) -> Result<Option<usize>, WriteError> {
    let Some((_, updates, _)) = raw::elements(body).find(|(name, ..)| *name == "updates") else {
        return Ok(None);
    };
    for (place, (_, update, _)) in raw::elements(updates).take(LOOKED_AT).enumerate() {
        let query = raw::elements(update).find(|(name, ..)| *name == "q");
        let query = query.and_then(|(_, query, _)| Document::from_reader(query).ok());
        let find = doc! {
            "find": collection, "filter": query.unwrap_or_default(), "limit": 1,
            "projection": { "_id": 1 },
        };
        let doing = format!("read collection {collection:?}");
        if server.find(&find, &doing)?.is_empty() {
            return Ok(Some(place));
        }
    }
    Ok(None)
}

/// Reads documents, in the transaction if one is open.
pub(crate) fn read(
    server: &mut Server,
    tables: &Tables,
    wanted: &[(usize, Vec<u8>)],
) -> Result<Held, WriteError> {
    let mut held = Held::new();
    for chunk in wanted.chunk_by(|one, other| one.0 == other.0) {
        let number = chunk[0].0;
        let ids: Vec<&[u8]> = chunk.iter().map(|(_, id)| &id[..]).collect();
        find(server, &tables.get(number).collection, &ids, |document| {
            let bytes = document.into_bytes();
            let id = raw::elements(&bytes).find(|(name, ..)| *name == "_id");
            if let Some((_, value, kind)) = id {
                let mut id = vec![kind];
                id.extend_from_slice(value);
                held.insert((number, id), bytes);
            }
            Ok(())
        })?;
    }
    Ok(held)
}

/// Gives the documents that have these `_id`s, in the transaction if one is open.
pub(crate) fn find(
    server: &mut Server,
    collection: &str,
    ids: &[impl AsRef<[u8]>],
    mut give: impl FnMut(RawDocumentBuf) -> Result<(), WriteError>,
) -> Result<(), WriteError> {
    let doing = format!("read collection {collection:?}");
    for chunk in ids.chunks(READS) {
        let mut body = Vec::new();
        raw::open(&mut body);
        raw::add_string(&mut body, "find", collection);
        let filter = raw::document(&mut body, "filter");
        let id = raw::document(&mut body, "_id");
        let among = raw::array(&mut body, "$in");
        for (index, id) in chunk.iter().enumerate() {
            let id = id.as_ref();
            let place = raw::item(&mut body, index);
            body[place] = id[0];
            body.extend_from_slice(&id[1..]);
        }
        raw::close(&mut body, among);
        raw::close(&mut body, id);
        raw::close(&mut body, filter);
        raw::close(&mut body, 0);
        let strange = |_| WriteError::fatal(format!("{doing}: the command makes no sense"));
        let command = RawDocumentBuf::from_bytes(body).map_err(strange)?;
        let command = Document::try_from(command).map_err(strange)?;
        server.find_each(&command, &doing, &mut give)?;
    }
    Ok(())
}
