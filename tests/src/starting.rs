//! What starting a server takes, whichever it is.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::run::Run;

/// Ports below the range that the system hands out by itself: a server that is restarted finds its
/// port as it left it.
const PORTS: std::ops::Range<u32> = 15_000..32_000;

/// How long a server may take to be ready.
const PATIENCE: Duration = Duration::from_secs(60);

/// A port that no other test of the run was given and on which nobody listens.
pub(crate) fn free_port() -> u16 {
    // Runs at the same time start at different places.
    let start = Run::current().process().pid().wrapping_mul(7919);
    loop {
        let count = Run::current().count("port").wrapping_add(start);
        let port = PORTS.start + count % (PORTS.end - PORTS.start);
        let port = u16::try_from(port).expect("a port");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Waits until `ready` answers true; an error, or 60 s without, is reported with the server's log.
pub(crate) fn await_ready(
    name: &str,
    log: &Path,
    mut ready: impl FnMut() -> Result<bool, String>,
) -> Result<(), String> {
    let deadline = Instant::now() + PATIENCE;
    let fault = loop {
        match ready() {
            Ok(true) => return Ok(()),
            Ok(false) if Instant::now() < deadline => sleep(Duration::from_millis(10)),
            Ok(false) => break format!("not ready within {PATIENCE:?}"),
            Err(fault) => break fault,
        }
    };
    let log = fs::read_to_string(log).unwrap_or_default();
    Err(format!("{name}: {fault}; its log:\n{log}"))
}

/// Whether any user may enter every folder on the way to a file.
pub(crate) fn is_open_to_all(path: &Path) -> bool {
    path.ancestors().skip(1).all(|folder| {
        fs::metadata(folder).is_ok_and(|folder| folder.permissions().mode() & 0o001 != 0)
    })
}

/// User and group of a server that refuses to run as root: under root it runs as `nobody`.
pub(crate) fn unprivileged() -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").expect("read /etc/passwd");
    let nobody = users.lines().find_map(|line| {
        let mut fields = line.strip_prefix("nobody:")?.split(':').skip(1);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    });
    Some(nobody.expect("a user `nobody`"))
}
