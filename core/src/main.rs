//! The `tahr` program.

use std::process::ExitCode;

use clap::Parser as _;
use tahr::{cli::Cli, command, exit_code, report, telemetry};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let started = telemetry::start(cli.log_format, cli.verbosity());
    match started
        .map_err(Into::into)
        .and_then(|()| command::run(&cli))
    {
        Ok(()) => ExitCode::from(exit_code::DONE),
        Err(faults) => {
            report(&faults);
            ExitCode::from(faults.exit_code())
        }
    }
}
