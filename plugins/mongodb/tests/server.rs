//! What is special about MongoDB: its documents, its limits, its failures.

mod target;

use std::{
    thread,
    time::{Duration, Instant},
};

use mongodb::bson::{Bson, Document, doc, spec::BinarySubtype};
use serde_json::json;
use tahr_mongodb::MongodbWriter;
use tahr_plugin_api::{
    ErrorKind, LoadMode, Lsn, Part, Position, Role, Written,
    testing::{
        BatchBuilder,
        Cell::{Null, Text, Unchanged},
        open, relation, stream,
    },
};
use tahr_tests::{Mongod, Signal};
use target::{START, failed, items, next, rejected, started};

#[test]
fn a_document_of_20_mb_is_refused_by_name_and_nothing_of_its_batch_is_stored() {
    let (database, items) = (Mongod::shared().database(), items());
    let (mut writer, _) = started(&json!({ "url": database.url() }), &[&items]);
    let huge = "x".repeat(20 << 20);
    let batch = next(&START)
        .insert(&items, ["1", "a", "b"])
        .insert(&items, ["2", "a", &huge]);
    let error = rejected(writer.write(&batch.build()));
    assert_eq!(
        (error.change, error.table.as_deref()),
        (Some(1), Some("items"))
    );
    assert!(
        error.message.contains("16777216") && error.hint.contains("exclude"),
        "{error}"
    );
    writer.reset().unwrap();
    writer.checkpoint(&stream()).unwrap();
    assert_eq!(database.documents("items"), []);
    // The largest that fits: 5 bytes around all, 8 of `_id`, 7 of `id`, 13 and 12 of the texts' own.
    let name = "x".repeat((16 << 20) - 5 - 9 - 8 - 12 - 12);
    let batch = next(&START).insert(&items, ["1", &name, ""]).build();
    writer.write(&batch).unwrap();
    let grown = [
        Text("1"),
        Unchanged,
        Text("a few bytes more than one document takes"),
    ];
    let batch = next(batch.position()).update(&items, grown).build();
    rejected(writer.write(&batch));
}

#[test]
fn names_that_mongodb_takes_for_paths_and_operators_are_plain_fields() {
    let database = Mongod::shared().database();
    let odd = relation("public.odd")
        .column("$k", "integer")
        .column("a.b", "integer")
        .column("$set", "text")
        .column("x.$y", "text")
        .column("plain", "text")
        .key(["$k", "a.b"])
        .build();
    let (mut writer, _) = started(&json!({ "url": database.url() }), &[&odd]);
    let batch = next(&START)
        .insert(&odd, ["1", "2", "$one", "$$ROOT", "p"])
        .insert(&odd, ["3", "4", "a", "b", "c"])
        .build();
    writer.write(&batch).unwrap();
    let batch = next(batch.position())
        .update(
            &odd,
            [Text("1"), Text("2"), Text("$two"), Unchanged, Unchanged],
        )
        .update(&odd, ["3", "4", "$plain", "y", "z"])
        .build();
    writer.write(&batch).unwrap();
    let row = [Text("5"), Text("4"), Text("moved"), Unchanged, Unchanged];
    let batch = next(batch.position())
        .update_moved(&odd, ["3", "4"], row)
        .build();
    writer.write(&batch).unwrap();
    assert_eq!(
        database.documents("odd"),
        [
            doc! { "_id": { "_k": 1, "a.b": 2 }, "$k": 1, "a.b": 2, "$set": "$two", "x.$y": "$$ROOT", "plain": "p" },
            doc! { "_id": { "_k": 5, "a.b": 4 }, "$k": 5, "a.b": 4, "$set": "moved", "x.$y": "y", "plain": "z" },
        ]
    );
}

#[test]
fn a_column_named_id_is_the_key_or_gets_another_name() {
    let database = Mongod::shared().database();
    let table = |name: &str, columns: &[&str], key: &str| {
        let mut table = relation(name);
        for column in columns {
            table = table.column(column, "integer");
        }
        table.key([key]).build()
    };
    let alone = table("public.alone", &["_id", "a"], "_id");
    let beside = table("public.beside", &["_id", "a"], "a");
    let both = table("public.both", &["_id", "_id_", "a"], "a");
    let (mut writer, _) = started(&json!({ "url": database.url() }), &[&alone, &beside]);
    let error = rejected(writer.prepare(&both));
    assert!(
        error.message.contains("_id_") && error.hint.contains("exclude"),
        "{error}"
    );
    let batch = next(&START)
        .insert(&alone, ["7", "1"])
        .insert(&beside, ["8", "2"])
        .build();
    writer.write(&batch).unwrap();
    assert_eq!(database.documents("alone"), [doc! { "_id": 7, "a": 1 }]);
    assert_eq!(
        database.documents("beside"),
        [doc! { "_id": 2, "_id_": 8, "a": 2 }]
    );
    let batch = next(batch.position())
        .update_moved(&alone, ["7"], ["9", "1"])
        .update(&beside, ["6", "2"])
        .build();
    writer.write(&batch).unwrap();
    assert_eq!(database.documents("alone"), [doc! { "_id": 9, "a": 1 }]);
    assert_eq!(
        database.documents("beside"),
        [doc! { "_id": 2, "_id_": 6, "a": 2 }]
    );
}

#[test]
fn a_key_of_several_columns_is_a_document_in_the_keys_order() {
    let database = Mongod::shared().database();
    let stock = relation("public.stock")
        .column("amount", "numeric(10,2)")
        .column("shelf", "text")
        .column("shop", "bigint")
        .key(["shop", "shelf"])
        .build();
    let (mut writer, _) = started(&json!({ "url": database.url() }), &[&stock]);
    writer
        .write(&next(&START).insert(&stock, ["1.50", "a", "7"]).build())
        .unwrap();
    let documents = database.documents("stock");
    let id = documents[0].get_document("_id").unwrap();
    let names: Vec<&String> = id.keys().collect();
    assert_eq!(names, ["shop", "shelf"]);
    assert_eq!(id.get("shop"), Some(&Bson::Int64(7)));
    let amount = documents[0].get("amount").unwrap();
    assert_eq!(amount, &Bson::Decimal128("1.50".parse().unwrap()));
}

#[test]
fn values_have_the_types_that_the_rules_say() {
    let database = Mongod::shared().database();
    let kinds = relation("public.kinds")
        .column("id", "uuid")
        .column("flag", "boolean")
        .column("ratio", "double precision")
        .column("data", "bytea")
        .column("doc", "jsonb")
        .column("raw", "json")
        .column("tags", "text[]")
        .column("odd", "integer[]")
        .column("free", "numeric")
        .key(["id"])
        .build();
    let (mut writer, recorder) = started(&json!({ "url": database.url() }), &[&kinds]);
    let long = format!("0.{}", "1".repeat(60));
    let row = [
        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        "t",
        "-0",
        "\\x00ff",
        "{\"n\": 1.50, \"big\": 12345678901234567890}",
        "{\"b\":1,  \"b\":2}",
        "{a,NULL}",
        "[0:1]={5,6}",
        &long,
    ];
    let nulls = [
        Text("00000000-0000-0000-0000-000000000000"),
        Null,
        Null,
        Null,
        Text("null"),
        Null,
        Null,
        Null,
        Null,
    ];
    writer
        .write(
            &next(&START)
                .insert(&kinds, row)
                .insert(&kinds, nulls)
                .build(),
        )
        .unwrap();
    assert_eq!(recorder.counter("json_nulls"), 1);
    let documents = database.documents("kinds");
    let (null, found) = (&documents[0], &documents[1]);
    assert_eq!(null.get("flag"), Some(&Bson::Null));
    let subtype = |name: &str| match found.get(name) {
        Some(Bson::Binary(binary)) => binary.subtype,
        other => panic!("{other:?}"),
    };
    assert_eq!(subtype("_id"), BinarySubtype::Uuid);
    assert_eq!(subtype("data"), BinarySubtype::Generic);
    assert!(found.get_f64("ratio").unwrap().is_sign_negative());
    let decimal = |text: &str| Bson::Decimal128(text.parse().unwrap());
    let expected = doc! { "n": decimal("1.50"), "big": decimal("12345678901234567890") };
    assert_eq!(found.get_document("doc").unwrap(), &expected);
    assert_eq!(found.get_str("raw").unwrap(), "{\"b\":1,  \"b\":2}");
    assert_eq!(
        found.get_array("tags").unwrap(),
        &[Bson::from("a"), Bson::Null]
    );
    assert_eq!(found.get_str("odd").unwrap(), "[0:1]={5,6}");
    assert_eq!(found.get_str("free").unwrap(), long);
}

#[test]
fn dates_are_dates_where_they_are_asked_for_and_infinity_follows_its_rule() {
    let days = relation("public.days")
        .column("at", "timestamp with time zone")
        .column("day", "date")
        .key(["at"])
        .build();
    let at = "2024-02-29 12:00:00.123456+00";
    for (unfit, expected) in [
        ("error", None),
        ("null", Some(Bson::Null)),
        (
            "clamp",
            Some(Bson::DateTime(mongodb::bson::DateTime::from_millis(
                185_331_706_992_000_000,
            ))),
        ),
        ("text", Some(Bson::from("infinity"))),
    ] {
        let database = Mongod::shared().database();
        let options = json!({ "url": database.url(), "dates": "date", "unfit": unfit });
        let (mut writer, recorder) = started(&options, &[&days]);
        let batch = next(&START).insert(&days, [at, "2024-02-29"]).build();
        writer.write(&batch).unwrap();
        let found = &database.documents("days")[0];
        assert_eq!(
            found.get_str("_id").unwrap(),
            at,
            "keys keep their microseconds"
        );
        assert_eq!(
            found.get_datetime("at").unwrap().timestamp_millis(),
            1_709_208_000_123
        );
        assert_eq!(
            found.get_datetime("day").unwrap().timestamp_millis(),
            1_709_164_800_000
        );
        assert_eq!(recorder.counter("microseconds_cut"), 1);
        let batch = next(batch.position())
            .update(&days, [at, "infinity"])
            .build();
        let Some(expected) = expected else {
            let error = rejected(writer.write(&batch));
            assert_eq!(
                error.message,
                "column \"day\" (date) of table \"days\" can't hold infinity in date"
            );
            assert_eq!(
                (error.column.as_deref(), error.change),
                (Some("day"), Some(0))
            );
            continue;
        };
        writer.write(&batch).unwrap();
        assert_eq!(
            database.documents("days")[0].get("day"),
            Some(&expected),
            "{unfit}"
        );
    }
}

#[test]
fn numbers_beyond_34_digits_follow_their_rule_where_decimals_are_asked_for() {
    let prices = relation("public.prices")
        .column("id", "integer")
        .column("price", "numeric")
        .key(["id"])
        .build();
    let nines = "9".repeat(34);
    let beyond = format!("{nines}.5");
    for (unfit, expected) in [
        ("error", None),
        ("null", Some(Bson::Null)),
        (
            "clamp",
            Some(Bson::Decimal128(
                "1.000000000000000000000000000000000E+34".parse().unwrap(),
            )),
        ),
        ("text", Some(Bson::from(beyond.as_str()))),
    ] {
        let database = Mongod::shared().database();
        let options = json!({ "url": database.url(), "numeric": "decimal", "unfit": unfit });
        let (mut writer, recorder) = started(&options, &[&prices]);
        let batch = next(&START)
            .insert(&prices, ["1", &nines])
            .insert(&prices, ["2", "NaN"])
            .build();
        writer.write(&batch).unwrap();
        let found = database.documents("prices");
        assert_eq!(
            found[0].get("price"),
            Some(&Bson::Decimal128(nines.parse().unwrap()))
        );
        let batch = next(batch.position())
            .update(&prices, ["1", &beyond])
            .build();
        let Some(expected) = expected else {
            let error = rejected(writer.write(&batch));
            assert!(error.message.contains("34 digits in decimal"), "{error}");
            assert!(!error.message.contains(&beyond) && error.hint.contains("unfit"));
            continue;
        };
        writer.write(&batch).unwrap();
        assert_eq!(
            database.documents("prices")[0].get("price"),
            Some(&expected),
            "{unfit}"
        );
        let clamped = recorder.counter("values_clamped") + recorder.counter("values_set_null");
        assert_eq!(clamped, u64::from(unfit != "text"));
    }
}

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
fn keys_that_are_checked_at_commit_may_be_taken_before_they_are_left() {
    let (database, server) = (Mongod::shared().database(), Mongod::standalone(&[]));
    let alone = server.database();
    for database in [&database, &alone] {
        let full = relation("public.full")
            .column("id", "integer")
            .column("name", "text")
            .key(["id"])
            .full()
            .build();
        let (mut writer, _) = started(&json!({ "url": database.url() }), &[&full]);
        let batch = next(&START)
            .insert(&full, ["1", "a"])
            .insert(&full, ["2", "b"])
            .insert(&full, ["3", "c"])
            .build();
        writer.write(&batch).unwrap();
        // UPDATE full SET id = id + 1, in two parts and from the beginning.
        let first = next(batch.position())
            .update_full(&full, ["1", "a"], ["2", "a"])
            .part(Part::First);
        writer.write(&first).unwrap();
        writer.reset().unwrap();
        writer.checkpoint(&stream()).unwrap();
        let last = next(first.position())
            .update_full(&full, ["2", "b"], ["3", "b"])
            .update_full(&full, ["3", "c"], ["4", "c"])
            .part(Part::Last);
        writer.write(&last).unwrap();
        let row = |id: i32, name: &str| doc! { "_id": id, "id": id, "name": name };
        assert_eq!(
            database.documents("full"),
            [row(2, "a"), row(3, "b"), row(4, "c")]
        );
        // Nothing is displaced any more.
        let batch = next(last.position()).delete_full(&full, ["2", "a"]).build();
        writer.write(&batch).unwrap();
        assert_eq!(database.documents("full"), [row(3, "b"), row(4, "c")]);
    }
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

#[test]
fn a_document_that_another_holds_makes_the_lane_try_again() {
    let (database, items) = (Mongod::shared().database(), items());
    let (mut writer, _) = started(&json!({ "url": database.url() }), &[&items]);
    let first = next(&START).insert(&items, ["1", "a", "b"]).build();
    writer.write(&first).unwrap();
    let mut other = target::Transaction::begin(database.url());
    other.set("items", doc! { "_id": 1 }, doc! { "name": "theirs" });
    let batch = next(first.position())
        .update(&items, ["1", "mine", "b"])
        .build();
    assert!(failed(writer.write(&batch)).is_transient());
    other.abort();
    writer.reset().unwrap();
    let found = writer.checkpoint(&stream()).unwrap().unwrap();
    assert_eq!(found.position.as_ref(), Some(first.position()));
    writer.write(&batch).unwrap();
    assert_eq!(
        database.documents("items")[0].get_str("name").unwrap(),
        "mine"
    );
}

#[test]
fn a_transaction_that_a_dead_engine_left_open_is_ended_by_the_next() {
    let (database, items) = (Mongod::shared().database(), items());
    let options = json!({ "url": database.url() });
    let (mut writer, _) = started(&options, &[&items]);
    let first = next(&START).insert(&items, ["1", "a", "b"]).build();
    writer.write(&first).unwrap();
    drop(writer);
    let mut dead = target::Transaction::begin(database.url());
    let mine = doc! { "_id.table": "" };
    let update = doc! { "q": mine.clone(), "u": { "$set": { "session": dead.session() } } };
    database.command(doc! { "update": "tahr_checkpoint", "updates": [update] });
    dead.set("tahr_checkpoint", mine, doc! { "position": "0/FFFF" });
    let begun = Instant::now();
    let (mut writer, _, _) = open::<MongodbWriter>(&options, Role::Stream).unwrap();
    let found = writer.checkpoint(&stream()).unwrap().unwrap();
    assert_eq!(found.position.as_ref(), Some(first.position()));
    let batch = next(first.position())
        .update(&items, ["1", "new", "b"])
        .build();
    writer.prepare(&items).unwrap();
    writer.write(&batch).unwrap();
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn a_server_killed_while_batches_come_holds_each_of_them_once() {
    for is_member in [true, false] {
        let mut server = if is_member {
            Mongod::own(&[])
        } else {
            Mongod::standalone(&[])
        };
        let database = server.database();
        // Rows that walk from key to key and keep what only their documents hold.
        let items = items();
        let log = relation("public.log")
            .column("line", "integer")
            .full()
            .build();
        let options = json!({ "url": database.url(), "connect_timeout": "1s", "timeout": "5s" });
        let (mut writer, _) = started(&options, &[&items]);
        let mut batch = next(&START);
        for id in 0..50 {
            let note = format!("of {id}");
            batch = batch.insert(&items, [id.to_string().as_str(), "0", &note]);
        }
        let mut position = batch.build();
        writer.write(&position).unwrap();
        for round in 1..=30 {
            let (from, to) = ((round - 1) * 100, round * 100);
            let mut batch = next(position.position());
            for id in 0..50 {
                let (old, new, round) = (
                    (from + id).to_string(),
                    (to + id).to_string(),
                    round.to_string(),
                );
                let row = [Text(&new), Text(&round), Unchanged];
                batch = batch.update_moved(&items, [&old], row);
            }
            if is_member {
                batch = batch.insert(&log, [round.to_string().as_str()]);
            }
            let batch = batch.build();
            if round % 10 == 5 {
                let process = server.process().unwrap();
                thread::spawn(move || {
                    thread::sleep(Duration::from_millis(3));
                    process.signal(Signal::Kill);
                });
                let written = writer.write(&batch);
                server.kill();
                server.start();
                assert!(written.is_ok() || written.unwrap_err().is_transient());
                writer.reset().unwrap();
                let found = writer
                    .checkpoint(&stream())
                    .unwrap()
                    .unwrap()
                    .position
                    .unwrap();
                if found != *batch.position() {
                    assert_eq!(found, *position.position());
                    writer.write(&batch).unwrap();
                }
            } else {
                writer.write(&batch).unwrap();
            }
            position = batch;
        }
        let row = |id: i32| {
            doc! { "_id": 3000 + id, "id": 3000 + id, "name": "30", "notes": format!("of {id}") }
        };
        let expected: Vec<Document> = (0..50).map(row).collect();
        assert_eq!(database.documents("items"), expected);
        if is_member {
            let lines = database.documents("log");
            let mut lines: Vec<i32> = lines
                .iter()
                .map(|line| line.get_i32("line").unwrap())
                .collect();
            lines.sort_unstable();
            assert_eq!(lines, (1..=30).collect::<Vec<_>>());
        }
    }
}

#[test]
fn a_server_by_itself_ends_a_batch_that_was_committed_and_not_applied() {
    let server = Mongod::standalone(&[]);
    let (database, items) = (server.database(), items());
    let options = json!({ "url": database.url() });
    let (mut writer, recorder) = started(&options, &[&items]);
    let long = "long ".repeat(300_000);
    let batch = next(&START)
        .insert(&items, ["1", "a", &long])
        .insert(&items, ["2", "b", "short"])
        .build();
    writer.write(&batch).unwrap();
    database.command(doc! { "collMod": "items", "validator": { "_id": { "$ne": 2 } } });
    // Two rows swap their keys, and keep values that were not sent.
    let swap = next(batch.position())
        .update_moved(&items, ["1"], [Text("-1"), Text("aa"), Unchanged])
        .update_moved(&items, ["2"], [Text("1"), Text("bb"), Unchanged])
        .update_moved(&items, ["-1"], [Text("2"), Text("aaa"), Unchanged])
        .build();
    let error = rejected(writer.write(&swap));
    assert_eq!(error.table.as_deref(), Some("items"));
    for _ in 0..2 {
        writer.reset().unwrap();
        rejected(writer.checkpoint(&stream()));
    }
    database.command(doc! { "collMod": "items", "validator": {} });
    drop(writer);
    let (mut writer, _, _) = open::<MongodbWriter>(&options, Role::Stream).unwrap();
    let found = writer.checkpoint(&stream()).unwrap().unwrap();
    assert_eq!(found.position.as_ref(), Some(swap.position()));
    let row = |id: i32, name: &str, notes: &str| doc! { "_id": id, "id": id, "name": name, "notes": notes };
    assert_eq!(
        database.documents("items"),
        [row(1, "bb", "short"), row(2, "aaa", &long)]
    );
    assert_eq!(database.documents("tahr_redo").len(), 0);
    assert_eq!(recorder.counter("deletes_of_missing_rows"), 0);
    let keyless = relation("public.log").column("line", "text").full().build();
    assert!(
        rejected(writer.prepare(&keyless))
            .hint
            .contains("--replSet")
    );
}

#[test]
fn a_call_that_is_blocked_ends_when_it_is_cancelled() {
    let mut server = Mongod::own(&[]);
    let (database, items) = (server.database(), items());
    let options = json!({ "url": database.url() });
    let (mut writer, canceller, _) = open::<MongodbWriter>(&options, Role::Stream).unwrap();
    writer.checkpoint(&stream()).unwrap();
    writer.prepare(&items).unwrap();
    writer.flush(&START).unwrap();
    let process = server.process().unwrap();
    process.signal(Signal::Stop);
    let batch = next(&START).insert(&items, ["1", "a", "b"]).build();
    thread::scope(|scope| {
        let begun = Instant::now();
        let writing = scope.spawn(|| failed(writer.write(&batch)));
        thread::sleep(Duration::from_millis(100));
        canceller.cancel();
        assert!(writing.join().unwrap().is_transient());
        assert!(
            begun.elapsed() < Duration::from_secs(10),
            "{:?}",
            begun.elapsed()
        );
    });
    process.signal(Signal::Cont);
    writer.reset().unwrap();
    writer.checkpoint(&stream()).unwrap();
    assert_eq!(
        writer.write(&batch).unwrap(),
        Written::Stored(batch.position().clone())
    );
}
