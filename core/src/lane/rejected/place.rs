//! Where a lane and those who ask about its rejected rows meet.
//!
//! While the lane works, its [`Book`] is with it: it shows its entries here, and does what persons
//! wish between two batches. While it doesn't, the book lies here or in its file.

use std::{
    collections::BTreeMap,
    io,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use tahr_plugin_api::Position;
use tokio::sync::oneshot;

use super::{
    book::{Book, End},
    entry::{Choice, Entry, Settled},
};

/// What is to be done with entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// They are given to the target again.
    Retry,
    /// They are forgotten.
    Discard,
}

/// A wish, and who waits for the answer.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) wish: Wish,
    pub(super) choice: Choice,
    pub(super) reply: oneshot::Sender<Settled>,
}

/// The meeting place of one lane; it outlives the lane.
#[derive(Debug, Default)]
pub struct Place {
    inner: Mutex<Inner>,
    is_asked: AtomicBool,
}

#[derive(Debug, Default)]
struct Inner {
    /// Whether a lane has the book.
    is_taken: bool,
    asked: Vec<Asked>,
    shown: Arc<Vec<Arc<Entry>>>,
}

/// The answer to a wish.
#[derive(Debug)]
pub enum Answer {
    /// It is done.
    Now(Settled),
    /// The lane will do it; an error where it has ended.
    Later(oneshot::Receiver<Settled>),
    /// No lane is at work, which it takes.
    Nobody,
}

impl Place {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The entries of the lane, whose file is at `path`, and whose target stands at `stored` for all
    /// that is known.
    ///
    /// # Errors
    ///
    /// The file can't be read.
    pub fn list(&self, path: &Path, stored: Option<&Position>) -> io::Result<Vec<Arc<Entry>>> {
        let inner = self.lock();
        if inner.is_taken {
            return Ok(inner.shown.to_vec());
        }
        let book = Book::open(path)?;
        let book = match stored {
            Some(stored) => book.seen_from(stored),
            None => book,
        };
        Ok(book.entries().values().map(Arc::clone).collect())
    }

    /// The entries of the table `oid` that the lane, which works, has shown.
    #[must_use]
    pub fn shown_of(&self, oid: u32) -> Vec<Arc<Entry>> {
        let shown = Arc::clone(&self.lock().shown);
        let its = shown.iter().filter(|entry| entry.oid == oid);
        its.map(Arc::clone).collect()
    }

    /// Does what is wished with the entries of the lane `lane`, whose file is at `path`, or has it
    /// done; then the lane has to be woken.
    ///
    /// # Errors
    ///
    /// The file can't be read or written.
    pub fn ask(&self, wish: Wish, choice: Choice, lane: &str, path: &Path) -> io::Result<Answer> {
        let mut inner = self.lock();
        if inner.is_taken {
            let (reply, answer) = oneshot::channel();
            inner.asked.push(Asked {
                wish,
                choice,
                reply,
            });
            self.is_asked.store(true, Ordering::Release);
            return Ok(Answer::Later(answer));
        }
        match wish {
            Wish::Retry => Ok(Answer::Nobody),
            // Under the lock, so that no lane takes up the file meanwhile.
            Wish::Discard => discard_in(path, &choice, lane).map(Answer::Now),
        }
    }

    /// Notes that a lane has the book now.
    pub(super) fn take(&self) {
        self.lock().is_taken = true;
    }

    /// Notes that the lane works no more; whoever waits for it is told.
    pub(super) fn give_back(&self) {
        let mut inner = self.lock();
        inner.is_taken = false;
        inner.asked.clear();
        self.is_asked.store(false, Ordering::Release);
    }

    /// Shows the entries of `book`.
    pub(super) fn show(&self, book: &Book) {
        let shown = book.entries().values().map(Arc::clone).collect();
        self.lock().shown = Arc::new(shown);
    }

    /// Whether somebody wishes something.
    pub(in crate::lane) fn is_asked(&self) -> bool {
        self.is_asked.load(Ordering::Acquire)
    }

    /// What is wished, by those who still wait.
    pub(super) fn wishes(&self) -> Vec<Asked> {
        let mut inner = self.lock();
        self.is_asked.store(false, Ordering::Release);
        let mut asked = std::mem::take(&mut inner.asked);
        asked.retain(|asked| !asked.reply.is_closed());
        asked
    }
}

/// Discards entries of the file at `path`, which no lane has; the caller sees to that.
///
/// # Errors
///
/// The file can't be read or written.
pub fn discard_in(path: &Path, choice: &Choice, lane: &str) -> io::Result<Settled> {
    let mut book = Book::open(path)?;
    let at = book.newest();
    let settled = discard(&mut book, choice, lane, &at);
    book.sync()?;
    Ok(settled)
}

/// Ends the chosen entries of `book`, which stands at `at`; in memory so far.
pub(super) fn discard(book: &mut Book, choice: &Choice, lane: &str, at: &Position) -> Settled {
    let mut settled = chosen(book.entries(), choice, lane);
    for number in &settled.done {
        book.end(*number, at.clone(), End::Discarded);
    }
    settled.done.sort_unstable();
    settled
}

/// The numbers of `choice`: those that there are, as if they were done, and those that there are not.
pub(super) fn chosen(entries: &BTreeMap<u64, Arc<Entry>>, choice: &Choice, lane: &str) -> Settled {
    let there = entries.keys().filter(|number| choice.includes(**number));
    let unknown = match choice {
        Choice::All => Vec::new(),
        Choice::Numbers(numbers) => {
            let absent = numbers
                .iter()
                .filter(|number| !entries.contains_key(number));
            absent.copied().collect()
        }
    };
    Settled {
        done: there.copied().collect(),
        unknown,
        ..Settled::of(lane)
    }
}
