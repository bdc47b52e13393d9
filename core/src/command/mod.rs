//! The commands of the program, one file each; [`run`] is called by `main` with what was typed.

mod check;
mod drop;
mod init;
mod output;
mod plugins;
mod run;
mod runtime;
mod status;
mod stop;

use crate::{
    Faults,
    cli::{Cli, Command},
    config::Config,
};

pub use output::Output;

/// Does what `cli` asks for.
///
/// # Errors
///
/// All that is wrong; its exit code is the program's.
pub fn run(cli: &Cli) -> Result<(), Faults> {
    let config = || Config::load(&cli.config);
    let mut output = Output::default();
    match &cli.command {
        Command::Init(options) => init::init(options, &mut output),
        Command::Check(options) => check::check(&config()?, *options, &mut output),
        Command::Plugins(options) => plugins::plugins(cli, options, &mut output),
        Command::Drop(options) => drop::drop(&config()?, options, &mut output),
        Command::Run(options) => run::run(&config()?, *options),
        Command::Status(options) => status::status(&config()?, *options, &mut output),
        Command::Stop => stop::stop(&config()?),
        _ => Err(crate::Error::failed("this command is not built yet").into()),
    }
}
