//! The tables of a lane that are to be copied anew: a person wants it, or the target has a gap.
//!
//! Kept in the state folder until each of them is copied, so that what was begun is gone on with
//! after a crash, and always as a replacement: readers never see the table emptied meanwhile. The
//! lane's [seat](crate::engine) owns it; whoever wants a copy [asks](Resyncs::ask), the lane's thread
//! copies and says when a table is [done](Resyncs::done).

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use serde::{Deserialize, Serialize};
use tahr_plugin_api::failpoint;

use crate::{source::Table, state_file};

/// What one lane is to copy anew.
#[derive(Debug)]
pub struct Resyncs {
    path: PathBuf,
    wanted: Mutex<Wanted>,
    /// Whether a person has asked since the lane began its last attempt.
    is_new: AtomicBool,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Wanted {
    /// Tables as the source names them. The number tells one wish for a table from the next.
    tables: BTreeMap<String, u64>,
    /// All tables are wanted, whatever the target holds: also where its checkpoint can't be gone on
    /// from.
    #[serde(default)]
    anew: bool,
    #[serde(default)]
    wishes: u64,
}

/// Where the tables are kept that the lane from `sync` to `target` copies anew; `tahr drop` removes
/// them.
#[must_use]
pub fn resyncs_path(state_dir: &Path, sync: &str, target: &str) -> PathBuf {
    state_dir
        .join("lanes")
        .join(format!("{sync}.{target}.resync.json"))
}

/// A lane streams nothing while it copies: tables that are kept current until then are copied in
/// groups of at most so many, and of so many pages (1 GiB) unless one alone has more.
const GROUP_TABLES: usize = 50;
const GROUP_PAGES: u64 = 131_072;

/// How many of `tables` are copied before the lane catches up.
pub(super) fn group(tables: &[Table]) -> usize {
    let mut pages = 0;
    let fitting = tables.iter().take_while(|table| {
        pages += table.pages;
        pages <= GROUP_PAGES
    });
    fitting.count().clamp(1, GROUP_TABLES).min(tables.len())
}

impl Resyncs {
    /// What an earlier run left to copy of the lane from `sync` to `target`.
    #[must_use]
    pub fn load(state_dir: &Path, sync: &str, target: &str) -> Self {
        let path = resyncs_path(state_dir, sync, target);
        let wanted = match fs_err::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|error| {
                tracing::warn!(path = %path.display(), %error, hint = "ask for it again: tahr resync",
                    "what was to be copied anew can't be read");
                Wanted::default()
            }),
            Err(_) => Wanted::default(),
        };
        Self {
            path,
            wanted: Mutex::new(wanted),
            is_new: AtomicBool::new(false),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Wanted> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A person wants `tables`; with `anew` these are all, and the target may be begun with from
    /// scratch. Durable when this returns.
    ///
    /// # Errors
    ///
    /// The state folder can't be written; then nothing is wanted.
    pub fn ask(&self, tables: impl IntoIterator<Item = String>, anew: bool) -> io::Result<()> {
        self.note(tables, anew)?;
        self.is_new.store(true, Ordering::SeqCst);
        Ok(())
    }

    /// Whether a person has asked since this was called last: a lane that would park looks again.
    pub(super) fn take_new(&self) -> bool {
        self.is_new.swap(false, Ordering::SeqCst)
    }

    /// As [`ask`](Self::ask), by the lane itself.
    ///
    /// # Errors
    ///
    /// As it.
    pub(super) fn note(
        &self,
        tables: impl IntoIterator<Item = String>,
        anew: bool,
    ) -> io::Result<()> {
        let mut wanted = self.lock();
        let mut after = wanted.clone();
        after.wishes += 1;
        let wish = after.wishes;
        after
            .tables
            .extend(tables.into_iter().map(|name| (name, wish)));
        after.anew |= anew && !after.tables.is_empty();
        self.save(&after)?;
        *wanted = after;
        Ok(())
    }

    /// As [`note`](Self::note), of what isn't wanted already.
    ///
    /// # Errors
    ///
    /// As it.
    pub(super) fn keep(&self, tables: impl IntoIterator<Item = String>) -> io::Result<()> {
        let known = self.lock().tables.clone();
        let mut new = tables.into_iter().filter(|name| !known.contains_key(name));
        match new.next() {
            Some(first) => self.note(std::iter::once(first).chain(new), false),
            None => Ok(()),
        }
    }

    /// What is wanted, each with the number of its wish.
    pub(super) fn wanted(&self) -> BTreeMap<String, u64> {
        self.lock().tables.clone()
    }

    /// The tables that are wanted.
    #[must_use]
    pub fn tables(&self) -> BTreeSet<String> {
        self.lock().tables.keys().cloned().collect()
    }

    /// Whether anything is wanted.
    pub(super) fn is_pending(&self) -> bool {
        !self.lock().tables.is_empty()
    }

    /// Whether the target may be begun with from scratch.
    pub(super) fn is_anew(&self) -> bool {
        self.lock().anew
    }

    /// Notes that `table` is copied, as wish number `wish` wanted; a later wish stays.
    ///
    /// # Errors
    ///
    /// The state folder can't be written.
    pub(super) fn done(&self, table: &str, wish: u64) -> io::Result<()> {
        let mut wanted = self.lock();
        if wanted.tables.get(table).is_none_or(|&last| last > wish) {
            return Ok(());
        }
        let mut after = wanted.clone();
        after.tables.remove(table);
        after.anew &= !after.tables.is_empty();
        self.save(&after)?;
        *wanted = after;
        Ok(())
    }

    /// Whole or not at all, whenever the engine is killed; nothing wanted is no file.
    fn save(&self, wanted: &Wanted) -> io::Result<()> {
        if wanted.tables.is_empty() {
            return state_file::remove(&self.path);
        }
        let json = serde_json::to_vec_pretty(wanted)?;
        state_file::replace(&self.path, &json, || failpoint::pass("resync.written"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn what_is_wanted_outlives_the_engine_until_it_is_done() {
        let folder = tempfile::tempdir().unwrap();
        let load = || Resyncs::load(folder.path(), "s", "t");
        let resyncs = load();
        assert!(!resyncs.is_pending() && !resyncs.is_anew());
        resyncs.ask(names(&["public.a", "public.b"]), true).unwrap();
        let again = load();
        assert!(again.is_anew());
        assert_eq!(again.wanted(), resyncs.wanted());
        let wish = again.wanted()["public.a"];
        again.done("public.a", wish).unwrap();
        again.done("public.unknown", wish).unwrap();
        assert_eq!(load().tables(), BTreeSet::from(["public.b".to_owned()]));
        again.done("public.b", wish).unwrap();
        assert!(!again.is_anew() && !load().is_anew());
        assert!(!resyncs_path(folder.path(), "s", "t").exists());
    }

    #[test]
    fn a_wish_that_comes_while_the_table_is_copied_is_not_taken_for_done() {
        let folder = tempfile::tempdir().unwrap();
        let resyncs = Resyncs::load(folder.path(), "s", "t");
        resyncs.ask(names(&["public.a"]), false).unwrap();
        let first = resyncs.wanted()["public.a"];
        resyncs.keep(names(&["public.a"])).unwrap();
        assert_eq!(resyncs.wanted()["public.a"], first);
        resyncs.ask(names(&["public.a"]), false).unwrap();
        resyncs.done("public.a", first).unwrap();
        assert!(resyncs.is_pending());
        resyncs
            .done("public.a", resyncs.wanted()["public.a"])
            .unwrap();
        assert!(!resyncs.is_pending());
    }

    #[test]
    fn tables_are_grouped_by_their_number_and_size() {
        let tables = |pages: &[u64]| -> Vec<Table> {
            let table = |&pages| Table {
                pages,
                ..Table::default()
            };
            pages.iter().map(table).collect()
        };
        assert_eq!(group(&[]), 0);
        assert_eq!(group(&tables(&[1, 2, 3])), 3);
        assert_eq!(group(&tables(&[GROUP_PAGES, 1])), 1);
        assert_eq!(group(&tables(&[GROUP_PAGES + 1, 1])), 1);
        assert_eq!(group(&tables(&[1; 80])), GROUP_TABLES);
    }

    #[test]
    fn what_can_not_be_noted_is_not_wanted() {
        let folder = tempfile::tempdir().unwrap();
        fs_err::write(folder.path().join("lanes"), "a file in the way").unwrap();
        let resyncs = Resyncs::load(folder.path(), "s", "t");
        resyncs.ask(names(&["public.a"]), true).unwrap_err();
        assert!(!resyncs.is_pending() && !resyncs.is_anew());
    }
}
