//! A simulation of many masters: sources, engines between them, and everything that goes wrong.
//!
//! A [`History`] is made of its seed and [`Settings`] alone. Two to five [`Source`]s are written to
//! by local transactions, of several keys, with moves, truncates and unique values, while one
//! [`Engine`] or several run rounds between them. Streams are read late and unevenly, sources come
//! and go, rows are locked, local transactions commit between an apply's statements and its commit,
//! triggers change what is applied, people resume and copy again, and engines die before and after
//! every step, to go on with what they had stored. Then nobody writes any more, and the engines
//! come to rest.
//!
//! What must hold then is in [`checks`], and while they run in [`model`] and [`oracle`]. The test
//! suite runs histories of every strategy, and takes each rule of reconciling away in turn to see
//! that some history then fails; `make simulate` runs as many histories as wanted.

mod checks;
mod engine;
mod history;
mod meeting;
mod model;
mod oracle;
mod random;
mod runs;
mod settings;
mod source;
#[cfg(test)]
mod tests;
mod writes;

pub(crate) use engine::Engine;
pub(crate) use history::{History, Tally};
pub(crate) use random::Random;
#[allow(unused_imports, reason = "the test suite and the example use one each")]
pub(crate) use runs::{Failure, replay, run};
pub(crate) use settings::{Kind, Settings, Topology, Triggers};
pub(crate) use source::Source;
