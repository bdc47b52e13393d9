//! tahr on real servers: one file per behaviour, each test a sentence.

mod accepted_batches;
mod bare_advance;
mod broken_streams;
mod check_names_all_faults;
mod drop_leaves_nothing;
mod failing_writers;
mod harness;
mod init_writes_a_config;
mod kills;
mod large_transactions;
mod moved_checkpoints;
mod plugins_are_listed;
mod preflight;
mod publication_and_slot;
mod rejected_rows;
mod schema_changes;
mod snapshot;
