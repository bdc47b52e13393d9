//! What a config says under `[targets.NAME] options`.

use std::{path::PathBuf, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de};

/// Options of the SQLite writer.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// The database file. It is created where absent, its folder is not.
    pub path: PathBuf,
    /// Whether to create tables that the file doesn't have.
    #[serde(default = "yes")]
    pub create_tables: bool,
    /// When SQLite waits for the disk: `full` loses nothing even when the power fails; `normal` may
    /// then lose the newest transactions, which are read again from the source; `off` may then
    /// lose the file.
    #[serde(default)]
    pub synchronous: Synchronous,
    /// How long to wait for another program that writes to the file, such as `5s` or `500ms`.
    #[serde(default)]
    #[schemars(extend("default" = "5s"))]
    pub busy_timeout: BusyTimeout,
}

fn yes() -> bool {
    true
}

/// SQLite's `PRAGMA synchronous`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Synchronous {
    /// Every commit is on the disk.
    #[default]
    Full,
    /// Commits reach the disk together, now and then.
    Normal,
    /// The operating system decides.
    Off,
}

impl Synchronous {
    /// As the pragma spells it.
    #[must_use]
    pub fn as_sql(self) -> &'static str {
        match self {
            Self::Full => "FULL",
            Self::Normal => "NORMAL",
            Self::Off => "OFF",
        }
    }
}

/// A wait, written with its unit: `5s`, `500ms`, `1m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String")]
pub struct BusyTimeout(pub Duration);

impl Default for BusyTimeout {
    fn default() -> Self {
        Self(Duration::from_secs(5))
    }
}

impl BusyTimeout {
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
        number
            .checked_mul(millis)
            .map(|millis| Self(Duration::from_millis(millis)))
    }
}

impl<'de> Deserialize<'de> for BusyTimeout {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            de::Error::custom(format!(
                "{text:?} is no duration; write it as 5s, 500ms or 1m"
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(options: &serde_json::Value) -> Result<Options, String> {
        serde_json::from_value(options.clone()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_path_is_all_that_is_needed() {
        let options = read(&serde_json::json!({ "path": "shop.db" })).unwrap();
        assert!(options.create_tables);
        assert_eq!(options.synchronous, Synchronous::Full);
        assert_eq!(options.busy_timeout.0, Duration::from_secs(5));
    }

    #[test]
    fn misspelt_options_and_wrong_values_are_named() {
        for (options, named) in [
            (serde_json::json!({ "path": "a", "sync": "off" }), "sync"),
            (
                serde_json::json!({ "path": "a", "synchronous": "on" }),
                "full",
            ),
            (
                serde_json::json!({ "path": "a", "busy_timeout": "5" }),
                "\"5\"",
            ),
            (serde_json::json!({}), "path"),
        ] {
            let error = read(&options).unwrap_err();
            assert!(error.contains(named), "{error}");
        }
    }

    #[test]
    fn waits_have_units() {
        for (text, millis) in [("5s", 5000), ("500ms", 500), ("2 m", 120_000), ("0s", 0)] {
            let expected = Some(BusyTimeout(Duration::from_millis(millis)));
            assert_eq!(BusyTimeout::parse(text), expected, "{text}");
        }
        for text in ["", "5", "s", "-1s", "5h5", "99999999999999999999s"] {
            assert_eq!(BusyTimeout::parse(text), None, "{text}");
        }
    }
}
