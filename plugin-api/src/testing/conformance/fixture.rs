//! One case's target, its writer, and the position that both are at.

use std::sync::Arc;

use serde_json::Value;

use crate::{
    Batch, Capabilities, Checkpoint, Lsn, Position, Relation, Role, WriteError, Written,
    abi::{RemoteWriter, WriterModule_Ref},
    testing::{BatchBuilder, Recorder, Row, Subject, relation, stream},
};

/// One thing to try.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) act: fn(&mut Fixture<'_>),
}

/// A list of cases, named as their functions.
macro_rules! cases {
    ($($name:ident),+ $(,)?) => {
        pub(super) const CASES: &[super::fixture::Case] = &[
            $(super::fixture::Case { name: stringify!($name), act: $name },)+
        ];
    };
}
pub(super) use cases;

/// What a case works on.
pub(super) struct Fixture<'a> {
    pub(super) subject: &'a mut dyn Subject,
    pub(super) capabilities: Capabilities,
    /// The stream writer; none where a case closed it.
    writer: Option<RemoteWriter>,
    /// Where the stream is.
    pub(super) position: Position,
    module: WriterModule_Ref,
    options: Value,
    skipped: Option<String>,
}

impl<'a> Fixture<'a> {
    /// An empty target, and a stream writer that found no checkpoint in it.
    #[track_caller]
    pub(super) fn new(
        subject: &'a mut dyn Subject,
        module: WriterModule_Ref,
        capabilities: Capabilities,
    ) -> Self {
        let options = subject.fresh();
        let mut fixture = Self {
            subject,
            capabilities,
            writer: None,
            position: Position::at(Lsn(0x100_0000)),
            module,
            options,
            skipped: None,
        };
        assert_eq!(fixture.reopen(), None, "a checkpoint in an empty target");
        fixture
    }

    /// Notes that the target takes no part in the case.
    pub(super) fn skip(&mut self, reason: &str) {
        self.skipped = Some(reason.to_owned());
    }

    pub(super) fn skipped(self) -> Option<String> {
        self.skipped
    }

    /// The stream writer.
    pub(super) fn writer(&mut self) -> &mut RemoteWriter {
        self.writer.as_mut().expect("a writer that is not closed")
    }

    /// Another writer on the same target.
    #[track_caller]
    pub(super) fn another(&self, role: Role) -> RemoteWriter {
        let opened = self
            .module
            .open_writer(&self.options, role, Recorder::default());
        ok(opened).0
    }

    /// Another writer on the same target, and what it tells.
    #[track_caller]
    pub(super) fn recorded(&self, role: Role) -> (RemoteWriter, Recorder) {
        let recorder = Recorder::default();
        let opened = self
            .module
            .open_writer(&self.options, role, recorder.clone());
        (ok(opened).0, recorder)
    }

    /// Another stream writer that has asked for its checkpoint.
    #[track_caller]
    pub(super) fn second_engine(&self) -> RemoteWriter {
        let mut writer = self.another(Role::Stream);
        ok(writer.checkpoint(&stream()));
        writer
    }

    /// Loads rows of a copy that has begun, on a loader where the target has such.
    #[track_caller]
    pub(super) fn load(&mut self, batches: &[Batch]) {
        if self.capabilities.loaders == 0 {
            batches
                .iter()
                .for_each(|batch| ok(self.writer().load(batch)));
            return;
        }
        let mut loader = self.another(Role::Load);
        batches.iter().for_each(|batch| ok(loader.load(batch)));
        ok(loader.flush(&Position::default()));
    }

    /// Drops the stream writer, as the end of a process would.
    pub(super) fn close(&mut self) {
        self.writer = None;
    }

    /// Drops the stream writer and opens a new one; returns the checkpoint that it found.
    #[track_caller]
    pub(super) fn reopen(&mut self) -> Option<Checkpoint> {
        self.close();
        let mut writer = self.another(Role::Stream);
        let checkpoint = ok(writer.checkpoint(&stream()));
        self.writer = Some(writer);
        checkpoint
    }

    /// What follows an error; returns the position that the target holds.
    #[track_caller]
    pub(super) fn reset(&mut self) -> Option<Position> {
        ok(self.writer().reset());
        ok(self.writer().checkpoint(&stream())).and_then(|checkpoint| checkpoint.position)
    }

    /// Stores the first checkpoint and prepares `relations`.
    #[track_caller]
    pub(super) fn start(&mut self, relations: &[&Arc<Relation>]) {
        let position = self.position.clone();
        self.flush(&position);
        for relation in relations {
            ok(self.writer().prepare(relation));
        }
    }

    /// Starts with the table `items`, which it returns.
    #[track_caller]
    pub(super) fn start_items(&mut self) -> Arc<Relation> {
        let items = items();
        self.start(&[&items]);
        items
    }

    /// A batch from the present position on.
    pub(super) fn next(&self) -> BatchBuilder {
        BatchBuilder::after(&self.position)
    }

    /// Flushes, which must store `position`.
    #[track_caller]
    pub(super) fn flush(&mut self, position: &Position) {
        let written = ok(self.writer().flush(position));
        assert_eq!(written, Written::Stored(position.clone()), "of a flush");
        self.position = position.clone();
    }

    /// Writes `batch` and sees it stored.
    #[track_caller]
    pub(super) fn write(&mut self, batch: &Batch) {
        match ok(self.writer().write(batch)) {
            Written::Accepted => self.flush(batch.position()),
            written => {
                assert_eq!(written, Written::Stored(batch.position().clone()));
                self.position = batch.position().clone();
            }
        }
    }

    /// Writes a part that is not the last; true where it is stored already.
    #[track_caller]
    pub(super) fn write_part(&mut self, batch: &Batch) -> bool {
        let written = ok(self.writer().write(batch));
        self.position = batch.position().clone();
        match written {
            Written::Accepted => false,
            Written::Stored(position) if position == *batch.position() => true,
            other => panic!("{other:?} of a part"),
        }
    }

    /// Writes `batch`, which must be refused since the target is at `found`.
    #[track_caller]
    pub(super) fn moved(&mut self, batch: &Batch, found: Option<&Position>) {
        let written = ok(self.writer().write(batch));
        assert_eq!(written, Written::Moved(found.cloned()));
    }

    /// The position that a new writer finds.
    #[track_caller]
    pub(super) fn stored(&self) -> Option<Position> {
        let mut writer = self.another(Role::Stream);
        ok(writer.checkpoint(&stream())).and_then(|checkpoint| checkpoint.position)
    }

    /// The rows of `relation`, sorted.
    pub(super) fn rows(&mut self, relation: &Relation) -> Vec<Row> {
        let mut rows = self.subject.rows(relation);
        rows.sort();
        rows
    }

    /// Checks that the target holds exactly `expected` for `relation`.
    #[track_caller]
    pub(super) fn expect<'b, const N: usize, C>(
        &mut self,
        relation: &Relation,
        expected: impl IntoIterator<Item = [C; N]>,
    ) where
        C: Into<Option<&'b str>>,
    {
        let row = |row: [C; N]| row.map(|value| value.into().map(str::to_owned)).to_vec();
        let mut expected: Vec<Row> = expected.into_iter().map(row).collect();
        expected.sort();
        assert_eq!(self.rows(relation), expected, "rows of {}", relation.source);
    }

    /// Checks that the target holds nothing for `relation`.
    #[track_caller]
    pub(super) fn expect_empty(&mut self, relation: &Relation) {
        assert_eq!(
            self.rows(relation),
            Vec::<Row>::new(),
            "rows of {}",
            relation.source
        );
    }
}

/// What `result` holds; an error fails the case with all that it says.
#[track_caller]
pub(super) fn ok<T>(result: Result<T, WriteError>) -> T {
    result.unwrap_or_else(|error| {
        panic!("{:?} error: {error}; hint: {}", error.kind, error.hint);
    })
}

/// `public.items (id, name, note)`.
pub(super) fn items() -> Arc<Relation> {
    relation("public.items")
        .column("id", "integer")
        .column("name", "text")
        .column("note", "text")
        .key(["id"])
        .build()
}
