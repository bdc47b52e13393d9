//! What is typed to be in control of a running engine: pause, resume, kick, ping; and to ask it for
//! conflicts and history.

use std::time::Duration;

use clap::Args;

use crate::engine::Part;

pub(super) const PAUSE_EXAMPLES: &str = "\
Examples:
  tahr pause shop                   every lane of the sync, and the rounds between its sources
  tahr pause shop/cache             only the lane into the target \"cache\"

Each lane finishes the batch it is in and keeps its place; the others notice nothing. A pause lasts
until `tahr resume`, also over a restart of the engine. Meanwhile the source keeps WAL for the lane.
Without a running engine it is noted for the next start.";

pub(super) const RESUME_EXAMPLES: &str = "\
Examples:
  tahr resume shop                  the sync with all its lanes
  tahr resume shop/cache            only the lane into the target \"cache\"

Goes on where the pause began. What is parked is tried again, and so are rounds that stopped by
themselves: on an error, or at a conflict that the sync leaves to a person.";

pub(super) const KICK_EXAMPLES: &str = "\
Examples:
  tahr kick shop                    try at once what waits after an error
  tahr kick shop --wait 10          and return when all that is committed now is in every target

With --wait it ends with 0 as soon as everything that was committed on the sync's sources before is
stored in its targets and, where it has several sources, in all of them; or with 1 when the time is
over, naming what is not. A lane that is paused or parked is named at once and not waited for; it
takes `tahr resume`.";

pub(super) const RESYNC_EXAMPLES: &str = "\
Examples:
  tahr resync shop/copy                    all tables of the lane into the target \"copy\"
  tahr resync shop/copy orders 'sales.*'   only these
  tahr resync shop                         every target of the sync

A new snapshot is copied beside the old rows, which readers see until it is complete (but in Redis);
then the lane goes on from there. Other lanes notice nothing. It goes on after a restart of the
engine; `tahr status` shows how far it is. Without tables it also mends a lane that is parked because
its target can't be gone on from: emptied, restored from a backup, filled from another source. What
the target holds is then replaced by what the source holds.";

pub(super) const PING_EXAMPLES: &str = "\
Examples:
  tahr ping                         one line, and an exit code for monitoring
  tahr ping shop --max-lag 60       of one sync, and no lane a minute behind

Exit codes; of several problems the first of these counts, and the line names them all:
  5  no engine runs, or it is ending
  3  a source is not read
  4  a lane is parked, or its target can't be reached
  1  something is paused, a sync waits for a person, or a lag is above --max-lag
  0  all is well";

pub(super) const CONFLICTS_EXAMPLES: &str = "\
Examples:
  tahr conflicts                    the last conflicts of all syncs, the newest at the end
  tahr conflicts shop --limit 100 --table public.orders
  tahr conflicts --json | jq '.[] | select(.winner == \"nobody\") | .key'

Each shows the versions that there were, with their source and commit time, a star at the one that
won, and the rule that decided. Exits with 5 if no engine runs with this config.";

pub(super) const HISTORY_EXAMPLES: &str = "\
Examples:
  tahr history                      the last rounds between the sources of all syncs
  tahr history shop --limit 1000 --json

Rounds that did nothing are left out, and those of a busy second share a line.
Exits with 5 if no engine runs with this config.";

/// Arguments of `tahr pause` and `tahr resume`.
#[derive(Clone, Debug, Args)]
pub struct Pause {
    /// The sync, or only its lane into one target.
    #[arg(value_name = "SYNC[/TARGET]")]
    pub part: Part,
    /// Print JSON, for programs.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `tahr resync`.
#[derive(Clone, Debug, Args)]
pub struct Resync {
    /// The sync, or only its lane into one target.
    #[arg(value_name = "SYNC[/TARGET]")]
    pub part: Part,
    /// The tables: names of the source, or patterns as in the config. Without any: all.
    #[arg(value_name = "TABLE")]
    pub tables: Vec<String>,
    /// Print JSON, for programs.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `tahr kick`.
#[derive(Clone, Debug, Args)]
pub struct Kick {
    /// The sync.
    #[arg(value_name = "SYNC")]
    pub sync: String,
    /// Wait so long for all that is committed now to be stored everywhere.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub wait: Option<Duration>,
    /// Print JSON, for programs.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `tahr ping`.
#[derive(Clone, Debug, Args)]
pub struct Ping {
    /// Only this sync, with its sources and targets.
    #[arg(value_name = "SYNC")]
    pub sync: Option<String>,
    /// The longest lag that is well.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub max_lag: Option<Duration>,
    /// Print JSON, for programs.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `tahr conflicts`.
#[derive(Clone, Debug, Args)]
pub struct Conflicts {
    /// What all questions about the past have.
    #[command(flatten)]
    pub past: Past,
    /// Only of this table.
    #[arg(long, value_name = "TABLE")]
    pub table: Option<String>,
}

/// Arguments of `tahr history`, which `tahr conflicts` has too.
#[derive(Clone, Debug, Args)]
pub struct Past {
    /// Only of this sync.
    #[arg(value_name = "SYNC")]
    pub sync: Option<String>,
    /// Show so many at the most: the newest.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: u32,
    /// Print JSON, for programs.
    #[arg(long)]
    pub json: bool,
}

/// A number of seconds.
fn seconds(text: &str) -> Result<Duration, String> {
    let number = text.parse::<f64>().ok();
    let time = number.and_then(|number| Duration::try_from_secs_f64(number).ok());
    // A year; more is surely a mistake, and keeps the clock's arithmetic in range.
    time.filter(|time| time.as_secs() <= 31_622_400)
        .ok_or_else(|| "write a number of seconds, such as 10 or 0.5".to_owned())
}

/// The time from one look to the next.
pub(super) fn interval(text: &str) -> Result<Duration, String> {
    let shortest = Duration::from_millis(100);
    seconds(text).map(|time| time.max(shortest))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use crate::{
        cli::{Cli, Command},
        exit_code,
    };

    #[test]
    fn seconds_may_have_a_fraction_and_watching_needs_none() {
        let watch = |arguments: &[&str]| {
            let cli = Cli::try_parse_from([&["tahr", "status"], arguments].concat());
            match cli.unwrap().command {
                Command::Status(status) => status.watch.map(|time| time.as_millis()),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(watch(&[]), None);
        assert_eq!(watch(&["--watch"]), Some(1000));
        assert_eq!(watch(&["--watch", "--json"]), Some(1000));
        assert_eq!(watch(&["--watch", "2.5"]), Some(2500));
        assert_eq!(watch(&["--watch", "0"]), Some(100));
        for wrong in ["-1", "soon", "nan", "1e300"] {
            let kick = format!("--wait={wrong}");
            let error = Cli::try_parse_from(["tahr", "kick", "shop", &kick]).unwrap_err();
            assert_eq!(error.exit_code(), i32::from(exit_code::USAGE), "{wrong}");
        }
    }
}
