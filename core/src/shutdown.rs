//! The wish to end, passed down to everything that waits; and the wish that it wait no longer.

use std::{
    sync::{Arc, Condvar, Mutex, PoisonError, Weak},
    time::{Duration, Instant},
};

use tokio::sync::watch;

/// Says once, to threads and tasks alike, that the engine is to end, or with [`child`](Self::child)
/// one part of it. Clones are the same wish.
#[derive(Clone, Debug)]
pub struct Stop(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    is_stopping: Mutex<bool>,
    /// How often whoever waits was to go on; guarded by `is_stopping` for those who block.
    roused: watch::Sender<u64>,
    changed: Condvar,
    tasks: watch::Sender<bool>,
    children: Mutex<Vec<Weak<Self>>>,
}

impl Default for Stop {
    fn default() -> Self {
        Self(Arc::new(Inner {
            is_stopping: Mutex::new(false),
            roused: watch::Sender::new(0),
            changed: Condvar::new(),
            tasks: watch::Sender::new(false),
            children: Mutex::default(),
        }))
    }
}

impl Stop {
    /// Asks for the end.
    pub fn stop(&self) {
        *self
            .0
            .is_stopping
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = true;
        self.0.changed.notify_all();
        self.0.tasks.send_replace(true);
        let children = self
            .0
            .children
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for child in children.iter().filter_map(Weak::upgrade) {
            Self(child).stop();
        }
    }

    /// The wish that a part ends, which this one includes.
    #[must_use]
    pub fn child(&self) -> Self {
        let child = Self::default();
        let mut children = self
            .0
            .children
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        children.retain(|child| child.strong_count() > 0);
        children.push(Arc::downgrade(&child.0));
        drop(children);
        // It may have been uttered a moment ago.
        if self.is_stopping() {
            child.stop();
        }
        child
    }

    /// Whether the end was asked for.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        *self
            .0
            .is_stopping
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets whoever waits for a time at this very wish go on at once; its parts don't notice.
    pub fn rouse(&self) {
        let is_stopping = self.0.is_stopping.lock();
        let _held = is_stopping.unwrap_or_else(PoisonError::into_inner);
        self.0.roused.send_modify(|times| *times += 1);
        self.0.changed.notify_all();
    }

    /// Blocks the thread for `time`, or until it is [roused](Self::rouse) or the end is asked for;
    /// whether it was the end.
    #[must_use]
    pub fn wait(&self, time: Duration) -> bool {
        let deadline = Instant::now() + time;
        let mut is_stopping = self
            .0
            .is_stopping
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let roused = *self.0.roused.borrow();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if *is_stopping || left.is_zero() || roused != *self.0.roused.borrow() {
                return *is_stopping;
            }
            let waited = self.0.changed.wait_timeout(is_stopping, left);
            is_stopping = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Blocks the thread until the end is asked for.
    pub fn wait_for_it(&self) {
        while !self.wait(Duration::from_secs(3600)) {}
    }

    /// Completes after `time`, or when it is [roused](Self::rouse) before.
    pub async fn pause(&self, time: Duration) {
        let mut roused = self.0.roused.subscribe();
        // The sender lives as long as `self`.
        let _ = tokio::time::timeout(time, roused.changed()).await;
    }

    /// Completes when the end is asked for.
    pub async fn asked(&self) {
        // The sender lives as long as `self`.
        let _ = self
            .0
            .tasks
            .subscribe()
            .wait_for(|is_stopping| *is_stopping)
            .await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_the_whole_is_the_end_of_its_parts_and_not_the_other_way_round() {
        let whole = Stop::default();
        let (one, two) = (whole.child(), whole.child());
        let inner = one.child();
        one.stop();
        assert!(inner.is_stopping() && !two.is_stopping() && !whole.is_stopping());
        whole.stop();
        assert!(two.is_stopping() && whole.child().is_stopping());
    }

    #[test]
    fn whoever_waits_is_roused_and_does_not_end() {
        let (whole, begun) = (Stop::default(), Instant::now());
        let part = whole.child();
        let waiting = {
            let part = part.clone();
            std::thread::spawn(move || part.wait(Duration::from_secs(60)))
        };
        // Whoever comes to wait only now was not meant, so once may be too early.
        while !waiting.is_finished() {
            part.rouse();
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(!waiting.join().unwrap() && begun.elapsed() < Duration::from_secs(30));
        part.rouse();
        assert!(!part.wait(Duration::from_millis(1)));
    }
}
