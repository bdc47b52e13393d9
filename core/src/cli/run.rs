//! What is typed to have targets filled and kept current, and to see it.

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::control::interval;

pub(super) const RUN_EXAMPLES: &str = "\
Examples:
  tahr run                          copy, then stream until Ctrl-C
  tahr run --once                   copy, catch up to the present, exit 0
  tahr --log-format json run        as a service: JSON lines on stderr

Ctrl-C or SIGTERM finishes the batches in flight; the next run continues exactly there. A second
Ctrl-C stops at once, and nothing is lost by that either.
After --once the source keeps its WAL for the next run: come back soon, or run `tahr drop`.";

pub(super) const STATUS_EXAMPLES: &str = "\
Examples:
  tahr status                       one line per lane: state, rows, lag, error
  tahr status --json | jq '.lanes[] | select(.state == \"parked\")'
  tahr status --watch               once a second, until Ctrl-C
  tahr status --watch 5 --json      a line of JSON every five seconds

Exits with 5 if no engine runs with this config, or, with --watch, when it has ended.";

/// Arguments of `tahr run`.
#[derive(Clone, Copy, Debug, Args)]
pub struct Run {
    /// Exit as soon as every target has caught up with the present.
    #[arg(long)]
    pub once: bool,
    /// Show bars while copying and one line per lane while streaming, in the place of the log.
    #[arg(long, value_name = "WHEN", value_enum, default_value_t)]
    pub progress: Progress,
}

/// When `tahr run` shows progress.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Progress {
    /// If stderr is a terminal.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never: log lines only.
    Never,
}

/// Arguments of `tahr status`.
#[derive(Clone, Copy, Debug, Args)]
pub struct Status {
    /// Print JSON, for programs.
    #[arg(long)]
    pub json: bool,
    /// Show it again and again, every so many seconds, until Ctrl-C or the engine's end.
    #[arg(long, value_name = "SECONDS", value_parser = interval, num_args = 0..=1, default_missing_value = "1")]
    pub watch: Option<Duration>,
}
