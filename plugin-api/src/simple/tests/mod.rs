//! What an adapter makes of a simple writer, on a target in memory.

mod memory;

use std::sync::Arc;

use memory::{Fault, Memory, Newest, change, fail, fresh, rows};

use crate::{
    ErrorKind, LoadMode, Lsn, Part, Position, Relation, Role, Simple, WriteError, Written,
    abi::RemoteWriter,
    testing::{BatchBuilder, conformance, open, relation, stream},
};

#[test]
fn a_simple_writer_keeps_every_promise_of_a_writer() {
    let report = conformance::run::<Simple<Memory<true>>>(&mut Newest::default());
    let skipped = report.skipped.iter().map(|(case, _)| case.as_str());
    assert_eq!(
        skipped.collect::<Vec<_>>(),
        [
            "a fresh copy refuses rows of others",
            "a copy runs beside the stream",
        ]
    );
}

#[test]
fn a_simple_writer_without_transactions_commits_each_part() {
    conformance::run::<Simple<Memory<false>>>(&mut Newest::default());
    let mut scene = Scene::<false>::new();
    let first = scene.next().insert(&scene.items, ["1"]).part(Part::First);
    let written = scene.writer.write(&first).unwrap();
    assert_eq!(written, Written::Stored(first.position().clone()));
    assert_eq!(scene.ids(), ["1"]);
}

/// A stream into a target with the row 1, and a writer that is at its end.
struct Scene<const WHOLE: bool> {
    name: String,
    writer: RemoteWriter,
    items: Arc<Relation>,
    position: Position,
}

impl<const WHOLE: bool> Scene<WHOLE> {
    fn new() -> Self {
        let name = fresh();
        let mut scene = Self {
            writer: opened::<WHOLE>(&name),
            name,
            items: relation("public.items")
                .column("id", "integer")
                .key(["id"])
                .build(),
            position: Position::at(Lsn(0x1000)),
        };
        scene.writer.flush(&scene.position).unwrap();
        scene
    }

    fn next(&self) -> BatchBuilder {
        BatchBuilder::after(&self.position)
    }

    fn insert(&mut self, id: &str) -> Result<Written, WriteError> {
        let batch = self.next().insert(&self.items, [id]).build();
        let written = self.writer.write(&batch)?;
        self.position = batch.position().clone();
        Ok(written)
    }

    /// What follows an error; the position that is found.
    fn reset(&mut self) -> Position {
        self.writer.reset().unwrap();
        let found = self.writer.checkpoint(&stream()).unwrap();
        found.and_then(|found| found.position).unwrap()
    }

    fn begin_copy(&mut self, rows: &[&str]) {
        let begun = self.writer.begin_load(&self.items, LoadMode::Replace);
        begun.unwrap();
        for id in rows {
            let batch = BatchBuilder::after(&Position::default());
            let batch = batch.insert(&self.items, [*id]).build();
            self.writer.load(&batch).unwrap();
        }
    }

    fn copied_to(&mut self) -> Option<Lsn> {
        let found = opened_checkpoint::<WHOLE>(&self.name);
        found.copied_to.get("public.items").copied()
    }

    fn ids(&self) -> Vec<String> {
        let rows = rows(&self.name, &self.items);
        rows.into_iter().flatten().flatten().collect()
    }
}

fn opened<const WHOLE: bool>(name: &str) -> RemoteWriter {
    let options = serde_json::json!({ "name": name });
    let (mut writer, _, _) = open::<Simple<Memory<WHOLE>>>(&options, Role::Stream).unwrap();
    writer.checkpoint(&stream()).unwrap();
    writer
}

fn opened_checkpoint<const WHOLE: bool>(name: &str) -> crate::Checkpoint {
    let found = opened::<WHOLE>(name).checkpoint(&stream()).unwrap();
    found.unwrap_or_default()
}

#[test]
fn a_commit_whose_answer_was_lost_is_found_again() {
    let mut scene = Scene::<true>::new();
    let batch = scene.next().insert(&scene.items, ["1"]).build();
    fail(&scene.name, Fault::Lost);
    let error = scene.writer.write(&batch).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Transient);
    assert_eq!(scene.reset(), *batch.position());
    assert_eq!(scene.ids(), ["1"]);
    scene.position = batch.position().clone();
    scene.insert("2").unwrap();
    assert_eq!(scene.ids(), ["1", "2"]);
}

#[test]
fn what_was_put_before_a_commit_that_failed_is_gone() {
    let mut scene = Scene::<true>::new();
    let start = scene.position.clone();
    fail(&scene.name, Fault::Refused);
    scene.insert("1").unwrap_err();
    assert_eq!((scene.reset(), scene.ids()), (start.clone(), vec![]));
    scene.position = start;
    scene.insert("2").unwrap();
    assert_eq!(scene.ids(), ["2"]);
}

#[test]
fn a_panic_leaves_nothing_behind() {
    let mut scene = Scene::<true>::new();
    let first = scene.next().insert(&scene.items, ["1"]).part(Part::First);
    assert_eq!(scene.writer.write(&first).unwrap(), Written::Accepted);
    let last = BatchBuilder::after(first.position());
    let last = last.insert(&scene.items, ["2"]).part(Part::Last);
    fail(&scene.name, Fault::Panic);
    assert_eq!(
        scene.writer.write(&last).unwrap_err().kind,
        ErrorKind::Fatal
    );
    // Even where nobody says that there was an error.
    scene.writer.write(&last).unwrap();
    assert_eq!(scene.ids(), Vec::<String>::new());
    let start = scene.position.clone();
    assert_eq!(scene.reset(), start);
}

#[test]
fn what_somebody_else_committed_is_found_before_anything_is_stored() {
    let mut scene = Scene::<true>::new();
    let there = Position::at(Lsn(0x9000));
    opened::<true>(&scene.name).flush(&there).unwrap();
    let written = scene.insert("1").unwrap();
    assert_eq!(written, Written::Moved(Some(there)));
    assert_eq!(scene.ids(), Vec::<String>::new());
}

#[test]
fn a_copy_that_is_given_up_leaves_the_old_rows_and_its_mark() {
    let mut scene = Scene::<true>::new();
    scene.insert("1").unwrap();
    scene.begin_copy(&["7", "8"]);
    assert_eq!(scene.ids(), ["1"]);
    let reached = scene.position.clone();
    assert_eq!(scene.reset(), reached);
    assert_eq!(scene.copied_to(), Some(Lsn::ZERO));
    scene.insert("2").unwrap();
    assert_eq!(scene.ids(), ["1", "2"]);
}

#[test]
fn a_copy_begun_again_forgets_the_rows_of_the_first() {
    let mut scene = Scene::<true>::new();
    scene.begin_copy(&["7"]);
    scene.begin_copy(&["8"]);
    scene.writer.end_load(&scene.items, Lsn(0xABC)).unwrap();
    assert_eq!(
        (scene.ids(), scene.copied_to()),
        (vec!["8".to_owned()], Some(Lsn(0xABC)))
    );
}

#[test]
fn a_copy_is_not_shown_where_the_checkpoint_moved_meanwhile() {
    let mut scene = Scene::<true>::new();
    scene.insert("1").unwrap();
    scene.begin_copy(&["7"]);
    opened::<true>(&scene.name)
        .flush(&Position::at(Lsn(0x9000)))
        .unwrap();
    let error = scene.writer.end_load(&scene.items, Lsn(0xABC)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Transient);
    assert_eq!(
        (scene.ids(), scene.copied_to()),
        (vec!["1".to_owned()], Some(Lsn::ZERO))
    );
}

#[test]
fn a_call_that_would_commit_half_a_copy_is_refused() {
    let mut scene = Scene::<true>::new();
    scene.begin_copy(&["7"]);
    assert_eq!(scene.insert("1").unwrap_err().kind, ErrorKind::Fatal);
    scene.begin_copy(&["7"]);
    let there = Position::at(Lsn(0x9000));
    assert_eq!(
        scene.writer.flush(&there).unwrap_err().kind,
        ErrorKind::Fatal
    );
    let end = scene.writer.end_load(&scene.items, Lsn(0xABC));
    assert_eq!(end.unwrap_err().kind, ErrorKind::Fatal);
    assert_eq!(scene.ids(), Vec::<String>::new());
}

#[test]
fn a_table_that_leaves_is_copied_anew_and_keeps_its_rows() {
    let mut scene = Scene::<true>::new();
    scene.begin_copy(&["7"]);
    scene.writer.end_load(&scene.items, Lsn(0xABC)).unwrap();
    scene.writer.forget_copy(&scene.items.source).unwrap();
    assert_eq!(
        (scene.ids(), scene.copied_to()),
        (vec!["7".to_owned()], Some(Lsn::ZERO))
    );
}

#[test]
fn a_state_that_is_not_its_own_is_refused() {
    let scene = Scene::<true>::new();
    change(&scene.name, |stored| {
        stored.state = Some("{\"x\": 1".to_owned());
    });
    let options = serde_json::json!({ "name": scene.name });
    let (mut writer, _, _) = open::<Simple<Memory<true>>>(&options, Role::Stream).unwrap();
    let error = writer.checkpoint(&stream()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Rejected, "{error}");
}
