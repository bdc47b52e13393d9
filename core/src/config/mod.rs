//! The config file `tahr.toml`: read, checked, and turned into types.
//!
//! [`Config::load`] is called once by each command. It either returns a config in which every
//! name refers to something and every value is within its limits, or *all* faults of the file at
//! once, each with its line: an unknown key is a fault, and so is a known one that isn't built
//! yet. What only a database or a plugin can judge (urls, values of options, whether a table exists)
//! is judged later, by `tahr check`, which has misspelt options found here.
//!
//! ```text
//! file ─ load: parse ─▶ document, node (places, variables, types) ─ check, sync, masters_keys, options ─▶ model: Config
//! ```
//!
//! Variables are expanded in string values after parsing, so that a value can't become a key.
//! No message and no `Debug` output holds a value that may be secret.

mod check;
mod document;
mod duration;
mod expand;
mod load;
mod masters;
mod masters_keys;
mod model;
mod node;
mod options;
mod pattern;
mod redact;
mod size;
mod sync;
mod syntax;
#[cfg(test)]
mod tests;
mod toml_value;

pub(crate) use check::NAME_LIMIT;
pub(crate) use expand::expand_environment;
pub use load::default_plugin_dirs;
pub use masters::{Conflict, Initial, Masters, Sequences};
pub use model::{
    Config, Engine, Existing, OnGap, OnLogLimit, OnRejected, Source, Sync, TableRule, Target,
};
pub use pattern::{TablePattern, parse_table_name};
pub use redact::redact_url;
