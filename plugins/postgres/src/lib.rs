//! tahr's postgres writer.
