//! tahr.

pub mod pgoutput;
