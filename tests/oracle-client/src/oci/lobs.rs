//! LOB locators. One is a copy of the value: a temporary LOB of the program's, or what a query gave.

use std::ffi::{c_int, c_void};

use super::handle::{Answer, Failure, Handle, Object, SUCCESS, answer, lob_at};
use super::sessions::shared_at;
use crate::error::OraError;
use crate::value::Value;

/// The type of a temporary BLOB; the other is that of a CLOB.
const TEMPORARY_BLOB: u8 = 1;

#[derive(Debug, Clone, Default)]
enum Content {
    #[default]
    None,
    Text(String),
    Bytes(Vec<u8>),
}

/// A LOB descriptor.
#[derive(Debug, Clone, Default)]
pub(super) struct Lob {
    content: Content,
    is_temporary: bool,
    is_open: bool,
}

impl Lob {
    pub(super) fn stored_text(text: String) -> Self {
        Self {
            content: Content::Text(text),
            ..Self::default()
        }
    }

    pub(super) fn stored_bytes(bytes: Vec<u8>) -> Self {
        Self {
            content: Content::Bytes(bytes),
            ..Self::default()
        }
    }

    /// What it is to a statement.
    pub(super) fn value(&self, is_text: bool) -> Result<Value, OraError> {
        match (&self.content, is_text) {
            (Content::Text(text), true) => Ok(Value::Clob(text.clone())),
            (Content::Bytes(bytes), false) => Ok(Value::Blob(bytes.clone())),
            (Content::None, _) => Err(invalid()),
            _ => Err(OraError::new(
                932,
                "inconsistent datatypes: expected CLOB got BLOB",
            )),
        }
    }

    fn length(&self) -> usize {
        match &self.content {
            Content::None => 0,
            Content::Text(text) => text.chars().count(),
            Content::Bytes(bytes) => bytes.len(),
        }
    }

    /// Only what is the program's own can be changed through a locator.
    fn check_changeable(&self) -> Result<(), OraError> {
        match self.content {
            Content::None => Err(invalid()),
            _ if self.is_temporary => Ok(()),
            _ => Err(OraError::new(
                22920,
                "row containing the LOB value is not locked",
            )),
        }
    }
}

fn invalid() -> OraError {
    OraError::new(22275, "invalid LOB locator specified")
}

/// The byte at which a character begins, or the end.
fn byte_of(text: &str, char: usize) -> usize {
    let found = text.char_indices().nth(char);
    found.map_or(text.len(), |(at, _)| at)
}

/// Makes a call on a LOB.
///
/// # Safety
/// Both are null or live handles.
unsafe fn on_lob(
    errors: *mut c_void,
    lob: *const c_void,
    work: impl FnOnce(&mut Lob) -> Answer,
) -> c_int {
    // SAFETY: by the caller's word.
    unsafe { answer(errors, || work(&mut *lob_at(lob)?)) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn OCILobCreateTemporary(
    service: *mut c_void,
    errors: *mut c_void,
    lob: *mut c_void,
    _charset: u16,
    _form: u8,
    kind: u8,
    _cache: c_int,
    _duration: u16,
) -> c_int {
    let work = |lob: &mut Lob| {
        // SAFETY: the caller gives a live handle. A LOB is the server's: there must be one.
        unsafe { shared_at(service) }?.with(|session| session.call("lob", "", |_| Ok(())))?;
        lob.content = if kind == TEMPORARY_BLOB {
            Content::Bytes(Vec::new())
        } else {
            Content::Text(String::new())
        };
        lob.is_temporary = true;
        Ok(SUCCESS)
    };
    // SAFETY: the caller gives live handles.
    unsafe { on_lob(errors, lob, work) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn OCILobFreeTemporary(
    _service: *mut c_void,
    errors: *mut c_void,
    lob: *mut c_void,
) -> c_int {
    let work = |lob: &mut Lob| {
        *lob = Lob::default();
        Ok(SUCCESS)
    };
    // SAFETY: the caller gives live handles.
    unsafe { on_lob(errors, lob, work) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn OCILobIsTemporary(
    _environment: *mut c_void,
    errors: *mut c_void,
    lob: *mut c_void,
    flag: *mut c_int,
) -> c_int {
    let work = |lob: &mut Lob| {
        // SAFETY: the caller has room for a number.
        unsafe { flag.write(c_int::from(lob.is_temporary)) };
        Ok(SUCCESS)
    };
    // SAFETY: the caller gives live handles.
    unsafe { on_lob(errors, lob, work) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn OCILobTrim2(
    _service: *mut c_void,
    errors: *mut c_void,
    lob: *mut c_void,
    length: u64,
) -> c_int {
    let work = |lob: &mut Lob| {
        // By this answer ODPI-C learns that it has to make the LOB first.
        if matches!(lob.content, Content::None) {
            return Err(Failure::Invalid);
        }
        lob.check_changeable()?;
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        match &mut lob.content {
            Content::Text(text) => text.truncate(byte_of(text, length)),
            Content::Bytes(bytes) => bytes.truncate(length),
            Content::None => {}
        }
        Ok(SUCCESS)
    };
    // SAFETY: the caller gives live handles.
    unsafe { on_lob(errors, lob, work) }
}

/// Overwrites from an offset, the first being 1, in characters for text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn OCILobWrite2(
    _service: *mut c_void,
    errors: *mut c_void,
    lob: *mut c_void,
    bytes_written: *mut u64,
    chars_written: *mut u64,
    offset: u64,
    buffer: *mut c_void,
    length: u64,
    _piece: u8,
    _context: *mut c_void,
    _callback: *mut c_void,
    _charset: u16,
    _form: u8,
) -> c_int {
    let work = |lob: &mut Lob| {
        lob.check_changeable()?;
        let start = usize::try_from(offset)
            .unwrap_or(usize::MAX)
            .checked_sub(1)
            .ok_or_else(invalid)?;
        // SAFETY: the caller gives so many bytes.
        let new = unsafe {
            std::slice::from_raw_parts(buffer.cast::<u8>(), usize::try_from(length).unwrap_or(0))
        };
        let mut chars = 0;
        match &mut lob.content {
            Content::Text(text) => {
                let new = std::str::from_utf8(new)
                    .map_err(|_| OraError::new(29275, "partial multibyte character"))?;
                chars = new.chars().count();
                let has = text.chars().count();
                text.extend(std::iter::repeat_n(' ', start.saturating_sub(has)));
                let range = byte_of(text, start)..byte_of(text, start + chars);
                text.replace_range(range, new);
            }
            Content::Bytes(bytes) => {
                let end = start + new.len();
                if bytes.len() < end {
                    bytes.resize(end, 0);
                }
                bytes[start..end].copy_from_slice(new);
            }
            Content::None => return Err(Failure::Invalid),
        }
        // SAFETY: the caller has room for both numbers.
        unsafe {
            bytes_written.write(length);
            chars_written.write(chars as u64);
        }
        Ok(SUCCESS)
    };
    // SAFETY: the caller gives live handles.
    unsafe { on_lob(errors, lob, work) }
}

/// Reads from an offset, the first being 1: so many characters of text, or bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn OCILobRead2(
    _service: *mut c_void,
    errors: *mut c_void,
    lob: *mut c_void,
    byte_amount: *mut u64,
    char_amount: *mut u64,
    offset: u64,
    buffer: *mut c_void,
    room: u64,
    _piece: u8,
    _context: *mut c_void,
    _callback: *mut c_void,
    _charset: u16,
    _form: u8,
) -> c_int {
    let work = |lob: &mut Lob| {
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        let start = usize::try_from(offset)
            .unwrap_or(usize::MAX)
            .checked_sub(1)
            .ok_or_else(invalid)?;
        // SAFETY: the caller gives both numbers.
        let (bytes, chars) = unsafe { (byte_amount.read(), char_amount.read()) };
        let whole = |amount: u64| usize::try_from(amount).unwrap_or(usize::MAX);
        let (part, chars): (&[u8], usize) = match &lob.content {
            Content::Text(text) => {
                let rest = &text[byte_of(text, start)..];
                let wanted = if chars > 0 {
                    byte_of(rest, whole(chars))
                } else {
                    whole(bytes).min(rest.len())
                };
                let mut end = wanted.min(room);
                while !rest.is_char_boundary(end) {
                    end -= 1;
                }
                (&rest.as_bytes()[..end], rest[..end].chars().count())
            }
            Content::Bytes(all) => {
                let rest = &all[start.min(all.len())..];
                (&rest[..whole(bytes).min(rest.len()).min(room)], 0)
            }
            Content::None => return Err(invalid().into()),
        };
        // SAFETY: the caller has room for so many bytes, and for both numbers.
        unsafe {
            buffer
                .cast::<u8>()
                .copy_from_nonoverlapping(part.as_ptr(), part.len());
            byte_amount.write(part.len() as u64);
            char_amount.write(chars as u64);
        }
        Ok(SUCCESS)
    };
    // SAFETY: the caller gives live handles.
    unsafe { on_lob(errors, lob, work) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn OCILobGetLength2(
    _service: *mut c_void,
    errors: *mut c_void,
    lob: *mut c_void,
    length: *mut u64,
) -> c_int {
    let work = |lob: &mut Lob| {
        // SAFETY: the caller has room for a number.
        unsafe { length.write(lob.length() as u64) };
        Ok(SUCCESS)
    };
    // SAFETY: the caller gives live handles.
    unsafe { on_lob(errors, lob, work) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn OCILobGetChunkSize(
    _service: *mut c_void,
    errors: *mut c_void,
    lob: *mut c_void,
    size: *mut u32,
) -> c_int {
    let work = |_: &mut Lob| {
        // SAFETY: the caller has room for a number.
        unsafe { size.write(8132) };
        Ok(SUCCESS)
    };
    // SAFETY: the caller gives live handles.
    unsafe { on_lob(errors, lob, work) }
}

/// Makes another locator of the same value.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn OCILobLocatorAssign(
    _service: *mut c_void,
    errors: *mut c_void,
    source: *const c_void,
    target: *mut *mut c_void,
) -> c_int {
    let call = || {
        // SAFETY: the caller gives live handles.
        let copy = unsafe { lob_at(source) }?.clone();
        // SAFETY: as above.
        match unsafe { Handle::at(target.read()) }? {
            Handle {
                object: Object::Lob(lob),
                ..
            } => *super::handle::lock(lob) = copy,
            _ => return Err(Failure::Invalid),
        }
        Ok(SUCCESS)
    };
    // SAFETY: the caller gives a live error handle.
    unsafe { answer(errors, call) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn OCILobOpen(
    _service: *mut c_void,
    errors: *mut c_void,
    lob: *mut c_void,
    _mode: u8,
) -> c_int {
    let work = |lob: &mut Lob| {
        lob.is_open = true;
        Ok(SUCCESS)
    };
    // SAFETY: the caller gives live handles.
    unsafe { on_lob(errors, lob, work) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn OCILobClose(
    _service: *mut c_void,
    errors: *mut c_void,
    lob: *mut c_void,
) -> c_int {
    let work = |lob: &mut Lob| {
        lob.is_open = false;
        Ok(SUCCESS)
    };
    // SAFETY: the caller gives live handles.
    unsafe { on_lob(errors, lob, work) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn OCILobIsOpen(
    _service: *mut c_void,
    errors: *mut c_void,
    lob: *mut c_void,
    flag: *mut c_int,
) -> c_int {
    let work = |lob: &mut Lob| {
        // SAFETY: the caller has room for a number.
        unsafe { flag.write(c_int::from(lob.is_open)) };
        Ok(SUCCESS)
    };
    // SAFETY: the caller gives live handles.
    unsafe { on_lob(errors, lob, work) }
}
