//! Bytes in, message out.

use std::{error::Error, fmt};

use tahr_plugin_api::{Lsn, ReplicaIdentity};

use super::{
    cursor::{Cursor, Problem, ReadError},
    message::{
        LogicalMessage, Message, OldTuple, OldTupleKind, RelationColumn, RelationMessage, Tuple,
    },
};

/// Bytes that are not a message of protocol version 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeError {
    /// The kind of message, such as `insert`; `unknown` where not even that could be read.
    pub message: &'static str,
    /// What failed, and where.
    pub read: ReadError,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "malformed pgoutput message ({}): {}",
            self.message, self.read
        )
    }
}

impl Error for DecodeError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        // `Display` says it all already.
        None
    }
}

/// Reads what follows the message type.
type Body = for<'a> fn(&mut Cursor<'a>) -> Result<Message<'a>, ReadError>;

/// Decodes one whole message.
///
/// # Errors
/// On anything that protocol version 1 doesn't have: an unknown tag or flag, a length beyond the
/// end, a name that isn't UTF-8, bytes left over.
pub fn decode(bytes: &[u8]) -> Result<Message<'_>, DecodeError> {
    let mut cursor = Cursor::new(bytes);
    let unknown = |read| DecodeError {
        message: "unknown",
        read,
    };
    let tag = cursor.u8("message type").map_err(unknown)?;
    let (message, body): (_, Body) = match tag {
        b'B' => ("begin", begin),
        b'C' => ("commit", commit),
        b'O' => ("origin", origin),
        b'R' => ("relation", relation),
        b'Y' => ("type", type_name),
        b'I' => ("insert", insert),
        b'U' => ("update", update),
        b'D' => ("delete", delete),
        b'T' => ("truncate", truncate),
        b'M' => ("logical message", logical),
        other => {
            return Err(unknown(Cursor::error(
                "message type",
                0,
                Problem::Unknown(other),
            )));
        }
    };
    body(&mut cursor)
        .and_then(|decoded| cursor.finish().map(|()| decoded))
        .map_err(|read| DecodeError { message, read })
}

fn begin<'a>(cursor: &mut Cursor<'a>) -> Result<Message<'a>, ReadError> {
    Ok(Message::Begin {
        commit_lsn: Lsn(cursor.u64("commit LSN")?),
        commit_time_micros: cursor.i64("commit time")?,
        xid: cursor.u32("transaction ID")?,
    })
}

fn commit<'a>(cursor: &mut Cursor<'a>) -> Result<Message<'a>, ReadError> {
    Ok(Message::Commit {
        flags: cursor.u8("flags")?,
        commit_lsn: Lsn(cursor.u64("commit LSN")?),
        end_lsn: Lsn(cursor.u64("end LSN")?),
        commit_time_micros: cursor.i64("commit time")?,
    })
}

fn origin<'a>(cursor: &mut Cursor<'a>) -> Result<Message<'a>, ReadError> {
    Ok(Message::Origin {
        commit_lsn: Lsn(cursor.u64("commit LSN on the origin")?),
        name: cursor.name("origin name")?,
    })
}

fn relation<'a>(cursor: &mut Cursor<'a>) -> Result<Message<'a>, ReadError> {
    let oid = cursor.u32("relation OID")?;
    let schema = cursor.name("schema name")?;
    let table = cursor.name("table name")?;
    let at = cursor.offset();
    let replica_identity = match cursor.u8("replica identity")? {
        b'd' => ReplicaIdentity::Default,
        b'n' => ReplicaIdentity::Nothing,
        b'f' => ReplicaIdentity::Full,
        b'i' => ReplicaIdentity::Index,
        other => {
            return Err(Cursor::error(
                "replica identity",
                at,
                Problem::Unknown(other),
            ));
        }
    };
    let count = cursor.count16("column count")?;
    // The shortest column takes ten bytes: a wrong count can't make this large.
    let mut columns = Vec::with_capacity(count.min(cursor.rest().len() / 10));
    for _ in 0..count {
        columns.push(RelationColumn {
            in_key: cursor.flags("column flags", 1)? == 1,
            name: cursor.name("column name")?,
            type_oid: cursor.u32("column type OID")?,
            type_modifier: cursor.i32("column type modifier")?,
        });
    }
    Ok(Message::Relation(RelationMessage {
        oid,
        schema,
        table,
        replica_identity,
        columns,
    }))
}

fn type_name<'a>(cursor: &mut Cursor<'a>) -> Result<Message<'a>, ReadError> {
    Ok(Message::Type {
        oid: cursor.u32("type OID")?,
        schema: cursor.name("schema name")?,
        name: cursor.name("type name")?,
    })
}

fn insert<'a>(cursor: &mut Cursor<'a>) -> Result<Message<'a>, ReadError> {
    let relation = cursor.u32("relation OID")?;
    Ok(Message::Insert {
        relation,
        new: new_tuple(cursor)?,
    })
}

fn update<'a>(cursor: &mut Cursor<'a>) -> Result<Message<'a>, ReadError> {
    let relation = cursor.u32("relation OID")?;
    let old = match cursor.rest().first() {
        Some(b'N') => None,
        _ => Some(old_tuple(cursor)?),
    };
    Ok(Message::Update {
        relation,
        old,
        new: new_tuple(cursor)?,
    })
}

fn delete<'a>(cursor: &mut Cursor<'a>) -> Result<Message<'a>, ReadError> {
    let relation = cursor.u32("relation OID")?;
    Ok(Message::Delete {
        relation,
        old: old_tuple(cursor)?,
    })
}

fn truncate<'a>(cursor: &mut Cursor<'a>) -> Result<Message<'a>, ReadError> {
    let count = cursor.count32("relation count")?;
    let flags = cursor.flags("truncate flags", 0b11)?;
    let mut relations = Vec::with_capacity(count.min(cursor.rest().len() / 4));
    for _ in 0..count {
        relations.push(cursor.u32("relation OID")?);
    }
    Ok(Message::Truncate {
        cascade: flags & 0b01 != 0,
        restart_identity: flags & 0b10 != 0,
        relations,
    })
}

fn logical<'a>(cursor: &mut Cursor<'a>) -> Result<Message<'a>, ReadError> {
    let transactional = cursor.flags("message flags", 1)? == 1;
    let lsn = Lsn(cursor.u64("message LSN")?);
    let prefix = cursor.name("message prefix")?;
    let length = cursor.count32("content length")?;
    let content = cursor.slice("content", length)?;
    Ok(Message::Logical(LogicalMessage {
        transactional,
        lsn,
        prefix,
        content,
    }))
}

fn old_tuple<'a>(cursor: &mut Cursor<'a>) -> Result<OldTuple<'a>, ReadError> {
    let at = cursor.offset();
    let kind = match cursor.u8("old tuple tag")? {
        b'K' => OldTupleKind::Key,
        b'O' => OldTupleKind::Full,
        other => return Err(Cursor::error("old tuple tag", at, Problem::Unknown(other))),
    };
    Ok(OldTuple {
        kind,
        tuple: tuple(cursor)?,
    })
}

fn new_tuple<'a>(cursor: &mut Cursor<'a>) -> Result<Tuple<'a>, ReadError> {
    let at = cursor.offset();
    match cursor.u8("new tuple tag")? {
        b'N' => tuple(cursor),
        other => Err(Cursor::error("new tuple tag", at, Problem::Unknown(other))),
    }
}

/// Reads over a tuple's values once, so that nobody needs to check them again.
fn tuple<'a>(cursor: &mut Cursor<'a>) -> Result<Tuple<'a>, ReadError> {
    let at = cursor.offset();
    let columns = cursor.i16("column count")?;
    let columns =
        u16::try_from(columns).map_err(|_| Cursor::error("column count", at, Problem::Negative))?;
    let start = cursor.offset();
    for _ in 0..columns {
        let at = cursor.offset();
        match cursor.u8("value tag")? {
            b'n' | b'u' => {}
            b't' | b'b' => {
                let length = cursor.count32("value length")?;
                cursor.slice("value", length)?;
            }
            other => return Err(Cursor::error("value tag", at, Problem::Unknown(other))),
        }
    }
    Ok(Tuple::checked(columns, cursor.since(start)))
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod torture;
