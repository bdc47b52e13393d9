//! Databases of the stand-in for Oracle's client library, or a real server's.
//!
//! The stand-in is `libclntsh.so` in the build folder; a database is a file. A process loads one
//! client library: tests of a real one need a binary of their own.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use oracle::{Connection, InitParams};

use crate::database::Row;
use crate::run::{Run, build_folder, built};

/// The only user of the stand-in.
const USER: &str = "tahr";
const PASSWORD: &str = "stand-in";

/// A database of a test's own.
#[derive(Debug)]
pub struct OracleStandIn {
    file: PathBuf,
}

impl OracleStandIn {
    /// An empty database.
    pub fn new() -> Self {
        let file = Run::current().make_folder("oracle").join("db.db");
        fs::write(&file, "").expect("make a database of the stand-in");
        Self { file }
    }

    /// The folder of the client library.
    pub fn client_dir() -> PathBuf {
        let library = built("libclntsh.so");
        assert!(
            library.exists(),
            "{} is absent; run `cargo build --workspace` first",
            library.display()
        );
        build_folder()
    }

    /// What to connect to.
    pub fn connect_string(&self) -> String {
        format!("stand-in:{}", self.file.display())
    }

    /// The user's name.
    pub fn user(&self) -> &'static str {
        USER
    }

    /// The user's password.
    pub fn password(&self) -> &'static str {
        PASSWORD
    }

    /// The options of a target: `connect`, `user`, `password`, `client_dir`.
    pub fn options(&self) -> serde_json::Value {
        serde_json::json!({
            "connect": self.connect_string(),
            "user": USER,
            "password": PASSWORD,
            "client_dir": Self::client_dir(),
        })
    }

    /// Orders an error: `execute 3 ORA-03113`, `commit 1 ORA-03113 after`, `row 2 ORA-00001 in MERGE`
    /// …. Counted from now on, over all sessions; the stand-in's `faults.rs` has all of it.
    pub fn order_fault(&self, line: &str) {
        use std::io::Write as _;
        let file = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.beside("faults"));
        let mut file = file.expect("open the faults");
        file.lock().expect("lock the faults");
        writeln!(file, "{line}").expect("order a fault");
    }

    /// The faults that nothing has met yet.
    pub fn faults_left(&self) -> Vec<String> {
        let text = fs::read_to_string(self.beside("faults")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Takes back all faults that nothing has met yet.
    pub fn clear_faults(&self) {
        // Absent if none was ordered.
        let _absent = fs::remove_file(self.beside("faults"));
    }

    /// Nobody listens from now on; sessions that are open stay so.
    pub fn stop_listening(&self) {
        fs::write(self.beside("down"), "").expect("stop listening");
    }

    /// The opposite of [`stop_listening`](Self::stop_listening).
    pub fn listen(&self) {
        fs::remove_file(self.beside("down")).expect("listen");
    }

    /// Makes the server claim a version, as `12.1.0.2.0`, to sessions that begin later.
    pub fn set_version(&self, version: &str) {
        fs::write(self.beside("version"), version).expect("set the version");
    }

    /// A new session.
    pub fn connect(&self) -> Connection {
        self.try_connect(PASSWORD)
            .unwrap_or_else(|error| panic!("connect to the stand-in: {error}"))
    }

    /// A new session with some password, or the error.
    pub fn try_connect(&self, password: &str) -> oracle::Result<Connection> {
        load_client();
        Connection::connect(USER, password, self.connect_string())
    }

    /// Runs a statement without parameters and commits.
    pub fn execute(&self, sql: &str) {
        let session = self.connect();
        session
            .execute(sql, &[])
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
        session
            .commit()
            .unwrap_or_else(|error| panic!("commit: {error}"));
    }

    /// The rows of a query as text, as the `oracle` crate writes it.
    pub fn query(&self, sql: &str) -> Vec<Row> {
        self.try_query(sql)
            .unwrap_or_else(|error| panic!("{error}"))
    }

    /// As [`query`](Self::query), giving the error.
    pub fn try_query(&self, sql: &str) -> Result<Vec<Row>, String> {
        let read = || -> oracle::Result<Vec<Row>> {
            let session = self.try_connect(PASSWORD)?;
            let mut rows = Vec::new();
            for row in session.query(sql, &[])? {
                let row = row?;
                rows.push(
                    row.sql_values()
                        .iter()
                        .map(oracle::SqlValue::get)
                        .collect::<oracle::Result<_>>()?,
                );
            }
            Ok(rows)
        };
        read().map_err(|error| format!("{sql}: {error}"))
    }

    /// Where it is, without the connect string's prefix.
    pub fn file(&self) -> &Path {
        &self.file
    }

    fn beside(&self, extension: &str) -> PathBuf {
        self.file.with_extension(extension)
    }
}

impl Default for OracleStandIn {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for OracleStandIn {
    fn drop(&mut self) {
        // Sessions that are still open keep their file until they end.
        let _gone = self.file.parent().map(fs::remove_dir_all);
    }
}

/// Loads the stand-in into this process, once.
fn load_client() {
    static LOADED: OnceLock<()> = OnceLock::new();
    LOADED.get_or_init(|| {
        if InitParams::is_initialized() {
            return;
        }
        let mut params = InitParams::new();
        let folder = params.oracle_client_lib_dir(OracleStandIn::client_dir());
        let loaded = folder.and_then(|params| params.init());
        loaded.unwrap_or_else(|error| panic!("load the stand-in: {error}"));
    });
}
