//! tahr on real servers: one file per behaviour, each test a sentence.

mod harness;
