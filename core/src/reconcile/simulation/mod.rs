//! stub
mod checks;
mod engine;
mod history;
mod oracle;
mod random;
mod settings;
mod source;
#[cfg(test)]
mod tests;
mod writes;

pub(crate) use engine::Engine;
pub(crate) use history::{History, Tally};
pub(crate) use random::Random;
pub(crate) use settings::{Kind, Settings, Topology, Triggers};
pub(crate) use source::Source;
