//! The MongoDB writer.
