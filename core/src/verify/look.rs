//! One look at some keys, on both sides.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use tahr_plugin_api::{
    Batch, Lsn, Part, Position, Relation, Route, Segment, WriteError, abi::Arena,
};

use super::{Key, Kind, Subject, inbox::Check, origin::Origin, table::Compared};
use crate::{lane::key_number, record::arena_of, shutdown::Stop, source::SourceError};

/// How often it is asked whether the lane has come far enough.
const EVERY: Duration = Duration::from_millis(3);
/// How long a lane may stand still.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why something can't be compared, for a person.
#[derive(Debug)]
pub(super) struct Unable(pub(super) String);

impl From<SourceError> for Unable {
    fn from(error: SourceError) -> Self {
        Self(format!("source: {}", error.message))
    }
}

impl From<WriteError> for Unable {
    fn from(error: WriteError) -> Self {
        match error.hint_text() {
            Some(hint) => Self(format!("target: {error}; {hint}")),
            None => Self(format!("target: {error}")),
        }
    }
}

/// What is seen of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    Equal,
    Differs(Kind),
    /// It changed while it was looked at.
    Moving,
}

/// What is used to look.
#[derive(Debug)]
pub(super) struct Looker<'a> {
    pub(super) subject: &'a Subject,
    pub(super) origin: &'a Origin,
    pub(super) check: &'a mut Check,
    pub(super) stop: &'a Stop,
}

/// Rows or keys of one relation, as they are read.
pub(super) fn rows_of(arena: &Arena, relation: &Arc<Relation>) -> Batch {
    let route = Route {
        relation: Arc::clone(relation),
        from: Lsn::ZERO,
    };
    let segment = Segment {
        first: 0,
        end: u32::try_from(arena.changes().len()).unwrap_or(u32::MAX),
        routes: vec![Some(route); arena.relations().len()].into(),
        arena: arena.clone(),
    };
    let nowhere = Position::default();
    Batch::new(vec![segment], nowhere.clone(), nowhere, Part::Whole)
}

impl Looker<'_> {
    /// Keys as an arena, and watched by the lane from now on. What the lane was given before is
    /// visible in the source when this returns, as far as commits wait for standbys: theirs come
    /// before that of the mark.
    pub(super) fn watch(&self, table: &Compared, keys: &[Key]) -> Result<Arena, Unable> {
        let names = keys.iter().map(Key::texts);
        let arena = arena_of(&table.source, &table.places, &[], names);
        let arena = arena.ok_or_else(|| Unable("no keys are asked for".to_owned()))?;
        let batch = rows_of(&arena, &table.relation);
        let rows = batch.changes().filter_map(|change| change.old_row());
        let numbers = rows.map(|row| key_number(row, &table.key));
        self.subject
            .attendant
            .watch(table.relation.oid, numbers.collect::<Vec<_>>());
        if self.origin.has_standbys() {
            self.mark()?;
        }
        Ok(arena)
    }

    /// Looks at keys, first in the source and then, when the lane has come that far, in the target.
    pub(super) fn look(&mut self, table: &Compared, keys: &[Key]) -> Result<Vec<Seen>, Unable> {
        let arena = self.watch(table, keys)?;
        let mut expected: HashMap<u64, u64> = HashMap::with_capacity(keys.len());
        let runtime = &self.subject.runtime;
        let mut reading = runtime.block_on(self.origin.look_up(table, keys))?;
        while let Some(rows) = runtime.block_on(reading.next())? {
            let digests = self.check.digests(&table.relation, &rows)?;
            let kept = digests.iter().filter(|digest| digest.is_kept());
            expected.extend(kept.map(|digest| (digest.key, digest.row)));
        }
        self.await_mark()?;
        let names = self.check.digests(&table.relation, &arena)?;
        let stored = self.check.rows(&table.relation, &arena)?;
        let may_lack = self.check.may_lack;
        // A lane that begins to copy shows neither this nor that. In this order, since a copy touches
        // its rows before the lane streams again.
        let is_settled = self.subject.has_passed(Lsn::ZERO).unwrap_or(false);
        let touched = self.subject.attendant.touched();
        let batch = rows_of(&arena, &table.relation);
        let rows = batch.changes().filter_map(|change| change.old_row());
        let seen = rows.zip(names).map(|(row, name)| {
            let kind = match (expected.get(&name.key), stored.get(&name.key)) {
                (Some(one), Some(other)) if one != other => Kind::Differing,
                (Some(_), None) if !may_lack => Kind::Missing,
                (None, Some(_)) => Kind::Extra,
                _ => return Seen::Equal,
            };
            match is_settled && !touched.contains(&key_number(row, &table.key)) {
                true => Seen::Differs(kind),
                false => Seen::Moving,
            }
        });
        Ok(seen.collect())
    }

    /// Waits until the lane has stored all that is committed now; returns where that is.
    pub(super) fn await_mark(&self) -> Result<Lsn, Unable> {
        let mark = self.mark()?;
        let mut since = (Instant::now(), self.subject.passed());
        while !self.subject.has_passed(mark).map_err(Unable)? {
            let passed = self.subject.passed();
            if passed != since.1 {
                since = (Instant::now(), passed);
            }
            if since.0.elapsed() > PATIENCE {
                let state = self.subject.status.get().state.as_str();
                return Err(Unable(format!("the lane is {state} and doesn't get on")));
            }
            self.pause(EVERY)?;
        }
        Ok(mark)
    }

    fn mark(&self) -> Result<Lsn, Unable> {
        let marked = self
            .subject
            .runtime
            .block_on(async { tokio::time::timeout(PATIENCE, self.origin.mark()).await });
        let waits = |_| Unable("commits in the source wait for a standby".to_owned());
        Ok(marked.map_err(waits)??)
    }

    /// Waits for a moment.
    pub(super) fn pause(&self, time: Duration) -> Result<(), Unable> {
        match self.stop.wait(time) {
            true => Err(Unable("it was stopped".to_owned())),
            false => Ok(()),
        }
    }
}
