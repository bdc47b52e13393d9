//! Rows per second into a Redis server: `cargo run --release -p tahr-redis --example redis_speed -- redis://host/15`.
//!
//! The database is emptied. Rows have six columns and about 150 bytes; batches hold 10,000 of them.
#![expect(clippy::print_stdout, reason = "a program for people")]

use std::time::Instant;

use serde_json::json;
use tahr_plugin_api::{
    Lsn, Position, Role, Written,
    testing::{BatchBuilder, open, relation, stream},
};
use tahr_redis::RedisWriter;

const BATCHES: usize = 30;
const ROWS: usize = 10_000;

fn main() {
    let url = std::env::args()
        .nth(1)
        .expect("the URL of a database to empty");
    let customers = relation("public.customers")
        .column("id", "integer")
        .column("name", "text")
        .column("amount", "numeric")
        .column("active", "boolean")
        .column("created", "timestamp with time zone")
        .column("note", "text")
        .key(["id"])
        .build();
    for format in ["hash", "json"] {
        let client = redis::Client::open(url.as_str()).expect("a URL");
        let mut connection = client.get_connection().expect("connect");
        let options = json!({ "url": url, "format": format });
        let _: () = redis::cmd("FLUSHDB")
            .query(&mut connection)
            .expect("empty it");
        let (mut writer, _, _) = open::<RedisWriter>(&options, Role::Stream).expect("open");
        writer.checkpoint(&stream()).expect("checkpoint");
        writer.prepare(&customers).expect("prepare");
        let mut position = Position::at(Lsn(0x1000));
        writer.flush(&position).expect("first checkpoint");
        for pass in ["insert", "update"] {
            let mut batches = Vec::new();
            for batch in 0..BATCHES {
                let mut builder = BatchBuilder::after(&position);
                for id in batch * ROWS..(batch + 1) * ROWS {
                    let row = [
                        id.to_string(),
                        format!("customer number {id} of the shop in town"),
                        format!("{id}.25"),
                        "t".to_owned(),
                        format!("2026-11-22 22:11:{:02}.123456+00", id % 60),
                        format!(
                            "some longer note about customer {id} {pass} {}",
                            "x".repeat(10)
                        ),
                    ];
                    builder = match pass {
                        "insert" => builder.insert(&customers, &row),
                        _ => builder.update(&customers, &row),
                    };
                }
                let batch = builder.build();
                position = batch.position().clone();
                batches.push(batch);
            }
            let (begun, busy) = (Instant::now(), server_seconds(&mut connection));
            for batch in &batches {
                let written = writer.write(batch).expect("write");
                assert!(matches!(written, Written::Stored(_)), "{written:?}");
            }
            let seconds = begun.elapsed().as_secs_f64();
            let busy = server_seconds(&mut connection) - busy;
            let rows = (BATCHES * ROWS) as f64;
            println!(
                "{format} {pass}: {:.0} rows/s, {:.0} per second of the server's CPU time",
                rows / seconds,
                rows / busy
            );
        }
    }
}

/// CPU time that the server has used.
fn server_seconds(connection: &mut redis::Connection) -> f64 {
    let info: String = redis::cmd("INFO")
        .arg("cpu")
        .query(connection)
        .expect("INFO");
    let of = |name: &str| {
        let value = info.lines().find_map(|line| line.strip_prefix(name));
        value
            .and_then(|text| text.parse::<f64>().ok())
            .unwrap_or(0.0)
    };
    of("used_cpu_user:") + of("used_cpu_sys:")
}
