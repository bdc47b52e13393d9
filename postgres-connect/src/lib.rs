//! One reading of a PostgreSQL URL for every connection that tahr makes: the engine's SQL
//! sessions, its replication stream, and the postgres writer all use this crate, so that a URL
//! means the same everywhere.
//!
//! ```
//! use tahr_postgres_connect::Url;
//! let url = Url::parse("postgres://tahr:secret@db1/shop?sslmode=verify-full&sslrootcert=/etc/ca.pem")?;
//! assert_eq!(url.to_string(), "postgres://tahr@db1:5432/shop");
//! # Ok::<(), tahr_postgres_connect::UrlError>(())
//! ```
//!
//! Guarantees:
//! - Parameters mean what they mean to `libpq`; one that isn't supported is an error that names it.
//! - No text made here, `Debug` included, holds the password.
//! - Every session runs with the [`SESSION`] settings, so values print the same on all of them;
//!   sessions that read a source have the [`SOURCE_SESSION`] settings too, stream and copy alike.
//! - TLS always runs on rustls with the *ring* provider, whatever else is linked into the process.

mod connect;
mod error;
mod parse;
mod passfile;
mod replication;
mod session;
mod tls;
mod url;

pub use connect::Session;
pub use error::{ConnectError, ConnectErrorKind, UrlError};
pub use replication::Replication;
pub use session::{SESSION, SOURCE_SESSION};
pub use url::{Host, SslMode, Url};
