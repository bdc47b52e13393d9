//! The conformance suite on real servers: a replica set, and a server by itself.

mod subject;

use std::sync::Arc;

use subject::Target;
use tahr_mongodb::{MongodbWriter, Options};
use tahr_plugin_api::{
    Batch, Cancel, Capabilities, CheckReport, Checkpoint, Host, LoadMode, Lsn, Position, Relation,
    Role, StreamId, TableName, WriteError, Writer, Written,
    read_back::{Digest, ReadBack},
    testing::conformance,
};
use tahr_tests::Mongod;

#[test]
fn a_replica_set_keeps_every_promise_of_a_writer() {
    let mut target = Target::new(Mongod::shared(), true);
    let report = conformance::run::<MongodbWriter>(&mut target);
    let skipped: Vec<&str> = report
        .skipped
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(skipped, ["a table can be prepared between parts"]);
}

/// What a server by itself can do: the same, but for tables without a key.
#[derive(Debug)]
struct Alone(MongodbWriter);

impl Writer for Alone {
    type Options = Options;
    const NAME: &'static str = MongodbWriter::NAME;

    fn capabilities() -> Capabilities {
        Capabilities {
            keyless: false,
            ..MongodbWriter::capabilities()
        }
    }

    fn open(options: Options, role: Role, host: &Host) -> Result<Self, WriteError> {
        MongodbWriter::open(options, role, host).map(Self)
    }

    fn check(&mut self, relations: &[Relation]) -> Result<CheckReport, WriteError> {
        self.0.check(relations)
    }

    fn checkpoint(&mut self, stream: &StreamId) -> Result<Option<Checkpoint>, WriteError> {
        self.0.checkpoint(stream)
    }

    fn prepare(&mut self, relation: &Arc<Relation>) -> Result<(), WriteError> {
        self.0.prepare(relation)
    }

    fn begin_load(&mut self, relation: &Arc<Relation>, mode: LoadMode) -> Result<(), WriteError> {
        self.0.begin_load(relation, mode)
    }

    fn load(&mut self, batch: &Batch) -> Result<(), WriteError> {
        self.0.load(batch)
    }

    fn end_load(&mut self, relation: &Arc<Relation>, copied_to: Lsn) -> Result<(), WriteError> {
        self.0.end_load(relation, copied_to)
    }

    fn forget_copy(&mut self, table: &TableName) -> Result<(), WriteError> {
        self.0.forget_copy(table)
    }

    fn write(&mut self, batch: &Batch) -> Result<Written, WriteError> {
        self.0.write(batch)
    }

    fn flush(&mut self, position: &Position) -> Result<Written, WriteError> {
        self.0.flush(position)
    }

    fn reset(&mut self) -> Result<(), WriteError> {
        self.0.reset()
    }

    fn forget(&mut self, stream: &StreamId) -> Result<(), WriteError> {
        self.0.forget(stream)
    }

    fn digests(&mut self, batch: &Batch) -> Result<Vec<Digest>, WriteError> {
        self.0.digests(batch)
    }

    fn read_back(
        &mut self,
        relation: &Arc<Relation>,
        keys: Option<&Batch>,
        rows: &mut ReadBack<'_>,
    ) -> Result<(), WriteError> {
        self.0.read_back(relation, keys, rows)
    }

    fn cancel(&self) -> Option<Cancel> {
        self.0.cancel()
    }
}

/// Rows that it refuses are not among them: a batch that is committed there is refused afterwards.
#[test]
fn a_server_by_itself_keeps_every_promise_but_those_of_keyless_tables_and_refused_rows() {
    let mut target = Target::new(Mongod::standalone(&[]), false);
    let report = conformance::run::<Alone>(&mut target);
    let skipped: Vec<&str> = report
        .skipped
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(skipped.len(), 9, "{skipped:?}");
}
