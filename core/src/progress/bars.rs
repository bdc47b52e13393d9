//! The display's lines on the terminal, and the log above them.

use std::io::{self, IsTerminal as _, Write as _};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle, TermLike};
use tracing_subscriber::fmt::MakeWriter;

/// Draws in a second; reports come ten times a second.
const DRAWS: u8 = 12;
/// Where the terminal doesn't tell how wide it is.
const WIDTH: u16 = 100;

/// All lines at once: drawn together, so that none is ever seen half changed. Clones are the same.
#[derive(Clone, Debug)]
pub(super) struct Bars(ProgressBar);

impl Bars {
    pub(super) fn new() -> Self {
        let target = if io::stderr().is_terminal() {
            ProgressDrawTarget::stderr_with_hz(DRAWS)
        } else {
            ProgressDrawTarget::term_like_with_hz(Box::new(Plain), DRAWS)
        };
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template("{msg}") {
            bar.set_style(style);
        }
        Self(bar)
    }

    /// The columns of the terminal, less the last one, where some of them wrap.
    pub(super) fn width(&self) -> usize {
        usize::from(terminal_width().unwrap_or(WIDTH)).saturating_sub(1)
    }

    pub(super) fn draw(&self, lines: &[String]) {
        self.0.set_message(lines.join("\n"));
    }

    pub(super) fn finish(&self) {
        self.0.abandon();
        // The last line ends without one.
        let _ = writeln!(io::stderr());
    }
}

/// The width of stderr's terminal.
fn terminal_width() -> Option<u16> {
    let size = rustix::termios::tcgetwinsize(io::stderr()).ok()?;
    (size.ws_col > 0).then_some(size.ws_col)
}

/// Writes log lines to stderr; above the display, if there is one.
#[derive(Clone, Debug)]
pub struct LogWriter(Option<ProgressBar>);

impl LogWriter {
    pub(super) fn new(bars: Option<&Bars>) -> Self {
        Self(bars.map(|bars| bars.0.clone()))
    }
}

impl<'w> MakeWriter<'w> for LogWriter {
    type Writer = Self;

    fn make_writer(&'w self) -> Self::Writer {
        self.clone()
    }
}

impl io::Write for LogWriter {
    /// Called once per log line, with all of it.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // One that is finished stays where it is: it would be drawn again, below what follows it.
        match self.0.as_ref().filter(|bar| !bar.is_finished()) {
            Some(bar) => bar.suspend(|| io::stderr().write_all(bytes))?,
            None => io::stderr().write_all(bytes)?,
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// A terminal at the other end of a pipe: all it is trusted with is the common control sequences.
#[derive(Debug)]
struct Plain;

impl Plain {
    fn write(text: &str) -> io::Result<()> {
        io::stderr().write_all(text.as_bytes())
    }

    fn step(times: usize, letter: char) -> io::Result<()> {
        if times == 0 {
            Ok(())
        } else {
            Self::write(&format!("\x1b[{times}{letter}"))
        }
    }
}

impl TermLike for Plain {
    fn width(&self) -> u16 {
        WIDTH
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        Self::step(n, 'A')
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        Self::step(n, 'B')
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        Self::step(n, 'C')
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        Self::step(n, 'D')
    }

    fn write_line(&self, s: &str) -> io::Result<()> {
        Self::write(&format!("{s}\n"))
    }

    fn write_str(&self, s: &str) -> io::Result<()> {
        Self::write(s)
    }

    fn clear_line(&self) -> io::Result<()> {
        Self::write("\r\x1b[2K")
    }

    fn flush(&self) -> io::Result<()> {
        io::stderr().flush()
    }
}
