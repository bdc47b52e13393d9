//! One column's value in one row.
//!
//! The engine carries every value as PostgreSQL printed it, under pinned session settings, with
//! its [`ValueKind`] beside it; `bytea` alone is decoded, since its text form is twice as long.
//! A writer takes what its target wants: the text as it is ([`Value::text`] costs nothing), or
//! the typed form, parsed when it is asked for ([`Value::typed`]). So a value that a target stores
//! as text is never parsed and printed again, and one that is parsed loses nothing: what can't be
//! parsed stays [`Typed::Other`] with its text.

mod array;
mod date;
mod interval;
mod kind;
mod printed;
mod scanner;
mod time;
mod timestamp;
mod typed;

pub use array::{Array, ArrayItem};
pub use date::{CivilDate, Date};
pub use interval::Interval;
pub use kind::ValueKind;
pub use printed::Value;
pub use time::{Time, TimeTz};
pub use timestamp::{InUtc, Timestamp};
pub use typed::Typed;

#[cfg(all(test, feature = "testing"))]
mod fuzz;
#[cfg(test)]
mod tests;
