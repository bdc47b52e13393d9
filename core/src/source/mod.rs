//! A source: the PostgreSQL database that changes are read from.
//!
//! Everything here but the stream itself: what the source is ([`Identity`]), what its tables are
//! ([`catalog`]), whether it can be read at all ([`preflight()`]), and the three things that tahr
//! makes in it: a publication, a slot, and for the time of a copy a [`Snapshot`].
//!
//! # Order of operations
//!
//! 1. [`preflight()`]: all faults at once, before anything is made.
//! 2. The publication is created, or the new tables are added to it, and that is *committed*. From
//!    then on the stream carries them.
//! 3. The slot is created, the first time only. A slot whose publication is missing can never pass
//!    that point, so the publication is first to come and last to go, and while the slot lives it
//!    is altered, never made anew.
//! 4. [`Snapshot::open`]. Its `copied_to` lies at or after the slot's start and the publication's
//!    commit, so no change falls between copy and stream.
//! 5. Workers copy. Changes of a copied table whose commit LSN is below `copied_to` are in the copy
//!    and are dropped from the stream; those at or above are not in it and are kept.
//!
//! # LSNs
//!
//! `consistent point` (slot, snapshot): transactions that commit before it are not streamed, or are
//! in the copy; the others are streamed, or are not in the copy. `confirmed_flush`: what the slot
//! was told last, below which the source may have forgotten everything. `restart_lsn`: where the
//! source begins to read WAL again, always below `confirmed_flush`; it is what holds WAL back.

pub mod catalog;
mod cell;
mod error;
mod handover;
mod identity;
mod names;
mod opened;
mod outlook;
mod past;
pub mod preflight;
mod present;
pub mod publication;
mod reader;
mod same;
pub mod slot;
pub mod snapshot;
mod stream;
mod table;
mod wait;

pub use catalog::Wanted;
pub use cell::{SourceCell, SourceStatus};
pub use error::{SourceError, SourceErrorKind};
pub use identity::Identity;
pub use names::{
    Owner, is_own_table, object_name, own_table, quote_identifier, quote_literal, quote_table,
    temporary_slot_name,
};
pub use opened::{
    Approval, Opened, application, finding_error, is_wanted, look, owner, parse, published, usable,
};
pub use outlook::Outlook;
pub use past::{Past, Strange};
pub use preflight::{Finding, Report, Request, Severity, Shared, is_refused, preflight, script};
pub use present::Present;
pub use publication::Publication;
pub use reader::Reader;
pub use slot::Slot;
pub use snapshot::{Copied, CopyRange, Rows, Snapshot, Worker};
pub use table::{Table, TableKind};
pub use wait::{Blocker, Waiting};
