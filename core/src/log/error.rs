//! What a log can't do.

use std::io;

/// The log could not keep or give back an arena.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The disk failed.
    #[error("log of the source: {0}")]
    Disk(#[from] io::Error),
    /// The log was rewound: the source is to be read anew, from [`Log::begin`](super::Log::begin).
    #[error("log of the source begins anew further back")]
    Rewound,
    /// The log has let go of what the lane needs, and so has the slot.
    #[error("log of the source holds no more what comes next")]
    Gone,
    /// The log keeps nothing for the lane any more, since it would have grown too large.
    #[error("what the target lacks is more than `log_limit` ({} MiB) allows to keep", .0 >> 20)]
    GivenUp(u64),
}

impl LogError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Disk(error) => match error.kind() {
                io::ErrorKind::PermissionDenied => {
                    "give the folder `log` in `state_dir` to the user that tahr runs as; did somebody run \
                     tahr as another one?"
                }
                io::ErrorKind::StorageFull => "free space on the disk of `state_dir`",
                _ => "see to the disk of `state_dir`",
            },
            Self::Gone => "`tahr resync SYNC/TARGET` copies the tables of the target again",
            Self::Rewound | Self::GivenUp(_) => "",
        }
    }
}
