//! What `tahr run` shows while it runs.
//!
//! On a terminal: one bar per lane that copies, one line per lane that streams, and a line for a
//! source that is not streaming; log lines appear above them, whole. Elsewhere: log lines alone,
//! with one per lane every half minute in which it has done something. Nothing depends on colour.
//!
//! `main` makes a [`Progress`] before logging starts, since the log has to be written through it,
//! and `run` hands it every [`Report`]. What a report looks like is decided in `lines`, which knows
//! no terminal.

mod bars;
mod journal;
mod lines;
mod number;
mod rate;

use std::{
    io::{self, IsTerminal as _},
    time::Instant,
};

use bars::Bars;
pub use bars::LogWriter;
use journal::Journal;
pub(crate) use number::{grouped, lag, seconds};
use rate::Rates;

use crate::{
    cli::{self, Cli, Command},
    engine::Report,
    telemetry::LogFormat,
};

/// The display of a running engine.
#[derive(Debug)]
pub struct Progress {
    bars: Option<Bars>,
    journal: Journal,
    rates: Rates,
}

impl Progress {
    /// The display for the command that was typed; only `tahr run` has one.
    #[must_use]
    pub fn of(cli: &Cli) -> Self {
        let is_shown = match &cli.command {
            Command::Run(run) => match run.progress {
                cli::Progress::Always => true,
                cli::Progress::Never => false,
                cli::Progress::Auto => {
                    io::stderr().is_terminal() && cli.log_format == LogFormat::Text
                }
            },
            _ => false,
        };
        Self {
            bars: is_shown.then(Bars::new),
            journal: Journal::default(),
            rates: Rates::default(),
        }
    }

    /// Where the log goes, so that it doesn't tear the display.
    #[must_use]
    pub fn log_writer(&self) -> LogWriter {
        LogWriter::new(self.bars.as_ref())
    }

    /// Shows `report`, the engine's newest.
    pub fn show(&mut self, report: &Report) {
        let now = Instant::now();
        self.rates.add(now, report);
        match &self.bars {
            Some(bars) => bars.draw(&lines::lines(report, &self.rates, bars.width())),
            None => self.journal.write(now, report),
        }
    }

    /// Leaves what was shown last on the terminal, and draws no more.
    pub fn finish(&self) {
        if let Some(bars) = &self.bars {
            bars.finish();
        }
    }
}
