//! The conformance suite on a real server, for hashes and for documents.

use std::collections::HashMap;

use redis::{Commands as _, Connection};
use serde_json::value::RawValue;
use tahr_plugin_api::{
    Column, Relation, ValueKind,
    testing::{Row, Subject, conformance},
};
use tahr_redis::RedisWriter;
use tahr_tests::Redis;

struct Server {
    url: String,
    connection: Connection,
    format: &'static str,
}

impl Server {
    fn new(server: &Redis, format: &'static str) -> Self {
        let database = server.database();
        Self {
            url: database.url().to_owned(),
            connection: database.connect(),
            format,
        }
    }

    fn keys(&mut self, prefix: &str) -> Vec<String> {
        let keys: Vec<String> = self.connection.keys("*").unwrap();
        keys.into_iter()
            .filter(|key| key.starts_with(prefix))
            .collect()
    }
}

fn prefix(relation: &Relation) -> String {
    let table = relation.target.table.replace('\\', "\\\\");
    format!("{}:", table.replace(':', "\\:"))
}

fn hex(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("\\x{digits}")
}

fn base64(text: &str) -> Vec<u8> {
    const DIGITS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = Vec::new();
    for chunk in text.trim_end_matches('=').as_bytes().chunks(4) {
        let digit = |n: usize| {
            chunk
                .get(n)
                .map_or(0, |&c| DIGITS.find(char::from(c)).unwrap())
        };
        let word = digit(0) << 18 | digit(1) << 12 | digit(2) << 6 | digit(3);
        let decoded = [(word >> 16) as u8, (word >> 8) as u8, word as u8];
        bytes.extend_from_slice(&decoded[..chunk.len() - 1]);
    }
    bytes
}

fn printed(column: &Column, bytes: &[u8]) -> String {
    match (column.kind, bytes) {
        (ValueKind::Bytes, bytes) => hex(bytes),
        (ValueKind::Bool, b"true") => "t".to_owned(),
        (ValueKind::Bool, b"false") => "f".to_owned(),
        (ValueKind::Bool, _) => panic!("a boolean that is neither true nor false"),
        (_, bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
    }
}

fn printed_json(column: &Column, text: &str) -> Option<String> {
    let string = |text: &str| serde_json::from_str::<String>(text).unwrap();
    match (column.kind, text) {
        // An SQL NULL and a JSON null are the same in a document.
        (_, "null") => None,
        (ValueKind::Json, text) => Some(text.to_owned()),
        (ValueKind::Bytes, text) => Some(hex(&base64(&string(text)))),
        (ValueKind::Bool, text) => Some(printed(column, text.as_bytes())),
        (_, text) if text.starts_with('"') => Some(string(text)),
        (_, text) => Some(text.to_owned()),
    }
}

impl Subject for Server {
    fn fresh(&mut self) -> serde_json::Value {
        let _: () = redis::cmd("FLUSHDB").query(&mut self.connection).unwrap();
        serde_json::json!({ "url": self.url, "format": self.format, "timeout": "10s" })
    }

    fn rows(&mut self, relation: &Relation) -> Vec<Row> {
        let columns = &relation.columns;
        let mut rows = Vec::new();
        for key in self.keys(&prefix(relation)) {
            rows.push(if self.format == "hash" {
                let kind: String = redis::cmd("TYPE")
                    .arg(&key)
                    .query(&mut self.connection)
                    .unwrap();
                if kind != "hash" {
                    // Poison.
                    continue;
                }
                let fields: HashMap<String, Vec<u8>> = self.connection.hgetall(&key).unwrap();
                let known = columns
                    .iter()
                    .filter(|column| fields.contains_key(&column.name));
                assert_eq!(known.count(), fields.len(), "fields of no column");
                let field = |column: &Column| Some(printed(column, fields.get(&column.name)?));
                columns.iter().map(field).collect()
            } else {
                let text: String = self.connection.get(&key).unwrap();
                let fields: HashMap<String, &RawValue> = serde_json::from_str(&text).unwrap();
                // A document from before a column was added lacks it.
                let field = |column: &Column| printed_json(column, fields.get(&column.name)?.get());
                columns.iter().map(field).collect()
            });
        }
        rows
    }

    fn reads_back(&self, column: &Column, value: &str) -> Option<String> {
        let is_null = self.format == "json" && column.kind == ValueKind::Json && value == "null";
        (!is_null).then(|| value.to_owned())
    }

    fn poison(&mut self, relation: &Relation, id: &str) -> bool {
        let key = format!("{}{id}", prefix(relation));
        // A string takes the place of anything.
        self.format == "hash" && self.connection.lpush::<_, _, ()>(key, "poison").is_ok()
    }

    fn cure(&mut self, relation: &Relation, id: &str) {
        let _: () = self
            .connection
            .del(format!("{}{id}", prefix(relation)))
            .unwrap();
    }

    fn has_bookkeeping(&mut self) -> bool {
        !self.keys("tahr:").is_empty()
    }
}

#[test]
fn hashes_keep_every_promise_of_a_writer() {
    let server = Redis::shared();
    let report = conformance::run::<RedisWriter>(&mut Server::new(&server, "hash"));
    let skipped: Vec<&str> = report
        .skipped
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    // No transactions, no tables to create, no rows without a key; foreign rows are overwritten.
    assert_eq!(
        skipped,
        [
            "a table can be prepared between parts",
            "a fresh copy refuses rows of others",
            "of equal rows one is deleted",
            "of equal rows one is updated",
            "null matches null",
            "rows of every kind are matched",
            "a table without identity takes inserts",
        ]
    );
}

#[test]
fn documents_keep_every_promise_of_a_writer() {
    let server = Redis::shared();
    conformance::run::<RedisWriter>(&mut Server::new(&server, "json"));
}
