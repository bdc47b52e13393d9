//! What a config says under `[targets.NAME] options`.

use std::{fmt, path::PathBuf, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de};
use tahr_plugin_api::Unfit;

/// Options of a MySQL or MariaDB target.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// `mysql://user:password@host:port/database`. Parameters: `require_ssl=true` for TLS (then also
    /// `verify_ca=false`, `verify_identity=false`), `socket=/path` for a Unix socket.
    pub url: String,
    /// The certificates (PEM) that sign the server's; without it those that browsers trust. Needs
    /// `require_ssl=true`.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// A certificate (PEM) of tahr's own, for servers that ask for one.
    #[serde(default)]
    pub cert_file: Option<PathBuf>,
    /// The private key (PEM) of `cert_file`.
    #[serde(default)]
    pub key_file: Option<PathBuf>,
    /// How long to wait for a connection, such as `10s` or `500ms`.
    #[serde(default = "Wait::connect")]
    #[schemars(extend("default" = "10s"))]
    pub connect_timeout: Wait,
    /// How long to wait for a lock of another session; then the batch is tried again later.
    #[serde(default = "Wait::lock")]
    #[schemars(extend("default" = "50s"))]
    pub lock_timeout: Wait,
    /// Create tables that are absent, and let tables follow added columns and widened types.
    #[serde(default = "yes")]
    pub create_tables: bool,
    /// What becomes of values that the column's type can't hold, such as `infinity` in a `DATETIME`:
    /// `error` parks the lane, `null` and `clamp` store NULL or the nearest value and count them,
    /// `text` creates columns of such types as text. In a key column `null` and `clamp` are `error`:
    /// two keys must not become one.
    #[serde(default)]
    pub unfit: Unfit,
    /// Copy tables by `LOAD DATA LOCAL INFILE` where the server allows it; otherwise by `INSERT`s.
    #[serde(default = "yes")]
    pub load_data: bool,
}

fn yes() -> bool {
    true
}

impl fmt::Debug for Options {
    /// Without the URL, which may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("url", &"…")
            .field("ca_file", &self.ca_file)
            .field("connect_timeout", &self.connect_timeout)
            .field("lock_timeout", &self.lock_timeout)
            .field("create_tables", &self.create_tables)
            .field("unfit", &self.unfit)
            .field("load_data", &self.load_data)
            .finish_non_exhaustive()
    }
}

/// A wait, written with its unit: `5s`, `500ms`, `1m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(with = "String")]
pub struct Wait(pub Duration);

impl Wait {
    fn connect() -> Self {
        Self(Duration::from_secs(10))
    }

    fn lock() -> Self {
        Self(Duration::from_secs(50))
    }

    /// Whole seconds, at least one: MySQL's unit.
    pub(crate) fn seconds(self) -> u64 {
        self.0.as_millis().div_ceil(1000).max(1) as u64
    }

    fn parse(text: &str) -> Option<Self> {
        let split = text.find(|c: char| !c.is_ascii_digit())?;
        let (number, unit) = text.split_at(split);
        let number: u64 = number.parse().ok()?;
        let millis = match unit.trim_start() {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            _ => return None,
        };
        let millis = number.checked_mul(millis)?;
        (1..=86_400_000)
            .contains(&millis)
            .then(|| Self(Duration::from_millis(millis)))
    }
}

impl<'de> Deserialize<'de> for Wait {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            de::Error::custom(format!(
                "{text:?} is no wait of up to a day; write it as 5s, 500ms or 1m"
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(options: &serde_json::Value) -> Result<Options, String> {
        serde_json::from_value(options.clone()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_url_is_all_that_is_needed() {
        let options = read(&json!({ "url": "mysql://a:secret@b/c" })).unwrap();
        assert!(options.create_tables && options.load_data);
        assert_eq!(options.unfit, Unfit::Error);
        assert_eq!(options.connect_timeout.0, Duration::from_secs(10));
        assert_eq!(options.lock_timeout.seconds(), 50);
        assert!(!format!("{options:?}").contains("secret"));
    }

    #[test]
    fn misspelt_options_and_wrong_values_are_named() {
        for (options, named) in [
            (json!({ "url": "a", "create_table": true }), "create_table"),
            (json!({ "url": "a", "unfit": "nil" }), "clamp"),
            (json!({ "url": "a", "lock_timeout": "5" }), "\"5\""),
            (json!({}), "url"),
        ] {
            let error = read(&options).unwrap_err();
            assert!(error.contains(named), "{error}");
        }
    }

    #[test]
    fn waits_have_units() {
        for (text, millis) in [("5s", 5000), ("500ms", 500), ("2 m", 120_000)] {
            let expected = Some(Wait(Duration::from_millis(millis)));
            assert_eq!(Wait::parse(text), expected, "{text}");
        }
        for text in ["", "5", "s", "0s", "-1s", "5h", "99999999999999999999s"] {
            assert_eq!(Wait::parse(text), None, "{text}");
        }
        assert_eq!(Wait(Duration::from_millis(1)).seconds(), 1);
    }
}
