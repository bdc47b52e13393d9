//! A session: one user's connection to a database, with its transaction.
//!
//! A transaction begins with the first statement that writes and holds SQLite's only lock for writing,
//! so another session that writes waits, as for a row that both want; past a limit it gets ORA-00054.
//! Readers see what is committed. Definitions commit before and after.

mod address;
mod execute;
mod settings;

pub(crate) use address::Address;
pub(crate) use execute::{Batch, Outcome};
pub(crate) use settings::Settings;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::{Connection, InterruptHandle};

use crate::database::{Catalog, create, register};
use crate::error::{OraError, Result};
use crate::faults::{Fault, Faults};

/// The password of the only user.
const PASSWORD: &str = "stand-in";

/// How long a session waits for another's transaction to end, unless `TAHR_ORACLE_LOCK_WAIT_MS` says.
const LOCK_WAIT: Duration = Duration::from_secs(20);

/// Between two looks at a lock.
const LOOK: Duration = Duration::from_millis(2);

/// Statements of SQLite's that stay prepared.
const STATEMENTS: usize = 500;

/// What other threads may touch while a call runs.
pub(crate) struct Control {
    interrupt: InterruptHandle,
    is_busy: AtomicBool,
    is_cancelled: AtomicBool,
}

impl Control {
    /// Ends the call that is running, if any.
    pub(crate) fn cancel(&self) {
        if self.is_busy.load(Ordering::SeqCst) {
            self.is_cancelled.store(true, Ordering::SeqCst);
            self.interrupt.interrupt();
        }
    }
}

/// A session that has logged in.
pub(crate) struct Session {
    pub(crate) control: Arc<Control>,
    connection: Connection,
    catalog: Catalog,
    settings: Arc<Mutex<Settings>>,
    faults: Faults,
    in_transaction: bool,
    /// It has ended, with this error.
    dead: Option<OraError>,
    /// How long a call may take; zero is forever.
    pub(crate) timeout: Duration,
}

impl Session {
    /// Logs in.
    pub(crate) fn begin(address: &Address, user: &str, password: &str) -> Result<Self> {
        let faults = Faults::of(&address.file);
        if let Some(Fault::Before(error) | Fault::After(error)) = faults.at("login", "") {
            return Err(error);
        }
        if !user.eq_ignore_ascii_case(crate::database::SCHEMA) || password != PASSWORD {
            return Err(OraError::new(
                1017,
                "invalid username/password; logon denied",
            ));
        }
        let connection = Connection::open(&address.file)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        connection.busy_timeout(Duration::ZERO)?;
        connection.pragma_update(None, "case_sensitive_like", true)?;
        let settings = Arc::new(Mutex::new(Settings::new(address)));
        register(&connection, &settings)?;
        let control = Control {
            interrupt: connection.get_interrupt_handle(),
            is_busy: AtomicBool::new(false),
            is_cancelled: AtomicBool::new(false),
        };
        let mut session = Self {
            control: Arc::new(control),
            connection,
            catalog: Catalog::default(),
            settings,
            faults,
            in_transaction: false,
            dead: None,
            timeout: Duration::ZERO,
        };
        session.prepare_file()?;
        Ok(session)
    }

    /// Makes a new file a database.
    fn prepare_file(&mut self) -> Result<()> {
        let started = Instant::now();
        self.patiently(started, |connection| {
            // What a killed process has written is in the file still: nothing here outlives the machine.
            connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF;")
        })?;
        let exists = "SELECT 1 FROM sqlite_schema WHERE name = 'ora_tables'";
        if self.connection.prepare(exists)?.exists([])? {
            return Ok(());
        }
        self.patiently(started, |connection| {
            connection.execute_batch("BEGIN IMMEDIATE")
        })?;
        if !self.connection.prepare(exists)?.exists([])? {
            create(&self.connection)?;
        }
        self.connection.execute_batch("COMMIT")?;
        Ok(())
    }

    pub(crate) fn settings(&self) -> MutexGuard<'_, Settings> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_alive(&self) -> bool {
        self.dead.is_none()
    }

    pub(crate) fn in_transaction(&self) -> bool {
        self.in_transaction
    }

    /// Runs a call that can be cancelled, with the faults that are due.
    pub(crate) fn call<T>(
        &mut self,
        name: &str,
        sql: &str,
        work: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        if self.dead.is_some() {
            return Err(OraError::of_code(3114));
        }
        self.control.is_cancelled.store(false, Ordering::SeqCst);
        self.control.is_busy.store(true, Ordering::SeqCst);
        let result = match self.faults.at(name, sql) {
            None => work(self),
            Some(Fault::Before(error)) => Err(error),
            Some(Fault::After(error)) => work(self).and(Err(error)),
            Some(Fault::Wait(time)) => self.pause(time).and_then(|()| work(self)),
        };
        self.control.is_busy.store(false, Ordering::SeqCst);
        if let Err(error) = &result {
            self.note(error);
        }
        result
    }

    /// An error that ends the session ends its transaction.
    fn note(&mut self, error: &OraError) {
        if error.is_fatal {
            let _nothing_to_undo = self.undo();
            self.dead = Some(error.clone());
        }
    }

    /// An error for each row of an array, where one is due.
    fn row_fault(&self, sql: &str) -> Result<()> {
        match self.faults.at("row", sql) {
            Some(Fault::Before(error) | Fault::After(error)) => Err(error),
            _ => Ok(()),
        }
    }

    /// The error of a call that must not go on.
    fn check_cancelled(&self, started: Instant) -> Result<()> {
        if self.control.is_cancelled.load(Ordering::SeqCst) {
            return Err(OraError::of_code(1013));
        }
        if !self.timeout.is_zero() && started.elapsed() > self.timeout {
            return Err(OraError::of_code(3156));
        }
        Ok(())
    }

    fn pause(&self, time: Duration) -> Result<()> {
        let started = Instant::now();
        while started.elapsed() < time {
            self.check_cancelled(started)?;
            std::thread::sleep(LOOK);
        }
        Ok(())
    }

    /// Tries until another session's lock is gone.
    fn patiently<T>(
        &self,
        started: Instant,
        mut work: impl FnMut(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T> {
        let limit = std::env::var("TAHR_ORACLE_LOCK_WAIT_MS")
            .ok()
            .and_then(|text| text.parse().ok());
        let limit = limit.map_or(LOCK_WAIT, Duration::from_millis);
        loop {
            let error = match work(&self.connection) {
                Ok(done) => return Ok(done),
                Err(error) => OraError::from(error),
            };
            self.check_cancelled(started)?;
            if error.code != 54 || started.elapsed() > limit {
                return Err(error);
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Begins a transaction, unless one has begun.
    fn begin_writing(&mut self) -> Result<()> {
        if !self.in_transaction {
            self.patiently(Instant::now(), |connection| {
                connection.execute_batch("BEGIN IMMEDIATE")
            })?;
            self.in_transaction = true;
        }
        Ok(())
    }

    pub(crate) fn commit(&mut self) -> Result<()> {
        if self.in_transaction {
            self.patiently(Instant::now(), |connection| {
                connection.execute_batch("COMMIT")
            })?;
            self.in_transaction = false;
        }
        Ok(())
    }

    pub(crate) fn undo(&mut self) -> Result<()> {
        if self.in_transaction {
            self.connection.execute_batch("ROLLBACK")?;
            self.in_transaction = false;
        }
        Ok(())
    }
}
