//! What a config says under `[targets.NAME] options`.

use std::{fmt, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de};
use tahr_plugin_api::Unfit;

/// Options of a MongoDB target.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// Where MongoDB is: `mongodb://[user:password@]host[:port][,…]/database[?replicaSet=…]` or
    /// `mongodb+srv://…`, with the options that MongoDB's drivers know (`tls`, `authSource`, …).
    pub url: String,
    /// The database to write to, where `url` does not name one in its path or another is meant.
    #[serde(default)]
    pub database: Option<String>,
    /// Whether to create collections that the database doesn't have.
    #[serde(default = "yes")]
    pub create_tables: bool,
    /// What `date`, `timestamp` and `timestamp with time zone` become: `text`, PostgreSQL's own
    /// form, or `date`, BSON's dates, which count milliseconds: microseconds are cut, counted as
    /// `microseconds_cut`, and infinity is unfit.
    #[serde(default)]
    pub dates: Dates,
    /// What `jsonb` becomes: `document`, the value itself, with every number exact, or `text`.
    /// `json`, which keeps blanks, order and keys that come twice, is always text.
    #[serde(default)]
    pub json: Json,
    /// What `numeric` without a precision, or with one above 34, becomes: `text`, or `decimal`,
    /// BSON's decimals, which have 34 digits: a number of more is unfit. Any other `numeric` is a
    /// decimal.
    #[serde(default)]
    pub numeric: Numeric,
    /// What becomes of a value that its column's type can't hold: `error` parks the lane, `null`
    /// stores null, `clamp` the nearest value that fits, `text` this one value as PostgreSQL's text.
    #[serde(default)]
    pub unfit: Unfit,
    /// How long to look for a server to write to, such as `10s`.
    #[serde(default = "default_connect_timeout")]
    #[schemars(extend("default" = "10s"))]
    pub connect_timeout: Span,
    /// How long to wait for the answer to one command.
    #[serde(default = "default_timeout")]
    #[schemars(extend("default" = "60s"))]
    pub timeout: Span,
}

// Not derived: the URL may hold a password.
impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("database", &self.database)
            .field("types", &self.types())
            .finish_non_exhaustive()
    }
}

impl Options {
    /// The options that decide about types.
    pub(crate) fn types(&self) -> Types {
        Types {
            dates: self.dates,
            json: self.json,
            numeric: self.numeric,
            unfit: self.unfit,
        }
    }
}

/// The options that decide about types.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Types {
    pub(crate) dates: Dates,
    pub(crate) json: Json,
    pub(crate) numeric: Numeric,
    pub(crate) unfit: Unfit,
}

/// What dates and timestamps become.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Dates {
    /// Strings in PostgreSQL's form.
    #[default]
    Text,
    /// BSON's dates.
    Date,
}

/// What `jsonb` becomes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Json {
    /// The value itself: a document, an array, a number, …
    #[default]
    Document,
    /// A string.
    Text,
}

/// What a `numeric` becomes that may have more than 34 digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Numeric {
    /// A string.
    #[default]
    Text,
    /// A decimal.
    Decimal,
}

fn yes() -> bool {
    true
}

fn default_connect_timeout() -> Span {
    Span(Duration::from_secs(10))
}

fn default_timeout() -> Span {
    Span(Duration::from_secs(60))
}

/// A length of time, written with its unit: `500ms`, `10s`, `2m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String")]
pub struct Span(pub Duration);

impl Span {
    /// The length of time that `text` says; none where it says none, or zero.
    fn parse(text: &str) -> Option<Self> {
        let split = text.find(|c: char| !c.is_ascii_digit())?;
        let (number, unit) = text.split_at(split);
        let factor = match unit.trim_start() {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            _ => return None,
        };
        let millis = number.parse::<u64>().ok()?.checked_mul(factor)?;
        // More than a day is a slip.
        (1..=86_400_000)
            .contains(&millis)
            .then_some(Self(Duration::from_millis(millis)))
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            de::Error::custom(format!(
                "{text:?} is no length of time; write it as 500ms, 10s or 2m"
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
    fn a_url_is_all_that_is_needed() {
        let options = read(&serde_json::json!({ "url": "mongodb://u:secret@h/shop" })).unwrap();
        assert!(options.create_tables);
        assert_eq!(options.types(), Types::default());
        assert_eq!(options.connect_timeout.0, Duration::from_secs(10));
        assert!(!format!("{options:?}").contains("secret"));
    }

    #[test]
    fn misspelt_options_and_wrong_values_are_named() {
        for (options, named) in [
            (serde_json::json!({ "url": "a", "date": "text" }), "date"),
            (serde_json::json!({ "url": "a", "dates": "iso" }), "text"),
            (serde_json::json!({ "url": "a", "unfit": "drop" }), "clamp"),
            (serde_json::json!({ "url": "a", "timeout": "5" }), "\"5\""),
            (serde_json::json!({ "url": "a", "timeout": "0s" }), "0s"),
            (serde_json::json!({}), "url"),
        ] {
            let error = read(&options).unwrap_err();
            assert!(error.contains(named), "{error}");
        }
    }
}
