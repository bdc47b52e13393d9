//! The options of a target in the config.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Options of a PostgreSQL target.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// `postgres://user:password@host:port/database`, with `sslmode` and the other parameters that
    /// libpq knows.
    pub url: String,
    /// Create tables that are absent, and let tables follow added columns and widened types.
    #[serde(default = "yes")]
    pub create_tables: bool,
    /// Create schemas that are absent.
    #[serde(default = "yes")]
    pub create_schemas: bool,
    /// Whether the target's own triggers and foreign keys run for replicated rows: not under
    /// `replica`, as usual under `origin`. `auto` is `replica` where the role may set it, else
    /// `origin` with a warning.
    #[serde(default)]
    pub session_replication_role: ReplicationRole,
    /// Wait for the target's disk at each commit. Without it a target that crashes may lose its
    /// last moments, data and checkpoint together, and is sent them again.
    #[serde(default = "yes")]
    pub synchronous_commit: bool,
    /// Longest time of one statement, as PostgreSQL writes it (`90s`, `5min`); none by default.
    #[serde(default)]
    pub statement_timeout: Option<String>,
    /// Longest wait for a lock, as PostgreSQL writes it; then the batch is tried again later.
    #[serde(default = "lock_timeout")]
    pub lock_timeout: String,
}

/// See [`Options::session_replication_role`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ReplicationRole {
    /// `replica` where allowed, else `origin`.
    #[default]
    Auto,
    /// Triggers and foreign keys don't run.
    Replica,
    /// Triggers and foreign keys run.
    Origin,
}

fn yes() -> bool {
    true
}

fn lock_timeout() -> String {
    "60s".to_owned()
}

impl fmt::Debug for Options {
    /// Without the URL, which may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("url", &"…")
            .field("create_tables", &self.create_tables)
            .field("create_schemas", &self.create_schemas)
            .field("session_replication_role", &self.session_replication_role)
            .field("synchronous_commit", &self.synchronous_commit)
            .field("statement_timeout", &self.statement_timeout)
            .field("lock_timeout", &self.lock_timeout)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::{Options, ReplicationRole};

    #[test]
    fn defaults_are_the_documented_ones() {
        let options: Options = serde_json::from_str(r#"{"url":"postgres://a@b/c"}"#).unwrap();
        assert!(options.create_tables && options.create_schemas && options.synchronous_commit);
        assert_eq!(options.session_replication_role, ReplicationRole::Auto);
        assert_eq!(options.lock_timeout, "60s");
    }

    #[test]
    fn a_misspelt_option_is_named() {
        let wrong = r#"{"url":"postgres://a@b/c","create_table":true}"#;
        let error = serde_json::from_str::<Options>(wrong).unwrap_err();
        assert!(error.to_string().contains("create_table"));
    }

    #[test]
    fn debug_output_does_not_hold_the_password() {
        let options: Options =
            serde_json::from_str(r#"{"url":"postgres://a:secret@b/c"}"#).unwrap();
        assert!(!format!("{options:?}").contains("secret"));
    }
}
