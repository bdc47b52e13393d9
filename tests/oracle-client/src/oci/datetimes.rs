//! Dates, timestamps, intervals and row numbers in their descriptors.

use std::ffi::{c_char, c_int, c_void};

use super::environment::write_text;
use super::handle::{SUCCESS, answer, interval_at, row_at, time_at};
use super::sessions::text_at;
use crate::error::OraError;
use crate::value::{DateTime, Formats, Interval, Kind, Value, convert};

/// Nanoseconds of a second.
const SECOND: i128 = 1_000_000_000;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn OCIDateTimeConstruct(
    _handle: *mut c_void,
    errors: *mut c_void,
    time: *mut c_void,
    year: i16,
    month: u8,
    day: u8,
    hour: u8,
    minute: u8,
    second: u8,
    nanosecond: u32,
    zone: *const c_char,
    zone_length: usize,
) -> c_int {
    let call = || {
        let offset = if zone.is_null() || zone_length == 0 {
            0
        } else {
            // SAFETY: the caller gives text of that length.
            let zone = unsafe { text_at(zone, zone_length) }?;
            match Formats::default().parse(&zone, "TZR", Kind::TimestampTz)? {
                Value::TimestampTz(time) => time.offset,
                _ => 0,
            }
        };
        let made = DateTime {
            year,
            month,
            day,
            hour,
            minute,
            second,
            nanosecond,
            offset,
        }
        .check()?;
        // SAFETY: the caller gives a live descriptor.
        *unsafe { time_at(time) }? = made;
        Ok(SUCCESS)
    };
    // SAFETY: the caller gives a live error handle.
    unsafe { answer(errors, call) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn OCIDateTimeGetDate(
    _handle: *mut c_void,
    errors: *mut c_void,
    time: *const c_void,
    year: *mut i16,
    month: *mut u8,
    day: *mut u8,
) -> c_int {
    let call = || {
        // SAFETY: the caller gives a live descriptor and room for the parts.
        unsafe {
            let time = time_at(time)?;
            year.write(time.year);
            month.write(time.month);
            day.write(time.day);
        }
        Ok(SUCCESS)
    };
    // SAFETY: the caller gives a live error handle.
    unsafe { answer(errors, call) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn OCIDateTimeGetTime(
    _handle: *mut c_void,
    errors: *mut c_void,
    time: *mut c_void,
    hour: *mut u8,
    minute: *mut u8,
    second: *mut u8,
    nanosecond: *mut u32,
) -> c_int {
    let call = || {
        // SAFETY: the caller gives a live descriptor and room for the parts.
        unsafe {
            let time = time_at(time)?;
            hour.write(time.hour);
            minute.write(time.minute);
            second.write(time.second);
            nanosecond.write(time.nanosecond);
        }
        Ok(SUCCESS)
    };
    // SAFETY: the caller gives a live error handle.
    unsafe { answer(errors, call) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn OCIDateTimeGetTimeZoneOffset(
    _handle: *mut c_void,
    errors: *mut c_void,
    time: *const c_void,
    hour: *mut i8,
    minute: *mut i8,
) -> c_int {
    let call = || {
        // SAFETY: the caller gives a live descriptor and room for the parts.
        unsafe {
            let offset = time_at(time)?.offset;
            hour.write(i8::try_from(offset / 60).unwrap_or(0));
            minute.write(i8::try_from(offset % 60).unwrap_or(0));
        }
        Ok(SUCCESS)
    };
    // SAFETY: the caller gives a live error handle.
    unsafe { answer(errors, call) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn OCIIntervalSetDaySecond(
    _handle: *mut c_void,
    errors: *mut c_void,
    days: i32,
    hours: i32,
    minutes: i32,
    seconds: i32,
    nanoseconds: i32,
    interval: *mut c_void,
) -> c_int {
    let call = || {
        let seconds = i128::from(days) * 86_400
            + i128::from(hours) * 3600
            + i128::from(minutes) * 60
            + i128::from(seconds);
        // SAFETY: the caller gives a live descriptor.
        *unsafe { interval_at(interval) }? =
            Interval::DaySecond(seconds * SECOND + i128::from(nanoseconds));
        Ok(SUCCESS)
    };
    // SAFETY: the caller gives a live error handle.
    unsafe { answer(errors, call) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn OCIIntervalGetDaySecond(
    _handle: *mut c_void,
    errors: *mut c_void,
    days: *mut i32,
    hours: *mut i32,
    minutes: *mut i32,
    seconds: *mut i32,
    nanoseconds: *mut i32,
    interval: *const c_void,
) -> c_int {
    let call = || {
        // SAFETY: the caller gives a live descriptor.
        let Interval::DaySecond(all) = *(unsafe { interval_at(interval) }?) else {
            return Err(OraError::new(1867, "the interval is invalid").into());
        };
        let whole = all / SECOND;
        let parts = [
            (days, whole / 86_400),
            (hours, whole / 3600 % 24),
            (minutes, whole / 60 % 60),
            (seconds, whole % 60),
            (nanoseconds, all % SECOND),
        ];
        for (to, part) in parts {
            // SAFETY: the caller has room for the parts.
            unsafe { to.write(i32::try_from(part).unwrap_or(i32::MAX)) };
        }
        Ok(SUCCESS)
    };
    // SAFETY: the caller gives a live error handle.
    unsafe { answer(errors, call) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn OCIIntervalSetYearMonth(
    _handle: *mut c_void,
    errors: *mut c_void,
    years: i32,
    months: i32,
    interval: *mut c_void,
) -> c_int {
    let call = || {
        // SAFETY: the caller gives a live descriptor.
        *unsafe { interval_at(interval) }? = Interval::YearMonth(years * 12 + months);
        Ok(SUCCESS)
    };
    // SAFETY: the caller gives a live error handle.
    unsafe { answer(errors, call) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn OCIIntervalGetYearMonth(
    _handle: *mut c_void,
    errors: *mut c_void,
    years: *mut i32,
    months: *mut i32,
    interval: *const c_void,
) -> c_int {
    let call = || {
        // SAFETY: the caller gives a live descriptor.
        let Interval::YearMonth(all) = *(unsafe { interval_at(interval) }?) else {
            return Err(OraError::new(1867, "the interval is invalid").into());
        };
        // SAFETY: the caller has room for both parts.
        unsafe {
            years.write(all / 12);
            months.write(all % 12);
        }
        Ok(SUCCESS)
    };
    // SAFETY: the caller gives a live error handle.
    unsafe { answer(errors, call) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn OCIRowidToChar(
    row: *mut c_void,
    buffer: *mut c_char,
    length: *mut u16,
    errors: *mut c_void,
) -> c_int {
    let call = || {
        // SAFETY: the caller gives a live descriptor.
        let row = Value::RowId(*unsafe { row_at(row) }?);
        let Value::Text(text) = convert(row, Kind::Text, &Formats::default())? else {
            return Err(OraError::new(1410, "invalid ROWID").into());
        };
        let needed = u16::try_from(text.len()).unwrap_or(u16::MAX);
        // SAFETY: the caller gives a buffer, and a number that says how much room it has.
        unsafe {
            let room = length.replace(needed);
            if room < needed {
                return Err(OraError::new(1405, "buffer too small for a ROWID").into());
            }
            // No zero behind it: there may be no room.
            let mut padded = [0; 32];
            write_text(&text, padded.as_mut_ptr(), padded.len());
            buffer.copy_from_nonoverlapping(padded.as_ptr(), usize::from(needed));
        }
        Ok(SUCCESS)
    };
    // SAFETY: the caller gives a live error handle.
    unsafe { answer(errors, call) }
}
