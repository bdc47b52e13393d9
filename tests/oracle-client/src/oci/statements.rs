//! Statements: preparing, executing, fetching.

use std::collections::VecDeque;
use std::ffi::{c_char, c_int, c_void};
use std::sync::Arc;
use std::time::Duration;

use super::binds::Bind;
use super::handle::{
    Answer, Failure, Handle, NO_DATA, Object, SUCCESS, SUCCESS_WITH_INFO, answer, bind_at,
    define_at, error_at, statement_at,
};
use super::sessions::{Shared, service_at_timeout, shared_at, text_at};
use crate::database::{BindShape, ResultColumn};
use crate::error::OraError;
use crate::session::{Batch, Outcome};
use crate::sql::{Outline, Parsed, outline};
use crate::value::Value;

/// Executes and commits.
const COMMIT_ON_SUCCESS: u32 = 0x20;
/// Goes on behind rows that fail.
const BATCH_ERRORS: u32 = 0x80;
/// Describes a query and doesn't execute it.
const DESCRIBE_ONLY: u32 = 0x10;
const PARSE_ONLY: u32 = 0x100;

/// A statement handle.
#[derive(Default)]
pub(super) struct Statement {
    shared: Option<Arc<Shared>>,
    sql: String,
    outline: Outline,
    parsed: Option<Parsed>,
    /// Bind handles by the position of the bind, from 0; 0 is none.
    binds: Vec<usize>,
    /// Define handles by the position of the column, from 0; 0 is none.
    defines: Vec<usize>,
    columns: Arc<[Arc<ResultColumn>]>,
    /// Columns of earlier executions: ODPI-C keeps pointers to their names.
    retired: Vec<Arc<[Arc<ResultColumn>]>>,
    rows: VecDeque<Vec<Value>>,
    counts: Vec<u64>,
    failed: usize,
    fetched: u32,
    total: u64,
}

impl Statement {
    pub(super) fn oci_type(&self) -> u16 {
        self.outline.oci_type
    }

    pub(super) fn bind_names(&self) -> &[String] {
        &self.outline.binds
    }

    pub(super) fn columns(&self) -> &[Arc<ResultColumn>] {
        &self.columns
    }

    pub(super) fn row_count(&self) -> u64 {
        if self.counts.is_empty() {
            self.total
        } else {
            self.counts.iter().sum()
        }
    }

    pub(super) fn row_counts(&self) -> &[u64] {
        &self.counts
    }

    pub(super) fn failed_rows(&self) -> usize {
        self.failed
    }

    pub(super) fn rows_fetched(&self) -> u32 {
        self.fetched
    }

    pub(super) fn sql(&self) -> &str {
        &self.sql
    }

    fn set_columns(&mut self, columns: Vec<ResultColumn>) {
        let is_same = columns.len() == self.columns.len()
            && columns
                .iter()
                .zip(self.columns.iter())
                .all(|(new, old)| *new == **old);
        if !is_same {
            let columns = columns.into_iter().map(Arc::new).collect();
            self.retired
                .push(std::mem::replace(&mut self.columns, columns));
        }
    }

    /// Keeps a bind at one position, or at all with a name.
    pub(super) fn keep_bind(&mut self, positions: &[usize], handle: usize) {
        self.binds.resize(self.outline.binds.len(), 0);
        for at in positions {
            let old = std::mem::replace(&mut self.binds[*at], handle);
            free_if_unused(old, &self.binds);
        }
    }

    pub(super) fn keep_define(&mut self, at: usize, handle: usize) {
        if self.defines.len() <= at {
            self.defines.resize(at + 1, 0);
        }
        let old = std::mem::replace(&mut self.defines[at], handle);
        free_if_unused(old, &self.defines);
    }
}

/// Frees a handle of the statement's own, unless it is still in the list.
fn free_if_unused(handle: usize, list: &[usize]) {
    if handle != 0 && !list.contains(&handle) {
        // SAFETY: the statement made it, and nobody else frees it.
        let _freed = unsafe { Handle::free(std::ptr::with_exposed_provenance_mut(handle)) };
    }
}

impl Drop for Statement {
    fn drop(&mut self) {
        for mut list in [
            std::mem::take(&mut self.binds),
            std::mem::take(&mut self.defines),
        ] {
            while let Some(handle) = list.pop() {
                free_if_unused(handle, &list);
            }
        }
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn OCIStmtPrepare2(
    service: *mut c_void,
    statement: *mut *mut c_void,
    errors: *mut c_void,
    sql: *const c_char,
    length: u32,
    _key: *const c_char,
    _key_length: u32,
    _language: u32,
    _mode: u32,
) -> c_int {
    let call = || {
        // SAFETY: the caller gives a live handle and text of that length.
        let (shared, sql) = unsafe { (shared_at(service)?, text_at(sql, length as usize)?) };
        let mut prepared = Statement::default();
        prepared.shared = Some(shared);
        prepared.outline = outline(&sql);
        prepared.sql = sql;
        let handle = Handle::make(Object::Statement(std::sync::Mutex::new(prepared)));
        // SAFETY: the caller has room for a pointer.
        unsafe { statement.write(handle) };
        Ok(SUCCESS)
    };
    // SAFETY: the caller gives a live error handle.
    unsafe { answer(errors, call) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn OCIStmtRelease(
    statement: *mut c_void,
    errors: *mut c_void,
    _key: *const c_char,
    _key_length: u32,
    _mode: u32,
) -> c_int {
    // SAFETY: the caller gives live handles, and no longer uses the statement.
    unsafe { answer(errors, || Handle::free(statement)) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn OCIStmtGetBindInfo(
    statement: *mut c_void,
    errors: *mut c_void,
    size: u32,
    start: u32,
    found: *mut i32,
    names: *mut *const u8,
    lengths: *mut u8,
    indicators: *mut *const u8,
    indicator_lengths: *mut u8,
    duplicates: *mut u8,
    handles: *mut *mut c_void,
) -> c_int {
    let call = || {
        // SAFETY: the caller gives a live handle.
        let statement = unsafe { statement_at(statement) }?;
        let binds = statement.bind_names();
        if binds.is_empty() {
            return Ok(NO_DATA);
        }
        let start = (start as usize).saturating_sub(1);
        for (at, name) in binds.iter().enumerate().skip(start).take(size as usize) {
            let to = at - start;
            // SAFETY: the caller has room for so many of each.
            unsafe {
                names.add(to).write(name.as_ptr());
                lengths
                    .add(to)
                    .write(u8::try_from(name.len()).unwrap_or(u8::MAX));
                indicators.add(to).write(name.as_ptr());
                indicator_lengths.add(to).write(0);
                duplicates
                    .add(to)
                    .write(u8::from(binds[..at].contains(name)));
                handles.add(to).write(std::ptr::null_mut());
            }
        }
        // Negative, as long as there are more.
        let all = i32::try_from(binds.len()).unwrap_or(i32::MAX);
        let is_all = binds.len() <= start + size as usize;
        // SAFETY: the caller has room for a number.
        unsafe { found.write(if is_all { all } else { -all }) };
        Ok(SUCCESS)
    };
    // SAFETY: the caller gives a live error handle.
    unsafe { answer(errors, call) }
}

/// The binds of a statement, as values.
struct Bound {
    handles: Vec<usize>,
}

impl Bound {
    fn of(statement: &Statement) -> Result<Self, OraError> {
        let mut handles = statement.binds.clone();
        handles.resize(statement.outline.binds.len(), 0);
        if handles.contains(&0) {
            return Err(OraError::new(1008, "not all variables bound"));
        }
        Ok(Self { handles })
    }

    fn with<T>(
        &self,
        at: usize,
        work: impl FnOnce(&Bind, *mut c_void) -> Result<T, OraError>,
    ) -> Result<T, OraError> {
        let pointer = std::ptr::with_exposed_provenance_mut(self.handles[at]);
        // SAFETY: the statement keeps its bind handles for as long as itself.
        match unsafe { bind_at(pointer) } {
            Ok(bind) => work(&bind, pointer),
            Err(_) => Err(OraError::new(1008, "not all variables bound")),
        }
    }

    fn shapes(&self) -> Result<Vec<BindShape>, OraError> {
        (0..self.handles.len())
            .map(|at| self.with(at, |bind, _| bind.shape()))
            .collect()
    }

    fn values(&self, row: u32) -> Result<Vec<Value>, OraError> {
        (0..self.handles.len())
            .map(|at| self.with(at, |bind, handle| bind.value(row, handle)))
            .collect()
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn OCIStmtExecute(
    service: *mut c_void,
    statement: *mut c_void,
    errors: *mut c_void,
    iterations: u32,
    _offset: u32,
    _snapshot_in: *const c_void,
    _snapshot_out: *mut c_void,
    mode: u32,
) -> c_int {
    let call = || -> Answer {
        // SAFETY: the caller gives live handles.
        let (shared, timeout, mut statement) = unsafe {
            (
                shared_at(service)?,
                service_at_timeout(service)?,
                statement_at(statement)?,
            )
        };
        let statement = &mut *statement;
        (statement.failed, statement.fetched, statement.total) = (0, 0, 0);
        statement.counts.clear();
        statement.rows.clear();
        let bound = Bound::of(statement)?;
        let shapes = bound.shapes()?;
        let outcome = shared.with(|session| {
            session.timeout = Duration::from_millis(u64::from(timeout));
            let parsed = match statement.parsed.take() {
                Some(parsed) => parsed,
                None => session.parse(&statement.sql)?,
            };
            let outcome = if mode & (DESCRIBE_ONLY | PARSE_ONLY) != 0 {
                statement.set_columns(session.describe(&parsed, &shapes)?);
                Outcome::default()
            } else {
                let batch = Batch {
                    sql: &statement.sql,
                    shapes: &shapes,
                    rows: iterations.max(1),
                    values: &mut |row| bound.values(row),
                    collects_errors: mode & BATCH_ERRORS != 0,
                    commits: mode & COMMIT_ON_SUCCESS != 0,
                };
                session.execute(&parsed, batch)
            };
            statement.parsed = Some(parsed);
            Ok(outcome)
        })?;
        statement.counts = outcome.counts;
        if let Some(result) = outcome.result {
            statement.set_columns(result.columns);
            statement.rows = result.rows;
        }
        if let Some(error) = outcome.error {
            return Err(error.into());
        }
        statement.failed = outcome.errors.len();
        if outcome.errors.is_empty() {
            return Ok(SUCCESS);
        }
        // SAFETY: the caller gives a live error handle.
        let mut state = unsafe { error_at(errors) }?;
        state.error = Some(OraError::new(24381, "error(s) in array DML"));
        state.rows = outcome.errors;
        Ok(SUCCESS_WITH_INFO)
    };
    // SAFETY: the caller gives a live error handle.
    unsafe { answer(errors, call) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn OCIStmtFetch2(
    statement: *mut c_void,
    errors: *mut c_void,
    count: u32,
    orientation: u16,
    _offset: i32,
    _mode: u32,
) -> c_int {
    let call = || -> Answer {
        // SAFETY: the caller gives a live handle.
        let mut statement = unsafe { statement_at(statement) }?;
        let statement = &mut *statement;
        if orientation != 2 && orientation != 0 {
            return Err(OraError::unknown("a fetch of other than the next rows").into());
        }
        let shared = statement.shared.clone().ok_or(Failure::Invalid)?;
        let formats = shared.with(|session| {
            session.call("fetch", "", |session| {
                Ok(session.settings().formats.clone())
            })
        })?;
        let mut fetched = 0;
        while fetched < count {
            let Some(row) = statement.rows.pop_front() else {
                break;
            };
            for (at, value) in row.into_iter().enumerate() {
                let Some(handle) = statement.defines.get(at).filter(|handle| **handle != 0) else {
                    continue;
                };
                let pointer = std::ptr::with_exposed_provenance_mut(*handle);
                // SAFETY: the statement keeps its define handles for as long as itself.
                let define = unsafe { define_at(pointer) }?;
                define.put(fetched, value, pointer, &formats)?;
            }
            fetched += 1;
        }
        statement.fetched = fetched;
        statement.total += u64::from(fetched);
        Ok(if fetched < count { NO_DATA } else { SUCCESS })
    };
    // SAFETY: the caller gives a live error handle.
    unsafe { answer(errors, call) }
}

/// The kind of a bind that has no type of SQL's.
pub(super) fn unsupported(code: u16) -> OraError {
    OraError::new(
        3115,
        format!("unsupported network datatype or representation ({code})"),
    )
}
