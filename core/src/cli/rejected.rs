//! What is typed about rows that targets reject.

use clap::{Args, Subcommand};

use crate::engine::Part;

pub(super) const REJECTED_EXAMPLES: &str = "\
Examples:
  tahr rejected                     every row that is set aside, with its values and the error
  tahr rejected shop/copy --json | jq '.[] | .new'
  tahr rejected retry shop/copy --all
  tahr rejected retry shop/copy 3 7
  tahr rejected discard shop/copy 3

Rows are set aside where the sync says `on_rejected = \"set_aside\"`. Later changes of such a row join
it, and it is over by itself as soon as the target takes them. A retry gives the target all that it
missed of the row, so it never overwrites what is newer. A discarded row stays in the target as it
is until its next change.
Lists also without a running engine, and discards; a retry takes one.";

/// Arguments of `tahr rejected`.
#[derive(Clone, Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Rejected {
    /// Without one: the list.
    #[command(subcommand)]
    pub command: Option<RejectedCommand>,
    /// Which rows to list.
    #[command(flatten)]
    pub list: ListRejected,
}

/// What `tahr rejected` can do.
#[derive(Clone, Debug, Subcommand)]
pub enum RejectedCommand {
    /// List the rows with their values, and why they are rejected
    List(ListRejected),
    /// Give rows to the target again
    Retry(SettleRejected),
    /// Forget rows: the target keeps them as it has them
    Discard(SettleRejected),
}

/// Arguments of `tahr rejected list`.
#[derive(Clone, Debug, Args)]
pub struct ListRejected {
    /// Only of this sync, or of its lane into one target.
    #[arg(value_name = "SYNC[/TARGET]")]
    pub part: Option<Part>,
    /// Print JSON, for programs.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `tahr rejected retry` and `tahr rejected discard`.
#[derive(Clone, Debug, Args)]
pub struct SettleRejected {
    /// The sync, or its lane into one target.
    #[arg(value_name = "SYNC[/TARGET]")]
    pub part: Part,
    /// The rows, by the numbers that the list shows.
    #[arg(value_name = "NUMBER", conflicts_with = "all")]
    pub numbers: Vec<u64>,
    /// All of them.
    #[arg(long)]
    pub all: bool,
    /// Print JSON, for programs.
    #[arg(long)]
    pub json: bool,
}
