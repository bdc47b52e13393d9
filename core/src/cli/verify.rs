//! What is typed to compare targets with their sources.

use clap::Args;

use crate::engine::Part;

pub(super) const VERIFY_EXAMPLES: &str = "\
Examples:
  tahr verify                       every table of every target, while changes flow
  tahr verify shop/copy --table public.orders
  tahr verify shop --repair         and put in order what differs

Reads each table once, in the source and in the target; rows that differ are looked at again when the
target holds all that came before, so that changes under way are never taken for differences. A
repair goes through the lane like any change. Tables without a key are not compared.

Ends with 0 if all that was asked for was compared and is equal now, with 1 if rows differ or
something could not be compared, and with 5 if no engine runs.";

/// Arguments of `tahr verify`.
#[derive(Clone, Debug, Args)]
pub struct Verify {
    /// The sync, or only its lane into one target; without one: all.
    #[arg(value_name = "SYNC[/TARGET]")]
    pub part: Option<Part>,
    /// Only this table of the source, as `orders`, `sales.orders` or a pattern; may be given several
    /// times.
    #[arg(long = "table", value_name = "TABLE")]
    pub tables: Vec<String>,
    /// Repair the rows that differ.
    #[arg(long)]
    pub repair: bool,
    /// Print JSON, for programs.
    #[arg(long)]
    pub json: bool,
}
