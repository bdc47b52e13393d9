//! The trait that a plugin implements.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    Batch, Capabilities, Checkpoint, Host, Lsn, Position, Relation, RuleTable, StreamId, TableName,
    WriteError,
    abi::unsupported,
    read_back::{DIGESTS, Digest, HOLDS_ROWS, READ_BACK, ReadBack},
};

/// Interrupts a blocked call from another thread; see [`Writer::cancel`].
pub type Cancel = Box<dyn Fn() + Send + Sync>;

/// Applies changes to one target.
///
/// A target that only has to take changes and commit them is better a
/// [`SimpleWriter`](crate::SimpleWriter), of which [`Simple`](crate::Simple) makes a writer.
///
/// The engine opens a writer for each role, calls it from one thread, one call at a time, and
/// expects calls to block until they are done. A writer that needs an async runtime owns one.
///
/// # What a stream writer must keep
///
/// - **One truth.** The target holds data and checkpoint together: both change in one transaction
///   (or one script, or one document), so that after a crash at any instant the checkpoint says
///   exactly what the data holds.
/// - **Compare and set.** [`write`](Self::write) and [`flush`](Self::flush) succeed only where the
///   target's checkpoint is the one that was expected; otherwise they change nothing and return
///   [`Written::Moved`].
/// - **Order.** Changes of one key are applied in the order given, and changes of different keys
///   wherever a unique key or a foreign key of the target ties them.
/// - **No silence.** What can't be written exactly is an error or a documented, counted rule.
///
/// # Order of calls
///
/// [`open`](Self::open), [`checkpoint`](Self::checkpoint), then per table
/// [`prepare`](Self::prepare) and, where the table was not copied yet,
/// [`begin_load`](Self::begin_load), [`load`](Self::load) (on writers of role
/// [`Role::Load`], side by side), [`end_load`](Self::end_load); then [`write`](Self::write) and
/// [`flush`](Self::flush) for as long as the lane lives. After any error
/// [`reset`](Self::reset) and [`checkpoint`](Self::checkpoint), and on from what it says.
pub trait Writer: Sized + Send + 'static {
    /// The table `options` of a target in the config. Its documentation comments are what
    /// `tahr plugins describe` shows; `#[serde(deny_unknown_fields)]` finds misspelt keys, and
    /// the error names the one that is meant. `tahr check` goes by the JSON Schema: no key or word may
    /// have an alias that this doesn't know.
    type Options: DeserializeOwned + JsonSchema;

    /// The name that a config's `plugin =` uses.
    const NAME: &'static str;

    /// One line for `tahr plugins`.
    const SUMMARY: &'static str = "";

    /// What the target can do.
    #[must_use]
    fn capabilities() -> Capabilities {
        Capabilities::default()
    }

    /// What each PostgreSQL type becomes, under each setting that matters: asked of the same function
    /// that the writer itself goes by. Without any, `tahr plugins describe` says nothing of types.
    #[must_use]
    fn rules() -> Vec<RuleTable> {
        Vec::new()
    }

    /// Connects.
    ///
    /// # Errors
    ///
    /// Transient where the target is out of reach, rejected where the options are wrong.
    fn open(options: Self::Options, role: Role, host: &Host) -> Result<Self, WriteError>;

    /// Says what of `relations` does not fit, and which object of the target each one maps to.
    /// Writes nothing.
    ///
    /// # Errors
    ///
    /// Only what kept it from finding out.
    fn check(&mut self, relations: &[Relation]) -> Result<CheckReport, WriteError>;

    /// The checkpoint that the target holds under the stream's sync and source, whatever stream it
    /// was made by; none where there is none. The writer remembers `stream` for what follows.
    ///
    /// # Errors
    ///
    /// Only what kept it from finding out.
    fn checkpoint(&mut self, stream: &StreamId) -> Result<Option<Checkpoint>, WriteError>;

    /// Makes the target ready for a relation version: creates its table, checks it, or adds
    /// columns. Called before the relation's first load or change, and again for each new version.
    /// Where [`Capabilities::transactional_ddl`] is set it may be called with changes accepted and
    /// not stored; otherwise never.
    ///
    /// # Errors
    ///
    /// Rejected where the target's table can't hold the relation.
    fn prepare(&mut self, relation: &Arc<Relation>) -> Result<(), WriteError>;

    /// Begins the copy of a table and notes so under the checkpoint (`copied_to` zero), so that
    /// what a broken copy left can be told from rows that were there before. Rows of an earlier
    /// broken copy are removed.
    ///
    /// # Errors
    ///
    /// Rejected under [`LoadMode::Fresh`] where the table holds rows that no copy of this stream
    /// put there.
    fn begin_load(&mut self, relation: &Arc<Relation>, mode: LoadMode) -> Result<(), WriteError>;

    /// Adds copied rows: a batch of inserts of one relation. Called on loaders, each of which is
    /// told to [`flush`](Self::flush) before [`end_load`](Self::end_load); or on the stream writer,
    /// without a flush, where [`Capabilities::loaders`] is 0.
    ///
    /// # Errors
    ///
    /// Any; the copy of the table begins anew.
    fn load(&mut self, batch: &Batch) -> Result<(), WriteError>;

    /// Ends the copy of a table, which holds the source's state at `copied_to`: makes it what
    /// readers see, and stores `copied_to`, in one step.
    ///
    /// # Errors
    ///
    /// Any; the copy of the table begins anew.
    fn end_load(&mut self, relation: &Arc<Relation>, copied_to: Lsn) -> Result<(), WriteError>;

    /// Notes that a table (as [`TableName`] prints it) has left the sync: its copy is not kept
    /// current any more, so its `copied_to` becomes zero, and where the table comes back it is
    /// copied anew. Its rows stay.
    ///
    /// # Errors
    ///
    /// Any.
    fn forget_copy(&mut self, table: &TableName) -> Result<(), WriteError>;

    /// Applies changes in order. The target's checkpoint must equal
    /// [`Batch::previous`](Batch::previous), else [`Written::Moved`] and nothing is changed.
    ///
    /// A batch of whole transactions is best stored at once. Of a large transaction come parts:
    /// a target with transactions keeps one open until [`Part::Last`], one
    /// without stores each part with its position.
    ///
    /// # Errors
    ///
    /// Any; then nothing of the batch may be stored, except where the answer of the target was lost
    /// and nobody knows: then transient, and [`checkpoint`](Self::checkpoint) will tell.
    fn write(&mut self, batch: &Batch) -> Result<Written, WriteError>;

    /// Stores all that was accepted, or a bare advance of the position, or the first checkpoint of
    /// a stream. On a loader: stores what was loaded; `position` means nothing there.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    fn flush(&mut self, position: &Position) -> Result<Written, WriteError>;

    /// Called after any error: nothing uncommitted may survive, and the connection must be usable
    /// again (made anew where it broke).
    ///
    /// # Errors
    ///
    /// Transient where the target is out of reach.
    fn reset(&mut self) -> Result<(), WriteError>;

    /// Removes tahr's own bookkeeping for the stream; copied data stays.
    ///
    /// # Errors
    ///
    /// Any.
    fn forget(&mut self, stream: &StreamId) -> Result<(), WriteError>;

    /// Whether the target holds rows where those of `relation` go, whoever put them there; asked of a
    /// writer of role [`Role::Check`] before the first copy. Must not take long: one that has to search
    /// may give up and say no.
    ///
    /// # Errors
    ///
    /// Code `unsupported` where the writer can't say.
    fn holds_rows(&mut self, relation: &Relation) -> Result<bool, WriteError> {
        let _ = relation;
        Err(unsupported(HOLDS_ROWS))
    }

    /// What this writer would have stored of the rows of `batch`, which are all of one relation: one
    /// digest for each change. Of a change that has only its old row's key, the key alone counts. Asked
    /// of a writer of role [`Role::Check`], and only where [`Capabilities::read_back`] is set; see
    /// [`read_back`](crate::read_back).
    ///
    /// # Errors
    ///
    /// Code `unsupported` where the writer can't say.
    fn digests(&mut self, batch: &Batch) -> Result<Vec<Digest>, WriteError> {
        let _ = batch;
        Err(unsupported(DIGESTS))
    }

    /// Gives the rows that the target holds of `relation` to `rows`, in any order: all of them, or
    /// those under the keys of the changes of `keys`. Asked like [`digests`](Self::digests). Rows
    /// that are written meanwhile may be seen as before or as after.
    ///
    /// # Errors
    ///
    /// Any; code `unsupported` where the writer can't.
    fn read_back(
        &mut self,
        relation: &Arc<Relation>,
        keys: Option<&Batch>,
        rows: &mut ReadBack<'_>,
    ) -> Result<(), WriteError> {
        let _ = (relation, keys, rows);
        Err(unsupported(READ_BACK))
    }

    /// Answers what later versions of the engine ask.
    ///
    /// # Errors
    ///
    /// Code `unsupported` for ids that this plugin doesn't know.
    fn request(&mut self, id: u32, payload: &[u8]) -> Result<Vec<u8>, WriteError> {
        let _ = payload;
        Err(unsupported(id))
    }

    /// A function that makes a blocked call of this writer return soon, with a transient error. It
    /// is called from another thread when the lane has to end.
    fn cancel(&self) -> Option<Cancel> {
        None
    }
}

macro_rules! numbered {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $number:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$variant_doc])* $variant = $number,)+ }

        impl $name {
            /// Its number on the ABI.
            #[must_use]
            pub fn number(self) -> u32 {
                self as u32
            }

            /// The one with this number.
            #[must_use]
            pub fn from_number(number: u32) -> Option<Self> {
                match number { $($number => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

numbered! {
    /// What a writer was opened for.
    Role {
        /// Applies the stream; there is one at a time, and it keeps the checkpoint.
        Stream = 0,
        /// Loads copied rows, beside the stream writer and other loaders.
        Load = 1,
        /// Answers [`Writer::check`] and reads; writes nothing.
        Check = 2,
    }
}

numbered! {
    /// What a copy does with rows that are there already.
    LoadMode {
        /// There should be none, but for those of an earlier copy of this stream that broke.
        Fresh = 0,
        /// They are replaced; readers see the old rows until the new ones are complete, where the
        /// target can do that.
        Replace = 1,
    }
}

numbered! {
    /// Which piece of the source's transactions a batch is.
    Part {
        /// One or more whole transactions.
        Whole = 0,
        /// The beginning of one transaction.
        First = 1,
        /// More of it.
        Middle = 2,
        /// Its end.
        Last = 3,
    }
}

/// What became of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// The writer took it; the target has not committed it yet.
    Accepted,
    /// The target has committed everything up to this position.
    Stored(Position),
    /// The target's checkpoint is not the expected one but this; nothing was changed.
    Moved(Option<Position>),
}

/// What [`Writer::check`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckReport {
    /// For each relation, in order, the object it maps to, as the target spells it. Two relations
    /// of one object are an error that the engine reports.
    pub objects: Vec<String>,
    /// What doesn't fit.
    pub findings: Vec<Finding>,
}

/// One thing that [`Writer::check`] has to say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Whether replication can't work as things are; otherwise it is a warning.
    pub is_error: bool,
    /// The table or setting.
    pub object: String,
    /// What is wrong with it.
    pub message: String,
    /// What to do about it; may be empty.
    pub hint: String,
}
