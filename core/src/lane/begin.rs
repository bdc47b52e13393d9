//! Where a lane goes on: what its target's checkpoint is worth, and the first one.

use std::fmt;

use tahr_plugin_api::{
    Checkpoint, Lsn, Position, StreamId, WriteError, Written, abi::RemoteWriter, failpoint,
};

use super::{
    apply::other_engine,
    ready::{forget_copy, names_of, of_state_folder},
    worker::Worker,
};
use crate::config::OnGap;

impl Worker {
    /// The error of a lane that the log keeps nothing for any more, if it is one.
    pub(super) fn left_behind(&self) -> Option<WriteError> {
        let why = self.setup.log.has_given_up(self.setup.id)?;
        Some(WriteError::rejected(why.to_string()).hint(format!(
            "{} copies its tables again; `on_log_limit = \"hold\"` in the source leaves what targets \
             lack in its WAL, and a larger `log_limit` in the log",
            self.resync_command()
        )))
    }

    /// Whether what lies behind `position` can still be read: where the log has let go of it, the slot may
    /// hold it.
    fn is_held(&self, position: &Position) -> bool {
        let log = &self.setup.log;
        if *position >= log.reach() {
            return true;
        }
        let is_held = log.rewind(self.setup.id, position);
        if is_held {
            tracing::info!(lane = %self.setup.name(), %position,
                "target went back; the source is read again from the slot");
        }
        is_held
    }

    /// Where the lane goes on; and whether that is from scratch, so that all tables are copied
    /// anew. Makes the first checkpoint.
    pub(super) fn place(
        &mut self,
        writer: &mut RemoteWriter,
        found: Option<&Checkpoint>,
    ) -> Result<(Position, bool), WriteError> {
        let held = found.and_then(|found| found.position.clone());
        if let Some(found) = found
            && let Err(error) = self.refuse_foreign(found)
        {
            // Whoever asked for all tables has seen this, or wants them whatever it is.
            if !self.setup.resyncs.is_anew() {
                return Err(error);
            }
            tracing::warn!(lane = %self.setup.name(), "{error}; copying all tables again, as asked");
            return Ok((self.start_over(writer, Some(found))?, true));
        }
        // From here on the log keeps what the lane needs; whether it still had all of it is asked
        // afterwards.
        let mut is_held = false;
        if let Some(position) = &held {
            self.setup.log.join(self.setup.id, position.clone());
            is_held = self.is_held(position);
        }
        let reach = self.setup.log.reach();
        let gap = match &held {
            Some(position) if is_held => {
                self.note_stream(writer, found, position)?;
                self.had_checkpoint = true;
                self.reached = self.reached.take().max(held.clone());
                return Ok((position.clone(), false));
            }
            Some(position) => Some(format!(
                "target holds the source up to {position}, and the source's log begins at {reach}: \
                 what lies between is lost"
            )),
            None if self.had_checkpoint => {
                Some("target has lost its checkpoint and perhaps its data".to_owned())
            }
            None => None,
        };
        let Some(gap) = gap else {
            return Ok((self.first_checkpoint(writer)?, false));
        };
        let refills = self.setup.plugin.description.capabilities.refills;
        let default = if refills { OnGap::Resync } else { OnGap::Park };
        let parks = self.setup.sync.on_gap.unwrap_or(default) == OnGap::Park;
        if parks && !self.setup.resyncs.is_anew() {
            // Nothing that would be kept for it helps any more.
            self.setup.log.give_up(self.setup.id);
            return Err(WriteError::rejected(format!("gap: {gap}")).hint(format!(
                "to copy all its tables again, now: {}; or always: set `on_gap = \"resync\"` in the \
                 sync, then `tahr reload`",
                self.resync_command()
            )));
        }
        tracing::warn!(lane = %self.setup.name(), "gap: {gap}; copying all tables again");
        Ok((self.start_over(writer, found)?, true))
    }

    /// A checkpoint that was made on an older timeline counts as one of the present from now on: what
    /// follows it may lie behind the point where the two parted.
    fn note_stream(
        &self,
        writer: &mut RemoteWriter,
        found: Option<&Checkpoint>,
        position: &Position,
    ) -> Result<(), WriteError> {
        let Some(found) = found.filter(|found| found.stream != self.setup.stream) else {
            return Ok(());
        };
        tracing::info!(lane = %self.setup.name(), was = found.stream.timeline,
            is = self.setup.stream.timeline, "the source has another timeline, which has all that \
            the target holds");
        match writer.flush(position)? {
            Written::Stored(stored) if stored == *position => Ok(()),
            other => Err(WriteError::transient(format!(
                "target did not take the source's timeline: {other:?}"
            ))),
        }
    }

    /// What a person types to have the lane begin from scratch.
    fn resync_command(&self) -> String {
        format!("`tahr resync {}`", self.setup.name())
    }

    /// Nothing that the target holds counts any more. Noted first, so that a crash at any moment
    /// finds tables that are still to be copied, and replaces them.
    fn start_over(
        &mut self,
        writer: &mut RemoteWriter,
        found: Option<&Checkpoint>,
    ) -> Result<Position, WriteError> {
        let names = names_of(&self.setup.tables);
        self.setup
            .resyncs
            .note(names, true)
            .map_err(of_state_folder)?;
        failpoint::pass("anew.asked");
        let marks = found.into_iter().flat_map(|found| &found.copied_to);
        for (name, _) in marks.filter(|(_, lsn)| **lsn != Lsn::ZERO) {
            forget_copy(writer, name)?;
            failpoint::pass("anew.forgotten");
        }
        self.reached = None;
        self.first_checkpoint(writer)
    }

    /// The lane needs nothing from before the snapshots of its tables.
    fn first_checkpoint(&mut self, writer: &mut RemoteWriter) -> Result<Position, WriteError> {
        let tail = self.setup.log.join_at_tail(self.setup.id);
        self.reached = self.reached.take().max(Some(tail.clone()));
        failpoint::pass("anew.first");
        let flushed = writer.flush(&tail)?;
        failpoint::pass("anew.begun");
        match flushed {
            Written::Stored(position) if position == tail => {
                self.had_checkpoint = true;
                self.may_find_left_over = false;
                Ok(position)
            }
            other => Err(WriteError::transient(format!(
                "target did not take the first checkpoint: {other:?}"
            ))),
        }
    }

    /// Whether a checkpoint at `found` is further than this lane can have brought it, so that another
    /// engine is at work. The first time in a run it isn't taken for that, if the target has not taken
    /// anything yet: one that was slow may have committed only now what it was given by an engine that
    /// was killed.
    pub(super) fn is_foreign(&mut self, found: &Position) -> bool {
        if self.reached.as_ref().is_none_or(|reached| found <= reached) {
            return false;
        }
        if !std::mem::take(&mut self.may_find_left_over) {
            return true;
        }
        tracing::info!(lane = %self.setup.name(), %found,
            "the target has committed what an engine before this one gave it");
        self.reached = Some(found.clone());
        false
    }

    /// A checkpoint of another stream, or of a source that has become another, must not be gone on
    /// from, nor written over.
    fn refuse_foreign(&mut self, found: &Checkpoint) -> Result<(), WriteError> {
        let reached = self.reached.clone().unwrap_or_default();
        if let Some(position) = &found.position
            && self.is_foreign(position)
        {
            return Err(other_engine(position, &reached));
        }
        let setup = &self.setup;
        let ways_out = format!(
            "if that is as it should be, copy all its tables again from the source as it is now: {}",
            self.resync_command()
        );
        if let Some(differences) = differences(&found.stream, &setup.stream) {
            return Err(WriteError::rejected(format!(
                "target was filled from another stream of sync \"{}\": {differences}",
                setup.stream.sync
            ))
            .hint(format!(
                "another engine may write to this target, or the source was replaced; {ways_out}"
            )));
        }
        let end = setup.log.furthest();
        let copied = found.copied_to.values().max().copied();
        setup
            .past
            .judge(
                &found.stream,
                found.position.as_ref(),
                copied.unwrap_or_default(),
                end,
            )
            .map_err(|strange| WriteError::rejected(strange.message).hint(ways_out))
    }
}

/// In what two streams differ, but for their timeline, which [`Past`](crate::source::Past) judges.
fn differences(found: &StreamId, ours: &StreamId) -> Option<String> {
    let mut differences = Vec::new();
    let mut compare = |what: &str, found: &dyn fmt::Display, ours: &dyn fmt::Display| {
        let (found, ours) = (found.to_string(), ours.to_string());
        if found != ours {
            differences.push(format!("{what} {found}, not {ours}"));
        }
    };
    compare("system identifier", &found.system_id, &ours.system_id);
    compare("database OID", &found.database, &ours.database);
    compare("slot", &found.slot, &ours.slot);
    compare("checkpoint format", &found.format, &ours.format);
    (!differences.is_empty()).then(|| differences.join("; "))
}
