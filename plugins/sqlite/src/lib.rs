//! tahr's sqlite writer.
