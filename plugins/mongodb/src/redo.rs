//! Batches on a server without transactions: written down first, then applied.
//!
//! A standalone server changes one document at a time. So the commands of a batch, which name
//! documents by `_id` and say what each is to hold, are stored in one piece; then one change of one
//! document, the stream's in `tahr_checkpoint`, moves the position and points at them, if the position
//! is the expected one. *That is the commit.* Then the commands are run, and the pointer goes.
//!
//! Whoever finds the pointer runs the commands again from the first to the last before anything else.
//! That is harmless however far they came before:
//!
//! - They hold values, not computations. What a moved row keeps of its old document was read before
//!   the commit and is in the command, so it does not matter that the old document is gone by now.
//! - They are in order, so that the last word on a document is the same however often all are said.
//!   A document that comes and goes on the way shows the states in between once more.
//! - Inserts are replacements, and a partial update of a document that a later command deletes finds
//!   none the second time; it is counted as `partial_update_misses` and not taken for an error.
//! - A replayed batch never meets its own work: the checkpoint is behind it already.
//!
//! The server's journal keeps the order: the commit waits for it, and so is behind the commands on
//! disk. Two engines at once can't both commit; but one that was paused between its commit and its
//! commands, while another finished them and went on, would apply old states. That alone takes a
//! replica set to prevent. Rows without a key can't be named, so tables without one are refused.

use mongodb::bson::{Binary, Bson, Document, doc, oid::ObjectId, spec::BinarySubtype};
use tahr_plugin_api::{StreamId, WriteError};

use crate::{
    catalog, checkpoint, commands::Command, error::of_answer, names::REDO, raw, server::Server,
};

/// Commands up to this size are stored in the checkpoint itself.
const INLINE: usize = 1 << 20;
/// Larger ones in documents of this size.
const CHUNK: usize = 8 << 20;

const DOING: &str = "write collection \"tahr_redo\"";

/// Commands that are written down.
#[derive(Clone, Debug)]
pub(crate) struct Redo {
    /// Which ones.
    pub(crate) token: ObjectId,
    /// How many documents hold them.
    chunks: i32,
    /// Or these bytes do.
    inline: Vec<u8>,
}

impl Redo {
    /// Writes commands down.
    pub(crate) fn save(
        server: &mut Server,
        stream: &StreamId,
        commands: &[Command],
    ) -> Result<Self, WriteError> {
        let bytes: Vec<u8> = commands
            .iter()
            .flat_map(|command| &command.body)
            .copied()
            .collect();
        let mut redo = Self {
            token: ObjectId::new(),
            chunks: 0,
            inline: Vec::new(),
        };
        if bytes.len() <= INLINE {
            redo.inline = bytes;
            return Ok(redo);
        }
        catalog::create(server, REDO, &Document::new())?;
        for chunk in bytes.chunks(CHUNK) {
            let document = doc! { "_id": redo.id(stream, redo.chunks), "data": binary(chunk) };
            let insert = doc! { "insert": REDO, "documents": [document] };
            let answer = server.run_here(&insert, DOING)?;
            if let Some(refused) = of_answer(DOING, &answer) {
                return Err(refused.error);
            }
            redo.chunks += 1;
        }
        Ok(redo)
    }

    /// As the checkpoint holds it.
    pub(crate) fn write(&self) -> Document {
        doc! { "token": self.token, "chunks": self.chunks, "data": binary(&self.inline) }
    }

    /// What [`write`](Self::write) wrote.
    pub(crate) fn read(document: &Document) -> Option<Self> {
        Some(Self {
            token: document.get_object_id("token").ok()?,
            chunks: document.get_i32("chunks").ok()?,
            inline: document.get_binary_generic("data").ok()?.clone(),
        })
    }

    /// Runs the commands again and forgets them; says how many partial updates found no document.
    pub(crate) fn run(&self, server: &mut Server, stream: &StreamId) -> Result<u64, WriteError> {
        let mut missed = 0;
        for body in self.load(server, stream)? {
            let (name, rows) = subject(&body);
            let doing = format!("write to collection {name:?} again");
            let answer = server.send(body, &doing)?;
            if let Some(refused) = of_answer(&doing, &answer) {
                return Err(refused.error.table(name));
            }
            let done = usize::try_from(answer.get_i32("n").unwrap_or(0)).unwrap_or(0);
            missed += rows.unwrap_or(done).saturating_sub(done) as u64;
        }
        self.forget(server, stream)?;
        Ok(missed)
    }

    /// Notes that the commands were run.
    pub(crate) fn forget(&self, server: &mut Server, stream: &StreamId) -> Result<(), WriteError> {
        if !checkpoint::done(server, stream, self)? {
            return Err(WriteError::transient(
                "another engine has finished the batch of this one",
            ));
        }
        self.discard(server, stream)
    }

    /// Removes the documents that hold the commands.
    pub(crate) fn discard(&self, server: &mut Server, stream: &StreamId) -> Result<(), WriteError> {
        if self.chunks == 0 {
            return Ok(());
        }
        let ids: Vec<Document> = (0..self.chunks).map(|n| self.id(stream, n)).collect();
        let delete = doc! {
            "delete": REDO, "deletes": [{ "q": { "_id": { "$in": ids } }, "limit": 0 }],
        };
        server.run_here(&delete, DOING).map(drop)
    }

    fn load(&self, server: &mut Server, stream: &StreamId) -> Result<Vec<Vec<u8>>, WriteError> {
        let damaged = || {
            WriteError::rejected("a batch in collection \"tahr_redo\" is damaged or gone").hint(
                "something else wrote there; to copy the sync's tables anew: `tahr drop SYNC`, \
                 set `existing = \"replace\"` in the sync, `tahr run`",
            )
        };
        let mut bytes = self.inline.clone();
        for number in 0..self.chunks {
            let find = doc! { "find": REDO, "filter": { "_id": self.id(stream, number) } };
            let found = server.find(&find, "read collection \"tahr_redo\"")?;
            let chunk = found
                .first()
                .and_then(|found| found.get_binary("data").ok());
            bytes.extend_from_slice(chunk.ok_or_else(damaged)?.bytes);
        }
        let mut bodies = Vec::new();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let length = rest
                .first_chunk()
                .map(|length| u32::from_le_bytes(*length) as usize);
            let split = length
                .filter(|&length| length > 4)
                .and_then(|length| rest.split_at_checked(length));
            let (body, tail) = split.ok_or_else(damaged)?;
            bodies.push(body.to_vec());
            rest = tail;
        }
        Ok(bodies)
    }

    fn id(&self, stream: &StreamId, number: i32) -> Document {
        doc! {
            "sync": &stream.sync, "source": &stream.source, "token": self.token, "n": number,
        }
    }
}

/// The collection that a command is for, and where it is an update, its rows.
fn subject(body: &[u8]) -> (String, Option<usize>) {
    let mut elements = raw::elements(body);
    let name = elements
        .next()
        .and_then(|(_, value, _)| value.get(4..value.len() - 1));
    let name = String::from_utf8_lossy(name.unwrap_or_default()).into_owned();
    let updates = elements.find(|(name, ..)| *name == "updates");
    (
        name,
        updates.map(|(_, list, _)| raw::elements(list).count()),
    )
}

fn binary(bytes: &[u8]) -> Bson {
    Bson::Binary(Binary {
        subtype: BinarySubtype::Generic,
        bytes: bytes.to_vec(),
    })
}
