//! One reading of a PostgreSQL URL.
