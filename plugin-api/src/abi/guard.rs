//! Panics stop here.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
};

use abi_stable::std_types::RResult;

use super::raw::{RawError, RawResult};
use crate::WriteError;

/// Runs `call`; a panic in it becomes a fatal error that carries the panic's text.
pub(super) fn guard<T>(call: impl FnOnce() -> Result<T, WriteError>) -> RawResult<T> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(value)) => RResult::ROk(value),
        Ok(Err(error)) => RResult::RErr(error.into()),
        Err(panic) => RResult::RErr(RawError::from(
            WriteError::fatal(format!("writer panicked: {}", text_of(&*panic)))
                .hint("this is a bug of the plugin; please report it with the lines above"),
        )),
    }
}

/// What a panic said, where it said text.
fn text_of(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}
