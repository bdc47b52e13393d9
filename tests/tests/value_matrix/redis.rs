//! Redis, rows as hashes and as documents.

use std::collections::HashMap;
use std::fmt::Write as _;

use futures_util::future::{BoxFuture, ready};
use redis::{Cmd, RedisResult};
use serde_json::value::RawValue;
use tahr_tests::RedisDatabase;

use super::judge::{Cells, Judge, Table};

/// Rows as hashes.
pub(crate) struct Hashes(pub(crate) RedisDatabase);

/// Rows as JSON documents.
pub(crate) struct Documents(pub(crate) RedisDatabase);

impl Judge for Hashes {
    fn name(&self) -> &'static str {
        "redis_hash"
    }

    fn config(&self) -> String {
        config(&self.0, "hash")
    }

    fn takes_keyless(&self) -> bool {
        false
    }

    fn read<'a>(&'a self, table: &'a Table) -> BoxFuture<'a, Result<Vec<Cells>, String>> {
        let rows: Result<Vec<HashMap<String, Vec<u8>>>, String> =
            ask_all(&self.0, table, "HGETALL");
        let cells = |row: HashMap<String, Vec<u8>>| {
            let unknown = row.keys().find(|name| {
                let mut columns = table.columns.iter();
                !columns.any(|column| column.name == **name)
            });
            if let Some(name) = unknown {
                return Err(format!("{}: a field {name:?}", table.name));
            }
            let cell = |column: &super::judge::Column| {
                let bytes = row.get(&column.name)?;
                Some(match std::str::from_utf8(bytes) {
                    Ok(text) if column.base != "bytea" => text.to_owned(),
                    _ => hex(bytes),
                })
            };
            Ok(table.columns.iter().map(cell).collect())
        };
        let rows = rows.and_then(|rows| rows.into_iter().map(cells).collect());
        Box::pin(ready(rows))
    }

    fn expected(&self, base: &str, text: Option<&str>) -> Option<String> {
        let text = text?;
        Some(match base {
            "boolean" => (if text == "t" { "true" } else { "false" }).to_owned(),
            _ => text.to_owned(),
        })
    }
}

impl Judge for Documents {
    fn name(&self) -> &'static str {
        "redis_json"
    }

    fn config(&self) -> String {
        config(&self.0, "json")
    }

    fn takes_keyless(&self) -> bool {
        false
    }

    fn read<'a>(&'a self, table: &'a Table) -> BoxFuture<'a, Result<Vec<Cells>, String>> {
        let rows: Result<Vec<String>, String> = ask_all(&self.0, table, "GET");
        let cells = |row: String| {
            let row: HashMap<String, &RawValue> = serde_json::from_str(&row)
                .map_err(|error| format!("{}: {error}: {row:.200}", table.name))?;
            if row.len() != table.columns.len() {
                return Err(format!("{}: {} fields", table.name, row.len()));
            }
            let cell = |column: &super::judge::Column| {
                let token = row.get(&column.name)?.get();
                // Of values that are documents themselves, the very spelling counts.
                let is_document = matches!(&*column.base, "json" | "jsonb");
                Some(match serde_json::from_str::<String>(token) {
                    Ok(text) if !is_document => format!("string {text}"),
                    _ => format!("token {token}"),
                })
            };
            Ok(table.columns.iter().map(cell).collect())
        };
        let rows = rows.and_then(|rows| rows.into_iter().map(cells).collect());
        Box::pin(ready(rows))
    }

    fn expected(&self, base: &str, text: Option<&str>) -> Option<String> {
        let Some(text) = text else {
            return Some("token null".to_owned());
        };
        let is_number = match base.split('(').next().unwrap_or_default() {
            "smallint" | "integer" | "oid" => true,
            "bigint" => {
                let safe = -(1_i64 << 53)..=1 << 53;
                safe.contains(&text.parse().expect("an integer"))
            }
            "real" | "double precision" => text.parse::<f64>().expect("a float").is_finite(),
            "numeric" if base.ends_with(']') => false,
            "numeric" => {
                let digits: String = text.chars().filter(char::is_ascii_digit).collect();
                let digits = digits.trim_start_matches('0');
                !matches!(text, "NaN" | "Infinity" | "-Infinity")
                    && digits.len() <= 15
                    && text.len() < 300
            }
            _ => false,
        };
        Some(match base {
            "boolean" if text == "t" => "token true".to_owned(),
            "boolean" => "token false".to_owned(),
            // A JSON null is not told from NULL.
            "json" | "jsonb" => {
                // Blanks around a value belong to the document that it stands in.
                let blanks = [' ', '\n', '\t', '\r'];
                format!("token {}", text.trim_matches(blanks))
            }
            "bytea" => format!("string {}", base64(&text[2..])),
            _ if is_number => format!("token {text}"),
            _ => format!("string {text}"),
        })
    }
}

fn config(database: &RedisDatabase, format: &str) -> String {
    format!(
        "plugin = 'redis'\noptions = {{ url = '{}', format = '{format}' }}",
        database.url()
    )
}

/// What `command` answers for each row of a table.
fn ask_all<T: redis::FromRedisValue>(
    database: &RedisDatabase,
    table: &Table,
    command: &str,
) -> Result<Vec<T>, String> {
    let keys = database.keys(&format!("{}:", table.name))?;
    let ask = || -> RedisResult<Vec<T>> {
        let mut pipeline = redis::pipe();
        for key in &keys {
            pipeline.add_command(Cmd::new().arg(command).arg(key).to_owned());
        }
        match keys.is_empty() {
            true => Ok(Vec::new()),
            false => pipeline.query(&mut database.connect()),
        }
    };
    ask().map_err(|error| error.to_string())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold("\\x".to_owned(), |mut hex, byte| {
        let _infallible = write!(hex, "{byte:02x}");
        hex
    })
}

/// Base64 of bytes in hexadecimal, six bits by six.
fn base64(digits: &str) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bits: Vec<bool> = (digits.chars())
        .filter_map(|digit| digit.to_digit(16))
        .flat_map(|digit| [8, 4, 2, 1].map(|bit| digit & bit != 0))
        .collect();
    bits.resize(bits.len().next_multiple_of(6), false);
    let letter = |bits: &[bool]| {
        let place = (bits.iter()).fold(0, |place, &bit| place * 2 + usize::from(bit));
        char::from(ALPHABET[place])
    };
    let mut text: String = bits.chunks(6).map(letter).collect();
    while !text.len().is_multiple_of(4) {
        text.push('=');
    }
    text
}
