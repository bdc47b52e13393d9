//! What commands print: data to standard output, what they say beside it to standard error.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
};

use serde::Serialize;

use crate::Error;

/// Standard output. A reader that has gone away (`tahr status | head -1`) is no error.
#[derive(Debug, Default)]
pub struct Output {
    is_closed: bool,
}

impl Output {
    /// Prints a line.
    pub fn line(&mut self, text: impl AsRef<str>) {
        if !self.is_closed {
            let mut out = io::stdout().lock();
            self.is_closed = writeln!(out, "{}", text.as_ref())
                .and_then(|()| out.flush())
                .is_err();
        }
    }

    /// Prints an object of JSON, on one line or on several for people.
    pub(super) fn json(&mut self, object: &impl Serialize, is_pretty: bool) -> Result<(), Error> {
        let text = match is_pretty {
            true => serde_json::to_string_pretty(object),
            false => serde_json::to_string(object),
        };
        self.line(text.map_err(|error| Error::failed("write JSON").caused_by(error))?);
        Ok(())
    }

    /// Whether nobody reads any more.
    pub(super) fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Says something to the person in front of the terminal, which is no data.
    pub fn note(&self, text: impl AsRef<str>) {
        let mut lines = text.as_ref().to_owned();
        lines.push('\n');
        // A closed stderr is nobody's fault.
        let _ = io::stderr().lock().write_all(lines.as_bytes());
    }
}

/// The rows as lines with aligned columns.
pub(super) fn table<const COLUMNS: usize>(rows: &[[String; COLUMNS]]) -> Vec<String> {
    let widths: [usize; COLUMNS] = std::array::from_fn(|column| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or(0)
    });
    let line = |row: &[String; COLUMNS]| {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            let _ = write!(line, "{cell:<width$}  ");
        }
        line.trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}
