//! Databases of the stand-in for Oracle's client library: files in a folder of the test's own.

#![allow(dead_code, reason = "each test binary uses its part")]

use std::path::{Path, PathBuf};

use oracle::{Connection, InitParams};
use tempfile::TempDir;

use crate::schema::Place;

/// A folder of databases, of which the newest is meant.
pub(crate) struct Files {
    folder: TempDir,
    made: u32,
}

/// The folder of the stand-in: the build's own.
pub(crate) fn client_dir() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let folder = test.ancestors().nth(2).unwrap().to_owned();
    let library = folder.join("libclntsh.so");
    assert!(
        library.exists(),
        "no {}: run `cargo build --workspace` first",
        library.display()
    );
    folder
}

impl Files {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            made: 0,
        }
    }

    /// The file `x.<kind>` beside the database `x.db`.
    pub(crate) fn beside(&self, kind: &str) -> PathBuf {
        self.folder.path().join(format!("{}.{kind}", self.made))
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.beside("db")
    }

    /// An error to come.
    pub(crate) fn fault(&self, line: &str) {
        std::fs::write(self.beside("faults"), format!("{line}\n")).unwrap();
    }

    pub(crate) fn options(&self) -> serde_json::Value {
        serde_json::json!({
            "connect": connect(&self.database()),
            "user": "tahr",
            "password": "stand-in",
            "client_dir": client_dir(),
        })
    }
}

fn connect(database: &Path) -> String {
    format!("stand-in:{}", database.display())
}

impl Place for Files {
    fn fresh(&mut self) -> serde_json::Value {
        self.made += 1;
        std::fs::write(self.database(), "").unwrap();
        self.options()
    }

    fn connect(&self) -> Connection {
        InitParams::new()
            .oracle_client_lib_dir(client_dir())
            .unwrap()
            .init()
            .unwrap();
        Connection::connect("tahr", "stand-in", connect(&self.database())).unwrap()
    }
}
