//! tahr on real servers: one file per behaviour, each test a sentence.

mod harness;
mod preflight;
mod publication_and_slot;
mod snapshot;
