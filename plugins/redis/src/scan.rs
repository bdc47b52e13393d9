//! Finding a table's keys: by `SCAN`, slice by slice, so that Redis serves others in between.

use tahr_plugin_api::WriteError;

use crate::connection::Connection;

/// Keys that Redis looks at per call.
const SLICE: u32 = 2000;

/// A walk over the keys that begin with a prefix.
pub(crate) struct Scan<'a> {
    prefix: &'a str,
    pattern: String,
    cursor: Option<String>,
}

impl<'a> Scan<'a> {
    /// Finds all keys that begin with `prefix` and were there all the time.
    pub(crate) fn new(prefix: &'a str) -> Self {
        Self {
            prefix,
            pattern: pattern(prefix),
            cursor: Some("0".to_owned()),
        }
    }

    /// Some more keys, perhaps none, perhaps some a second time; nothing at the end.
    pub(crate) fn next(
        &mut self,
        connection: &mut Connection,
    ) -> Result<Option<Vec<Vec<u8>>>, WriteError> {
        let Some(cursor) = self.cursor.take() else {
            return Ok(None);
        };
        let mut command = redis::cmd("SCAN");
        command.arg(&cursor).arg("MATCH").arg(&self.pattern);
        let (next, mut keys): (String, Vec<Vec<u8>>) =
            connection.query(command.arg("COUNT").arg(SLICE))?;
        keys.retain(|key| key.starts_with(self.prefix.as_bytes()));
        self.cursor = (next != "0").then_some(next);
        Ok(Some(keys))
    }
}

/// How many slices are looked at for any key at all: others' keys may be many.
const LOOKS: u32 = 100;

/// Whether a key that begins with `prefix` is soon found.
pub(crate) fn holds_some(connection: &mut Connection, prefix: &str) -> Result<bool, WriteError> {
    let mut scan = Scan::new(prefix);
    for _ in 0..LOOKS {
        match scan.next(connection)? {
            Some(keys) if keys.is_empty() => {}
            Some(_) => return Ok(true),
            None => return Ok(false),
        }
    }
    Ok(false)
}

/// `prefix*` with the prefix taken literally.
fn pattern(prefix: &str) -> String {
    let mut pattern = String::with_capacity(prefix.len() + 8);
    for character in prefix.chars() {
        if matches!(character, '*' | '?' | '[' | ']' | '\\' | '^' | '-') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern.push('*');
    pattern
}

#[cfg(test)]
mod tests {
    use super::pattern;

    #[test]
    fn glob_characters_of_names_are_taken_literally() {
        assert_eq!(pattern("a*b[c]?\\:"), r"a\*b\[c\]\?\\:*");
    }
}
