//! What a config says under `[targets.NAME] options`.

use std::{fmt, path::PathBuf};

use percent_encoding::percent_decode_str;
use schemars::JsonSchema;
use serde::Deserialize;
use tahr_plugin_api::{Unfit, WriteError};

/// Options of the Oracle writer.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// All in one: `oracle://user:password@host:1521/service`. Letters that mean something in a URL
    /// are written as `%40`.
    #[serde(default)]
    pub url: Option<String>,
    /// The user to connect as. Without one, the client library's own ways (a wallet, the operating
    /// system's user) decide.
    #[serde(default)]
    pub user: Option<String>,
    /// The user's password.
    #[serde(default)]
    pub password: Option<String>,
    /// The database: `//host:1521/service`, a name from `tnsnames.ora`, or a whole descriptor.
    #[serde(default)]
    pub connect: Option<String>,
    /// The folder of Oracle Instant Client, where the system's loader doesn't find it by itself. It
    /// must be the same for all Oracle targets of one engine.
    #[serde(default)]
    pub client_dir: Option<PathBuf>,
    /// Whether to create tables that the schema doesn't have.
    #[serde(default = "yes")]
    pub create_tables: bool,
    /// What becomes of values that the target's type can't hold.
    #[serde(default)]
    pub unfit: Unfit,
    /// What becomes of empty text, which Oracle can't tell from NULL.
    #[serde(default)]
    pub empty_text: EmptyText,
    /// Bytes that a name may have, where the server's version doesn't tell (30 before 12.2, 128
    /// since): a database of 12.2 or later with an older `COMPATIBLE` setting has 30.
    #[serde(default)]
    #[schemars(range(min = 30, max = 128))]
    pub max_identifier: Option<u32>,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("connect", &self.connect)
            .field("user", &self.user)
            .field("create_tables", &self.create_tables)
            .field("unfit", &self.unfit)
            .field("empty_text", &self.empty_text)
            .finish_non_exhaustive()
    }
}

fn yes() -> bool {
    true
}

/// What becomes of empty text. In a key it is refused always, since Oracle has no NULL there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EmptyText {
    /// It is NULL, as Oracle sees it anyway; counted as `empty_texts_set_null`.
    #[default]
    Null,
    /// The lane parks.
    Error,
    /// This text is stored in its place, and refused where the source has it itself. An empty
    /// `bytea` is NULL still.
    Sentinel(String),
}

/// Where to connect, and as whom.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) connect: String,
    pub(crate) user: String,
    pub(crate) password: String,
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} as {}", self.connect, self.user)
    }
}

const HOW: &str = "connect = \"//host:1521/service\", user = \"tahr\", password = \"${ORACLE_PASSWORD}\"; \
    or url = \"oracle://tahr:${ORACLE_PASSWORD}@host:1521/service\"";

impl Options {
    /// Where to connect.
    pub(crate) fn address(&self) -> Result<Address, WriteError> {
        let wrong = |what: &str| Err(WriteError::options(what).hint(HOW));
        let part = |option: &Option<String>| option.clone().unwrap_or_default();
        let address = match (&self.url, &self.connect) {
            (Some(url), None) if self.user.is_none() && self.password.is_none() => parse(url)
                .ok_or_else(|| {
                    WriteError::options("`url` is no oracle:// address of a service").hint(HOW)
                })?,
            (Some(_), _) => {
                return wrong("`url` says all that `connect`, `user` and `password` say");
            }
            (None, None) => return wrong("`connect` is missing"),
            (None, Some(connect)) => Address {
                connect: connect.clone(),
                user: part(&self.user),
                password: part(&self.password),
            },
        };
        if address.user.is_empty() != address.password.is_empty() {
            return wrong("`user` and `password` go together");
        }
        if let Some(bytes) = self.max_identifier
            && !(30..=128).contains(&bytes)
        {
            return Err(WriteError::options("`max_identifier` is 30 to 128"));
        }
        if self.empty_text == EmptyText::Sentinel(String::new()) {
            return Err(
                WriteError::options("the sentinel of `empty_text` is empty itself")
                    .hint("empty_text = { sentinel = \"\u{2205}\" }"),
            );
        }
        Ok(address)
    }
}

/// `oracle://user:password@host:port/service`.
fn parse(url: &str) -> Option<Address> {
    let decoded = |text: &str| {
        let text = percent_decode_str(text).decode_utf8().ok()?;
        Some(text.into_owned())
    };
    let rest = url.strip_prefix("oracle://")?;
    let (who, place) = rest.rsplit_once('@').unwrap_or(("", rest));
    let (user, password) = who.split_once(':').unwrap_or((who, ""));
    let (host, service) = place.split_once('/')?;
    if host.is_empty() || service.is_empty() {
        return None;
    }
    Some(Address {
        connect: format!("//{host}/{}", decoded(service)?),
        user: decoded(user)?,
        password: decoded(password)?,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(options: serde_json::Value) -> Result<Options, String> {
        serde_json::from_value(options).map_err(|error| error.to_string())
    }

    #[test]
    fn an_address_comes_in_parts_or_as_a_url() {
        let parts = json!({ "connect": "//db:1521/shop", "user": "tahr", "password": "p@ss" });
        let url = json!({ "url": "oracle://tahr:p%40ss@db:1521/shop" });
        let [parts, url] = [parts, url].map(|options| read(options).unwrap().address().unwrap());
        assert_eq!(parts, url);
        let wallet = read(json!({ "connect": "shop_high" }))
            .unwrap()
            .address()
            .unwrap();
        assert_eq!(wallet.user, "");
    }

    #[test]
    fn wrong_options_are_named() {
        for (options, named) in [
            (json!({ "connect": "a", "usr": "b" }), "usr"),
            (json!({ "connect": "a", "unfit": "round" }), "round"),
            (json!({ "connect": "a", "empty_text": "keep" }), "keep"),
        ] {
            let error = read(options).unwrap_err();
            assert!(error.contains(named), "{error}");
        }
        for (options, named) in [
            (json!({}), "connect"),
            (json!({ "url": "oracle://db/" }), "oracle://"),
            (json!({ "url": "oracle://db/x", "user": "u" }), "`url`"),
            (json!({ "connect": "a", "user": "u" }), "together"),
            (json!({ "connect": "a", "max_identifier": 20 }), "30"),
            (
                json!({ "connect": "a", "empty_text": { "sentinel": "" } }),
                "sentinel",
            ),
        ] {
            let error = read(options).unwrap().address().unwrap_err();
            assert!(error.message.contains(named), "{error}");
        }
    }

    #[test]
    fn a_password_is_never_printed() {
        let options = json!({ "url": "oracle://tahr:secret@db/shop" });
        let options = read(options).unwrap();
        let address = options.address().unwrap();
        assert!(!format!("{options:?} {address:?}").contains("secret"));
    }
}
