//! What is wrong with a server, and what others put into its collections.

mod target;

use mongodb::bson::doc;
use serde_json::json;
use tahr_mongodb::MongodbWriter;
use tahr_plugin_api::{
    ErrorKind, LoadMode, Lsn, Position, Role, Written,
    testing::{
        BatchBuilder,
        Cell::{Text, Unchanged},
        open, relation, stream,
    },
};
use tahr_tests::Mongod;
use target::{START, failed, items, next, rejected, started};

#[test]
fn a_broken_unique_index_names_the_change_and_no_value() {
    let (database, items) = (Mongod::shared().database(), items());
    let (mut writer, _) = started(&json!({ "url": database.url() }), &[&items]);
    let batch = next(&START)
        .insert(&items, ["1", "a", "x"])
        .insert(&items, ["2", "b", "x"])
        .build();
    writer.write(&batch).unwrap();
    // The writer doesn't know of it yet.
    let index = doc! { "key": { "name": 1 }, "name": "by_name", "unique": true };
    database.command(doc! { "createIndexes": "items", "indexes": [index] });
    let start = batch.position().clone();
    // Values change hands in the source's order; merged, they would collide.
    let batch = next(&start)
        .update(&items, ["1", "-", "x"])
        .update(&items, ["2", "a", "x"])
        .update(&items, ["1", "b", "x"])
        .build();
    writer.write(&batch).unwrap();
    let names: Vec<_> = database
        .documents("items")
        .iter()
        .map(|d| d.get_str("name").unwrap().to_owned())
        .collect();
    assert_eq!(names, ["b", "a"]);
    let batch = next(batch.position())
        .insert(&items, ["3", "c", "x"])
        .insert(&items, ["4", "a", "secret"])
        .build();
    let error = rejected(writer.write(&batch));
    assert_eq!(
        (error.change, error.table.as_deref()),
        (Some(1), Some("items"))
    );
    assert_eq!(error.code, "11000");
    assert!(
        error.message.contains("by_name") && !error.message.contains("\"a\""),
        "{error}"
    );
    assert_eq!(database.documents("items").len(), 2);
}

#[test]
fn a_row_that_is_there_already_is_made_equal() {
    let (database, items) = (Mongod::shared().database(), items());
    let (mut writer, recorder) = started(&json!({ "url": database.url() }), &[&items]);
    database.command(doc! { "insert": "items", "documents": [{ "_id": 1, "mine": true }] });
    let batch = next(&START)
        .insert(&items, ["1", "a", "b"])
        .delete(&items, ["9"])
        .build();
    writer.write(&batch).unwrap();
    let expected = doc! { "_id": 1, "id": 1, "name": "a", "notes": "b" };
    assert_eq!(database.documents("items"), [expected]);
    assert_eq!(recorder.counter("deletes_of_missing_rows"), 1);
}

#[test]
fn an_update_in_part_of_a_document_that_others_removed_is_refused() {
    let (database, items) = (Mongod::shared().database(), items());
    let (mut writer, _) = started(&json!({ "url": database.url() }), &[&items]);
    let batch = next(&START).insert(&items, ["1", "a", "b"]).build();
    writer.write(&batch).unwrap();
    let part = |id| [Text(id), Text("new"), Unchanged];
    let bad = next(batch.position())
        .update(&items, part("1"))
        .update(&items, part("2"))
        .build();
    let error = rejected(writer.write(&bad));
    assert_eq!(
        (error.change, error.table.as_deref()),
        (Some(1), Some("items"))
    );
    writer.reset().unwrap();
    writer.checkpoint(&stream()).unwrap();
    let moved = next(batch.position())
        .update_moved(&items, ["5"], part("6"))
        .build();
    assert_eq!(rejected(writer.write(&moved)).change, Some(0));
    assert_eq!(database.documents("items")[0].get_str("name").unwrap(), "a");
}

#[test]
fn a_large_collection_is_emptied_too() {
    let (database, items) = (Mongod::shared().database(), items());
    let (mut writer, _) = started(&json!({ "url": database.url() }), &[&items]);
    let mut batch = next(&START);
    for id in 0..10_001 {
        batch = batch.insert(&items, [id.to_string().as_str(), "a", "b"]);
    }
    let batch = batch.build();
    writer.write(&batch).unwrap();
    let after = next(batch.position())
        .truncate(&items)
        .insert(&items, ["5", "c", "d"])
        .build();
    let late = next(after.position()).truncate(&items).build();
    assert!(matches!(writer.write(&late), Ok(Written::Moved(Some(_)))));
    assert_eq!(database.documents("items").len(), 10_001);
    writer.reset().unwrap();
    writer.checkpoint(&stream()).unwrap();
    writer.write(&after).unwrap();
    assert_eq!(database.documents("items").len(), 1);
}

#[test]
fn a_copy_keeps_the_indexes_and_the_validator_of_the_collection() {
    let (database, items) = (Mongod::shared().database(), items());
    let validator = doc! { "name": { "$ne": "refused" } };
    database.command(doc! { "create": "items", "validator": validator });
    let index = doc! { "key": { "name": 1 }, "name": "by_name" };
    database.command(doc! { "createIndexes": "items", "indexes": [index] });
    database.command(doc! { "insert": "items", "documents": [{ "_id": 9, "name": "old" }] });
    let options = json!({ "url": database.url() });
    let (mut writer, _) = started(&options, &[&items]);
    rejected(writer.begin_load(&items, LoadMode::Fresh));
    writer.begin_load(&items, LoadMode::Replace).unwrap();
    let (mut loader, _, _) = open::<MongodbWriter>(&options, Role::Load).unwrap();
    let bad = BatchBuilder::after(&Position::default())
        .insert(&items, ["1", "refused", "x"])
        .build();
    let error = rejected(loader.load(&bad));
    assert!(error.message.contains("validator"), "{error}");
    assert_eq!(
        (error.change, error.table.as_deref()),
        (Some(0), Some("items"))
    );
    loader.reset().unwrap();
    let good = BatchBuilder::after(&Position::default())
        .insert(&items, ["1", "a", "x"])
        .build();
    loader.load(&good).unwrap();
    assert_eq!(
        database.documents("items").len(),
        1,
        "readers see the old documents"
    );
    writer.end_load(&items, Lsn(5)).unwrap();
    assert_eq!(
        database.documents("items"),
        [doc! { "_id": 1, "id": 1, "name": "a", "notes": "x" }]
    );
    let indexes = database.command(doc! { "listIndexes": "items" });
    assert!(indexes.to_string().contains("by_name"), "{indexes}");
    // A straggler makes no collection.
    loader.reset().unwrap();
    assert!(failed(loader.load(&good)).is_transient());
    assert_eq!(database.collections(), ["items", "tahr_checkpoint"]);
}

#[test]
fn collections_that_cannot_hold_a_table_are_told_apart() {
    let (database, items) = (Mongod::shared().database(), items());
    let url = json!({ "url": database.url(), "create_tables": false });
    let (mut writer, _) = started(&url, &[]);
    let error = rejected(writer.prepare(&items));
    assert!(
        error.hint.contains("db.createCollection(\"items\")"),
        "{error}"
    );
    for (create, part) in [
        (
            doc! { "create": "items", "collation": { "locale": "en", "strength": 1 } },
            "collation",
        ),
        (
            doc! { "create": "items", "viewOn": "other", "pipeline": [] },
            "view",
        ),
        (
            doc! { "create": "items", "capped": true, "size": 100_000 },
            "capped",
        ),
    ] {
        database.command(create);
        assert!(rejected(writer.prepare(&items)).message.contains(part));
        let (mut checker, _, _) = open::<MongodbWriter>(&url, Role::Check).unwrap();
        let report = checker.check(&[(*items).clone()]).unwrap();
        assert!(
            report
                .findings
                .iter()
                .any(|finding| finding.is_error && finding.message.contains(part))
        );
        database.command(doc! { "drop": "items" });
    }
    let long = relation(&format!("public.{}", "x".repeat(250)))
        .column("id", "integer")
        .key(["id"])
        .build();
    assert!(rejected(writer.prepare(&long)).message.contains("too long"));
}

#[test]
fn wrong_passwords_urls_and_servers_are_told_apart() {
    let server = Mongod::standalone(&["--auth"]);
    let database = server.database();
    database.admin(doc! { "createUser": "root", "pwd": "right", "roles": ["root"] });
    let attempt = |url: String| {
        let options = json!({ "url": url, "connect_timeout": "1s" });
        failed(open::<MongodbWriter>(&options, Role::Stream))
    };
    let address = server.address();
    let error = attempt(format!(
        "mongodb://root:wrong-secret@{address}/shop?authSource=admin"
    ));
    assert_eq!(error.kind, ErrorKind::Rejected, "{error}");
    assert!(
        error.hint.contains("password") && !error.message.contains("wrong-secret"),
        "{error}"
    );
    let options = json!({ "url": format!("mongodb://{address}/shop") });
    let (mut writer, _, _) = open::<MongodbWriter>(&options, Role::Stream).unwrap();
    let error = rejected(writer.checkpoint(&stream()));
    assert!(error.hint.contains("readWrite"), "{error}: {}", error.hint);
    let error = attempt(format!("mongodb://{address}"));
    assert_eq!(
        (error.kind, error.code.as_str()),
        (ErrorKind::Rejected, "options"),
        "{error}"
    );
    assert_eq!(attempt("postgres://h/x".to_owned()).code, "options");
    let error = attempt("mongodb://127.0.0.1:1/shop".to_owned());
    assert!(
        error.is_transient() && error.hint.contains("connect_timeout"),
        "{error}"
    );
}
