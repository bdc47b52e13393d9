//! The options of a redis target.

use std::{fmt, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de};
use tahr_plugin_api::WriteError;

/// Options of a redis target.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// Where Redis is: `redis://[user:password@]host[:port][/db]`, or
    /// `redis+unix:///path/to/socket[?db=0&user=…&pass=…]`.
    pub url: String,
    /// The key of a row: text with `{schema}`, `{table}`, `{pk}` and `{column-name}`. Up to the first
    /// value it must tell tables apart and end in the separator. Parts of the key hold the
    /// separator and `\` escaped by `\`, so that different rows never share a key.
    #[serde(default = "default_key")]
    pub key: String,
    /// What a row becomes: `hash` (a field per column, none where it is null), `json` (an object of
    /// all columns), or `string` (the column named by `value`).
    #[serde(default)]
    pub format: Format,
    /// With format `string`: the column whose value is stored; no key where it is null.
    #[serde(default)]
    pub value: Option<String>,
    /// How long a row lives after its last change, such as `90s`, `1h` or `7d`; forever without it.
    #[serde(default)]
    pub ttl: Option<Span>,
    /// One character between the parts of a key.
    #[serde(default = "default_separator")]
    pub separator: char,
    /// How long to wait for a connection.
    #[serde(default = "default_connect_timeout")]
    #[schemars(extend("default" = "5s"))]
    pub connect_timeout: Span,
    /// How long to wait for an answer.
    #[serde(default = "default_timeout")]
    #[schemars(extend("default" = "60s"))]
    pub timeout: Span,
}

// Not derived: the URL may hold a password.
impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("key", &self.key)
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}

/// What a row becomes in Redis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// A hash, a field per column that is not null.
    #[default]
    Hash,
    /// A string: an object of all columns.
    Json,
    /// A string: one column's value.
    String,
}

/// A length of time written as `500ms`, `90s`, `1h30m`, `7d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub Duration);

impl JsonSchema for Span {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "A length of time such as `500ms`, `90s`, `1h30m`, `7d`.",
        })
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            de::Error::custom(format!(
                "not a length of time: {text:?} (write it as `500ms`, `90s`, `1h30m` or `7d`)"
            ))
        })
    }
}

impl Span {
    /// The length of time that `text` says; none where it says none, or zero.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut rest = text;
        let mut millis = 0_u64;
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (number, tail) = rest.split_at(digits);
            let unit_len = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
            let (unit, tail) = tail.split_at(unit_len);
            let factor = match unit {
                "ms" => 1,
                "s" => 1_000,
                "m" | "min" => 60_000,
                "h" => 3_600_000,
                "d" => 86_400_000,
                "w" => 604_800_000,
                _ => return None,
            };
            millis = millis.checked_add(number.parse::<u64>().ok()?.checked_mul(factor)?)?;
            rest = tail;
        }
        // Redis counts expiry in signed milliseconds since 1970.
        (1..=i64::MAX as u64 / 4)
            .contains(&millis)
            .then_some(Self(Duration::from_millis(millis)))
    }
}

impl Options {
    /// What the types can't say.
    pub(crate) fn validate(&self) -> Result<(), WriteError> {
        let separator = self.separator;
        if !separator.is_ascii_punctuation() || matches!(separator, '\\' | '{' | '}') {
            return Err(WriteError::options(format!(
                "option \"separator\": {separator:?} can't separate the parts of a key"
            ))
            .hint("separator = \":\""));
        }
        match (self.format, &self.value) {
            (Format::String, None) => Err(WriteError::options(
                "format \"string\" needs the column whose value is stored",
            )
            .hint("value = \"column\"")),
            (Format::Hash | Format::Json, Some(_)) => Err(WriteError::options(
                "option \"value\" belongs to format \"string\"",
            )
            .hint("format = \"string\"")),
            _ => Ok(()),
        }
    }
}

fn default_key() -> String {
    "{table}:{pk}".to_owned()
}

fn default_separator() -> char {
    ':'
}

fn default_connect_timeout() -> Span {
    Span(Duration::from_secs(5))
}

fn default_timeout() -> Span {
    Span(Duration::from_secs(60))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_read_and_nonsense_is_not() {
        let millis = |text| Span::parse(text).map(|span| span.0.as_millis());
        assert_eq!(millis("500ms"), Some(500));
        assert_eq!(millis("1h30m"), Some(5_400_000));
        assert_eq!(millis("7d"), Some(604_800_000));
        for wrong in [
            "",
            "0s",
            "1",
            "h",
            "-1s",
            "1y",
            "1 h",
            "99999999999999999999s",
        ] {
            assert_eq!(millis(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn unknown_options_are_refused() {
        let wrong = serde_json::from_str::<Options>(r#"{"url": "redis://h", "tttl": "1h"}"#);
        assert!(wrong.unwrap_err().to_string().contains("tttl"));
        let right: Options = serde_json::from_str(r#"{"url": "redis://h", "ttl": "1h"}"#).unwrap();
        assert_eq!(right.key, "{table}:{pk}");
        right.validate().unwrap();
        assert!(!format!("{right:?}").contains("redis://"));
    }

    #[test]
    fn string_format_and_value_go_together() {
        for wrong in [
            r#"{"url": "u", "format": "string"}"#,
            r#"{"url": "u", "value": "name"}"#,
            r#"{"url": "u", "separator": "\\"}"#,
        ] {
            let options: Options = serde_json::from_str(wrong).unwrap();
            assert!(
                !options.validate().unwrap_err().hint.is_empty() || wrong.contains("separator")
            );
        }
    }
}
