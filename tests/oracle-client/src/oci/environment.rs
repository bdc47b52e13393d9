//! Environments, allocation, errors, and character sets: there is one, AL32UTF8.

use std::ffi::{c_char, c_int, c_void};
use std::sync::{Arc, Mutex};

use super::handle::{ErrorState, Failure, Handle, NO_DATA, Object, SUCCESS, answer, error_at};
use super::lobs::Lob;
use super::sessions::{Login, Service};
use super::statements::Statement;
use crate::error::OraError;
use crate::value::{DateTime, Interval};

/// AL32UTF8.
pub(super) const CHARSET: u16 = 873;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn OCIClientVersion(
    major: *mut c_int,
    minor: *mut c_int,
    update: *mut c_int,
    patch: *mut c_int,
    port_update: *mut c_int,
) {
    for (pointer, number) in [
        (major, 19),
        (minor, 3),
        (update, 0),
        (patch, 0),
        (port_update, 0),
    ] {
        // SAFETY: the caller gives five integers.
        unsafe { pointer.write(number) };
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn OCIEnvNlsCreate(
    environment: *mut *mut c_void,
    _mode: u32,
    _context: *mut c_void,
    _malloc: *mut c_void,
    _realloc: *mut c_void,
    _free: *mut c_void,
    _extra: usize,
    _user: *mut *mut c_void,
    _charset: u16,
    _ncharset: u16,
) -> c_int {
    // SAFETY: the caller has room for a pointer.
    unsafe { environment.write(Handle::make(Object::Environment)) };
    SUCCESS
}

fn object_of(kind: u32) -> Option<Object> {
    Some(match kind {
        2 => Object::Error(Mutex::new(ErrorState::default())),
        3 => Object::Service(Mutex::new(Service::default())),
        4 => Object::Statement(Mutex::new(Statement::default())),
        7 | 10 => Object::Nothing,
        8 => Object::Server(Mutex::new(None), Mutex::new(None)),
        9 => Object::Login(Mutex::new(Login::default())),
        50 => Object::Lob(Mutex::new(Lob::default())),
        54 => Object::RowId(Mutex::new(0)),
        62 => Object::Interval(Mutex::new(Interval::YearMonth(0))),
        63 => Object::Interval(Mutex::new(Interval::DaySecond(0))),
        68..=70 => Object::DateTime(Mutex::new(DateTime::default())),
        _ => return None,
    })
}

fn allocate(to: *mut *mut c_void, kind: u32) -> c_int {
    let Some(object) = object_of(kind) else {
        return -1;
    };
    // SAFETY: the caller has room for a pointer.
    unsafe { to.write(Handle::make(object)) };
    SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn OCIHandleAlloc(
    _parent: *const c_void,
    handle: *mut *mut c_void,
    kind: u32,
    _extra: usize,
    _user: *mut *mut c_void,
) -> c_int {
    allocate(handle, kind)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn OCIDescriptorAlloc(
    _parent: *const c_void,
    descriptor: *mut *mut c_void,
    kind: u32,
    _extra: usize,
    _user: *mut *mut c_void,
) -> c_int {
    allocate(descriptor, kind)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn OCIArrayDescriptorAlloc(
    _parent: *const c_void,
    descriptors: *mut *mut c_void,
    kind: u32,
    count: u32,
    _extra: usize,
    _user: *mut *mut c_void,
) -> c_int {
    if object_of(kind).is_none() {
        return -1;
    }
    // SAFETY: the caller has room for all.
    unsafe {
        Handle::new_group(descriptors, count, || {
            object_of(kind).unwrap_or(Object::Nothing)
        });
    };
    SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn OCIHandleFree(handle: *mut c_void, _kind: u32) -> c_int {
    // SAFETY: the caller frees what it was given.
    unsafe { answer(std::ptr::null_mut(), || Handle::free(handle)) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn OCIDescriptorFree(descriptor: *mut c_void, _kind: u32) -> c_int {
    // SAFETY: the caller frees what it was given.
    unsafe { answer(std::ptr::null_mut(), || Handle::free(descriptor)) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn OCIArrayDescriptorFree(
    descriptors: *mut *mut c_void,
    _kind: u32,
) -> c_int {
    // SAFETY: the caller frees what it was given; the first descriptor knows the others.
    unsafe { answer(std::ptr::null_mut(), || Handle::free(descriptors.read())) }
}

/// Copies text with a zero behind it, as much as there is room for.
///
/// # Safety
/// `buffer` has room for `room` bytes.
pub(super) unsafe fn write_text(text: &str, buffer: *mut c_char, room: usize) {
    if buffer.is_null() || room == 0 {
        return;
    }
    let mut length = text.len().min(room - 1);
    while !text.is_char_boundary(length) {
        length -= 1;
    }
    // SAFETY: there is room for the text and the zero.
    unsafe {
        buffer
            .cast::<u8>()
            .copy_from_nonoverlapping(text.as_ptr(), length);
        buffer.add(length).write(0);
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn OCIErrorGet(
    handle: *mut c_void,
    _record: u32,
    _state: *mut c_char,
    code: *mut i32,
    buffer: *mut c_char,
    room: u32,
    _kind: u32,
) -> c_int {
    // SAFETY: the caller gives a live handle.
    let Ok(state) = (unsafe { error_at(handle) }) else {
        return NO_DATA;
    };
    let Some(error) = &state.error else {
        return NO_DATA;
    };
    // SAFETY: the caller gives an integer and a buffer of that size.
    unsafe {
        code.write(error.code);
        write_text(&format!("{error}\n"), buffer, room as usize);
    }
    SUCCESS
}

/// Of a row of an array that failed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn OCIParamGet(
    handle: *const c_void,
    kind: u32,
    errors: *mut c_void,
    parameter: *mut *mut c_void,
    position: u32,
) -> c_int {
    let call = || {
        if kind == 4 {
            // SAFETY: the caller gives a statement.
            let statement = unsafe { super::handle::statement_at(handle) }?;
            let column = position
                .checked_sub(1)
                .and_then(|at| statement.columns().get(at as usize));
            let column =
                column.ok_or_else(|| OraError::new(24334, "no descriptor for this position"))?;
            // SAFETY: the caller has room for a pointer.
            unsafe { parameter.write(Handle::make(Object::Column(Arc::clone(column)))) };
            return Ok(SUCCESS);
        }
        let (row, error) = {
            // SAFETY: the caller gives the error handle of the execution.
            let state = unsafe { error_at(handle) }?;
            state
                .rows
                .get(position as usize)
                .cloned()
                .ok_or(Failure::Invalid)?
        };
        // SAFETY: the caller gives another error handle to be filled.
        let mut target = unsafe { error_at(parameter.read()) }?;
        target.row = row;
        target.error = Some(error);
        Ok(SUCCESS)
    };
    // SAFETY: the caller gives a live error handle.
    unsafe { answer(errors, call) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn OCINlsNumericInfoGet(
    _environment: *mut c_void,
    _errors: *mut c_void,
    value: *mut i32,
    _item: u16,
) -> c_int {
    // SAFETY: the caller gives an integer. Bytes of a character are all that is ever asked for.
    unsafe { value.write(4) };
    SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn OCINlsCharSetConvert(
    _environment: *mut c_void,
    _errors: *mut c_void,
    _to: u16,
    target: *mut c_void,
    room: usize,
    _from: u16,
    source: *const c_void,
    length: usize,
    written: *mut usize,
) -> c_int {
    let length = length.min(room);
    // SAFETY: the caller gives both buffers and their sizes.
    unsafe {
        target
            .cast::<u8>()
            .copy_from_nonoverlapping(source.cast(), length);
        written.write(length);
    }
    SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn OCINlsCharSetIdToName(
    _environment: *mut c_void,
    buffer: *mut c_char,
    room: usize,
    _id: u16,
) -> c_int {
    // SAFETY: the caller gives a buffer of that size.
    unsafe { write_text("AL32UTF8", buffer, room) };
    SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn OCINlsCharSetNameToId(
    _environment: *mut c_void,
    _name: *const c_char,
) -> u16 {
    CHARSET
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn OCINlsNameMap(
    _environment: *mut c_void,
    buffer: *mut c_char,
    room: usize,
    _name: *const c_char,
    _flag: u32,
) -> c_int {
    // SAFETY: the caller gives a buffer of that size.
    unsafe { write_text("UTF-8", buffer, room) };
    SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn OCINlsEnvironmentVariableGet(
    value: *mut c_void,
    _size: usize,
    _item: u16,
    _charset: u16,
    written: *mut usize,
) -> c_int {
    // SAFETY: the caller gives room for the number of a character set.
    unsafe {
        value.cast::<u16>().write(CHARSET);
        written.write(2);
    }
    SUCCESS
}
