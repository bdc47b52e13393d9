//! Conflicts decided by custom code: a Lua function in a file of the user's.
//!
//! ```text
//! judge ─ candidates ─▶ question: a Lua table ─▶ resolve(conflict) ─▶ answer: winner, row, skip
//! ```
//!
//! [`LuaResolver`] is the [`Resolver`](crate::reconcile::Resolver) of such a sync or table. What the
//! function is given and may return is described for users in `docs/lua.md`.
//!
//! # Guarantees
//!
//! - *Pure*: the same question has the same answer, also in the next process. The code has no
//!   clock, no random numbers, no files; tables are walked in the order of their keys, sorting is
//!   stable, addresses are never shown. Each call runs the whole file anew in a world of its own,
//!   whose libraries can't be altered: calls leave nothing to each other.
//! - *Bounded*: a call that takes more than [`INSTRUCTIONS`] instructions or [`MEMORY`] bytes is an
//!   error. What would work in C without end is replaced: patterns are matched in counted steps.
//!   [`TIME`] is the last bound, for what instructions don't measure, such as copies of long text.
//! - *Nothing by accident*: unknown columns, columns left out, altered keys, altered winners, and
//!   values that PostgreSQL would spell otherwise are errors. An error pauses the sync and names the
//!   file's line.
//!
//! The judge of a sync calls it, on one thread; others wait.

mod answer;
mod explain;
mod machine;
mod pattern;
mod question;
mod resolver;
mod spelling;
#[cfg(test)]
mod tests;

pub use machine::{INSTRUCTIONS, MEMORY, TIME};
pub use resolver::LuaResolver;
