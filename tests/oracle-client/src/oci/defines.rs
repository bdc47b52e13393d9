//! Defines: where a program wants the columns of a query, and in which type.

use std::ffi::{c_int, c_void};
use std::sync::Mutex;

use super::handle::{
    Handle, Object, SUCCESS, answer, define_at, interval_at, lob_at, row_at, statement_at, time_at,
};
use super::lobs::Lob;
use super::statements::unsupported;
use crate::error::OraError;
use crate::value::{DateTime, Formats, Kind, Number, Value, convert};

/// Room is asked for when it is needed.
const DYNAMIC_FETCH: u32 = 2;

/// Pieces of a value.
const FIRST_PIECE: u8 = 1;
const NEXT_PIECE: u8 = 2;

/// Gives room for a piece of a value: context, define, row, buffer, length, piece, indicator, code.
type OutCallback = unsafe extern "C" fn(
    *mut c_void,
    *mut c_void,
    u32,
    *mut *mut c_void,
    *mut *mut u32,
    *mut u8,
    *mut *mut c_void,
    *mut *mut u16,
) -> i32;

const CONTINUE: i32 = -24200;

/// A define handle: where a column of values goes.
pub(super) struct Define {
    values: *mut c_void,
    size: u64,
    code: u16,
    indicators: *mut i16,
    lengths: *mut u32,
    return_codes: *mut u16,
    callback: Option<(*mut c_void, OutCallback)>,
}

// SAFETY: the memory is the program's, which by OCI's rules leaves it alone while a call runs.
unsafe impl Send for Define {}

impl Define {
    /// Puts the value of a row where it is wanted.
    pub(super) fn put(
        &self,
        row: u32,
        value: Value,
        handle: *mut c_void,
        formats: &Formats,
    ) -> Result<(), OraError> {
        let value = self.converted(value, formats)?;
        if let Some((context, callback)) = self.callback {
            return put_pieces(context, callback, handle, row, &value);
        }
        let at = row as usize;
        let size = usize::try_from(self.size).unwrap_or(0);
        // SAFETY: the program has given arrays with an element for each row that it fetches.
        unsafe {
            if !self.return_codes.is_null() {
                self.return_codes.add(at).write(0);
            }
            let indicator = if value == Value::Null { -1 } else { 0 };
            if !self.indicators.is_null() {
                self.indicators.add(at).write(indicator);
            }
            if value == Value::Null {
                return Ok(());
            }
            let to = self.values.byte_add(at * size);
            if let Some(bytes) =
                bytes(&value).filter(|_| matches!(self.code, 1 | 5 | 8 | 9 | 23 | 24 | 96))
            {
                let length = bytes.len().min(size);
                to.cast::<u8>()
                    .copy_from_nonoverlapping(bytes.as_ptr(), length);
                if length < bytes.len() && !self.return_codes.is_null() {
                    // ORA-01406: fetched column value is truncated.
                    self.return_codes.add(at).write(1406);
                }
                if !self.lengths.is_null() {
                    self.lengths
                        .add(at)
                        .write(u32::try_from(length).unwrap_or(u32::MAX));
                }
                return Ok(());
            }
            write(self.code, to, value)
        }
    }

    /// The value in the kind that the type wants.
    fn converted(&self, value: Value, formats: &Formats) -> Result<Value, OraError> {
        let is_long = self.callback.is_some();
        let kind = match self.code {
            // All of a CLOB, where there is room for all.
            1 | 5 | 8 | 9 | 96 if is_long && value.kind() == Kind::Clob => return Ok(value),
            23 | 24 if is_long && value.kind() == Kind::Blob => return Ok(value),
            1 | 5 | 8 | 9 | 96 => Kind::Text,
            2 | 3 | 6 | 68 => Kind::Number,
            21 => Kind::Float,
            22 => Kind::Double,
            23 | 24 => Kind::Raw,
            104 => Kind::RowId,
            112 => Kind::Clob,
            113 => Kind::Blob,
            156 => Kind::Date,
            187 => Kind::Timestamp,
            188 | 232 => Kind::TimestampTz,
            189 => Kind::IntervalYm,
            190 => Kind::IntervalDs,
            code => return Err(unsupported(code)),
        };
        convert(value, kind, formats)
    }
}

fn bytes(value: &Value) -> Option<&[u8]> {
    match value {
        Value::Text(text) | Value::Clob(text) => Some(text.as_bytes()),
        Value::Raw(bytes) | Value::Blob(bytes) => Some(bytes),
        _ => None,
    }
}

/// # Safety
/// There is room for the type, or a pointer to a descriptor of it.
unsafe fn write(code: u16, to: *mut c_void, value: Value) -> Result<(), OraError> {
    let invalid = |_| {
        OraError::new(
            24812,
            "character set conversion or value failed: invalid descriptor",
        )
    };
    let overflow = || OraError::new(1455, "converting column overflows integer datatype");
    // SAFETY: by the caller's word, in all of these.
    unsafe {
        let descriptor = || to.cast::<*const c_void>().read_unaligned();
        match (code, value) {
            (6, Value::Number(number)) => put_number(to, &number),
            (3, Value::Number(number)) => {
                let integer = number
                    .to_i128()
                    .and_then(|integer| i64::try_from(integer).ok());
                to.cast::<i64>()
                    .write_unaligned(integer.ok_or_else(overflow)?);
            }
            (68, Value::Number(number)) => {
                let integer = number
                    .to_i128()
                    .and_then(|integer| u64::try_from(integer).ok());
                to.cast::<u64>()
                    .write_unaligned(integer.ok_or_else(overflow)?);
            }
            (21, Value::Float(value)) => to.cast::<f32>().write_unaligned(value),
            (22, Value::Double(value)) => to.cast::<f64>().write_unaligned(value),
            (156, Value::Date(date)) => put_date(to, date),
            (187, Value::Timestamp(time)) | (188 | 232, Value::TimestampTz(time)) => {
                *time_at(descriptor()).map_err(invalid)? = time;
            }
            (189 | 190, Value::Interval(interval)) => {
                *interval_at(descriptor()).map_err(invalid)? = interval;
            }
            (104, Value::RowId(row)) => *row_at(descriptor()).map_err(invalid)? = row,
            (112, Value::Clob(text)) => {
                *lob_at(descriptor()).map_err(invalid)? = Lob::stored_text(text);
            }
            (113, Value::Blob(bytes)) => {
                *lob_at(descriptor()).map_err(invalid)? = Lob::stored_bytes(bytes);
            }
            (code, _) => return Err(unsupported(code)),
        }
    }
    Ok(())
}

/// A NUMBER with its length in front.
///
/// # Safety
/// There is room for 22 bytes.
pub(super) unsafe fn put_number(to: *mut c_void, number: &Number) {
    let bytes = number.to_bytes();
    // SAFETY: by the caller's word; a NUMBER has 21 bytes at most.
    unsafe {
        to.cast::<u8>()
            .write(u8::try_from(bytes.len()).unwrap_or(21));
        to.cast::<u8>()
            .add(1)
            .copy_from_nonoverlapping(bytes.as_ptr(), bytes.len().min(21));
    }
}

/// # Safety
/// There is room for an OCIDate.
unsafe fn put_date(to: *mut c_void, date: DateTime) {
    let [low, high] = date.year.to_ne_bytes();
    let bytes = [
        low,
        high,
        date.month,
        date.day,
        date.hour,
        date.minute,
        date.second,
    ];
    // SAFETY: by the caller's word.
    unsafe {
        to.cast::<u8>()
            .copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
    };
}

/// A value of any length, piece by piece.
fn put_pieces(
    context: *mut c_void,
    callback: OutCallback,
    handle: *mut c_void,
    row: u32,
    value: &Value,
) -> Result<(), OraError> {
    let mut rest = bytes(value).unwrap_or_default();
    let mut piece = FIRST_PIECE;
    loop {
        let (mut buffer, mut indicator) = (std::ptr::null_mut(), std::ptr::null_mut());
        let (mut length, mut code): (*mut u32, *mut u16) =
            (std::ptr::null_mut(), std::ptr::null_mut());
        // SAFETY: the program has given the function with its context for this purpose, and what it
        // gives has room for as many bytes as it says.
        unsafe {
            let answer = callback(
                context,
                handle,
                row,
                &raw mut buffer,
                &raw mut length,
                &raw mut piece,
                &raw mut indicator,
                &raw mut code,
            );
            if answer != CONTINUE || length.is_null() {
                return Err(OraError::new(24343, "user defined callback error"));
            }
            let (now, later) = rest.split_at(rest.len().min(length.read() as usize));
            buffer
                .cast::<u8>()
                .copy_from_nonoverlapping(now.as_ptr(), now.len());
            length.write(u32::try_from(now.len()).unwrap_or(u32::MAX));
            if !indicator.is_null() {
                indicator
                    .cast::<i16>()
                    .write(if *value == Value::Null { -1 } else { 0 });
            }
            rest = later;
        }
        if rest.is_empty() {
            return Ok(());
        }
        piece = NEXT_PIECE;
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn OCIDefineByPos2(
    statement: *mut c_void,
    handle: *mut *mut c_void,
    errors: *mut c_void,
    position: u32,
    values: *mut c_void,
    size: u64,
    code: u16,
    indicators: *mut c_void,
    lengths: *mut u32,
    return_codes: *mut u16,
    mode: u32,
) -> c_int {
    let call = || {
        // SAFETY: the caller gives a live handle.
        let mut statement = unsafe { statement_at(statement) }?;
        let Some(at) = (position as usize).checked_sub(1) else {
            return Err(OraError::new(1007, "variable not in select list").into());
        };
        if mode & DYNAMIC_FETCH == 0 && values.is_null() {
            return Err(OraError::new(24350, "OCI call not allowed").into());
        }
        let indicators = indicators.cast();
        let define = Define {
            values,
            size,
            code,
            indicators,
            lengths,
            return_codes,
            callback: None,
        };
        let made = Handle::make(Object::Define(Mutex::new(define)));
        statement.keep_define(at, made.expose_provenance());
        // SAFETY: the caller has room for a pointer.
        unsafe { handle.write(made) };
        Ok(SUCCESS)
    };
    // SAFETY: the caller gives a live error handle.
    unsafe { answer(errors, call) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn OCIDefineDynamic(
    define: *mut c_void,
    errors: *mut c_void,
    context: *mut c_void,
    callback: Option<OutCallback>,
) -> c_int {
    let call = || {
        // SAFETY: the caller gives a live handle.
        let mut define = unsafe { define_at(define) }?;
        define.callback = callback.map(|callback| (context, callback));
        Ok(SUCCESS)
    };
    // SAFETY: the caller gives a live error handle.
    unsafe { answer(errors, call) }
}
