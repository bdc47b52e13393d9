//! A slot that another session streams from.
//!
//! Mostly that is the stream of an engine that was killed, whose end the source has not noticed: it
//! is waited for without alarm for a while, and tried often. It may also be a second engine of the
//! same name, which no waiting helps against: so after that the reader warns as of every other error.

use std::time::{Duration, Instant};

use super::{Slot, SourceError, SourceErrorKind};

/// How long a slot may be in use before that is worth a warning. The stream of an engine that was
/// killed ends at the source when that notices, at the latest after `wal_sender_timeout`.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often the slot is tried meanwhile, at the least.
const EVERY: Duration = Duration::from_secs(1);

/// Since when the slot is in use by another.
#[derive(Debug, Default)]
pub(super) struct Handover(Option<Instant>);

impl Handover {
    /// How long to wait after `error` of the source `name` before the slot is tried again, where that
    /// is no more than to be expected; at most `wait`.
    pub(super) fn wait(
        &mut self,
        name: &str,
        error: &SourceError,
        wait: Duration,
    ) -> Option<Duration> {
        if error.kind != SourceErrorKind::InUse {
            self.0 = None;
            return None;
        }
        let since = *self.0.get_or_insert_with(|| {
            tracing::info!(source = name, %error, "waiting until the slot is free");
            Instant::now()
        });
        (since.elapsed() < PATIENCE).then_some(wait.min(EVERY))
    }

    /// `error`, by which `slot` was refused to a session that calls itself `application`; where it is in
    /// use, as one that says by whom.
    pub(super) fn explain(error: SourceError, slot: &Slot, application: &str) -> SourceError {
        let (Some(in_use), Some(pid), SourceErrorKind::InUse) =
            (slot.in_use(), slot.active_pid, error.kind)
        else {
            return error;
        };
        let hint = match slot.active_application.as_deref() == Some(application) {
            true => format!(
                "if tahr was killed just now, its stream ends there by itself, at the latest after \
                 wal_sender_timeout, and is waited for (to end it at once: SELECT \
                 pg_terminate_backend({pid});); if a second engine of this name runs, end one of the \
                 two, or give it another name"
            ),
            false => in_use.hint.clone(),
        };
        SourceError {
            kind: SourceErrorKind::InUse,
            hint,
            ..in_use
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_in_use_is_tried_often_and_any_other_error_is_none_of_it() {
        let mut handover = Handover::default();
        let long = Duration::from_secs(10);
        let in_use = SourceError {
            kind: SourceErrorKind::InUse,
            ..SourceError::transient("in use")
        };
        assert_eq!(handover.wait("db", &in_use, long), Some(EVERY));
        let short = Duration::from_millis(100);
        assert_eq!(handover.wait("db", &in_use, short), Some(short));
        handover.0 = Instant::now().checked_sub(PATIENCE);
        assert_eq!(handover.wait("db", &in_use, long), None, "long enough");
        let other = SourceError::transient("refused");
        assert_eq!(handover.wait("db", &other, long), None);
        assert_eq!(handover.wait("db", &in_use, long), Some(EVERY), "anew");
    }
}
