//! Writers for targets that can commit: a few calls, and the rest is done.
//!
//! [`Writer`](crate::Writer) lets a target do all it is able to: load a table with several sessions,
//! alter tables, swap a copy in. Many targets need none of that. They take changes, and they can make
//! a handful of them durable *together with a line of text*: a file and a rename, one transaction
//! of a database, one compare-and-set of a key. For those there is [`SimpleWriter`], four calls; and
//! [`Simple`] makes a whole writer of one, with everything that [`Writer`](crate::Writer) promises.
//!
//! | | [`SimpleWriter`] | [`Simple`] |
//! |---|---|---|
//! | takes changes | [`put`](SimpleWriter::put) | orders them, drops what the target holds already |
//! | makes them durable | [`commit`](SimpleWriter::commit) | says when: never inside a source transaction |
//! | compare-and-set | refuses a state that it does not hold | asks, looks again, tells the engine |
//! | checkpoint | keeps a line of text | makes that line, and reads it |
//! | copies | – | a truncate and inserts, committed as one |
//! | errors | returns them | takes back what was not committed, and connects anew |

mod adapter;
mod lane;
#[cfg(test)]
mod tests;
mod writer;

pub use adapter::Simple;
pub use writer::SimpleWriter;
