//! Sequences of several sources: that no two sources draw the same key.
//!
//! Sequences are not replicated: each source draws from its own. Those that matter are owned by a
//! column of the sync's tables (`serial`, identity) or named by `nextval` in its default. Sequences
//! of the same column belong together, whatever they are called on each source.
//!
//! - [`Interleave`](Sequences::Interleave): each source draws from a residue class of its own. The
//!   stride is a power of two, at least as large as the number of sources; the class is the source's
//!   place in the sync. [`setup`] sees to it when all sources are reachable.
//! - [`Max`](Sequences::Max): a [`Follower`] raises each sequence to the highest of all, after
//!   rounds. Two sources that insert at the same moment draw the same value, and have a conflict.
//! - [`Leave`](Sequences::Leave): nothing is done.
//!
//! # How classes are given
//!
//! Sequences whose values can't meet as they are (one stride, a class each) are left alone: so a
//! second start changes nothing, and neither does a person's own arrangement. All others of a group
//! get a new stride together: on every source a transaction alters the increment, which keeps
//! everybody from drawing there until it ends; then, with all of them held, each goes on in its own
//! class above the highest value that any source has drawn or stored. So nothing that was drawn
//! under the old stride is drawn again, and a third source can join two. Altering a sequence
//! discards what sessions have cached of it.
//!
//! Between the commits on two sources lies a moment in which a crash leaves one with its class and
//! the other without. The next start finds that and does it again; what both drew until then are
//! conflicts like others.
//!
//! What an increment was before stands in the table `tahr.sequence` of the source; [`restore`]
//! brings it back. Increments other than one keep their blocks: strides and classes are multiples.
//!
//! Sequences that cycle are left alone, with a note.

mod classes;
mod follow;
mod found;
mod interleave;
mod stored;

use std::fmt;

use tahr_postgres_connect::{Session, Url};

pub use follow::Follower;
pub use stored::restore;

use crate::{config::Sequences, masters::Tables, source::SourceError};

/// A source of the sync; its place in the list is its index there.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its name in the config.
    pub name: String,
    /// Where it is.
    pub url: Url,
    /// How tahr calls itself there.
    pub application: String,
}

/// What a person should know of a sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The source.
    pub source: String,
    /// The sequence, with its schema.
    pub sequence: String,
    /// What was done, or found.
    pub text: String,
    /// Whether it should be looked after.
    pub is_warning: bool,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            source,
            sequence,
            text,
            ..
        } = self;
        write!(f, "sequence {sequence} on source \"{source}\" {text}")
    }
}

/// Makes the sequences of `tables` what `mode` says, on all `members`: needs all of them. Doing it
/// again changes nothing.
///
/// # Errors
///
/// A source is out of reach, a role lacks rights, another sync has interleaved a sequence, or one
/// has no values left. Sequences that come later in the order of tables are then untouched.
pub async fn setup(
    mode: Sequences,
    engine: &str,
    sync: &str,
    tables: &Tables,
    members: &[Member],
) -> Result<Vec<Note>, SourceError> {
    let sessions = connect(members).await?;
    if mode != Sequences::Interleave {
        for (session, member) in sessions.iter().zip(members) {
            let restored = restore(session, engine, sync).await;
            restored.map_err(|error| at(&member.name, error))?;
        }
    }
    match mode {
        Sequences::Leave => Ok(Vec::new()),
        Sequences::Interleave => {
            interleave::interleave((engine, sync), tables, members, &sessions).await
        }
        Sequences::Max => follow::begin(tables, members, &sessions).await,
    }
}

/// Sessions on all members.
async fn connect(members: &[Member]) -> Result<Vec<Session>, SourceError> {
    let sessions = members.iter().map(|member| async {
        let session = member.url.connect_source(&member.application).await;
        session.map_err(|error| at(&member.name, error.into()))
    });
    futures_util::future::try_join_all(sessions).await
}

/// The error, with its source named.
fn at(source: &str, error: SourceError) -> SourceError {
    SourceError {
        message: format!("source \"{source}\": {}", error.message),
        ..error
    }
}
