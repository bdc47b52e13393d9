//! How fast rows go into a file: `cargo run --release -p tahr-sqlite --example sqlite_speed`.
//!
//! One source transaction of a million rows of six columns, in parts, as the engine hands it
//! over; then the same through a loader.

#![allow(clippy::print_stdout, reason = "a program")]

use std::{sync::Arc, time::Instant};

use serde_json::json;
use tahr_plugin_api::{
    Batch, LoadMode, Lsn, Part, Position, Relation, Role, WriteError,
    testing::{BatchBuilder, open, relation, stream},
};
use tahr_sqlite::SqliteWriter;

const ROWS: u32 = 1_000_000;
const PER_BATCH: u32 = 20_000;

fn main() -> Result<(), WriteError> {
    let path = std::env::temp_dir().join(format!("insert-speed-{}.db", std::process::id()));
    let options = json!({ "path": path });
    let items = relation("public.items")
        .column("id", "bigint")
        .column("name", "text")
        .column("price", "numeric(12,2)")
        .column("active", "boolean")
        .column("made_at", "timestamp with time zone")
        .column("note", "text")
        .key(["id"])
        .build();
    let (mut writer, ..) = open::<SqliteWriter>(&options, Role::Stream)?;
    writer.checkpoint(&stream())?;
    writer.flush(&Position::default())?;
    writer.prepare(&items)?;

    let batches = batches(&items);
    let started = Instant::now();
    for batch in &batches {
        writer.write(batch)?;
    }
    report("stream", started);

    writer.begin_load(&items, LoadMode::Replace)?;
    let (mut loader, ..) = open::<SqliteWriter>(&options, Role::Load)?;
    let started = Instant::now();
    for batch in &batches {
        loader.load(batch)?;
    }
    loader.flush(&Position::default())?;
    drop(loader);
    writer.end_load(&items, Lsn(1))?;
    report("load", started);

    drop(writer);
    for suffix in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{suffix}", path.display()));
    }
    Ok(())
}

fn report(what: &str, started: Instant) {
    let seconds = started.elapsed().as_secs_f64();
    println!("{what}: {:.0} rows/s", f64::from(ROWS) / seconds);
}

fn batches(items: &Arc<Relation>) -> Vec<Batch> {
    let mut position = Position::default();
    let mut batches = Vec::new();
    for first in (0..ROWS).step_by(PER_BATCH as usize) {
        let mut batch = BatchBuilder::after(&position);
        for id in first..first + PER_BATCH {
            let id = id.to_string();
            let name = format!("customer number {id}");
            let row = [
                id.as_str(),
                &name,
                "1234.56",
                "t",
                "2024-02-29 12:34:56.789012+00",
                "the quick brown fox jumps over the lazy dog, and again, and once more: a note",
            ];
            batch = batch.insert(items, row);
        }
        let part = match first {
            0 => Part::First,
            _ if first + PER_BATCH == ROWS => Part::Last,
            _ => Part::Middle,
        };
        let batch = batch.part(part);
        position = batch.position().clone();
        batches.push(batch);
    }
    batches
}
