//! What is left behind by a crash, or by a person.

use std::{
    fs::{self, File},
    io::Write as _,
    path::PathBuf,
    sync::Arc,
};

use serde_json::json;
use tahr_jsonl::JsonLines;
use tahr_plugin_api::{
    ErrorKind, LoadMode, Lsn, Part, Position, Relation, Role, Simple, WriteError, Written,
    abi::RemoteWriter,
    testing::{BatchBuilder, open, relation, stream},
};

use tempfile::TempDir;

struct Folder(TempDir);

impl Folder {
    fn file(&self, ending: &str) -> PathBuf {
        self.0.path().join(format!("shop.main.{ending}"))
    }

    /// For each line that counts, what it does and to which row.
    fn committed(&self) -> Vec<String> {
        let state = fs::read_to_string(self.file("state")).unwrap();
        let bytes: usize = state.lines().next().unwrap().parse().unwrap();
        let lines = fs::read(self.file("jsonl")).unwrap();
        let lines = String::from_utf8(lines[..bytes].to_vec()).unwrap();
        let line = |line: &str| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            format!("{} {}", line["op"].as_str().unwrap(), line["new"]["id"])
        };
        lines.lines().map(line).collect()
    }
}

fn opened(folder: &Folder) -> RemoteWriter {
    let options = json!({ "folder": folder.0.path() });
    let (mut writer, _, _) = open::<Simple<JsonLines>>(&options, Role::Stream).unwrap();
    writer.checkpoint(&stream()).unwrap();
    writer
}

fn items() -> Arc<Relation> {
    relation("public.items")
        .column("id", "integer")
        .key(["id"])
        .build()
}

/// A folder with one row, and the position behind it.
fn with_a_row(items: &Arc<Relation>) -> (Folder, Position) {
    let folder = Folder(tempfile::tempdir().unwrap());
    let mut writer = opened(&folder);
    let start = Position::at(Lsn(0x1000));
    writer.flush(&start).unwrap();
    let batch = BatchBuilder::after(&start).insert(items, ["1"]).build();
    writer.write(&batch).unwrap();
    (folder, batch.position().clone())
}

fn insert(folder: &Folder, items: &Arc<Relation>, at: &Position) -> Result<Written, WriteError> {
    let batch = BatchBuilder::after(at).insert(items, ["2"]).build();
    opened(folder).write(&batch)
}

fn append(folder: &Folder, text: &[u8]) {
    let lines = File::options().append(true).open(folder.file("jsonl"));
    lines.unwrap().write_all(text).unwrap();
}

#[test]
fn a_torn_tail_is_cut_off() {
    let items = items();
    let (folder, position) = with_a_row(&items);
    let torn = br#"{"op":"insert","schema":"public","table":"items","lsn":"0/2000","ordi"#;
    append(&folder, torn);
    insert(&folder, &items, &position).unwrap();
    let text = fs::read_to_string(folder.file("jsonl")).unwrap();
    assert_eq!(text.lines().count(), 2, "{text}");
    assert_eq!(folder.committed(), ["insert 1", "insert 2"]);
}

#[test]
fn whole_lines_that_were_not_committed_are_cut_off_too() {
    let items = items();
    let (folder, position) = with_a_row(&items);
    let lines = fs::read(folder.file("jsonl")).unwrap();
    append(&folder, &lines.repeat(1000));
    assert_eq!(folder.committed(), ["insert 1"]);
    insert(&folder, &items, &position).unwrap();
    assert_eq!(
        fs::read(folder.file("jsonl")).unwrap().len(),
        lines.len() * 2
    );
}

#[test]
fn a_state_that_was_not_renamed_is_not_believed() {
    let items = items();
    let (folder, position) = with_a_row(&items);
    fs::write(folder.file("new"), "999\n{\"stream\"").unwrap();
    insert(&folder, &items, &position).unwrap();
    assert_eq!(folder.committed(), ["insert 1", "insert 2"]);
    assert!(!folder.file("new").exists());
}

#[test]
fn committed_lines_that_are_gone_are_missed() {
    let items = items();
    let (folder, position) = with_a_row(&items);
    fs::write(folder.file("jsonl"), "").unwrap();
    let error = insert(&folder, &items, &position).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Rejected, "{error}");
    assert!(error.message.contains("shop.main.jsonl"), "{error}");
    assert_eq!(fs::read(folder.file("jsonl")).unwrap(), b"");
}

#[test]
fn a_state_that_says_nothing_is_refused_and_no_line_is_cut() {
    let items = items();
    let (folder, _) = with_a_row(&items);
    let lines = fs::read(folder.file("jsonl")).unwrap();
    fs::write(folder.file("state"), "").unwrap();
    let options = json!({ "folder": folder.0.path() });
    let (mut writer, _, _) = open::<Simple<JsonLines>>(&options, Role::Stream).unwrap();
    let error = writer.checkpoint(&stream()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Rejected, "{error}");
    assert_eq!(fs::read(folder.file("jsonl")).unwrap(), lines);
}

#[test]
fn two_writers_never_mix_their_lines() {
    let items = items();
    let (folder, position) = with_a_row(&items);
    let mut first = opened(&folder);
    let part = BatchBuilder::after(&position).insert(&items, ["3"]);
    let part = part.part(Part::First);
    assert_eq!(first.write(&part).unwrap(), Written::Accepted);
    let error = insert(&folder, &items, &position).unwrap_err();
    assert!(error.is_transient(), "{error}");
    let last = BatchBuilder::after(part.position()).part(Part::Last);
    first.write(&last).unwrap();
    assert_eq!(folder.committed(), ["insert 1", "insert 3"]);
    let written = insert(&folder, &items, &position).unwrap();
    assert_eq!(written, Written::Moved(Some(last.position().clone())));
}

#[test]
fn a_copy_that_was_killed_leaves_the_old_rows() {
    let items = items();
    let (folder, position) = with_a_row(&items);
    let mut writer = opened(&folder);
    writer.begin_load(&items, LoadMode::Replace).unwrap();
    let batch = BatchBuilder::after(&Position::default());
    let batch = batch.insert(&items, ["7"]).build();
    writer.load(&batch).unwrap();
    drop(writer);
    assert_eq!(folder.committed(), ["insert 1"]);
    insert(&folder, &items, &position).unwrap();
    assert_eq!(folder.committed(), ["insert 1", "insert 2"]);
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let folder = Folder(tempfile::tempdir().unwrap());
    let missing = folder.0.path().join("missing");
    let options = json!({ "folder": missing });
    let error = open::<Simple<JsonLines>>(&options, Role::Check).map(drop);
    let error = error.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Rejected, "{error}");
    assert!(error.message.contains("missing"), "{error}");
}
