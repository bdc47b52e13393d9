//! tahr on real servers: one file per behaviour, each test a sentence.

mod check_names_all_faults;
mod drop_leaves_nothing;
mod harness;
mod init_writes_a_config;
mod plugins_are_listed;
mod preflight;
mod publication_and_slot;
mod snapshot;
