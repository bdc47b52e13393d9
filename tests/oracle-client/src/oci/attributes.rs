//! Attributes of handles: those that ODPI-C asks for and sets.

use std::ffi::{c_char, c_int, c_void};

use super::environment::CHARSET;
use super::handle::{Answer, Failure, Handle, NO_DATA, Object, SUCCESS, answer, lock};
use super::sessions::text_at;
use crate::database::ResultColumn;
use crate::error::OraError;
use crate::value::{DataType, Kind};

/// Where an attribute's value goes.
struct Target {
    value: *mut c_void,
    size: *mut u32,
}

impl Target {
    /// # Safety
    /// The caller has room for a value of this type.
    unsafe fn put<T>(&self, value: T) -> Answer {
        // SAFETY: by the caller's word; ODPI-C's fields are aligned as they should be, or not used.
        unsafe { self.value.cast::<T>().write_unaligned(value) };
        Ok(SUCCESS)
    }

    /// Text that lives as long as the handle.
    ///
    /// # Safety
    /// The caller has room for a pointer.
    unsafe fn put_text(&self, text: &str) -> Answer {
        // SAFETY: by the caller's word.
        unsafe {
            self.value
                .cast::<*const u8>()
                .write_unaligned(text.as_ptr());
            if !self.size.is_null() {
                self.size
                    .write(u32::try_from(text.len()).unwrap_or(u32::MAX));
            }
        }
        Ok(SUCCESS)
    }
}

fn unknown(attribute: u32) -> Failure {
    OraError::new(24315, format!("illegal attribute type ({attribute})")).into()
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn OCIAttrGet(
    handle: *const c_void,
    _kind: u32,
    value: *mut c_void,
    size: *mut u32,
    attribute: u32,
    errors: *mut c_void,
) -> c_int {
    let target = Target { value, size };
    let call = || {
        // SAFETY: the caller gives a live handle, and room for what the attribute is.
        let object = unsafe { &Handle::at(handle)?.object };
        // SAFETY: as above: each attribute has the one type that OCI documents.
        unsafe { get(object, attribute, &target) }
    };
    // SAFETY: the caller gives a live error handle.
    unsafe { answer(errors, call) }
}

/// # Safety
/// The target has room for the attribute's type.
unsafe fn get(object: &Object, attribute: u32, target: &Target) -> Answer {
    // SAFETY: by the caller's word, in all of these.
    unsafe {
        match (object, attribute) {
            (Object::Environment | Object::Server(..), 31) | (Object::Environment, 262) => {
                target.put(CHARSET)
            }
            (Object::Error(state), 74) => target.put(lock(state).row),
            (Object::Error(_), 472) => target.put(0_i32),
            (Object::Server(shared, address), 143) => {
                let is_attached = lock(address).is_some();
                let shared = lock(shared).clone();
                let is_alive = shared.is_none_or(|shared| {
                    shared
                        .with(|session| Ok(session.is_alive()))
                        .unwrap_or(false)
                });
                target.put(u32::from(is_attached && is_alive))
            }
            (Object::Server(..), 391 | 392 | 393 | 399) => target.put_text("STANDIN"),
            (Object::Server(..), 25 | 26) => target.put_text(""),
            (Object::Service(service), 6) => target.put(lock(service).server),
            (Object::Service(service), 7) => target.put(lock(service).login),
            (Object::Service(service), 176) => target.put(lock(service).cache_size),
            (Object::Service(service), 531) => target.put(lock(service).timeout),
            (Object::Service(service), 500) => {
                let shared = lock(service).shared.clone();
                let bytes = shared.and_then(|shared| {
                    shared
                        .with(|session| Ok(session.settings().name_bytes()))
                        .ok()
                });
                target.put(u8::try_from(bytes.unwrap_or(128)).unwrap_or(128))
            }
            (Object::Login(login), 484) => {
                let shared = lock(login).shared.clone();
                let is_open = shared
                    .and_then(|shared| shared.with(|session| Ok(session.in_transaction())).ok());
                target.put(i32::from(is_open.unwrap_or(false)))
            }
            (Object::Login(_), 224) => target.put_text(crate::database::SCHEMA),
            (Object::Login(_), 471) => target.put(300_u32),
            (Object::Statement(statement), _) => {
                statement_attribute(&lock(statement), attribute, target)
            }
            (Object::Column(column), _) => column_attribute(column, attribute, target),
            (Object::Bind(_), 42) => target.put(0_u32),
            _ => Err(unknown(attribute)),
        }
    }
}

/// # Safety
/// As for [`get`].
unsafe fn statement_attribute(
    statement: &super::statements::Statement,
    attribute: u32,
    target: &Target,
) -> Answer {
    // SAFETY: by the caller's word, in all of these.
    unsafe {
        match attribute {
            24 => target.put(statement.oci_type()),
            218 => target.put(0_u8),
            190 => target.put(u32::try_from(statement.bind_names().len()).unwrap_or(0)),
            18 => target.put(u32::try_from(statement.columns().len()).unwrap_or(0)),
            9 => target.put(u32::try_from(statement.row_count()).unwrap_or(u32::MAX)),
            457 => target.put(statement.row_count()),
            469 => {
                let counts = statement.row_counts();
                target.value.cast::<*const u64>().write(counts.as_ptr());
                target.size.write(u32::try_from(counts.len()).unwrap_or(0));
                Ok(SUCCESS)
            }
            73 => target.put(u32::try_from(statement.failed_rows()).unwrap_or(0)),
            129 => target.put(0_u16),
            197 => target.put(statement.rows_fetched()),
            164 => target.put(u32::try_from(statement.row_count()).unwrap_or(u32::MAX)),
            // The function's code: of DDL, only those of types are of interest.
            10 => target.put(0_u16),
            144 => target.put_text(statement.sql()),
            _ => Err(unknown(attribute)),
        }
    }
}

/// SQLT_… of a type.
fn type_code(data_type: DataType) -> u16 {
    match data_type {
        DataType::Number { .. } | DataType::FloatNumber { .. } => 2,
        DataType::Varchar { .. } => 1,
        DataType::Char { .. } => 96,
        DataType::Raw { .. } => 23,
        DataType::Clob => 112,
        DataType::Blob => 113,
        DataType::Date => 12,
        DataType::Timestamp { .. } => 187,
        DataType::TimestampTz { .. } => 188,
        DataType::Double => 101,
        DataType::Float => 100,
        DataType::IntervalDs { .. } => 190,
        DataType::IntervalYm { .. } => 189,
        DataType::RowId => 104,
    }
}

/// # Safety
/// As for [`get`].
unsafe fn column_attribute(column: &ResultColumn, attribute: u32, target: &Target) -> Answer {
    let data_type = column.data_type;
    let (precision, scale): (i16, i8) = match data_type {
        DataType::Number {
            precision: None,
            scale: None,
        } => (0, -127),
        DataType::Number { precision, scale } => {
            (precision.map_or(38, i16::from), scale.unwrap_or(0))
        }
        DataType::FloatNumber { precision } => (i16::from(precision), -127),
        DataType::Timestamp { digits } | DataType::TimestampTz { digits } => {
            (0, i8::try_from(digits).unwrap_or(9))
        }
        DataType::IntervalDs { days, digits } => {
            (i16::from(days), i8::try_from(digits).unwrap_or(9))
        }
        DataType::IntervalYm { years } => (i16::from(years), 0),
        _ => (0, 0),
    };
    let chars = match data_type {
        DataType::Varchar { length, .. } | DataType::Char { length, .. } => length,
        _ => 0,
    };
    let short = |number: u32| u16::try_from(number).unwrap_or(u16::MAX);
    // SAFETY: by the caller's word, in all of these.
    unsafe {
        match attribute {
            4 => target.put_text(&column.name),
            2 => target.put(type_code(data_type)),
            32 => target.put(u8::from(matches!(
                data_type.kind(),
                Kind::Text | Kind::Clob
            ))),
            5 => target.put(precision),
            6 => target.put(scale),
            1 => target.put(short(data_type.bytes())),
            286 => target.put(short(chars)),
            7 => target.put(u8::from(!column.not_null)),
            // Whether it is JSON.
            534 => target.put(0_u8),
            _ => Err(unknown(attribute)),
        }
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn OCIAttrSet(
    handle: *mut c_void,
    _kind: u32,
    value: *mut c_void,
    size: u32,
    attribute: u32,
    errors: *mut c_void,
) -> c_int {
    let call = || {
        // SAFETY: the caller gives a live handle, and a value of the attribute's type.
        let object = unsafe { &Handle::at(handle)?.object };
        // SAFETY: as above; text has the size that is given.
        let text = || unsafe { text_at(value.cast::<c_char>(), size as usize) };
        // SAFETY: as above.
        let number = || unsafe { value.cast::<u32>().read_unaligned() };
        match (object, attribute) {
            (Object::Service(service), 6) => lock(service).server = value.expose_provenance(),
            (Object::Service(service), 7) => lock(service).login = value.expose_provenance(),
            (Object::Service(service), 176) => lock(service).cache_size = number(),
            (Object::Service(service), 531) => lock(service).timeout = number(),
            (Object::Login(login), 22) => lock(login).user = text()?,
            (Object::Login(login), 23) => lock(login).password = text()?,
            // What changes nothing here: transactions, names of programs, prefetching, forms of text.
            (Object::Service(_), 8)
            | (Object::Login(_), 224 | 278 | 288 | 366 | 367 | 368 | 424 | 425 | 426 | 485)
            | (Object::Server(..), 25 | 26 | 436 | 495)
            | (Object::Statement(_), 11)
            | (Object::Bind(_), 32 | 33)
            | (Object::Define(_), 32 | 440) => {}
            _ => return Err(unknown(attribute)),
        }
        Ok(SUCCESS)
    };
    // SAFETY: the caller gives a live error handle.
    unsafe { answer(errors, call) }
}

/// Nothing is ever kept in a context.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn OCIContextGetValue(
    _handle: *mut c_void,
    _errors: *mut c_void,
    _key: *const c_char,
    _length: u8,
    _value: *mut *mut c_void,
) -> c_int {
    NO_DATA
}
