//! What is typed to see tahr at work.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

pub(super) const DEMO_EXAMPLES: &str = "\
Examples:
  tahr demo
  tahr demo masters                 three databases that replicate to each other
  tahr demo --dir /tmp/shop         write its config there, in the place of tahr-demo
  tahr demo --keep                  keep the data of its servers, to look at afterwards

Needs PostgreSQL's server programs, and for copies pgbench, redis-server and sqlite3. Starts servers
of its own on free ports and ends them; nothing that runs already is touched.";

/// Arguments of `tahr demo`.
#[derive(Clone, Debug, Args)]
pub struct Demo {
    /// What is shown.
    #[arg(value_name = "WHAT", value_enum, default_value_t)]
    pub show: Show,
    /// The folder for its files; the config that it used stays there, and is yours once you change it.
    #[arg(long, value_name = "FOLDER", default_value = "tahr-demo")]
    pub dir: PathBuf,
    /// Keep the data of its servers and the copies; where they are is said at the end.
    #[arg(long)]
    pub keep: bool,
}

/// What `tahr demo` shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Show {
    /// A live database, copied into Redis, SQLite and PostgreSQL.
    #[default]
    Copies,
    /// Three databases that replicate to each other.
    Masters,
}
