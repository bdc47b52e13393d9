//! The C functions, as ODPI-C calls them.
//!
//! All that is handed out is a [`handle::Handle`]: a box with a tag, so that a pointer to anything else
//! is found out (`OCI_INVALID_HANDLE`). A handle's insides are behind a lock: OCI lets any thread use
//! one, and ODPI-C does so to cancel a call. No function unwinds into C: a panic is ORA-00600.
//!
//! What ODPI-C knows but the `oracle` crate can't reach, or a writer never does (objects, queues,
//! pools, SODA), isn't here: ODPI-C then says DPI-1049 with the name of the function.
#![expect(unsafe_code, reason = "a C library takes and gives pointers")]
#![expect(unreachable_pub, reason = "exported by name, not by path")]

mod attributes;
mod binds;
mod datetimes;
mod defines;
mod environment;
mod handle;
mod lobs;
mod numbers;
mod sessions;
mod statements;
mod threads;
