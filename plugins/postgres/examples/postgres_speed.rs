//! Measures the writer: `cargo run --release -p tahr-postgres --example postgres_speed -- URL`.
//!
//! Prints rows per second of batches of inserts, updates, deletes and of pgbench's transactions. It
//! creates and drops tables `speed_*` in the database.

#![allow(clippy::print_stdout, reason = "a program for people")]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tahr_plugin_api::{
    Batch, Lsn, Position, Relation, Role,
    testing::{BatchBuilder, open, relation, stream},
};
use tahr_postgres::PostgresWriter;

fn rows() -> Arc<Relation> {
    relation("speed.rows")
        .column("id", "bigint")
        .column("name", "text")
        .column("price", "numeric(10,2)")
        .column("sold", "boolean")
        .column("at", "timestamp with time zone")
        .column("notes", "text")
        .key(["id"])
        .build()
}

fn row(id: u32) -> [String; 6] {
    [
        id.to_string(),
        format!("name of {id}"),
        format!("{}.50", id % 1000),
        if id.is_multiple_of(2) { "t" } else { "f" }.to_owned(),
        "2024-02-29 12:34:56.789+00".to_owned(),
        "some notes of about forty characters".to_owned(),
    ]
}

/// pgbench's transaction on its four tables, the amounts made up.
fn pgbench(
    mut batch: BatchBuilder,
    tables: &[Arc<Relation>; 4],
    transactions: u32,
    seed: &mut u32,
) -> BatchBuilder {
    for _ in 0..transactions {
        *seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let account = (*seed % 100_000).to_string();
        let (teller, branch) = ((*seed % 10).to_string(), "1");
        let balance = (*seed % 5000).to_string();
        let filler = " ".repeat(84);
        batch = batch
            .update(&tables[0], [account.as_str(), branch, &balance, &filler])
            .update(&tables[1], [teller.as_str(), branch, &balance])
            .update(&tables[2], [branch, balance.as_str()])
            .insert(
                &tables[3],
                [
                    teller.as_str(),
                    branch,
                    &account,
                    &balance,
                    "2024-01-01 00:00:00",
                ],
            )
            .commit();
    }
    batch
}

fn main() {
    let url = std::env::args().nth(1).expect("the URL of a database");
    let options = serde_json::json!({ "url": url });
    let (mut writer, ..) = open::<PostgresWriter>(&options, Role::Stream).expect("a writer");
    writer.checkpoint(&stream()).expect("a checkpoint");
    writer.forget(&stream()).expect("no checkpoint");
    writer.checkpoint(&stream()).expect("no checkpoint");
    let mut position = Position::at(Lsn(0x100));
    writer.flush(&position).expect("the first checkpoint");
    let mut run = |name: &str, rows: usize, make: &mut dyn FnMut(BatchBuilder) -> Batch| {
        let (mut spent, mut batches) = (Duration::ZERO, 0_u32);
        while spent < Duration::from_secs(3) && batches < 40_000 {
            let batch = make(BatchBuilder::after(&position));
            let start = Instant::now();
            writer.write(&batch).expect("a batch");
            spent += start.elapsed();
            position = batch.position().clone();
            batches += 1;
        }
        let seconds = spent.as_secs_f64();
        println!(
            "{name:<32} {:>9.0} rows/s {:>8.2} ms a batch of {rows}",
            f64::from(batches) * rows as f64 / seconds,
            1000.0 * seconds / f64::from(batches),
        );
    };
    let table = rows();
    let mut id = 0;
    for size in [1, 10, 50, 100, 200, 1000, 10_000] {
        run("inserts", size, &mut |mut batch| {
            for _ in 0..size {
                id += 1;
                batch = batch.insert(&table, row(id).each_ref().map(String::as_str));
            }
            batch.build()
        });
    }
    let mut seed = 7;
    for size in [10, 50, 99, 100, 200, 1000, 10_000] {
        run("updates", size, &mut |mut batch| {
            for _ in 0..size {
                seed = u32::wrapping_add(u32::wrapping_mul(seed, 1_664_525), 1_013_904_223);
                batch = batch.update(
                    &table,
                    row(1 + (seed >> 4) % id).each_ref().map(String::as_str),
                );
            }
            batch.build()
        });
    }
    let bench = [
        relation("speed.accounts")
            .column("aid", "integer")
            .column("bid", "integer")
            .column("abalance", "integer")
            .column("filler", "character(84)")
            .key(["aid"])
            .build(),
        relation("speed.tellers")
            .column("tid", "integer")
            .column("bid", "integer")
            .column("tbalance", "integer")
            .key(["tid"])
            .build(),
        relation("speed.branches")
            .column("bid", "integer")
            .column("bbalance", "integer")
            .key(["bid"])
            .build(),
        relation("speed.history")
            .column("tid", "integer")
            .column("bid", "integer")
            .column("aid", "integer")
            .column("delta", "integer")
            .column("mtime", "timestamp without time zone")
            .build(),
    ];
    for transactions in [1, 5, 20, 100, 1000] {
        run("pgbench", 4 * transactions as usize, &mut |batch| {
            pgbench(batch, &bench, transactions, &mut seed).build()
        });
    }
}
