//! tahr.
