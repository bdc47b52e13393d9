//! A whole writer, made of a simple one.

use std::{fmt, sync::Arc};

use super::{SimpleWriter, lane::lane};
use crate::{
    Batch, Capabilities, CheckReport, Checkpoint, Host, LoadMode, Lsn, Op, Part, Position,
    Relation, Role, Route, RuleTable, Segment, StreamId, TableName, WriteError, Writer, Written,
    abi::ArenaBuilder,
};

/// The [`Writer`] that a [`SimpleWriter`] makes.
///
/// It guarantees, whatever the order of calls and wherever the process dies:
///
/// - A source transaction is committed whole, with the position behind it, however many parts it comes
///   in. Whole transactions are committed as they come. A target without
///   [`transactions`](Capabilities::transactions) commits each part with its position.
/// - [`Written::Moved`] where the state in the target is not the one that this writer committed or read
///   last; then nothing of the batch is in the target.
/// - A copy becomes visible in one commit, together with the point that it stands for: until then
///   readers see the old rows. A copy that breaks leaves no row behind, only the mark that it had begun.
/// - After any error, and at [`reset`](Writer::reset), nothing uncommitted is left: the simple writer is
///   dropped and opened again.
///
/// What it can't do: it has [no loaders](Capabilities::loaders), so one writer copies a table, on the
/// lane's own connection, within one transaction of the target. It can't tell other people's rows from
/// its own, so [`LoadMode::Fresh`] replaces them. It can't interrupt a blocked call
/// ([`Writer::cancel`]), so calls should give up by themselves after some seconds.
pub struct Simple<W: SimpleWriter> {
    options: W::Options,
    host: Host,
    /// None after an error: the next call opens it.
    target: Option<W>,
    stream: StreamId,
    lane: String,
    /// The state as this writer committed or read it last.
    state: Option<String>,
    /// The same, taken apart.
    checkpoint: Option<Checkpoint>,
    open: Open,
}

/// What was put and is not committed.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Open {
    Nothing,
    /// Of a transaction: so far.
    Part(Position),
    /// The copy of a source table.
    Copy(TableName),
}

impl<W: SimpleWriter> fmt::Debug for Simple<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simple")
            .field("lane", &self.lane)
            .field("checkpoint", &self.checkpoint)
            .field("open", &self.open)
            .finish_non_exhaustive()
    }
}

impl<W: SimpleWriter> Simple<W> {
    /// Calls the target about the lane, of which [`Writer::checkpoint`] has told.
    fn on_lane<T>(
        &mut self,
        call: impl FnOnce(&mut W, &str) -> Result<T, WriteError>,
    ) -> Result<T, WriteError> {
        if self.lane.is_empty() {
            return Err(WriteError::fatal(
                "a call before the checkpoint was asked for",
            ));
        }
        self.with(call)
    }

    /// Calls the target, which is opened where need be, and given up after an error.
    fn with<T>(
        &mut self,
        call: impl FnOnce(&mut W, &str) -> Result<T, WriteError>,
    ) -> Result<T, WriteError> {
        // Taken out, so that a panic ends both as an error does.
        let open = std::mem::replace(&mut self.open, Open::Nothing);
        let mut target = match self.target.take() {
            Some(target) => target,
            None => W::open(&self.options, &self.host)?,
        };
        let answer = call(&mut target, &self.lane)?;
        (self.target, self.open) = (Some(target), open);
        Ok(answer)
    }

    /// Gives up what is not committed.
    fn roll_back(&mut self) {
        self.target = None;
        self.open = Open::Nothing;
    }

    /// Gives up a copy or a part that nobody goes on with: what follows must not commit it.
    fn close(&mut self) {
        if self.open != Open::Nothing {
            self.roll_back();
        }
    }

    /// Reads the state.
    fn look(&mut self) -> Result<(), WriteError> {
        let state = self.on_lane(|target, lane| target.stored(lane))?;
        self.checkpoint = match &state {
            None => None,
            Some(text) => Some(serde_json::from_str(text).map_err(|error| {
                WriteError::rejected(format!(
                    "state of lane {:?} in the target is not tahr's: {error}",
                    self.lane
                ))
                .hint("put it back as it was, or remove it to begin anew")
            })?),
        };
        self.state = state;
        Ok(())
    }

    /// Where the stream is: behind what is committed and what was put.
    fn reached(&self) -> Option<&Position> {
        match &self.open {
            Open::Part(position) => Some(position),
            _ => self.stored(),
        }
    }

    fn stored(&self) -> Option<&Position> {
        self.checkpoint.as_ref()?.position.as_ref()
    }

    /// Commits what was put, with the checkpoint as `change` makes it. False where the target's state
    /// had moved: all is taken back, and the state is looked at again.
    fn commit(&mut self, change: impl FnOnce(&mut Checkpoint)) -> Result<bool, WriteError> {
        let mut checkpoint = self.checkpoint.clone().unwrap_or_default();
        self.stream.clone_into(&mut checkpoint.stream);
        change(&mut checkpoint);
        let state = serde_json::to_string(&checkpoint)
            .map_err(|error| WriteError::fatal(format!("write a checkpoint: {error}")))?;
        let from = self.state.clone();
        if !self.on_lane(|target, lane| target.commit(lane, from.as_deref(), Some(&state)))? {
            self.moved()?;
            return Ok(false);
        }
        self.open = Open::Nothing;
        self.state = Some(state);
        self.checkpoint = Some(checkpoint);
        Ok(true)
    }

    /// Commits a position.
    fn advance(&mut self, position: &Position) -> Result<Written, WriteError> {
        if self.commit(|checkpoint| checkpoint.position = Some(position.clone()))? {
            return Ok(Written::Stored(position.clone()));
        }
        Ok(Written::Moved(self.stored().cloned()))
    }

    /// Commits how far the copy of `table` is.
    fn mark(&mut self, table: &TableName, copied_to: Lsn) -> Result<(), WriteError> {
        let is_done = self.commit(|checkpoint| {
            checkpoint.copied_to.insert(table.to_string(), copied_to);
        })?;
        if is_done { Ok(()) } else { Err(elsewhere()) }
    }

    /// Takes everything back, and says what the target holds.
    fn moved(&mut self) -> Result<Written, WriteError> {
        self.roll_back();
        self.look()?;
        Ok(Written::Moved(self.stored().cloned()))
    }

    fn put(&mut self, batch: &Batch) -> Result<(), WriteError> {
        if batch.is_empty() {
            return Ok(());
        }
        self.on_lane(|target, lane| target.put(lane, batch))
    }

    /// An error where a copy is open: there is one transaction, and it is the copy's.
    fn refuse_inside_a_copy(&mut self, what: &str) -> Result<(), WriteError> {
        let Open::Copy(table) = &self.open else {
            return Ok(());
        };
        let error = WriteError::fatal(format!("{what} came inside the copy of table {table}"));
        self.roll_back();
        Err(error)
    }

    fn refuse_outside_of_a_copy(&self, what: &str) -> Result<(), WriteError> {
        match self.open {
            Open::Copy(_) => Ok(()),
            _ => Err(WriteError::fatal(format!("{what} came outside of a copy"))),
        }
    }
}

fn elsewhere() -> WriteError {
    WriteError::transient("target's checkpoint was changed by somebody else")
        .hint("see whether another engine writes to this target under the same sync name")
}

/// A batch that truncates `relation`.
fn truncate(relation: &Arc<Relation>) -> Batch {
    let mut arena = ArenaBuilder::default();
    arena.begin(0, 0, 0, None);
    let index = arena.relation(relation.version);
    arena.change(Op::Truncate, 0, index, None, None, 0);
    arena.commit(0, 1);
    let route = Route {
        relation: Arc::clone(relation),
        from: Lsn::ZERO,
    };
    let segment = Segment {
        arena: arena.finish(),
        first: 0,
        end: 1,
        routes: vec![Some(route)].into(),
    };
    let nowhere = Position::default();
    Batch::new(vec![segment], nowhere.clone(), nowhere, Part::Whole)
}

impl<W: SimpleWriter> Writer for Simple<W> {
    type Options = W::Options;
    const NAME: &'static str = W::NAME;
    const SUMMARY: &'static str = W::SUMMARY;

    fn capabilities() -> Capabilities {
        Capabilities {
            loaders: 0,
            ..W::capabilities()
        }
    }

    fn rules() -> Vec<RuleTable> {
        W::rules()
    }

    fn open(options: W::Options, _role: Role, host: &Host) -> Result<Self, WriteError> {
        Ok(Self {
            target: Some(W::open(&options, host)?),
            options,
            host: host.clone(),
            stream: StreamId::default(),
            lane: String::new(),
            state: None,
            checkpoint: None,
            open: Open::Nothing,
        })
    }

    fn check(&mut self, relations: &[Relation]) -> Result<CheckReport, WriteError> {
        self.with(|target, _| target.check(relations))
    }

    fn checkpoint(&mut self, stream: &StreamId) -> Result<Option<Checkpoint>, WriteError> {
        let lane = lane(stream);
        self.close();
        if lane != self.lane && !self.lane.is_empty() {
            self.roll_back();
        }
        self.stream = stream.clone();
        self.lane = lane;
        self.look()?;
        Ok(self.checkpoint.clone())
    }

    fn prepare(&mut self, relation: &Arc<Relation>) -> Result<(), WriteError> {
        self.with(|target, _| target.prepare(relation))
    }

    fn begin_load(&mut self, relation: &Arc<Relation>, _: LoadMode) -> Result<(), WriteError> {
        self.close();
        self.mark(&relation.source, Lsn::ZERO)?;
        self.put(&truncate(relation))?;
        self.open = Open::Copy(relation.source.clone());
        Ok(())
    }

    fn load(&mut self, batch: &Batch) -> Result<(), WriteError> {
        self.refuse_outside_of_a_copy("rows")?;
        self.put(batch)
    }

    fn end_load(&mut self, relation: &Arc<Relation>, copied_to: Lsn) -> Result<(), WriteError> {
        self.refuse_outside_of_a_copy("the end of one")?;
        self.mark(&relation.source, copied_to)
    }

    fn forget_copy(&mut self, table: &TableName) -> Result<(), WriteError> {
        self.close();
        self.mark(table, Lsn::ZERO)
    }

    fn write(&mut self, batch: &Batch) -> Result<Written, WriteError> {
        self.refuse_inside_a_copy("a batch")?;
        if self.reached() != Some(batch.previous()) {
            return self.moved();
        }
        self.put(batch)?;
        if batch.ends_transaction() || !W::capabilities().transactions {
            return self.advance(batch.position());
        }
        self.open = Open::Part(batch.position().clone());
        Ok(Written::Accepted)
    }

    fn flush(&mut self, position: &Position) -> Result<Written, WriteError> {
        self.refuse_inside_a_copy("a position")?;
        self.advance(position)
    }

    fn reset(&mut self) -> Result<(), WriteError> {
        self.roll_back();
        self.with(|_, _| Ok(()))
    }

    fn forget(&mut self, stream: &StreamId) -> Result<(), WriteError> {
        self.checkpoint(stream)?;
        let Some(state) = self.state.take() else {
            return Ok(());
        };
        self.checkpoint = None;
        match self.on_lane(|target, lane| target.commit(lane, Some(&state), None))? {
            true => Ok(()),
            false => Err(elsewhere()),
        }
    }
}
