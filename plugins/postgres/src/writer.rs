//! The [`Writer`]: a runtime of its own around the target.

use std::{fmt, future::Future, sync::Arc};

use tahr_plugin_api::{
    Batch, Cancel, Capabilities, CheckReport, Checkpoint, Host, LoadMode, Lsn, Position, Relation,
    Role, RuleTable, StreamId, TableName, WriteError, Writer, Written,
    read_back::{Digest, ReadBack},
};
use tokio::runtime::Runtime;

use crate::{check::check, options::Options, session::Interrupt, target::Target, types};

/// Loaders side by side; more rarely helps, since all write one table.
const LOADERS: u32 = 4;

/// Writes to a PostgreSQL database.
pub struct PostgresWriter {
    runtime: Runtime,
    target: Target,
    interrupt: Arc<Interrupt>,
    /// Whether a call was interrupted, so that nobody knows what the connection is at.
    is_broken: bool,
}

impl fmt::Debug for PostgresWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresWriter")
            .field("role", &self.target.role)
            .field("is_broken", &self.is_broken)
            .finish_non_exhaustive()
    }
}

/// Runs `call` until it is done or interrupted.
fn run<T>(
    runtime: &Runtime,
    interrupt: &Interrupt,
    is_broken: &mut bool,
    call: impl Future<Output = Result<T, WriteError>>,
) -> Result<T, WriteError> {
    let call = Box::pin(call);
    runtime.block_on(async {
        tokio::select! {
            biased;
            result = call => result,
            () = interrupt.notify.notified() => {
                *is_broken = true;
                Err(WriteError::transient("cancelled"))
            }
        }
    })
}

macro_rules! run {
    ($self:ident, $target:ident => $call:expr) => {{
        let $target = &mut $self.target;
        run(
            &$self.runtime,
            &$self.interrupt,
            &mut $self.is_broken,
            $call,
        )
    }};
}

impl Writer for PostgresWriter {
    type Options = Options;

    const NAME: &'static str = "postgres";
    const SUMMARY: &'static str = "PostgreSQL: the same schemas, tables and values";

    fn capabilities() -> Capabilities {
        Capabilities {
            transactions: true,
            transactional_ddl: true,
            partial_update: true,
            keyless: true,
            read_back: true,
            loaders: LOADERS,
            ..Capabilities::default()
        }
    }

    fn rules() -> Vec<RuleTable> {
        types::rules()
    }

    fn open(options: Options, role: Role, host: &Host) -> Result<Self, WriteError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| WriteError::transient(format!("start a runtime: {error}")))?;
        let interrupt = Arc::new(Interrupt::default());
        let target = runtime.block_on(Box::pin(Target::open(options, role, host, &interrupt)))?;
        Ok(Self {
            runtime,
            target,
            interrupt,
            is_broken: false,
        })
    }

    fn check(&mut self, relations: &[Relation]) -> Result<CheckReport, WriteError> {
        run!(self, target => check(&target.session, &target.options, relations))
    }

    fn checkpoint(&mut self, stream: &StreamId) -> Result<Option<Checkpoint>, WriteError> {
        run!(self, target => target.checkpoint(stream))
    }

    fn holds_rows(&mut self, relation: &Relation) -> Result<bool, WriteError> {
        run!(self, target => target.holds_rows(relation))
    }

    fn prepare(&mut self, relation: &Arc<Relation>) -> Result<(), WriteError> {
        run!(self, target => target.prepare(relation))
    }

    fn begin_load(&mut self, relation: &Arc<Relation>, mode: LoadMode) -> Result<(), WriteError> {
        run!(self, target => target.begin_load(relation, mode))
    }

    fn load(&mut self, batch: &Batch) -> Result<(), WriteError> {
        run!(self, target => target.load(batch))
    }

    fn end_load(&mut self, relation: &Arc<Relation>, copied_to: Lsn) -> Result<(), WriteError> {
        run!(self, target => target.end_load(relation, copied_to))
    }

    fn write(&mut self, batch: &Batch) -> Result<Written, WriteError> {
        run!(self, target => target.write(batch))
    }

    fn flush(&mut self, position: &Position) -> Result<Written, WriteError> {
        run!(self, target => target.flush(position))
    }

    fn reset(&mut self) -> Result<(), WriteError> {
        let is_broken = std::mem::take(&mut self.is_broken);
        let interrupt = Arc::clone(&self.interrupt);
        let result = run!(self, target => target.reset(is_broken, &interrupt));
        // Where no new connection could be made the old one is still the broken one.
        self.is_broken |= is_broken && result.is_err();
        result
    }

    fn forget_copy(&mut self, table: &TableName) -> Result<(), WriteError> {
        run!(self, target => target.forget_copy(table))
    }

    fn forget(&mut self, stream: &StreamId) -> Result<(), WriteError> {
        run!(self, target => target.forget(stream))
    }

    fn digests(&mut self, batch: &Batch) -> Result<Vec<Digest>, WriteError> {
        run!(self, target => target.digests(batch))
    }

    fn read_back(
        &mut self,
        relation: &Arc<Relation>,
        keys: Option<&Batch>,
        rows: &mut ReadBack<'_>,
    ) -> Result<(), WriteError> {
        run!(self, target => target.read_back(relation, keys, rows))
    }

    fn cancel(&self) -> Option<Cancel> {
        let interrupt = Arc::clone(&self.interrupt);
        Some(Box::new(move || interrupt.interrupt()))
    }
}
