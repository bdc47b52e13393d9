//! What commands print: data, to standard output.

use std::io::{self, Write as _};

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
}
