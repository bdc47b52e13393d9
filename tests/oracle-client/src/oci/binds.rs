//! Binds: values that a program gives, read from its memory when a statement is executed.

use std::ffi::{c_char, c_int, c_void};
use std::sync::Mutex;

use super::handle::{
    Answer, Handle, Object, SUCCESS, answer, bind_at, interval_at, lob_at, row_at, statement_at,
    time_at,
};
use super::sessions::text_at;
use super::statements::unsupported;
use crate::database::BindShape;
use crate::error::OraError;
use crate::value::{DateTime, Kind, Number, Value};

/// Values are asked for when they are needed.
const DATA_AT_EXEC: u32 = 2;

/// Gives one value: context, bind, row, index, buffer, length, piece, indicator.
type InCallback = unsafe extern "C" fn(
    *mut c_void,
    *mut c_void,
    u32,
    u32,
    *mut *mut c_void,
    *mut u32,
    *mut u8,
    *mut *mut c_void,
) -> i32;

/// What a callback returns that goes on.
const CONTINUE: i32 = -24200;

/// A bind handle: where a column of values is.
pub(super) struct Bind {
    values: *mut c_void,
    size: i64,
    code: u16,
    indicators: *const i16,
    lengths: *const u32,
    is_dynamic: bool,
    callback: Option<(*mut c_void, InCallback)>,
}

// SAFETY: the memory is the program's, which by OCI's rules leaves it alone while a call runs.
unsafe impl Send for Bind {}

/// Where one value is.
struct Place {
    value: *mut c_void,
    length: usize,
}

impl Bind {
    pub(super) fn shape(&self) -> Result<BindShape, OraError> {
        let kind = match self.code {
            1 | 5 | 8 | 9 | 96 => Kind::Text,
            2 | 3 | 6 | 68 => Kind::Number,
            21 | 100 => Kind::Float,
            22 | 101 => Kind::Double,
            23 | 24 => Kind::Raw,
            104 => Kind::RowId,
            112 => Kind::Clob,
            113 => Kind::Blob,
            12 | 156 => Kind::Date,
            187 => Kind::Timestamp,
            188 | 232 => Kind::TimestampTz,
            189 => Kind::IntervalYm,
            190 => Kind::IntervalDs,
            code => return Err(unsupported(code)),
        };
        Ok(BindShape {
            kind,
            max_bytes: u64::try_from(self.size).unwrap_or(0),
        })
    }

    /// The value of a row.
    pub(super) fn value(&self, row: u32, handle: *mut c_void) -> Result<Value, OraError> {
        match self.place(row, handle)? {
            None => Ok(Value::Null),
            // SAFETY: the program says that a value of this type is there.
            Some(place) => unsafe { read(self.code, &place) },
        }
    }

    /// Where the value of a row is; none if it is NULL.
    fn place(&self, row: u32, handle: *mut c_void) -> Result<Option<Place>, OraError> {
        if let Some((context, callback)) = self.callback {
            return Self::asked(context, callback, row, handle);
        }
        if self.is_dynamic || self.values.is_null() {
            return Err(OraError::new(1008, "not all variables bound"));
        }
        let at = row as usize;
        // SAFETY: the program has bound arrays with an element for each row.
        unsafe {
            if !self.indicators.is_null() && self.indicators.add(at).read() == -1 {
                return Ok(None);
            }
            let size = usize::try_from(self.size).unwrap_or(0);
            let length = if self.lengths.is_null() {
                size
            } else {
                self.lengths.add(at).read() as usize
            };
            Ok(Some(Place {
                value: self.values.byte_add(at * size),
                length,
            }))
        }
    }

    fn asked(
        context: *mut c_void,
        callback: InCallback,
        row: u32,
        handle: *mut c_void,
    ) -> Result<Option<Place>, OraError> {
        let (mut value, mut length, mut piece) = (std::ptr::null_mut(), 0_u32, 0_u8);
        let mut indicator: *mut c_void = std::ptr::null_mut();
        // SAFETY: the program has given the function with its context for this purpose.
        let code = unsafe {
            callback(
                context,
                handle,
                row,
                0,
                &raw mut value,
                &raw mut length,
                &raw mut piece,
                &raw mut indicator,
            )
        };
        if code != CONTINUE {
            return Err(OraError::new(24343, "user defined callback error"));
        }
        // SAFETY: null or an indicator.
        let is_null = unsafe { !indicator.is_null() && indicator.cast::<i16>().read() == -1 };
        if is_null || value.is_null() {
            return Ok(None);
        }
        Ok(Some(Place {
            value,
            length: length as usize,
        }))
    }
}

/// # Safety
/// A value of the type is there.
unsafe fn read(code: u16, place: &Place) -> Result<Value, OraError> {
    let Place { value, length } = *place;
    // SAFETY: by the caller's word, in all of these.
    unsafe {
        let bytes = || std::slice::from_raw_parts(value.cast::<u8>(), length);
        // Descriptors are bound as arrays of pointers, but given as pointers by callbacks of RETURNING
        // only, which isn't here.
        let descriptor = || value.cast::<*const c_void>().read_unaligned();
        let invalid = |_| {
            OraError::new(
                24812,
                "character set conversion or value failed: invalid descriptor",
            )
        };
        Ok(match code {
            1 | 5 | 8 | 9 | 96 => Value::text(text_at(value.cast::<c_char>(), length)?),
            23 | 24 => Value::raw(bytes().to_vec()),
            6 => Value::Number(number_at(value)?),
            3 if length == 4 => Value::Number(Number::from(i64::from(
                value.cast::<i32>().read_unaligned(),
            ))),
            3 => Value::Number(Number::from(value.cast::<i64>().read_unaligned())),
            68 => Value::Number(Number::from(value.cast::<u64>().read_unaligned())),
            21 => Value::Float(value.cast::<f32>().read_unaligned()),
            22 => Value::Double(value.cast::<f64>().read_unaligned()),
            156 => Value::Date(date_at(value)?),
            112 | 113 => lob_at(descriptor()).map_err(invalid)?.value(code == 112)?,
            187 => Value::Timestamp(time_at(descriptor()).map_err(invalid)?.check()?),
            188 | 232 => Value::TimestampTz(time_at(descriptor()).map_err(invalid)?.check()?),
            189 | 190 => Value::Interval(*interval_at(descriptor()).map_err(invalid)?),
            104 => Value::RowId(*row_at(descriptor()).map_err(invalid)?),
            code => return Err(unsupported(code)),
        })
    }
}

/// A NUMBER with its length in front.
///
/// # Safety
/// 22 bytes are there.
pub(super) unsafe fn number_at(value: *const c_void) -> Result<Number, OraError> {
    // SAFETY: by the caller's word.
    let bytes = unsafe { std::slice::from_raw_parts(value.cast::<u8>(), 22) };
    let length = usize::from(bytes[0]).min(21);
    Number::from_bytes(&bytes[1..=length]).ok_or_else(|| OraError::new(1426, "numeric overflow"))
}

/// An OCIDate.
///
/// # Safety
/// One is there.
unsafe fn date_at(value: *const c_void) -> Result<DateTime, OraError> {
    // SAFETY: by the caller's word.
    let bytes = unsafe { std::slice::from_raw_parts(value.cast::<u8>(), 7) };
    let date = DateTime {
        year: i16::from_ne_bytes([bytes[0], bytes[1]]),
        month: bytes[2],
        day: bytes[3],
        hour: bytes[4],
        minute: bytes[5],
        second: bytes[6],
        ..DateTime::default()
    };
    date.check()
}

/// The arguments that all ways to bind share.
struct Arguments {
    statement: *mut c_void,
    handle: *mut *mut c_void,
    bind: Bind,
}

impl Arguments {
    /// # Safety
    /// The statement is a live handle.
    unsafe fn keep(self, find: impl FnOnce(&[String]) -> Vec<usize>) -> Answer {
        // SAFETY: by the caller's word.
        let mut statement = unsafe { statement_at(self.statement) }?;
        let positions = find(statement.bind_names());
        if positions.is_empty() {
            return Err(OraError::new(1036, "illegal variable name/number").into());
        }
        self.bind.shape()?;
        let made = Handle::make(Object::Bind(Mutex::new(self.bind)));
        statement.keep_bind(&positions, made.expose_provenance());
        // SAFETY: the caller has room for a pointer.
        unsafe { self.handle.write(made) };
        Ok(SUCCESS)
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn OCIBindByPos2(
    statement: *mut c_void,
    handle: *mut *mut c_void,
    errors: *mut c_void,
    position: u32,
    values: *mut c_void,
    size: i64,
    code: u16,
    indicators: *mut c_void,
    lengths: *mut u32,
    _return_codes: *mut u16,
    _max_elements: u32,
    _elements: *mut u32,
    mode: u32,
) -> c_int {
    let is_dynamic = mode & DATA_AT_EXEC != 0;
    let bind = Bind {
        values,
        size,
        code,
        indicators: indicators.cast(),
        lengths,
        is_dynamic,
        callback: None,
    };
    let arguments = Arguments {
        statement,
        handle,
        bind,
    };
    let at = (position as usize).wrapping_sub(1);
    let find = |names: &[String]| {
        if at < names.len() {
            vec![at]
        } else {
            Vec::new()
        }
    };
    // SAFETY: the caller gives live handles.
    unsafe { answer(errors, || arguments.keep(find)) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn OCIBindByName2(
    statement: *mut c_void,
    handle: *mut *mut c_void,
    errors: *mut c_void,
    name: *const c_char,
    name_length: i32,
    values: *mut c_void,
    size: i64,
    code: u16,
    indicators: *mut c_void,
    lengths: *mut u32,
    _return_codes: *mut u16,
    _max_elements: u32,
    _elements: *mut u32,
    mode: u32,
) -> c_int {
    let is_dynamic = mode & DATA_AT_EXEC != 0;
    let bind = Bind {
        values,
        size,
        code,
        indicators: indicators.cast(),
        lengths,
        is_dynamic,
        callback: None,
    };
    let arguments = Arguments {
        statement,
        handle,
        bind,
    };
    let call = || {
        // SAFETY: the caller gives text of that length.
        let name = unsafe { text_at(name, usize::try_from(name_length).unwrap_or(0)) }?;
        let name = name.trim_start_matches(':');
        let wanted = name.strip_prefix('"').map_or_else(
            || name.to_uppercase(),
            |name| name.trim_end_matches('"').to_owned(),
        );
        let find = |names: &[String]| (0..names.len()).filter(|at| names[*at] == wanted).collect();
        // SAFETY: the caller gives live handles.
        unsafe { arguments.keep(find) }
    };
    // SAFETY: the caller gives a live error handle.
    unsafe { answer(errors, call) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn OCIBindDynamic(
    bind: *mut c_void,
    errors: *mut c_void,
    in_context: *mut c_void,
    in_callback: Option<InCallback>,
    _out_context: *mut c_void,
    _out_callback: *mut c_void,
) -> c_int {
    let call = || {
        // SAFETY: the caller gives a live handle.
        let mut bind = unsafe { bind_at(bind) }?;
        bind.callback = in_callback.map(|callback| (in_context, callback));
        Ok(SUCCESS)
    };
    // SAFETY: the caller gives a live error handle.
    unsafe { answer(errors, call) }
}
