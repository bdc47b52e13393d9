//! Variables in string values: `${VAR}`, `${file:/path}`, and `$$` for a dollar.

use std::path::Path;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

/// Looks up an environment variable.
pub(super) type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Why a value could not be expanded, and what to do about it; holds nothing of the value but
/// the variable's name.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ExpandError {
    pub(super) message: String,
    pub(super) hint: String,
}

/// `text` with its variables replaced by what the environment holds, as if it stood in a config in
/// the current folder.
pub(crate) fn expand_environment(text: &str) -> Result<String, crate::Error> {
    expand(text, &|name| std::env::var(name).ok(), Path::new(""))
        .map_err(|error| crate::Error::usage(error.message).hint(error.hint))
}

/// `text` with its variables replaced. Files are relative to `folder`; the line end that closes a
/// file is not part of the value. What a variable holds is taken as it is, not expanded again.
pub(super) fn expand(text: &str, lookup: Lookup<'_>, folder: &Path) -> Result<String, ExpandError> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some((name, after)) = rest
            .strip_prefix('{')
            .and_then(|inside| inside.split_once('}'))
        {
            let value = value_of(name, lookup, folder)?;
            if is_password(&out, after) {
                out.extend(utf8_percent_encode(&value, RESERVED));
            } else {
                out.push_str(&value);
            }
            rest = after;
        } else {
            return Err(error(
                "a lone \"$\"",
                "write ${NAME} for a variable, $$ for a dollar sign",
            ));
        }
    }
    out.push_str(rest);
    Ok(out)
}

/// Whether a variable between these stands for the password of a URL: `scheme://user:${HERE}@host`.
fn is_password(before: &str, after: &str) -> bool {
    let is_in = before
        .rsplit_once("://")
        .is_some_and(|(_, user)| user.contains(':') && !user.contains(['@', '/']));
    let authority = after.split(['/', '?', '#']).next().unwrap_or_default();
    is_in && authority.contains('@')
}

/// What would end a password in a URL. A `%` stays: it may be part of a character written so already.
const RESERVED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'#')
    .add(b'/')
    .add(b':')
    .add(b'?')
    .add(b'@')
    .add(b'[')
    .add(b']');

fn value_of(name: &str, lookup: Lookup<'_>, folder: &Path) -> Result<String, ExpandError> {
    if let Some(path) = name.strip_prefix("file:") {
        let text = std::fs::read_to_string(folder.join(path)).map_err(|cause| {
            error(
                format!("file {path} of ${{{name}}} is not readable: {cause}"),
                "the path is absolute or relative to the config file, and the file holds text",
            )
        })?;
        let text = text.strip_suffix('\n').unwrap_or(&text);
        return Ok(text.strip_suffix('\r').unwrap_or(text).to_owned());
    }
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !is_name {
        return Err(error(
            "a \"${\" that no variable name follows",
            "write ${NAME} or ${file:/path}; $${ for a dollar sign and a brace",
        ));
    }
    lookup(name).ok_or_else(|| {
        error(
            format!("environment variable {name} is not set"),
            format!("export {name}=… before tahr starts, or read a file: ${{file:/path}}"),
        )
    })
}

fn error(message: impl Into<String>, hint: impl Into<String>) -> ExpandError {
    ExpandError {
        message: message.into(),
        hint: hint.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &str) -> Result<String, String> {
        let lookup = |name: &str| match name {
            "PW" => Some("p$w\"\n[engine]".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        expand(text, &lookup, Path::new("/nowhere")).map_err(|error| error.message)
    }

    #[test]
    fn variables_are_replaced_once_and_dollars_survive() {
        assert_eq!(expanded("a ${PW} b").unwrap(), "a p$w\"\n[engine] b");
        assert_eq!(expanded("${EMPTY}").unwrap(), "");
        assert_eq!(expanded("5$$ ${PW}$$").unwrap(), "5$ p$w\"\n[engine]$");
        assert_eq!(expanded("$${PW}").unwrap(), "${PW}");
        assert_eq!(expanded("plain ü").unwrap(), "plain ü");
    }

    #[test]
    fn a_password_in_a_url_may_hold_what_would_end_it() {
        let lookup = |name: &str| match name {
            "PW" => Some("p@ss/w%20".to_owned()),
            "HOST" => Some("db:5432".to_owned()),
            _ => None,
        };
        for (text, expected) in [
            ("postgres://u:${PW}@h/d", "postgres://u:p%40ss%2Fw%20@h/d"),
            (
                "redis://:${PW}@${HOST}/0",
                "redis://:p%40ss%2Fw%20@db:5432/0",
            ),
            ("redis://${HOST}/${PW}", "redis://db:5432/p@ss/w%20"),
            ("${PW}", "p@ss/w%20"),
        ] {
            assert_eq!(expand(text, &lookup, Path::new("")).unwrap(), expected);
        }
    }

    #[test]
    fn what_is_no_variable_is_refused() {
        assert_eq!(
            expanded("${NOPE}").unwrap_err(),
            "environment variable NOPE is not set"
        );
        for wrong in ["$", "pa$word", "${", "${}", "${A B}", "${1}"] {
            assert!(expanded(wrong).unwrap_err().starts_with("a "), "{wrong}");
        }
    }

    #[test]
    fn files_are_read_without_their_last_line_end() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("pw"), "a\nb \r\n").unwrap();
        let text = expand("<${file:pw}>", &|_| None, folder.path()).unwrap();
        assert_eq!(text, "<a\nb >");
        let absolute = format!("${{file:{}}}", folder.path().join("pw").display());
        assert_eq!(
            expand(&absolute, &|_| None, Path::new("/nowhere")).unwrap(),
            "a\nb "
        );
        let error = expand("${file:nope}", &|_| None, folder.path()).unwrap_err();
        assert!(error.message.contains("nope"), "{error:?}");
    }
}
