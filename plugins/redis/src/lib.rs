//! tahr's redis writer.
