//! NUMBER from and to the numbers of C.

use std::ffi::{c_int, c_uint, c_void};

use super::binds::number_at;
use super::defines::put_number;
use super::handle::{SUCCESS, answer};
use crate::error::OraError;
use crate::value::Number;

fn overflow() -> OraError {
    OraError::new(22053, "overflow error")
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn OCINumberFromInt(
    errors: *mut c_void,
    value: *const c_void,
    length: c_uint,
    signed: c_uint,
    number: *mut c_void,
) -> c_int {
    let call = || {
        // SAFETY: the caller gives an integer of that length, and room for a NUMBER.
        unsafe {
            let value = match (length, signed) {
                (8, 0) => Number::from(value.cast::<u64>().read_unaligned()),
                (8, _) => Number::from(value.cast::<i64>().read_unaligned()),
                (4, 0) => Number::from(u64::from(value.cast::<u32>().read_unaligned())),
                (4, _) => Number::from(i64::from(value.cast::<i32>().read_unaligned())),
                _ => return Err(overflow().into()),
            };
            put_number(number, &value);
        }
        Ok(SUCCESS)
    };
    // SAFETY: the caller gives a live error handle.
    unsafe { answer(errors, call) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn OCINumberFromReal(
    errors: *mut c_void,
    value: *const c_void,
    length: c_uint,
    number: *mut c_void,
) -> c_int {
    let call = || {
        // SAFETY: the caller gives a number of that length, and room for a NUMBER.
        unsafe {
            let value = match length {
                8 => value.cast::<f64>().read_unaligned(),
                4 => f64::from(value.cast::<f32>().read_unaligned()),
                _ => return Err(overflow().into()),
            };
            put_number(number, &Number::from_f64(value).ok_or_else(overflow)?);
        }
        Ok(SUCCESS)
    };
    // SAFETY: the caller gives a live error handle.
    unsafe { answer(errors, call) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn OCINumberToInt(
    errors: *mut c_void,
    number: *const c_void,
    length: c_uint,
    signed: c_uint,
    value: *mut c_void,
) -> c_int {
    let call = || {
        // SAFETY: the caller gives a NUMBER, and room for an integer of that length.
        unsafe {
            let integer = number_at(number)?.to_i128().ok_or_else(overflow)?;
            match (length, signed) {
                (8, 0) => value
                    .cast::<u64>()
                    .write_unaligned(u64::try_from(integer).map_err(|_| overflow())?),
                (8, _) => value
                    .cast::<i64>()
                    .write_unaligned(i64::try_from(integer).map_err(|_| overflow())?),
                _ => return Err(overflow().into()),
            }
        }
        Ok(SUCCESS)
    };
    // SAFETY: the caller gives a live error handle.
    unsafe { answer(errors, call) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn OCINumberToReal(
    errors: *mut c_void,
    number: *const c_void,
    length: c_uint,
    value: *mut c_void,
) -> c_int {
    let call = || {
        if length != 8 {
            return Err(overflow().into());
        }
        // SAFETY: the caller gives a NUMBER, and room for a double.
        unsafe {
            value
                .cast::<f64>()
                .write_unaligned(number_at(number)?.to_f64());
        };
        Ok(SUCCESS)
    };
    // SAFETY: the caller gives a live error handle.
    unsafe { answer(errors, call) }
}
