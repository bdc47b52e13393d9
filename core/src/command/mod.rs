//! The commands of the program, one file each; [`run()`] is called by `main` with what was typed.

mod check;
mod conflicts;
mod demo;
mod drop;
mod history;
mod init;
mod kick;
mod masters;
mod output;
mod pause;
mod ping;
mod plugins;
mod rejected;
mod reload;
mod resync;
mod run;
mod runtime;
mod status;
mod stop;
mod verify;
mod watch;

use crate::{
    Faults,
    cli::{Cli, Command},
    config::Config,
    progress::Progress,
};

pub use output::Output;
pub(crate) use status::size;

/// Does what `cli` asks for, and shows its progress where it takes long.
///
/// # Errors
///
/// All that is wrong; its exit code is the program's.
pub fn run(cli: &Cli, progress: &mut Progress) -> Result<(), Faults> {
    let config = || Config::load(&cli.config);
    let mut output = Output::default();
    match &cli.command {
        Command::Init(options) => init::init(&cli.config, options, &mut output),
        Command::Check(options) => check::check(&cli.config, *options, &mut output),
        Command::Plugins(options) => plugins::plugins(cli, options, &mut output),
        Command::Drop(options) => drop::drop(&config()?, options, &mut output),
        Command::Run(options) => run::run(&config()?, *options, progress),
        Command::Status(options) => status::status(&config()?, *options, &mut output),
        Command::Conflicts(options) => conflicts::conflicts(&config()?, options, &mut output),
        Command::History(options) => history::history(&config()?, options, &mut output),
        Command::Demo(options) => demo::demo(options, &mut output),
        Command::Rejected(options) => rejected::rejected(&config()?, options, &mut output),
        Command::Reload => reload::reload(&cli.config, &mut output),
        Command::Pause(options) => pause::pause(&config()?, options, &mut output),
        Command::Resume(options) => pause::resume(&config()?, options, &mut output),
        Command::Kick(options) => kick::kick(&config()?, options, &mut output),
        Command::Resync(options) => resync::resync(&config()?, options, &mut output),
        Command::Ping(options) => ping::ping(&config()?, options, &mut output),
        Command::Verify(options) => verify::verify(&config()?, options, &mut output),
        Command::Stop => stop::stop(&config()?),
    }
}
