//! A writer that misbehaves as it is told.
