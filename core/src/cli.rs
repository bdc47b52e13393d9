//! The command line: what can be typed, and the help that is shown for it.
//!
//! Only definitions: `main` parses with [`Cli::parse`](clap::Parser::parse), which prints help to
//! stdout and usage errors to stderr with [exit code 2](crate::exit_code::USAGE), and hands each
//! command to its own code. Everything else a command fails with is an
//! [`Error`](crate::error::Error), shown by [`report`](crate::error::report).

mod control;
mod demo;
mod rejected;
mod run;
mod verify;

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand};

pub use control::{Conflicts, Kick, Past, Pause, Ping, Resync};
pub use demo::{Demo, Show};
pub use rejected::{ListRejected, Rejected, RejectedCommand, SettleRejected};
pub use run::{Progress, Run, Status};
pub use verify::Verify;

use crate::telemetry::LogFormat;
use control::{
    CONFLICTS_EXAMPLES, HISTORY_EXAMPLES, KICK_EXAMPLES, PAUSE_EXAMPLES, PING_EXAMPLES,
    RESUME_EXAMPLES, RESYNC_EXAMPLES,
};
use demo::DEMO_EXAMPLES;
use rejected::REJECTED_EXAMPLES;
use run::{RUN_EXAMPLES, STATUS_EXAMPLES};
use verify::VERIFY_EXAMPLES;

const EVERYWHERE: &str = "Options of every command";

const EXAMPLES: &str = "\
Start here:
  tahr demo                                   watch it work, without a database of yours
  tahr init postgres://me@db1/shop            write a commented tahr.toml for your database
  tahr check                                  see what is missing; writes nothing
  tahr run                                    copy, then keep the copies current

Exit codes:
  0  done
  1  failed
  2  bad usage, or faults in the config file
  3  a source is not usable
  4  a target is not usable
  5  no engine is running

Environment:
  TAHR_LOG   a log filter in the place of -v and -q, such as info,tahr::lane=debug";

const INIT_EXAMPLES: &str = "\
Examples:
  tahr init postgres://me@db1/shop
  tahr init 'postgres://me:${PG_PASSWORD}@db1/shop?sslmode=require' --output shop.toml
  tahr init postgres://me@db1/shop --output - | less

The file lists the tables that were found and the settings that matter, each with a comment.
A password stays out of the file: write ${PG_PASSWORD}, which is read from the environment.";

const CHECK_EXAMPLES: &str = "\
Examples:
  tahr check                       every fault, each with the statement that mends it
  tahr check --sql > setup.sql     what the sources need, as one script for the DBA

Faults of the config file come first, all of them; where it has none, all that is wrong at the
sources and the targets. With --sql the targets are not asked, and only a source out of reach is an error.
Writes nothing, neither to a source nor to a target. Run it after each change of the config.";

const RELOAD_EXAMPLES: &str = "\
Examples:
  tahr reload                       carry out what was changed in the config, and say what that was
  kill -HUP PID                     the same; what was done goes to the engine's log

Lanes that are as before notice nothing. A config with any fault is refused as a whole, and so is
one that changes what needs a restart; the engine goes on as it was, and the exit code is 2.
The engine reads the file that it was started with, and variables from its own environment.";

const PLUGINS_EXAMPLES: &str = "\
Examples:
  tahr plugins                      the plugins found, and the folders searched
  tahr plugins describe redis       every option of the redis plugin, with its default";

const DROP_EXAMPLES: &str = "\
Examples:
  tahr drop                         remove everything tahr made, of every sync
  tahr drop shop                    only what the sync \"shop\" needed
  tahr drop shop --with-data        empty the copied tables too

Removes slots and publications from the sources, and tahr's bookkeeping from the targets. Copied
rows stay unless --with-data is given, which empties the tables that were copied and keeps the
emptied tables. Asks before it removes, and once more before it empties; --yes answers both. A
publication and a slot that the config names are a DBA's, and stay. Of a sync of several sources the
conflicts and the history go too; `tahr conflicts --json` keeps the rows that are shown there alone.";

/// Copies a live PostgreSQL database into many other databases at once and keeps them current.
#[derive(Clone, Debug, Parser)]
#[command(name = "tahr", version, after_help = EXAMPLES, arg_required_else_help = true)]
#[command(propagate_version = true, disable_help_subcommand = true)]
pub struct Cli {
    /// The config file.
    #[arg(
        long,
        short,
        global = true, help_heading = EVERYWHERE,
        value_name = "FILE",
        default_value = "tahr.toml"
    )]
    pub config: PathBuf,

    /// How log lines look; they go to stderr.
    #[arg(
        long,
        global = true, help_heading = EVERYWHERE,
        value_name = "FORMAT",
        value_enum,
        default_value_t
    )]
    pub log_format: LogFormat,

    /// Log more; twice for everything.
    #[arg(long, short, global = true, help_heading = EVERYWHERE, action = ArgAction::Count, conflicts_with = "quiet")]
    pub verbose: u8,

    /// Log warnings and errors only; twice for errors only.
    #[arg(long, short, global = true, help_heading = EVERYWHERE, action = ArgAction::Count)]
    pub quiet: u8,

    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// How much to log, for [`telemetry::start`](crate::telemetry::start).
    #[must_use]
    pub fn verbosity(&self) -> i8 {
        let count = |times: u8| i8::try_from(times).unwrap_or(i8::MAX);
        count(self.verbose) - count(self.quiet)
    }
}

/// What `tahr` can do.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Write a commented config file for a database
    #[command(after_help = INIT_EXAMPLES)]
    Init(Init),
    /// Say what is missing in the config, the sources and the targets; write nothing
    #[command(after_help = CHECK_EXAMPLES)]
    Check(Check),
    /// Copy what isn't copied yet, then keep the targets current
    #[command(after_help = RUN_EXAMPLES)]
    Run(Run),
    /// Show what the running engine does: state, rows and lag of each lane
    #[command(after_help = STATUS_EXAMPLES)]
    Status(Status),
    /// Show what several sources of a sync disagreed about, and who won
    #[command(after_help = CONFLICTS_EXAMPLES)]
    Conflicts(Conflicts),
    /// Show what the rounds between several sources of a sync did
    #[command(after_help = HISTORY_EXAMPLES)]
    History(Past),
    /// Show the rows that targets rejected and that were set aside; retry or discard them
    #[command(after_help = REJECTED_EXAMPLES)]
    Rejected(Rejected),
    /// Make the running engine take up its changed config, and new plugins
    #[command(after_help = RELOAD_EXAMPLES)]
    Reload,
    /// Pause a sync or one of its lanes, until it is resumed
    #[command(after_help = PAUSE_EXAMPLES)]
    Pause(Pause),
    /// Let a paused sync or lane go on; try again what is parked
    #[command(after_help = RESUME_EXAMPLES)]
    Resume(Pause),
    /// Try at once what waits in a sync, and wait until all is where it belongs
    #[command(after_help = KICK_EXAMPLES)]
    Kick(Kick),
    /// Copy tables anew while everything else streams
    #[command(after_help = RESYNC_EXAMPLES)]
    Resync(Resync),
    /// Say in one line and by the exit code whether all is well
    #[command(after_help = PING_EXAMPLES)]
    Ping(Ping),
    /// Compare targets with their sources while changes flow, and repair what differs
    #[command(after_help = VERIFY_EXAMPLES)]
    Verify(Verify),
    /// Stop the running engine after the batches in flight
    Stop,
    /// List the plugins, or describe one
    #[command(after_help = PLUGINS_EXAMPLES)]
    Plugins(Plugins),
    /// Remove what tahr made: slots, publications and its bookkeeping in the targets
    #[command(after_help = DROP_EXAMPLES)]
    Drop(Drop),
    /// Show tahr at work on a throwaway database
    #[command(after_help = DEMO_EXAMPLES)]
    Demo(Demo),
}

/// Arguments of `tahr init`.
#[derive(Clone, Debug, Args)]
pub struct Init {
    /// The database to copy from, such as postgres://user@host:5432/database.
    #[arg(value_name = "URL")]
    pub url: String,
    /// Where to write the config, if not where --config says; `-` is stdout. An existing file is never
    /// overwritten.
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Arguments of `tahr check`.
#[derive(Clone, Copy, Debug, Args)]
pub struct Check {
    /// Print what a DBA has to run on the sources, as one SQL script on stdout.
    #[arg(long)]
    pub sql: bool,
}

/// Arguments of `tahr plugins`.
#[derive(Clone, Debug, Args)]
pub struct Plugins {
    /// Without one: the list.
    #[command(subcommand)]
    pub command: Option<PluginsCommand>,
}

/// What `tahr plugins` can do beside the list.
#[derive(Clone, Debug, Subcommand)]
pub enum PluginsCommand {
    /// Print every option of a plugin with its meaning and default
    Describe {
        /// The plugin's name, as `tahr plugins` lists it.
        #[arg(value_name = "NAME")]
        name: String,
    },
}

/// Arguments of `tahr drop`.
#[derive(Clone, Debug, Args)]
pub struct Drop {
    /// The sync whose traces to remove; without one: all of them.
    #[arg(value_name = "SYNC")]
    pub sync: Option<String>,
    /// Empty the copied tables in the targets as well.
    #[arg(long)]
    pub with_data: bool,
    /// Don't ask.
    #[arg(long, short)]
    pub yes: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::exit_code;

    #[test]
    fn the_definitions_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn usage_errors_exit_with_the_documented_code() {
        for wrong in [
            &["tahr", "rnu"][..],
            &["tahr"],
            &["tahr", "run", "-v", "-q"],
        ] {
            let error = Cli::try_parse_from(wrong).unwrap_err();
            assert_eq!(error.exit_code(), i32::from(exit_code::USAGE), "{wrong:?}");
        }
        let help = Cli::try_parse_from(["tahr", "--help"]).unwrap_err();
        assert_eq!(help.exit_code(), i32::from(exit_code::DONE));
    }

    #[test]
    fn a_misspelt_command_names_the_nearest() {
        let error = Cli::try_parse_from(["tahr", "chekc"])
            .unwrap_err()
            .to_string();
        assert!(error.contains("'check'"), "{error}");
    }

    #[test]
    fn global_flags_work_after_the_command() {
        let cli = Cli::try_parse_from([
            "tahr",
            "run",
            "--once",
            "-vv",
            "--config",
            "a.toml",
            "--log-format",
            "json",
        ])
        .unwrap();
        assert_eq!((cli.verbosity(), cli.log_format), (2, LogFormat::Json));
        assert_eq!(cli.config, PathBuf::from("a.toml"));
        let Command::Run(run) = cli.command else {
            panic!("not run")
        };
        assert!(run.once && run.progress == Progress::Auto);
    }

    #[test]
    fn every_command_has_examples_or_needs_none() {
        for command in Cli::command().get_subcommands() {
            let named = command.get_after_help().is_some() || command.get_name() == "stop";
            assert!(named, "{} has no examples", command.get_name());
        }
    }

    #[test]
    fn the_help_lists_every_exit_code() {
        for code in [
            exit_code::DONE,
            exit_code::FAILED,
            exit_code::USAGE,
            exit_code::SOURCE,
            exit_code::TARGET,
            exit_code::NO_ENGINE,
        ] {
            assert!(EXAMPLES.contains(&format!("\n  {code}  ")), "{code}");
        }
    }
}
