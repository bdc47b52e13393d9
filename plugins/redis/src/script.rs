//! The one script that writes: see `write.lua`.

use redis::Value;
use tahr_plugin_api::WriteError;

use crate::{connection::Connection, error};

/// The script's text.
const TEXT: &str = include_str!("write.lua");

/// What the script answered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Everything was written; so many partial updates found no key.
    Stored(u64),
    /// The guard had another value; nothing was changed.
    Moved(Option<String>),
    /// A key holds something else than a hash; nothing was changed.
    Type {
        block: usize,
        row: usize,
        found: String,
    },
}

/// The script as this server knows it: by its hash, or not yet.
#[derive(Debug, Default)]
pub(crate) struct Script {
    sha: Option<String>,
}

impl Script {
    /// The script's hash on the server, loading it where that was not done yet.
    pub(crate) fn sha(&mut self, connection: &mut Connection) -> Result<&str, WriteError> {
        if self.sha.is_none() {
            let command = redis::cmd("SCRIPT").arg("LOAD").arg(TEXT).to_owned();
            self.sha = Some(connection.query(&command)?);
        }
        Ok(self.sha.as_deref().unwrap_or_default())
    }

    /// The server has lost it: a restart, `SCRIPT FLUSH`.
    pub(crate) fn forget(&mut self) {
        self.sha = None;
    }
}

/// Reads the script's answer.
pub(crate) fn answer(value: &Value) -> Result<Answer, WriteError> {
    let Value::Array(items) = value else {
        return Err(strange());
    };
    let text = |index: usize| match items.get(index) {
        Some(Value::BulkString(bytes)) => Some(String::from_utf8_lossy(bytes).into_owned()),
        Some(Value::SimpleString(text)) => Some(text.clone()),
        _ => None,
    };
    let number = |index: usize| match items.get(index) {
        Some(Value::Int(number)) => u64::try_from(*number).ok(),
        _ => None,
    };
    let place = |index: usize| {
        let number = number(index).and_then(|number| usize::try_from(number).ok())?;
        number.checked_sub(1)
    };
    let answer = match text(0).as_deref() {
        Some("stored") => number(1).map(Answer::Stored),
        Some("moved") => Some(Answer::Moved(text(1))),
        Some("type") => place(1).zip(place(2)).map(|(block, row)| Answer::Type {
            block,
            row,
            found: text(3).unwrap_or_default(),
        }),
        _ => None,
    };
    answer.ok_or_else(strange)
}

fn strange() -> WriteError {
    error::strange_answer("the script")
}
