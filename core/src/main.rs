//! The `tahr` program.
fn main() {}
