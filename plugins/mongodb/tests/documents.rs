//! What documents look like: names, keys, values, and what doesn't fit into one.

mod target;

use mongodb::bson::{Bson, doc, spec::BinarySubtype};
use serde_json::json;
use tahr_plugin_api::{
    Part,
    testing::{
        Cell::{Null, Text, Unchanged},
        relation, stream,
    },
};
use tahr_tests::Mongod;
use target::{START, items, next, rejected, started};

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
