//! Writers opened the way that the engine opens them, without a plugin file.

use std::{
    collections::BTreeMap,
    marker::PhantomData,
    sync::{Arc, Mutex, PoisonError},
};

use serde_json::Value;

use crate::{
    Role, StreamId, WriteError, Writer,
    abi::{Canceller, Header, HostCalls, Plugin, RemoteWriter, WriterModule_Ref, header},
    read_back::{Digest, read_found},
};

struct Tested<W>(PhantomData<W>);

impl<W: Writer> Plugin for Tested<W> {
    type Writer = W;
    const VERSION: &'static str = "0.0.0-test";
}

/// The root module of a plugin that exports `W`, checked as if it came from a file.
///
/// # Panics
///
/// Where that check fails.
#[must_use]
pub fn module<W: Writer>() -> WriterModule_Ref {
    let header: &'static Header = Box::leak(Box::new(header::<Tested<W>>()));
    header
        .init_root_module()
        .unwrap_or_else(|error| panic!("module of plugin {:?}: {error}", W::NAME))
}

/// A writer behind the ABI, and what it tells its host.
///
/// # Errors
///
/// Whatever the plugin's `open` returned.
pub fn open<W: Writer>(
    options: &Value,
    role: Role,
) -> Result<(RemoteWriter, Canceller, Recorder), WriteError> {
    let recorder = Recorder::default();
    let (writer, canceller) = module::<W>().open_writer(options, role, recorder.clone())?;
    Ok((writer, canceller, recorder))
}

/// A stream's identity for tests.
#[must_use]
pub fn stream() -> StreamId {
    StreamId {
        sync: "shop".to_owned(),
        source: "main".to_owned(),
        system_id: "7301122334455667788".to_owned(),
        timeline: 1,
        database: 5,
        slot: "tahr_test_main".to_owned(),
        ..StreamId::default()
    }
}

/// A host that keeps what a writer logs and counts.
#[derive(Clone, Debug, Default)]
pub struct Recorder(Arc<Mutex<Recorded>>);

#[derive(Debug, Default)]
struct Recorded {
    lines: Vec<(u32, String)>,
    counters: BTreeMap<String, u64>,
    found: Vec<(Digest, Vec<Option<String>>)>,
}

impl Recorder {
    /// The lines so far: level (1 error … 5 trace) and text.
    #[must_use]
    pub fn lines(&self) -> Vec<(u32, String)> {
        self.with(|recorded| recorded.lines.clone())
    }

    /// The counter `name`.
    #[must_use]
    pub fn counter(&self, name: &str) -> u64 {
        self.with(|recorded| recorded.counters.get(name).copied().unwrap_or(0))
    }

    /// The rows that were read back, each with the name of its key.
    #[must_use]
    pub fn found(&self) -> Vec<(Digest, Vec<Option<String>>)> {
        self.with(|recorded| recorded.found.clone())
    }

    fn with<T>(&self, act: impl FnOnce(&mut Recorded) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl HostCalls for Recorder {
    fn log(&self, level: u32, message: &str) {
        self.with(|recorded| recorded.lines.push((level, message.to_owned())));
    }

    fn count(&self, name: &str, by: u64) {
        self.with(|recorded| *recorded.counters.entry(name.to_owned()).or_default() += by);
    }

    fn is_stopping(&self) -> bool {
        false
    }

    fn rows(&self, found: &[u8]) -> Result<(), WriteError> {
        let text =
            |text: Option<&[u8]>| text.map(|text| String::from_utf8_lossy(text).into_owned());
        let is_whole = self.with(|recorded| {
            read_found(found, |row| {
                let name = row.name.iter().map(|&part| text(part)).collect();
                recorded.found.push((row.digest, name));
            })
        });
        match is_whole {
            true => Ok(()),
            false => Err(WriteError::fatal("rows that were read back can't be read")),
        }
    }
}
