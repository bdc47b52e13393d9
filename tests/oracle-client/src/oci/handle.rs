//! Handles and descriptors, and how a call answers.

use std::ffi::{c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::binds::Bind;
use super::defines::Define;
use super::lobs::Lob;
use super::sessions::{Login, Service, Shared};
use super::statements::Statement;
use crate::database::ResultColumn;
use crate::error::OraError;
use crate::value::{DateTime, Interval};

pub(super) const SUCCESS: c_int = 0;
pub(super) const SUCCESS_WITH_INFO: c_int = 1;
pub(super) const NO_DATA: c_int = 100;
const ERROR: c_int = -1;
const INVALID_HANDLE: c_int = -2;

/// What a live handle begins with.
const TAG: u64 = 0x7461_6872_2d6f_6369;

/// What OCI calls a handle or a descriptor.
pub(super) struct Handle {
    tag: u64,
    pub(super) object: Object,
    /// Those that were allocated with it as one array.
    group: Vec<*mut c_void>,
}

#[expect(
    clippy::large_enum_variant,
    reason = "a statement is what most handles are"
)]
pub(super) enum Object {
    Environment,
    Error(Mutex<ErrorState>),
    Server(
        Mutex<Option<Arc<Shared>>>,
        Mutex<Option<crate::session::Address>>,
    ),
    Service(Mutex<Service>),
    Login(Mutex<Login>),
    Statement(Mutex<Statement>),
    Bind(Mutex<Bind>),
    Define(Mutex<Define>),
    Column(Arc<ResultColumn>),
    Lob(Mutex<Lob>),
    DateTime(Mutex<DateTime>),
    Interval(Mutex<Interval>),
    RowId(Mutex<i64>),
    /// A transaction's, or a description's: nothing is kept in it.
    Nothing,
}

/// The last error of a call with this handle.
#[derive(Debug, Default)]
pub(super) struct ErrorState {
    pub(super) error: Option<OraError>,
    /// The rows of an array that failed.
    pub(super) rows: Vec<(u32, OraError)>,
    /// For one of those: which row.
    pub(super) row: u32,
}

/// Why a call fails.
pub(super) enum Failure {
    Invalid,
    Oracle(OraError),
}

pub(super) type Answer = Result<c_int, Failure>;

impl From<OraError> for Failure {
    fn from(error: OraError) -> Self {
        Self::Oracle(error)
    }
}

impl Handle {
    pub(super) fn make(object: Object) -> *mut c_void {
        Box::into_raw(Box::new(Self {
            tag: TAG,
            object,
            group: Vec::new(),
        }))
        .cast()
    }

    /// Several descriptors, of which the first knows all.
    ///
    /// # Safety
    /// `first` has room for `count` pointers.
    pub(super) unsafe fn new_group(first: *mut *mut c_void, count: u32, make: impl Fn() -> Object) {
        let group: Vec<_> = (0..count).map(|_| Self::make(make())).collect();
        for (at, handle) in group.iter().enumerate() {
            // SAFETY: the caller has room for all.
            unsafe { first.add(at).write(*handle) };
        }
        if let Some(&first) = group.first() {
            // SAFETY: just made, and nobody else knows it yet.
            unsafe { (*first.cast::<Self>()).group = group };
        }
    }

    /// The handle behind a pointer.
    ///
    /// # Safety
    /// The pointer is null or one that this library has given and that wasn't freed since.
    pub(super) unsafe fn at<'a>(pointer: *const c_void) -> Result<&'a Self, Failure> {
        // SAFETY: by the caller's word, null or a live box.
        match unsafe { pointer.cast::<Self>().as_ref() } {
            Some(handle) if handle.tag == TAG => Ok(handle),
            _ => Err(Failure::Invalid),
        }
    }

    /// Frees a handle, and those of its group.
    ///
    /// # Safety
    /// As for [`at`](Self::at); nobody uses it any more.
    pub(super) unsafe fn free(pointer: *mut c_void) -> Answer {
        // SAFETY: by the caller's word.
        unsafe { Self::at(pointer) }?;
        // SAFETY: it came from a box of this type, and is the caller's to free.
        let mut handle = unsafe { Box::from_raw(pointer.cast::<Self>()) };
        handle.tag = 0;
        for other in std::mem::take(&mut handle.group).into_iter().skip(1) {
            // SAFETY: made together, and freed together.
            unsafe { Self::free(other) }?;
        }
        Ok(SUCCESS)
    }
}

/// The guard of a lock that a panic may have left.
pub(super) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

macro_rules! accessor {
    ($name:ident, $variant:ident, $type:ty) => {
        /// The insides of a handle of this type.
        ///
        /// # Safety
        /// As for [`Handle::at`].
        pub(super) unsafe fn $name<'a>(
            pointer: *const c_void,
        ) -> Result<MutexGuard<'a, $type>, Failure> {
            // SAFETY: by the caller's word.
            match unsafe { Handle::at(pointer) }? {
                Handle {
                    object: Object::$variant(inner),
                    ..
                } => Ok(lock(inner)),
                _ => Err(Failure::Invalid),
            }
        }
    };
}

accessor!(error_at, Error, ErrorState);
accessor!(service_at, Service, Service);
accessor!(login_at, Login, Login);
accessor!(statement_at, Statement, Statement);
accessor!(bind_at, Bind, Bind);
accessor!(define_at, Define, Define);
accessor!(lob_at, Lob, Lob);
accessor!(time_at, DateTime, DateTime);
accessor!(interval_at, Interval, Interval);
accessor!(row_at, RowId, i64);

/// Makes a call: what goes wrong is kept in the error handle.
///
/// # Safety
/// `errors` is null or a live handle.
pub(super) unsafe fn answer(errors: *mut c_void, call: impl FnOnce() -> Answer) -> c_int {
    let outcome = catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(OraError::new(
            600,
            format!(
                "internal error code, arguments: [panic: {}]",
                text.unwrap_or_default()
            ),
        )
        .into())
    });
    match outcome {
        Ok(code) => code,
        Err(Failure::Invalid) => INVALID_HANDLE,
        Err(Failure::Oracle(error)) => {
            // SAFETY: by the caller's word.
            if let Ok(mut state) = unsafe { error_at(errors) } {
                state.error = Some(error);
            }
            ERROR
        }
    }
}
