//! Servers, sessions, transactions.

use std::ffi::{c_char, c_int, c_void};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::environment::write_text;
use super::handle::{Answer, Failure, Handle, Object, SUCCESS, answer, lock, login_at, service_at};
use crate::error::{OraError, Result};
use crate::session::{Address, Control, Session};

/// A session, with what other threads may use while it is busy.
pub(super) struct Shared {
    session: Mutex<Option<Session>>,
    control: Arc<Control>,
}

impl Shared {
    /// Uses the session, or says that there is none.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut Session) -> Result<T>) -> Result<T> {
        match lock(&self.session).as_mut() {
            Some(session) => work(session),
            None => Err(OraError::new(1012, "not logged on")),
        }
    }
}

/// A service context: a server and a session.
#[derive(Default)]
pub(super) struct Service {
    pub(super) server: usize,
    pub(super) login: usize,
    pub(super) shared: Option<Arc<Shared>>,
    pub(super) cache_size: u32,
    pub(super) timeout: u32,
}

/// What is to be logged in with.
#[derive(Default)]
pub(super) struct Login {
    pub(super) user: String,
    pub(super) password: String,
    pub(super) shared: Option<Arc<Shared>>,
}

/// The session of a service context.
///
/// # Safety
/// The pointer is null or a live handle.
pub(super) unsafe fn shared_at(
    service: *const c_void,
) -> std::result::Result<Arc<Shared>, Failure> {
    // SAFETY: by the caller's word.
    let service = unsafe { service_at(service) }?;
    let shared = service.shared.clone();
    shared.ok_or_else(|| OraError::new(1012, "not logged on").into())
}

/// How long a call of a service context may take, in milliseconds.
///
/// # Safety
/// As for [`shared_at`].
pub(super) unsafe fn service_at_timeout(
    service: *const c_void,
) -> std::result::Result<u32, Failure> {
    // SAFETY: by the caller's word.
    Ok(unsafe { service_at(service) }?.timeout)
}

/// Text of a given length.
///
/// # Safety
/// `text` is null or has so many bytes.
pub(super) unsafe fn text_at(
    text: *const c_char,
    length: usize,
) -> std::result::Result<String, OraError> {
    if text.is_null() {
        return Ok(String::new());
    }
    // SAFETY: by the caller's word.
    let bytes = unsafe { std::slice::from_raw_parts(text.cast::<u8>(), length) };
    let text = std::str::from_utf8(bytes);
    text.map(str::to_owned)
        .map_err(|_| OraError::new(29275, "partial multibyte character"))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn OCIServerAttach(
    server: *mut c_void,
    errors: *mut c_void,
    connect: *const c_char,
    length: i32,
    _mode: u32,
) -> c_int {
    let call = || {
        // SAFETY: the caller gives a live handle.
        let Handle {
            object: Object::Server(_, found),
            ..
        } = (unsafe { Handle::at(server) })?
        else {
            return Err(Failure::Invalid);
        };
        // SAFETY: the caller gives text of that length.
        let connect = unsafe { text_at(connect, usize::try_from(length).unwrap_or(0)) }?;
        *lock(found) = Some(Address::find(&connect)?);
        Ok(SUCCESS)
    };
    // SAFETY: the caller gives a live error handle.
    unsafe { answer(errors, call) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn OCIServerDetach(
    server: *mut c_void,
    errors: *mut c_void,
    _mode: u32,
) -> c_int {
    let call = || {
        // SAFETY: the caller gives a live handle.
        let Handle {
            object: Object::Server(shared, found),
            ..
        } = (unsafe { Handle::at(server) })?
        else {
            return Err(Failure::Invalid);
        };
        *lock(found) = None;
        *lock(shared) = None;
        Ok(SUCCESS)
    };
    // SAFETY: the caller gives a live error handle.
    unsafe { answer(errors, call) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn OCISessionBegin(
    service: *mut c_void,
    errors: *mut c_void,
    login: *mut c_void,
    credentials: u32,
    _mode: u32,
) -> c_int {
    let call = || {
        // SAFETY: the caller gives live handles, and the server is the one that it has set.
        let (mut service, mut login) = unsafe { (service_at(service)?, login_at(login)?) };
        let server: *const c_void = std::ptr::with_exposed_provenance(service.server);
        // SAFETY: as above.
        let Handle {
            object: Object::Server(of_server, address),
            ..
        } = (unsafe { Handle::at(server) })?
        else {
            return Err(Failure::Invalid);
        };
        let address = lock(address)
            .clone()
            .ok_or_else(|| OraError::of_code(3114))?;
        if credentials != 1 {
            return Err(OraError::new(1017, "invalid username/password; logon denied").into());
        }
        let session = Session::begin(&address, &login.user, &login.password)?;
        let control = Arc::clone(&session.control);
        let shared = Arc::new(Shared {
            session: Mutex::new(Some(session)),
            control,
        });
        service.shared = Some(Arc::clone(&shared));
        login.shared = Some(Arc::clone(&shared));
        *lock(of_server) = Some(shared);
        Ok(SUCCESS)
    };
    // SAFETY: the caller gives a live error handle.
    unsafe { answer(errors, call) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn OCISessionEnd(
    service: *mut c_void,
    errors: *mut c_void,
    _login: *mut c_void,
    _mode: u32,
) -> c_int {
    let call = || {
        // SAFETY: the caller gives a live handle.
        let shared = unsafe { shared_at(service) }?;
        // What wasn't committed is gone with the connection.
        drop(lock(&shared.session).take());
        Ok(SUCCESS)
    };
    // SAFETY: the caller gives a live error handle.
    unsafe { answer(errors, call) }
}

/// Makes a call on the session of a service context.
///
/// # Safety
/// Both are live handles.
unsafe fn on_session(
    service: *mut c_void,
    errors: *mut c_void,
    name: &str,
    work: impl FnOnce(&mut Session) -> Result<()>,
) -> c_int {
    let call = || -> Answer {
        // SAFETY: by the caller's word.
        let (shared, timeout) = unsafe { (shared_at(service)?, service_at(service)?.timeout) };
        shared.with(|session| {
            session.timeout = Duration::from_millis(u64::from(timeout));
            session.call(name, "", work)
        })?;
        Ok(SUCCESS)
    };
    // SAFETY: by the caller's word.
    unsafe { answer(errors, call) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn OCITransCommit(
    service: *mut c_void,
    errors: *mut c_void,
    _flags: u32,
) -> c_int {
    // SAFETY: the caller gives live handles.
    unsafe { on_session(service, errors, "commit", Session::commit) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn OCITransRollback(
    service: *mut c_void,
    errors: *mut c_void,
    _flags: u32,
) -> c_int {
    // SAFETY: the caller gives live handles.
    unsafe { on_session(service, errors, "rollback", Session::undo) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn OCIPing(service: *mut c_void, errors: *mut c_void, _mode: u32) -> c_int {
    // SAFETY: the caller gives live handles.
    unsafe { on_session(service, errors, "ping", |_| Ok(())) }
}

/// From any thread, while a call runs.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn OCIBreak(service: *mut c_void, errors: *mut c_void) -> c_int {
    let call = || {
        // SAFETY: the caller gives a live handle.
        let shared = unsafe { shared_at(service) }?;
        shared.control.cancel();
        Ok(SUCCESS)
    };
    // SAFETY: the caller gives a live error handle.
    unsafe { answer(errors, call) }
}

/// After a break there is nothing left over here.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn OCIReset(_service: *mut c_void, _errors: *mut c_void) -> c_int {
    SUCCESS
}

fn packed(version: &str) -> u32 {
    let mut parts = version
        .split('.')
        .map(|part| part.parse::<u32>().unwrap_or(0));
    let mut next = || parts.next().unwrap_or(0);
    let (major, minor, update, patch, port) = (next(), next(), next(), next(), next());
    if major >= 18 {
        major << 24 | minor << 16 | update << 12 | patch << 4 | port
    } else {
        major << 24 | minor << 20 | update << 12 | patch << 8 | port
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn OCIServerRelease2(
    service: *mut c_void,
    errors: *mut c_void,
    buffer: *mut c_char,
    room: u32,
    _kind: u8,
    version: *mut u32,
    _mode: u32,
) -> c_int {
    let call = || {
        // SAFETY: the caller gives a live handle.
        let shared = unsafe { shared_at(service) }?;
        let release = shared.with(|session| {
            session.call("version", "", |session| {
                Ok(session.settings().version.clone())
            })
        })?;
        let text = format!("Oracle Database Stand-in Release {release} - for tests");
        // SAFETY: the caller gives a buffer of that size and room for a number.
        unsafe {
            write_text(&text, buffer, room as usize);
            version.write(packed(&release));
        }
        Ok(SUCCESS)
    };
    // SAFETY: the caller gives a live error handle.
    unsafe { answer(errors, call) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn OCIServerRelease(
    service: *mut c_void,
    errors: *mut c_void,
    buffer: *mut c_char,
    room: u32,
    kind: u8,
    version: *mut u32,
) -> c_int {
    // SAFETY: the arguments are the same.
    unsafe { OCIServerRelease2(service, errors, buffer, room, kind, version, 0) }
}
