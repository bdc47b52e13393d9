//! Values of threads. ODPI-C asks for them from `atexit` too, when Rust's own are gone: so these are
//! the system's.

use std::ffi::{c_int, c_void};

use super::handle::SUCCESS;

type Key = u32;
type Destructor = Option<unsafe extern "C" fn(*mut c_void)>;

// SAFETY: as POSIX declares them; a key is an unsigned int where this is tested.
unsafe extern "C" {
    fn pthread_key_create(key: *mut Key, destructor: Destructor) -> c_int;
    fn pthread_key_delete(key: Key) -> c_int;
    fn pthread_getspecific(key: Key) -> *mut c_void;
    fn pthread_setspecific(key: Key, value: *const c_void) -> c_int;
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn OCIThreadProcessInit() {}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn OCIThreadKeyInit(
    _environment: *mut c_void,
    _errors: *mut c_void,
    key: *mut *mut c_void,
    destructor: *mut c_void,
) -> c_int {
    let mut made: Key = 0;
    // SAFETY: null or a function with one pointer as its argument, which is what `Destructor` is.
    let destructor = unsafe { std::mem::transmute::<*mut c_void, Destructor>(destructor) };
    // SAFETY: both arguments are as POSIX wants them.
    if unsafe { pthread_key_create(&raw mut made, destructor) } != 0 {
        return -1;
    }
    // SAFETY: the caller has room for a pointer. Key 0 must not look like no key.
    unsafe { key.write(std::ptr::without_provenance_mut(made as usize + 1)) };
    SUCCESS
}

fn key_of(key: *mut c_void) -> Key {
    Key::try_from(key.addr().wrapping_sub(1)).unwrap_or(Key::MAX)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn OCIThreadKeyDestroy(
    _environment: *mut c_void,
    _errors: *mut c_void,
    key: *mut *mut c_void,
) -> c_int {
    // SAFETY: the caller gives back the key that it has.
    unsafe { pthread_key_delete(key_of(key.read())) };
    SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn OCIThreadKeyGet(
    _environment: *mut c_void,
    _errors: *mut c_void,
    key: *mut c_void,
    value: *mut *mut c_void,
) -> c_int {
    // SAFETY: the key is one of OCIThreadKeyInit, and the caller has room for a pointer.
    unsafe { value.write(pthread_getspecific(key_of(key))) };
    SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn OCIThreadKeySet(
    _environment: *mut c_void,
    _errors: *mut c_void,
    key: *mut c_void,
    value: *mut c_void,
) -> c_int {
    // SAFETY: the key is one of OCIThreadKeyInit.
    unsafe { pthread_setspecific(key_of(key), value) }
}
