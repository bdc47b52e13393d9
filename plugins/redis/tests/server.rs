//! What is special about Redis: its failures, its expiry, its other formats, keys that move.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use redis::{Commands as _, Connection};
use serde_json::json;
use tahr_plugin_api::{
    Lsn, Part, Position, Relation, Role, WriteError, Written,
    abi::RemoteWriter,
    testing::{BatchBuilder, Cell, Recorder, open, relation, stream},
};
use tahr_redis::RedisWriter;
use tahr_tests::Redis;

const START: Position = Position {
    lsn: Lsn(0x1000),
    ordinal: 0,
    opaque: String::new(),
};

fn items() -> Arc<Relation> {
    relation("public.items")
        .column("id", "integer")
        .column("name", "text")
        .column("notes", "text")
        .key(["id"])
        .build()
}

fn started(options: &serde_json::Value, tables: &[&Arc<Relation>]) -> (RemoteWriter, Recorder) {
    let (mut writer, _, recorder) = open::<RedisWriter>(options, Role::Stream).unwrap();
    writer.checkpoint(&stream()).unwrap();
    for table in tables {
        writer.prepare(table).unwrap();
    }
    assert_eq!(writer.flush(&START).unwrap(), Written::Stored(START));
    (writer, recorder)
}

fn hash(connection: &mut Connection, key: &str) -> BTreeMap<String, String> {
    connection.hgetall(key).unwrap()
}

fn row<const N: usize>(fields: [(&str, &str); N]) -> BTreeMap<String, String> {
    let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    fields.into_iter().map(own).collect()
}

fn refused(url: &str) -> WriteError {
    match open::<RedisWriter>(
        &json!({ "url": url, "connect_timeout": "1s" }),
        Role::Stream,
    ) {
        Err(error) => error,
        Ok(_) => panic!("{url} was not refused"),
    }
}

#[test]
fn a_wrong_type_is_found_before_anything_is_written() {
    let (database, items) = (Redis::shared().database(), items());
    let mut connection = database.connect();
    let (mut writer, _) = started(&json!({ "url": database.url() }), &[&items]);
    let _: () = connection.lpush("items:700", "x").unwrap();
    let mut batch = BatchBuilder::after(&START);
    for id in 0..1000 {
        batch = batch.insert(&items, [id.to_string().as_str(), "n", "x"]);
    }
    let error = writer.write(&batch.build()).unwrap_err();
    assert_eq!(
        (error.is_transient(), error.change),
        (false, Some(700)),
        "{error}"
    );
    assert_eq!(error.table.as_deref(), Some("public.items"));
    assert!(
        !error.message.contains("700"),
        "a row's key is a row's value: {error}"
    );
    assert!(!connection.exists::<_, bool>("items:0").unwrap());
    let position: String = connection
        .hget("tahr:checkpoint:shop:main", "position")
        .unwrap();
    assert_eq!(position, START.to_string());
}

#[test]
fn rows_live_as_long_as_ttl_says_and_missing_ones_are_counted() {
    let (database, items) = (Redis::shared().database(), items());
    let mut connection = database.connect();
    let options = json!({ "url": database.url(), "ttl": "1h" });
    let (mut writer, recorder) = started(&options, &[&items]);
    let batch = BatchBuilder::after(&START)
        .insert(&items, ["1", "a", "long"])
        .insert(&items, ["2", "b", "long"])
        .build();
    writer.write(&batch).unwrap();
    let ttl: u64 = connection.ttl("items:1").unwrap();
    assert!((3500..=3600).contains(&ttl), "{ttl}");
    let _: () = redis::cmd("PERSIST")
        .arg("items:1")
        .query(&mut connection)
        .unwrap();
    let _: () = connection.del("items:2").unwrap();
    let batch = BatchBuilder::after(batch.position())
        .update(&items, [Cell::Text("1"), Cell::Null, Cell::Unchanged])
        .update(&items, [Cell::Text("2"), Cell::Text("bb"), Cell::Unchanged])
        .build();
    writer.write(&batch).unwrap();
    assert_eq!(
        hash(&mut connection, "items:1"),
        row([("id", "1"), ("notes", "long")])
    );
    assert!(connection.ttl::<_, i64>("items:1").unwrap() > 0);
    assert!(!connection.exists::<_, bool>("items:2").unwrap());
    assert_eq!(recorder.counter("partial_update_misses"), 1);
}

#[test]
fn a_string_holds_one_column_and_null_is_no_key() {
    let (database, items) = (Redis::shared().database(), items());
    let mut connection = database.connect();
    let options = json!({
        "url": database.url(), "format": "string", "value": "notes", "key": "c.{table}.{pk}",
        "separator": "."
    });
    let (mut writer, recorder) = started(&options, &[&items]);
    let batch = BatchBuilder::after(&START)
        .insert(&items, ["1", "a", "one"])
        .insert(&items, ["2", "b", "two"])
        .insert(&items, ["3", "c", "three"])
        .build();
    writer.write(&batch).unwrap();
    let batch = BatchBuilder::after(batch.position())
        .update(&items, [Cell::Text("1"), Cell::Text("aa"), Cell::Unchanged])
        .update(&items, [Cell::Text("2"), Cell::Text("b"), Cell::Null])
        .update_moved(
            &items,
            ["3"],
            [Cell::Text("4"), Cell::Text("c"), Cell::Unchanged],
        )
        .build();
    writer.write(&batch).unwrap();
    let values: Vec<Option<String>> = connection
        .mget(&["c.items.1", "c.items.2", "c.items.3", "c.items.4"])
        .unwrap();
    let values: Vec<Option<&str>> = values.iter().map(Option::as_deref).collect();
    assert_eq!(values, [Some("one"), None, None, Some("three")]);
    assert_eq!(recorder.counter("partial_update_misses"), 0);
}

#[test]
fn keys_shift_through_the_parts_of_a_transaction() {
    for format in ["hash", "json"] {
        let (database, items) = (Redis::shared().database(), items());
        let mut connection = database.connect();
        let options = json!({ "url": database.url(), "format": format });
        let (mut writer, _) = started(&options, &[&items]);
        let batch = BatchBuilder::after(&START)
            .insert(&items, ["1", "a", "x"])
            .insert(&items, ["2", "b", "y"])
            .insert(&items, ["3", "c", "z"])
            .build();
        writer.write(&batch).unwrap();
        // UPDATE items SET id = id + 1 under a deferred constraint, cut after its first row.
        let first = BatchBuilder::after(batch.position())
            .update_moved(
                &items,
                ["1"],
                [Cell::Text("2"), Cell::Text("a"), Cell::Unchanged],
            )
            .part(Part::First);
        writer.write(&first).unwrap();
        let held: Option<String> = connection
            .hget("tahr:checkpoint:shop:main", "displaced")
            .unwrap();
        assert_eq!(held.as_deref(), Some(r#"["items:2"]"#));
        // Another process goes on.
        drop(writer);
        let (mut writer, _, _) = open::<RedisWriter>(&options, Role::Stream).unwrap();
        writer.checkpoint(&stream()).unwrap();
        writer.prepare(&items).unwrap();
        let last = BatchBuilder::after(first.position())
            .update_moved(&items, ["2"], ["3", "b", "y"])
            .update_moved(
                &items,
                ["3"],
                [Cell::Text("4"), Cell::Text("c"), Cell::Unchanged],
            )
            .part(Part::Last);
        writer.write(&last).unwrap();
        let mut expected = Vec::new();
        for (id, name, notes) in [("2", "a", "x"), ("3", "b", "y"), ("4", "c", "z")] {
            let key = format!("items:{id}");
            if format == "hash" {
                let fields = row([("id", id), ("name", name), ("notes", notes)]);
                assert_eq!(hash(&mut connection, &key), fields);
            } else {
                let text: String = connection.get(&key).unwrap();
                assert_eq!(
                    text,
                    format!(r#"{{"id":{id},"name":"{name}","notes":"{notes}"}}"#)
                );
            }
            expected.push(key);
        }
        assert_eq!(database.keys("items:").unwrap(), expected);
        let fields: Vec<String> = connection.hkeys("tahr:checkpoint:shop:main").unwrap();
        assert!(!fields.iter().any(|field| field == "displaced"));
    }
}

#[test]
fn tables_with_glob_characters_are_truncated_alone() {
    let database = Redis::shared().database();
    let mut connection = database.connect();
    let star = relation("public.i*")
        .column("id", "integer")
        .key(["id"])
        .build();
    let plain = relation("public.ix")
        .column("id", "integer")
        .key(["id"])
        .build();
    let (mut writer, _) = started(&json!({ "url": database.url() }), &[&star, &plain]);
    let mut batch = BatchBuilder::after(&START).insert(&plain, ["1"]);
    for id in 0..5000 {
        batch = batch.insert(&star, [id.to_string().as_str()]);
    }
    let batch = batch.build();
    writer.write(&batch).unwrap();
    let batch = BatchBuilder::after(batch.position())
        .truncate(&star)
        .build();
    writer.write(&batch).unwrap();
    assert_eq!(database.keys("i").unwrap(), ["ix:1"]);
    // A stale engine empties nothing.
    let stale = BatchBuilder::after(&START).truncate(&plain).build();
    assert!(matches!(writer.write(&stale), Ok(Written::Moved(Some(_)))));
    assert!(connection.exists::<_, bool>("ix:1").unwrap());
}

#[test]
fn a_lost_script_is_loaded_again_and_an_emptied_server_is_noticed() {
    let mut server = Redis::own(&[]);
    let (database, items) = (server.database(), items());
    let (mut writer, _) = started(&json!({ "url": database.url() }), &[&items]);
    let batch = BatchBuilder::after(&START)
        .insert(&items, ["1", "a", "x"])
        .build();
    writer.write(&batch).unwrap();
    database.command::<String>("SCRIPT FLUSH");
    let batch = BatchBuilder::after(batch.position())
        .insert(&items, ["2", "a", "x"])
        .build();
    writer.write(&batch).unwrap();
    server.restart();
    let next = BatchBuilder::after(batch.position())
        .insert(&items, ["3", "a", "x"])
        .build();
    assert!(writer.write(&next).unwrap_err().is_transient());
    writer.reset().unwrap();
    assert_eq!(writer.write(&next).unwrap(), Written::Moved(None));
    assert_eq!(writer.checkpoint(&stream()).unwrap(), None);
}

#[test]
fn a_full_server_is_waited_for_and_holds_nothing_of_the_batch() {
    let server = Redis::own(&[]);
    let (database, items) = (server.database(), items());
    let (mut writer, _) = started(&json!({ "url": database.url() }), &[&items]);
    database.command::<String>("CONFIG SET maxmemory 1");
    let batch = BatchBuilder::after(&START)
        .insert(&items, ["1", "a", "x"])
        .build();
    let error = writer.write(&batch).unwrap_err();
    assert_eq!(
        (error.is_transient(), error.code.as_str()),
        (true, "OOM"),
        "{error}"
    );
    assert!(!error.hint.is_empty());
    database.command::<String>("CONFIG SET maxmemory 0");
    assert!(database.keys("items:").unwrap().is_empty());
    writer.reset().unwrap();
    assert!(matches!(writer.write(&batch), Ok(Written::Stored(_))));
}

#[test]
fn a_blocked_call_can_be_cancelled_and_comes_too_late_for_ever() {
    let server = Redis::own(&[]);
    let (database, items) = (server.database(), items());
    let options = json!({ "url": database.url() });
    let (mut writer, cancel, _) = open::<RedisWriter>(&options, Role::Stream).unwrap();
    writer.checkpoint(&stream()).unwrap();
    writer.prepare(&items).unwrap();
    writer.flush(&START).unwrap();
    database.command::<String>("CLIENT PAUSE 3000 WRITE");
    let begun = Instant::now();
    let canceller = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(200));
        cancel.cancel();
    });
    let batch = BatchBuilder::after(&START)
        .insert(&items, ["1", "a", "x"])
        .build();
    assert!(writer.write(&batch).unwrap_err().is_transient());
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "{:?}",
        begun.elapsed()
    );
    canceller.join().unwrap();
    writer.reset().unwrap();
    database.command::<String>("CLIENT UNPAUSE");
    let checkpoint = writer.checkpoint(&stream()).unwrap().unwrap();
    assert_eq!(checkpoint.position, Some(START));
    assert!(matches!(writer.write(&batch), Ok(Written::Stored(_))));
}

#[test]
fn servers_that_cannot_be_used_are_refused_by_name() {
    let cluster = Redis::own(&["--cluster-enabled", "yes", "--databases", "1"]);
    let error = refused(&format!("redis://{}", cluster.address()));
    assert!(
        error.message.contains("Redis Cluster") && !error.is_transient(),
        "{error}"
    );

    let locked = Redis::own(&[]);
    let mut admin = redis::Client::open(format!("redis://{}", locked.address()))
        .and_then(|client| client.get_connection())
        .unwrap();
    let _: () = redis::cmd("CONFIG")
        .arg(&["SET", "requirepass", "secret"])
        .query(&mut admin)
        .unwrap();
    let error = refused(&format!("redis://{}", locked.address()));
    assert_eq!(
        (error.code.as_str(), error.is_transient()),
        ("NOAUTH", false),
        "{error}"
    );
    let error = refused(&format!("redis://:wrong@{}", locked.address()));
    assert_eq!(
        (error.code.as_str(), error.is_transient()),
        ("WRONGPASS", false),
        "{error}"
    );
    assert!(!format!("{error:?}").contains("wrong@"));

    let error = refused("redis://127.0.0.1:1");
    assert!(
        error.is_transient() && error.message.contains("127.0.0.1:1"),
        "{error}"
    );
    assert!(refused("rediss://127.0.0.1").message.contains("TLS"));
    assert!(!refused("http://x").is_transient());
}

#[test]
fn check_names_every_fault_at_once() {
    let server = Redis::own(&["--maxmemory-policy", "allkeys-lru"]);
    let database = server.database();
    let keyless = relation("public.log").column("line", "text").build();
    let ours = relation("public.tahr")
        .column("id", "integer")
        .key(["id"])
        .build();
    let options = json!({ "url": database.url() });
    let (mut writer, _, _) = open::<RedisWriter>(&options, Role::Check).unwrap();
    let relations = [(*items()).clone(), (*keyless).clone(), (*ours).clone()];
    let report = writer.check(&relations).unwrap();
    assert_eq!(report.objects[0], "items:*");
    let found: Vec<(bool, &str)> = report
        .findings
        .iter()
        .map(|finding| (finding.is_error, finding.object.as_str()))
        .collect();
    assert_eq!(
        found,
        [
            (false, "maxmemory-policy"),
            (false, "save"),
            (true, "public.log"),
            (true, "public.tahr"),
        ]
    );
    assert!(
        report
            .findings
            .iter()
            .all(|finding| !finding.hint.is_empty())
    );
    // It may have a deferrable one, and can't be given another.
    let hint = &report.findings[2].hint;
    let begin = "it needs a primary key that is not deferrable: ALTER TABLE \"public\".\"log\" ADD";
    assert!(hint.starts_with(begin), "{hint}");
    let replica = Redis::own(&["--replicaof", "127.0.0.1", "1"]);
    let options = json!({ "url": format!("redis://{}", replica.address()) });
    let (mut writer, _, _) = open::<RedisWriter>(&options, Role::Check).unwrap();
    let report = writer.check(&[]).unwrap();
    assert!(report.findings[0].is_error && report.findings[0].message.contains("replica"));
}
