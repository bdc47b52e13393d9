//! Rows per second into a MongoDB server, beside a bare client's bulk writes of the same rows:
//! `cargo run --release -p tahr-mongodb --example mongodb_speed -- 'mongodb://host/database?replicaSet=rs0'`.
//!
//! The collection `customers` of that database is dropped. Rows have six columns and about 150 bytes;
//! batches hold 10,000 of them.
#![expect(clippy::print_stdout, reason = "a program for people")]

use std::time::Instant;

use mongodb::{
    Client, Database,
    bson::{Bson, Document, doc},
};
use serde_json::json;
use tahr_mongodb::MongodbWriter;
use tahr_plugin_api::{
    Lsn, Position, Role, Written,
    testing::{BatchBuilder, open, relation, stream},
};

const BATCHES: usize = 20;
const ROWS: usize = 10_000;
const NAMES: [&str; 6] = ["id", "name", "amount", "active", "created", "note"];

fn row(id: usize, pass: &str) -> [String; 6] {
    [
        id.to_string(),
        format!("customer number {id} of the shop in town"),
        format!("{id}.25"),
        "t".to_owned(),
        format!("2026-11-22 22:11:{:02}.123456+00", id % 60),
        format!("some longer note about customer {id} {pass} xxxxxxxxxx"),
    ]
}

fn main() {
    let url = std::env::args().nth(1).expect("the URL of a database");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let database = runtime.block_on(async {
        let client = Client::with_uri_str(&url).await.expect("connect");
        client.default_database().expect("a database in the URL")
    });
    let run = |command: Document| runtime.block_on(async { database.run_command(command).await });
    for round in 0..2 {
        // One after the other, each first once.
        for turn in 0..2 {
            let _absent = run(doc! { "drop": "customers" });
            let _absent = run(doc! { "drop": "tahr_checkpoint" });
            if turn == round {
                runtime.block_on(bare(&database));
            } else {
                writer(&url);
            }
        }
    }
}

/// A client that knows its rows already, and sends each batch as one ordered bulk write.
async fn bare(database: &Database) {
    for pass in ["insert", "update"] {
        let batches: Vec<Vec<Document>> = (0..BATCHES)
            .map(|batch| {
                let ids = batch * ROWS..(batch + 1) * ROWS;
                ids.map(|id| document(&row(id, pass))).collect()
            })
            .collect();
        let begun = Instant::now();
        for batch in &batches {
            let command = match pass {
                "insert" => doc! { "insert": "customers", "documents": batch.clone() },
                _ => {
                    let update = |document: &Document| {
                        let id = document.get("_id").cloned().unwrap_or(Bson::Null);
                        doc! { "q": { "_id": id }, "u": document.clone(), "upsert": true }
                    };
                    let updates: Vec<Document> = batch.iter().map(update).collect();
                    doc! { "update": "customers", "updates": updates }
                }
            };
            let mut command = command;
            command.insert("writeConcern", doc! { "w": "majority" });
            let answer = database.run_command(command).await.expect("bulk write");
            assert_eq!(answer.get_i32("n").ok(), i32::try_from(ROWS).ok());
        }
        report("bare", pass, begun);
    }
}

fn document(row: &[String; 6]) -> Document {
    let mut document = doc! { "_id": row[0].parse::<i32>().unwrap_or(0) };
    for (name, value) in NAMES.into_iter().zip(row) {
        let value: Bson = match name {
            "id" => value.parse::<i32>().unwrap_or(0).into(),
            "active" => true.into(),
            _ => value.as_str().into(),
        };
        document.insert(name, value);
    }
    document
}

fn writer(url: &str) {
    let customers = relation("public.customers")
        .column("id", "integer")
        .column("name", "text")
        .column("amount", "numeric")
        .column("active", "boolean")
        .column("created", "timestamp with time zone")
        .column("note", "text")
        .key(["id"])
        .build();
    let options = json!({ "url": url });
    let (mut writer, _, _) = open::<MongodbWriter>(&options, Role::Stream).expect("open");
    writer.checkpoint(&stream()).expect("checkpoint");
    writer.prepare(&customers).expect("prepare");
    let mut position = Position::at(Lsn(0x1000));
    writer.flush(&position).expect("first checkpoint");
    for pass in ["insert", "update"] {
        let mut batches = Vec::new();
        for batch in 0..BATCHES {
            let mut builder = BatchBuilder::after(&position);
            for id in batch * ROWS..(batch + 1) * ROWS {
                let row = row(id, pass);
                builder = match pass {
                    "insert" => builder.insert(&customers, &row),
                    _ => builder.update(&customers, &row),
                };
            }
            let batch = builder.build();
            position = batch.position().clone();
            batches.push(batch);
        }
        let begun = Instant::now();
        for batch in &batches {
            let written = writer.write(batch).expect("write");
            assert!(matches!(written, Written::Stored(_)), "{written:?}");
        }
        report("tahr", pass, begun);
    }
}

#[expect(clippy::cast_precision_loss, reason = "shown to people")]
fn report(who: &str, pass: &str, begun: Instant) {
    let rows = (BATCHES * ROWS) as f64;
    println!(
        "{who} {pass}: {:.0} rows/s",
        rows / begun.elapsed().as_secs_f64()
    );
}
