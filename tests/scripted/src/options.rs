//! What the config says.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

/// Options of a scripted target.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// The folder that is the target. It must exist.
    pub folder: PathBuf,
}
