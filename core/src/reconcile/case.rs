//! A case: one key that a round is about, and all that is known of it.

use smallvec::SmallVec;

use super::{Candidate, Entry, Row, Version, version::Mark};

/// A source's last change of a key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim<'a> {
    pub(super) version: &'a Version,
    /// The row before the source's first change of the round.
    pub(super) previous: Option<&'a Row>,
}

impl Claim<'_> {
    pub(super) fn candidate(&self) -> Candidate {
        Candidate {
            version: self.version.clone(),
            previous: self.previous.cloned(),
            standing: false,
        }
    }
}

/// What a key shall be.
#[derive(Clone, Debug)]
pub(super) enum Verdict<'a> {
    /// What the only source that changed it made of it, everywhere.
    Only(&'a Version),
    /// This, everywhere.
    Winner(Box<Version>),
    /// This, which these members are owed, a bit each: what one of those who meet held.
    Met(Box<Version>, u64),
    /// For each source that changed it, what it made of it.
    Apart(Vec<Version>),
}

impl Verdict<'_> {
    pub(super) fn winner(version: Version) -> Self {
        Self::Winner(Box::new(version))
    }

    /// What it shall be everywhere, if that is one thing.
    pub(super) fn version(&self) -> Option<&Version> {
        match self {
            Self::Only(version) => Some(version),
            Self::Winner(version) | Self::Met(version, _) => Some(version),
            Self::Apart(_) => None,
        }
    }

    /// The member whose change it is, or one of them.
    pub(super) fn from(&self) -> usize {
        match self {
            Self::Apart(versions) => versions.first().map_or(0, |version| version.from),
            other => other.version().map_or(0, |version| version.from),
        }
    }
}

/// One key that a round is about.
#[derive(Debug, Default)]
pub(super) struct Case<'a> {
    /// What was remembered of it when the round began.
    pub(super) entry: Option<&'a Entry>,
    /// What members' streams showed last of it, where they did.
    held: SmallVec<[(usize, Mark); 2]>,
    /// Members, a bit each, that were owed it and now hold it.
    pub(super) arrived: u64,
    /// Each source's last change, in order of sources.
    pub(super) claims: SmallVec<[Claim<'a>; 2]>,
    /// Some change was made by a source that had the standing winner.
    pub(super) saw: bool,
    /// Some change was made by a source that was still owed it.
    pub(super) unseen: bool,
    pub(super) verdict: Option<Verdict<'a>>,
    /// Where the round's record has what is remembered of it from now on.
    pub(super) place: Option<usize>,
}

impl<'a> Case<'a> {
    pub(super) fn of(entry: Option<&'a Entry>) -> Self {
        Self {
            entry,
            ..Self::default()
        }
    }

    /// Whether `source` is owed it still.
    pub(super) fn owes(&self, source: usize) -> bool {
        self.arrived >> source & 1 == 0 && self.entry.is_some_and(|entry| entry.owes(source))
    }

    /// What the window of `source` shows it to hold, by this key's own changes.
    pub(super) fn held(&self, source: usize) -> Option<Mark> {
        let mut held = self.held.iter();
        held.find(|(member, _)| *member == source)
            .map(|(_, mark)| *mark)
    }

    pub(super) fn hold(&mut self, source: usize, mark: Mark) {
        match self.held.iter_mut().find(|(member, _)| *member == source) {
            Some((_, held)) => *held = mark,
            None => self.held.push((source, mark)),
        }
    }

    /// Forgets what `source` holds: its table was emptied.
    pub(super) fn unhold(&mut self, source: usize) {
        self.held.retain(|(member, _)| *member != source);
    }
}
