//! The rows of the SQLite target, by the `sqlite3` program: tahr itself never opens a target's
//! file.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    path::Path,
    process::{Command, Stdio},
};

use super::{
    rows::{Row, Rows, Tally},
    rules::Found,
    table::{Table, quoted},
    verdict::Verdict,
};
use crate::Error;

/// Compares them.
pub(super) fn compare(
    program: &Path,
    file: &Path,
    tables: &[Table],
    rows: &Rows,
) -> Result<Verdict, Error> {
    let mut tally = Tally::new("sqlite", rows);
    for table in tables {
        read(program, file, table, |row| tally.see(&row))?;
    }
    Ok(tally.finish(|_| true))
}

fn read(program: &Path, file: &Path, table: &Table, mut see: impl FnMut(Row)) -> Result<(), Error> {
    let failed = |error: std::io::Error| {
        Error::failed(format!("read table {} of {}", table.name, file.display())).caused_by(error)
    };
    let mut child = Command::new(program)
        .args([
            "-init",
            "/dev/null",
            "-batch",
            "-bail",
            "-readonly",
            "-noheader",
            "-list",
        ])
        .args(["-separator", "|", "-newline", "\n"])
        .arg(file)
        .arg(select(table))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let mut lines = BufReader::with_capacity(
        1 << 16,
        child
            .stdout
            .take()
            .ok_or_else(|| Error::failed("read what sqlite3 prints"))?,
    );
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line).map_err(failed)? > 0 {
        let fields: Vec<_> = line
            .trim_ascii_end()
            .split(|&byte| byte == b'|')
            .map(Field::read)
            .collect();
        see(Row::new(table, fields.iter().map(Field::found)));
        line.clear();
    }
    let mut said = String::new();
    if let Some(mut stderr) = child.stderr.take() {
        let _ = stderr.read_to_string(&mut said);
    }
    match child.wait().map_err(failed)? {
        status if status.success() => Ok(()),
        status => Err(failed(std::io::Error::other(format!(
            "sqlite3: {status}: {}",
            said.trim()
        )))),
    }
}

/// Each value with its storage class, exactly, in characters that need no quotes: `i5`, `t6162`,
/// `bff00`, `r` and the bits of the number, `n`.
fn select(table: &Table) -> String {
    let columns: Vec<_> = table
        .columns
        .iter()
        .map(|column| {
            let name = quoted(&column.name);
            format!(
                "CASE typeof({name}) WHEN 'integer' THEN 'i' || {name} \
                 WHEN 'text' THEN 't' || hex({name}) WHEN 'null' THEN 'n' \
                 WHEN 'real' THEN 'r' || hex(ieee754_to_blob({name})) ELSE 'b' || hex({name}) END"
            )
        })
        .collect();
    format!("SELECT {} FROM {}", columns.join(", "), quoted(&table.name))
}

/// A value as [`select`] prints it.
#[derive(Debug, PartialEq)]
struct Field {
    class: u8,
    bytes: Vec<u8>,
}

impl Field {
    fn read(text: &[u8]) -> Self {
        let (class, rest) = text
            .split_first()
            .map_or((b'?', text), |(&class, rest)| (class, rest));
        let bytes = match class {
            b'i' => rest.to_vec(),
            _ => rest
                .chunks(2)
                .map(|pair| pair.iter().fold(0, |byte, &hex| byte << 4 | nibble(hex)))
                .collect(),
        };
        Self { class, bytes }
    }

    fn found(&self) -> Found<'_> {
        match (self.class, <[u8; 8]>::try_from(self.bytes.as_slice())) {
            (b'n', _) => Found::Null,
            (b'i', _) => Found::Integer(&self.bytes),
            (b't', _) => Found::SqliteText(&self.bytes),
            (b'r', Ok(bits)) => Found::Real(f64::from_be_bytes(bits)),
            _ => Found::Blob(&self.bytes),
        }
    }
}

fn nibble(hex: u8) -> u8 {
    match hex {
        b'0'..=b'9' => hex - b'0',
        _ => (hex | 0x20).wrapping_sub(b'a').wrapping_add(10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_with_their_storage_class() {
        for (text, expected) in [
            ("n", Found::Null),
            ("i-5", Found::Integer(b"-5")),
            ("t", Found::SqliteText(b"")),
            ("t0A7CC3A9", Found::SqliteText("\n|é".as_bytes())),
            ("b00FF", Found::Blob(&[0, 255])),
            ("r3FB999999999999A", Found::Real(0.1)),
        ] {
            assert_eq!(Field::read(text.as_bytes()).found(), expected, "{text}");
        }
    }
}
