//! The Oracle writer.
