//! What a plugin says of itself before anything is opened.

use schemars::Schema;
use serde::{Deserialize, Serialize};

use crate::{RuleTable, Writer};

/// Name, version, options and abilities of a plugin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Description {
    /// [`Writer::NAME`].
    pub name: String,
    /// The plugin's own version.
    pub version: String,
    /// One line: the first of the writer's documentation, or empty.
    #[serde(default)]
    pub summary: String,
    /// JSON Schema of [`Writer::Options`].
    pub options: Schema,
    /// [`Writer::capabilities`].
    pub capabilities: Capabilities,
    /// [`Writer::rules`].
    #[serde(default)]
    pub rules: Vec<RuleTable>,
}

impl Description {
    /// The description of `W`.
    #[must_use]
    pub fn of<W: Writer>(version: &str) -> Self {
        Self {
            name: W::NAME.to_owned(),
            version: version.to_owned(),
            summary: W::SUMMARY.to_owned(),
            options: schemars::schema_for!(W::Options),
            capabilities: W::capabilities(),
            rules: W::rules(),
        }
    }
}

/// What a target can do, as data: the engine plans by it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Capabilities {
    /// Has transactions: a source transaction stays whole, however many parts it comes in. Without
    /// them every part is stored by itself, and the checkpoint says how far inside it is.
    pub transactions: bool,
    /// A table can be created or altered inside the open transaction.
    pub transactional_ddl: bool,
    /// Can update some columns of a row and leave the others, as unchanged TOAST values need.
    pub partial_update: bool,
    /// Its tables have columns, so that [`Writer::prepare`] sees that one was renamed; documents and
    /// hashes have none, and are copied again.
    pub columns: bool,
    /// Takes tables without any key.
    pub keyless: bool,
    /// Rows that one target transaction can hold; `None`: no limit.
    pub max_transaction_rows: Option<u64>,
    /// Writers that may load one table side by side. 0: there is none but the stream writer, which
    /// is given the rows itself; between its [`Writer::begin_load`] and [`Writer::end_load`] come no
    /// calls but [`Writer::load`].
    pub loaders: u32,
    /// Can read rows back for comparison.
    pub read_back: bool,
    /// Is a cache, so that a gap is answered with a new copy unless the config says otherwise.
    pub refills: bool,
}

impl Default for Capabilities {
    /// A transactional target that does everything but create tables inside a transaction.
    fn default() -> Self {
        Self {
            transactions: true,
            transactional_ddl: false,
            partial_update: true,
            columns: true,
            keyless: true,
            max_transaction_rows: None,
            loaders: 1,
            read_back: false,
            refills: false,
        }
    }
}
