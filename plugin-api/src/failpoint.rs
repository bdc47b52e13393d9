//! Named points at which a test has the process die.
//!
//! The engine and its plugins promise that `kill -9` at any moment loses nothing and repeats nothing.
//! Points lie at the moments where that is hardest to keep: between a write and its commit, between a
//! commit and what is told of it. `TAHR_DIE_AT=name`, or `name:3`, has the process abort when it comes
//! to the point of that name, or comes there for the third time. Each name is at one place in the
//! code, and begins with the part that it belongs to, or the plugin.
//!
//! Only builds with debug assertions look at the variable; in others a point is nothing.

#[cfg(debug_assertions)]
use std::sync::{
    OnceLock,
    atomic::{AtomicU32, Ordering},
};

/// Dies here, if a test wants that.
#[cfg(debug_assertions)]
pub fn pass(point: &str) {
    if is_due(point) {
        die();
    }
}

/// Does nothing in this build.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn pass(_point: &str) {}

/// Whether a test wants the process to die at this passing, which is counted. For what is to be left
/// half done; then comes [`die`].
#[cfg(debug_assertions)]
#[must_use]
pub fn is_due(point: &str) -> bool {
    /// The point, and how often it is still to be passed.
    static WANTED: OnceLock<Option<(String, AtomicU32)>> = OnceLock::new();
    let wanted = WANTED.get_or_init(|| {
        let text = std::env::var("TAHR_DIE_AT").ok()?;
        let (name, count) = parse(&text);
        Some((name.to_owned(), AtomicU32::new(count)))
    });
    match wanted {
        Some((name, left)) if name == point => left.fetch_sub(1, Ordering::Relaxed) == 1,
        _ => false,
    }
}

/// Nothing is due in this build.
#[cfg(not(debug_assertions))]
#[inline(always)]
#[must_use]
pub fn is_due(_point: &str) -> bool {
    false
}

/// Ends the process as `kill -9` does: nothing is finished, nobody is told.
pub fn die() -> ! {
    std::process::abort()
}

#[cfg(debug_assertions)]
fn parse(text: &str) -> (&str, u32) {
    let counted = text.rsplit_once(':');
    let counted = counted.and_then(|(name, count)| Some((name, count.parse().ok()?)));
    counted.unwrap_or((text, 1))
}

#[cfg(all(test, debug_assertions))]
mod tests {
    use super::parse;

    #[test]
    fn a_point_is_named_with_or_without_the_number_of_passings() {
        assert_eq!(parse("log.synced"), ("log.synced", 1));
        assert_eq!(parse("log.synced:3"), ("log.synced", 3));
        assert_eq!(parse("odd:name"), ("odd:name", 1));
    }
}
