//! The options of a target, as its plugin gets them.

use serde::de::DeserializeOwned;

use crate::{WriteError, Writer};

/// Reads the options of `W` from JSON. A key or word that its options don't have is named with the one
/// that is meant.
pub(crate) fn read<W: Writer>(json: &str) -> Result<W::Options, WriteError> {
    parse(json).map_err(|Wrong { message, hint }| {
        let hint = hint
            .unwrap_or_else(|| format!("`tahr plugins describe {}` lists its options", W::NAME));
        WriteError::options(format!("options of plugin {:?}: {message}", W::NAME)).hint(hint)
    })
}

#[derive(Debug)]
struct Wrong {
    message: String,
    hint: Option<String>,
}

fn parse<T: DeserializeOwned>(json: &str) -> Result<T, Wrong> {
    serde_json::from_str(json).map_err(|error| {
        let message = error.to_string();
        // The options were written as TOML: nobody can look there.
        let place = format!(" at line {} column {}", error.line(), error.column());
        let message = message.strip_suffix(&place).unwrap_or(&message).to_owned();
        let hint = misspelt(&message).and_then(|(given, known)| did_you_mean(given, known));
        Wrong { message, hint }
    })
}

/// The key or word that serde does not know, and those it knows: "unknown field `a`, expected one of
/// `b`, `c`".
fn misspelt(message: &str) -> Option<(&str, impl Iterator<Item = &str>)> {
    let unknown = ["unknown field `", "unknown variant `"];
    let rest = unknown
        .iter()
        .find_map(|begin| message.strip_prefix(begin))?;
    let (given, known) = rest.split_once("`, expected ")?;
    Some((given, known.split('`').skip(1).step_by(2)))
}

/// The word of `known` that is most like `given`, if one is near enough to be meant.
#[must_use]
pub fn nearest<'k>(given: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let given = given.to_lowercase();
    known
        .into_iter()
        .map(|word| (strsim::normalized_damerau_levenshtein(&given, word), word))
        .filter(|(likeness, _)| *likeness > 0.5)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, word)| word)
}

/// The hint `did you mean "…"?` with the [`nearest`] of `known`.
///
/// ```
/// use tahr_plugin_api::did_you_mean;
/// let hint = did_you_mean("ulr", ["url", "key", "ttl"]);
/// assert_eq!(hint.as_deref(), Some("did you mean \"url\"?"));
/// ```
#[must_use]
pub fn did_you_mean<'k>(given: &str, known: impl IntoIterator<Item = &'k str>) -> Option<String> {
    nearest(given, known).map(|word| format!("did you mean {word:?}?"))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read")]
    struct Options {
        url: String,
        #[serde(default)]
        key_format: Option<String>,
        #[serde(default)]
        mode: Mode,
        #[serde(default)]
        retry: Retry,
    }

    #[derive(Debug, Default, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Mode {
        #[default]
        Fast,
        Careful,
    }

    #[derive(Debug, Default, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read")]
    struct Retry {
        #[serde(default)]
        times: u32,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Alone {}

    fn wrong(json: &str) -> (String, Option<String>) {
        let Wrong { message, hint } = parse::<Options>(json).expect_err("it is wrong");
        (message, hint)
    }

    #[test]
    fn a_misspelt_key_or_word_names_the_one_that_is_meant() {
        for (json, named, hint) in [
            (
                r#"{"ulr":"x"}"#,
                "unknown field `ulr`, expected one of",
                "url",
            ),
            (
                r#"{"url":"x","keyformat":"y"}"#,
                "`keyformat`",
                "key_format",
            ),
            (
                r#"{"url":"x","mode":"carefull"}"#,
                "unknown variant `carefull`",
                "careful",
            ),
            (
                r#"{"url":"x","retry":{"time":3}}"#,
                "`time`, expected `times`",
                "times",
            ),
            // What was given may hold anything.
            (r#"{"u`r`l":"x"}"#, "`u`r`l`", "url"),
        ] {
            let (message, found) = wrong(json);
            assert!(message.contains(named), "{message}");
            assert!(!message.contains(" at line "), "{message}");
            let expected = format!("did you mean {hint:?}?");
            assert_eq!(found, Some(expected), "{json}");
        }
    }

    #[test]
    fn what_is_wrong_otherwise_has_no_such_hint() {
        for json in [
            "{}",
            r#"{"url":7}"#,
            r#"{"url":"x","entirely_different":1}"#,
            r#"{"url":"x","retry":{"times":-1}}"#,
        ] {
            let (message, hint) = wrong(json);
            assert_eq!(hint, None, "{message}");
            assert!(!message.contains(" at line "), "{message}");
        }
        let Wrong { hint, .. } = parse::<Alone>(r#"{"url":1}"#).expect_err("it has none");
        assert_eq!(hint, None);
    }
}
