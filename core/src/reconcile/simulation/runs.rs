//! Runs of many histories, and the smallest failing one of them.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
};

use super::{History, Kind, Settings, Tally};

/// A history that failed, made as small as was easy.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) seed: u64,
    pub(crate) kind: Kind,
    /// The property that doesn't hold.
    pub(crate) error: String,
    /// Settings of a smaller history of the same seed that fails too, and how.
    pub(crate) smaller: Option<(Settings, String)>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            seed,
            kind,
            error,
            smaller,
        } = self;
        writeln!(f, "{kind:?} seed {seed}: {error}")?;
        if let Some((settings, error)) = smaller {
            writeln!(f, "smaller, of the same seed: {settings:?}\n{error}")?;
        }
        write!(
            f,
            "hint: replay it with `make simulate STRATEGY={kind:?} SEED={seed} COUNT=1`"
        )
    }
}

/// One history; a panic in it is a failure like any other.
pub(crate) fn replay(seed: u64, settings: Settings) -> Result<Tally, String> {
    // A history is thrown away after a panic, so nobody sees it half done.
    catch_unwind(AssertUnwindSafe(|| History::new(seed, settings).run())).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(format!("panic: {}", text.unwrap_or("of another kind")))
    })
}

/// Runs the histories of `count` seeds from `first` on, to the first that fails.
pub(crate) fn run(kind: Kind, first: u64, count: u64) -> Result<Tally, Box<Failure>> {
    let mut tally = Tally::default();
    for seed in first..first + count {
        let settings = Settings::of(seed, kind);
        match replay(seed, settings) {
            Ok(one) => tally += one,
            Err(error) => {
                let smaller = shrink(seed, settings);
                return Err(Box::new(Failure {
                    seed,
                    kind,
                    error,
                    smaller,
                }));
            }
        }
    }
    Ok(tally)
}

/// Tries fewer steps, sources, keys and disturbances, one after the other, as long as it fails.
pub(crate) fn shrink(seed: u64, mut settings: Settings) -> Option<(Settings, String)> {
    let smaller: [fn(&mut Settings); 9] = [
        |s| s.steps /= 2,
        |s| s.steps = s.steps.saturating_sub(1),
        |s| s.sources = (s.sources - 1).max(2),
        |s| s.keys = (s.keys - 1).max(1),
        |s| s.tables = 1,
        |s| s.crash = 0,
        |s| s.down = 0,
        |s| s.locked = 0,
        |s| s.rows = 1000,
    ];
    let mut found = None;
    // Each success may make another one possible.
    for _ in 0..8 {
        for change in smaller {
            let mut tried = settings;
            change(&mut tried);
            if let Err(error) = replay(seed, tried) {
                (settings, found) = (tried, Some((tried, error)));
            }
        }
    }
    found
}
