//! What the writer's calls are made of: the script, its answers, and what they mean.

use std::sync::Arc;

use redis::Value as Reply;
use tahr_plugin_api::{Lsn, Position, Relation, WriteError, Written, failpoint};

use super::RedisWriter;
use crate::{
    checkpoint::{self, STREAM},
    commands::{Call, Commands},
    scan::Scan,
    script::{self, Answer},
    table::Table,
};

/// Fields of the checkpoint to write, or to remove.
type Changes<'a> = [(&'a str, Option<&'a str>)];

impl RedisWriter {
    /// Calls the script and reads its answer. A server that lost the script gets it again.
    pub(super) fn call(
        &mut self,
        commands: &mut Commands,
        guard: (&str, &str),
        changes: &Changes<'_>,
    ) -> Result<Answer, WriteError> {
        for is_again in [false, true] {
            self.send(commands, guard, changes)?;
            failpoint::pass("redis.sent");
            match self.connection.receive() {
                Err(error) if error.code == "NOSCRIPT" && !is_again => self.script.forget(),
                reply => return script::answer(&reply?),
            }
        }
        Err(WriteError::transient("redis forgets the script at once"))
    }

    pub(super) fn send(
        &mut self,
        commands: &mut Commands,
        guard: (&str, &str),
        changes: &Changes<'_>,
    ) -> Result<(), WriteError> {
        let call = Call {
            sha: self.script.sha(&mut self.connection)?,
            checkpoint_key: &self.checkpoint_key,
            guard,
            ttl: &self.ttl,
            changes,
        };
        self.request.clear();
        commands.write_to(&call, &mut self.request);
        let sent = self.connection.send(&self.request);
        // A single huge row should not keep its memory forever.
        self.request.shrink_to(16 << 20);
        sent
    }

    /// Reads the answers of loads until at most `left` are under way.
    pub(super) fn await_loads(&mut self, left: usize) -> Result<(), WriteError> {
        while self.loading.len() > left {
            let Some(commands) = self.loading.pop_front() else {
                break;
            };
            let reply = self.connection.receive().inspect_err(|error| {
                if error.code == "NOSCRIPT" {
                    self.script.forget();
                }
            });
            let reply = reply.map_err(|error| match error.code.as_str() {
                "NOSCRIPT" => WriteError::transient("redis has lost the script"),
                _ => error,
            })?;
            self.stored(&commands, &reply)?;
        }
        Ok(())
    }

    pub(super) fn stored(&self, commands: &Commands, reply: &Reply) -> Result<(), WriteError> {
        match script::answer(reply)? {
            Answer::Stored(_) => Ok(()),
            Answer::Moved(_) => Err(WriteError::transient(
                "the copy's mark in the checkpoint is gone or done: redis was emptied, or another \
                 engine is at work",
            )),
            answer @ Answer::Type { .. } => Err(self.wrong_type(commands, &answer)),
        }
    }

    pub(super) fn wrong_type(&self, commands: &Commands, answer: &Answer) -> WriteError {
        let Answer::Type { block, row, found } = answer else {
            return WriteError::fatal("no type to be wrong");
        };
        let Some((table, change)) = commands.place(*block, *row) else {
            return WriteError::fatal("the script named a row that was not sent");
        };
        let table = &self.tables.all()[table];
        let prefix = table.key.prefix();
        WriteError::rejected(format!(
            "a key of table {} holds a {found}, not a hash",
            table.relation.source
        ))
        .code("WRONGTYPE")
        .hint(format!(
            "redis-cli --scan --pattern '{prefix}*' --type {found}, then DEL it; or choose another `key`"
        ))
        .table(table.relation.source.to_string())
        .change(change)
    }

    /// Removes the keys of a table, slice by slice, as long as the guard holds; says what the
    /// guard found.
    pub(super) fn empty(
        &mut self,
        prefix: &str,
        guard: (&str, &str),
    ) -> Result<Answer, WriteError> {
        let mut scan = Scan::new(prefix);
        while let Some(keys) = scan.next(&mut self.connection)? {
            if keys.is_empty() {
                continue;
            }
            let answer = self.call(&mut Commands::remove(&keys), guard, &[])?;
            if answer != Answer::Stored(0) {
                return Ok(answer);
            }
            failpoint::pass("redis.emptied");
        }
        Ok(Answer::Stored(0))
    }

    pub(super) fn table(&mut self, relation: &Arc<Relation>) -> Result<&Table, WriteError> {
        let number = self.tables.number(relation)?;
        Ok(&self.tables.all()[number])
    }

    pub(super) fn moved(&self, found: Option<String>) -> Result<Written, WriteError> {
        let position = found.map(|text| text.parse::<Position>()).transpose();
        let position = position.map_err(|_| {
            WriteError::rejected(format!(
                "checkpoint {:?} holds no valid position",
                self.checkpoint_key
            ))
            .hint(format!("redis-cli DEL '{}'", self.checkpoint_key))
        })?;
        Ok(Written::Moved(position))
    }

    /// The stream's own field, for the first change of a checkpoint.
    pub(super) fn stream_text(&self) -> Result<String, WriteError> {
        let stream = self.stream.as_ref();
        let stream =
            stream.ok_or_else(|| WriteError::fatal("the writer was not told its stream"))?;
        serde_json::to_string(stream).map_err(|error| WriteError::fatal(error.to_string()))
    }

    /// Changes the mark of a table's copy, where `guard` holds.
    pub(super) fn mark(
        &mut self,
        relation: &Relation,
        guard: (&str, &str),
        copied_to: Lsn,
    ) -> Result<(), WriteError> {
        let field = checkpoint::copied_field(&relation.source);
        let (stream, lsn) = (self.stream_text()?, copied_to.to_string());
        let mut changes = vec![(field.as_str(), Some(lsn.as_str()))];
        if !self.has_checkpoint {
            changes.push((STREAM, Some(&stream)));
        }
        match self.call(&mut Commands::default(), guard, &changes)? {
            Answer::Stored(_) => {
                self.has_checkpoint = true;
                Ok(())
            }
            _ => Err(WriteError::transient(format!(
                "checkpoint {:?} has changed: redis was emptied, or another engine is at work",
                self.checkpoint_key
            ))),
        }
    }
}
