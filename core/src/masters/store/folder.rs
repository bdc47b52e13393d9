//! A sync's folder, and the state in it.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{
    Kept, Membership,
    journal::Journal,
    kept::Whole,
    reader::{Found, read},
};
use crate::{
    Error,
    masters::owner_only,
    reconcile::{Record, State},
    state_file::{self, if_there, sync_folder},
};

const FILE: &str = "state";
const NEW: &str = "state.new";
/// Bytes that may be noted before they are written.
const NOTED: usize = 8 << 20;

/// What a sync of several sources must not forget; see the module's documentation.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
    journal: Option<Journal>,
    /// Whether the journal's file may lose its name by a crash, and the one before it come back.
    is_name_unsynced: bool,
}

impl Store {
    /// The folder of `sync` in the engine's `state_dir`; conflicts and history lie there too.
    #[must_use]
    pub fn folder_of(state_dir: &Path, sync: &str) -> PathBuf {
        state_dir.join("masters").join(sync)
    }

    /// Opens the store in `folder`, which is made where it is absent; with what was kept there.
    ///
    /// # Errors
    ///
    /// The folder can't be used, or its file is damaged, or from another version of tahr.
    pub fn open(folder: &Path) -> Result<(Self, Option<Kept>), Error> {
        let failed = |error| {
            Error::failed(format!("open state folder {}", folder.display())).caused_by(error)
        };
        owner_only::make_folder(folder).map_err(failed)?;
        state_file::remove(&folder.join(NEW)).map_err(failed)?;
        let path = folder.join(FILE);
        let found = read(&path)?;
        let open = |found: &Found| Journal::open(&path, found);
        let journal = found.as_ref().map(open).transpose().map_err(failed)?;
        let store = Self {
            folder: folder.to_owned(),
            journal,
            is_name_unsynced: false,
        };
        Ok((store, found.map(|found| found.kept)))
    }

    /// Writes the whole state and begins an empty journal.
    ///
    /// # Errors
    ///
    /// The disk failed. What was kept before is kept still, and [`append`](Self::append) goes on
    /// behind it; or the new state is, where only its name could not be synced.
    pub fn begin(&mut self, kept: &Kept) -> io::Result<()> {
        self.begin_with(&kept.membership, &kept.state, kept.met)
    }

    /// Like [`begin`](Self::begin), of a state that is borrowed: it may be large.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn begin_with(
        &mut self,
        membership: &Membership,
        state: &State,
        met: bool,
    ) -> io::Result<()> {
        let whole = Whole {
            membership,
            state,
            met,
        };
        let new = self.folder.join(NEW);
        let created = Journal::create(&new, &whole)
            .and_then(|journal| fs_err::rename(&new, self.folder.join(FILE)).map(|()| journal));
        match created {
            Ok(journal) => self.journal = Some(journal),
            Err(error) => {
                // It would take room that is missing already.
                let _ = fs_err::remove_file(&new);
                return Err(error);
            }
        }
        self.is_name_unsynced = true;
        self.sync_name()
    }

    /// Adds one step to the journal, and those [noted](Self::note) before. They are durable when this
    /// returns; after an error it did not happen, and may be tried again. A step without content
    /// costs nothing.
    ///
    /// # Errors
    ///
    /// The disk failed, or no state was begun yet.
    pub fn append(&mut self, record: &Record) -> io::Result<()> {
        if record.is_empty() {
            return Ok(());
        }
        self.sync_name()?;
        let journal = self.journal()?;
        let noted = journal.noted();
        journal.note(record)?;
        journal.sync().inspect_err(|_| journal.forget(noted))
    }

    /// Takes note of a step that nothing is done about yet: it is durable with the next that is
    /// [added](Self::append), or after [`sync`](Self::sync).
    ///
    /// # Errors
    ///
    /// No state was begun yet, or the disk failed: what is noted is written when it gets long.
    pub fn note(&mut self, record: &Record) -> io::Result<()> {
        if record.is_empty() {
            return Ok(());
        }
        let journal = self.journal()?;
        journal.note(record)?;
        match journal.noted() > NOTED {
            true => self.sync(),
            false => Ok(()),
        }
    }

    /// Makes durable what was noted.
    ///
    /// # Errors
    ///
    /// The disk failed; it may be tried again.
    pub fn sync(&mut self) -> io::Result<()> {
        self.sync_name()?;
        self.journal()?.sync()
    }

    pub(super) fn journal(&mut self) -> io::Result<&mut Journal> {
        let nothing = || io::Error::other("a step before there is a state");
        self.journal.as_mut().ok_or_else(nothing)
    }

    /// Whether the journal is so long that it is time for a new [`begin`](Self::begin).
    #[must_use]
    pub fn is_long(&self) -> bool {
        self.journal.as_ref().is_some_and(Journal::is_long)
    }

    /// Removes `folder` with everything in it: state, conflicts and history.
    ///
    /// # Errors
    ///
    /// It is there and can't be removed.
    pub fn remove(folder: &Path) -> io::Result<()> {
        if_there(fs_err::remove_dir_all(folder)).map(drop)
    }

    /// Makes a rename durable: steps behind it would be lost with the new file's name.
    fn sync_name(&mut self) -> io::Result<()> {
        if self.is_name_unsynced {
            sync_folder(&self.folder)?;
            self.is_name_unsynced = false;
        }
        Ok(())
    }
}
