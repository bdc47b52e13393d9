//! The `tahr` program.

use std::process::ExitCode;

use clap::Parser as _;
use tahr::{cli::Cli, command, exit_code, progress::Progress, report, telemetry};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut progress = Progress::of(&cli);
    let log = progress.log_writer();
    let started = telemetry::start_on(cli.log_format, cli.verbosity(), log);
    match started
        .map_err(Into::into)
        .and_then(|()| command::run(&cli, &mut progress))
    {
        Ok(()) => ExitCode::from(exit_code::DONE),
        Err(faults) => {
            report(&faults);
            ExitCode::from(faults.exit_code())
        }
    }
}
