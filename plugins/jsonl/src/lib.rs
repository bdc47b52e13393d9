//! The JSON-lines writer.
