//! The copy of tables into one target.
//!
//! One snapshot serves all tables of a copy. Worker sessions inside it read ranges of a table side
//! by side, loaders write them side by side (or the stream writer, where it has none); then the table's point in the stream is stored with
//! it. A table that was rewritten after the snapshot is copied again from a new one.

use futures_util::StreamExt as _;
use std::{
    borrow::BorrowMut,
    sync::{Arc, Mutex, PoisonError},
};
use tahr_plugin_api::{
    Batch, LoadMode, Lsn, Part, Position, Relation, Role, Route, Segment, WriteError,
    abi::{Arena, RemoteWriter},
    failpoint,
};
use tokio::sync::mpsc;

use super::{
    ready::of_state_folder, route::Routes, setup::Setup, shape::Shapes, state::CopyProgress,
};
use crate::{
    record::{CopyDecoder, Limits},
    source::{Blocker, Copied, CopyRange, Snapshot, SourceError, Table, Worker, catalog},
};

/// How often a table that keeps being rewritten is tried.
const ATTEMPTS: usize = 10;

/// Copies `tables` into the target behind `writer` and notes in `routes` what each copy stands for,
/// in `shapes` what each table looked like. Returns the relations as they were copied.
pub(super) fn copy_tables(
    setup: &Setup,
    writer: &mut RemoteWriter,
    routes: &mut Routes,
    shapes: &mut Shapes,
    mut tables: Vec<Table>,
    mode: LoadMode,
) -> Result<Vec<Arc<Relation>>, WriteError> {
    let mut copied = Vec::new();
    let loaders = open_loaders(setup)?;
    // Who wishes for a copy of them after this does not mean this one.
    let wishes = setup.resyncs.wanted();
    let mut progress = CopyProgress {
        tables: tables.len(),
        ..CopyProgress::default()
    };
    for attempt in 1.. {
        let copy = Copy {
            setup,
            loaders: &loaders,
            snapshot: take_snapshot(setup)?,
        };
        let mut again = Vec::new();
        for table in tables {
            let source = table.relation.source.clone();
            progress.table = source.to_string();
            progress.rows = 0;
            progress.expected_rows = table.estimated_rows;
            setup.status.update(|status| {
                status.copy = Some(progress.clone());
                status.rows_copied.get_or_insert(0);
            });
            match copy.table(writer, routes, shapes, &table, mode)? {
                Outcome::Done(relation) => {
                    failpoint::pass("copy.stored");
                    copied.extend(relation);
                    if let Some(&wish) = wishes.get(&progress.table) {
                        let noted = setup.resyncs.done(&progress.table, wish);
                        noted.map_err(of_state_folder)?;
                        failpoint::pass("copy.noted");
                    }
                    routes.copied(source, copy.snapshot.copied_to());
                    progress.tables_done += 1;
                    failpoint::pass("copy.next");
                }
                Outcome::Rewritten(reason) => {
                    tracing::info!(lane = %setup.name(), "{reason}; copying it again");
                    again.push(table.relation.oid);
                }
            }
        }
        if again.is_empty() {
            break;
        }
        if attempt == ATTEMPTS {
            return Err(WriteError::transient(format!(
                "table {} was rewritten during each of {ATTEMPTS} copies",
                progress.table
            )));
        }
        tables = setup
            .runtime
            .block_on(look_up(setup, &again))
            .map_err(of_source)?;
    }
    setup.status.update(|status| status.copy = None);
    Ok(copied)
}

/// None where the stream writer loads the rows.
fn open_loaders(setup: &Setup) -> Result<Vec<Mutex<RemoteWriter>>, WriteError> {
    let able = setup.plugin.description.capabilities.loaders;
    (0..able.min(setup.sync.copy_workers.max(1)))
        .map(|_| {
            let (mut loader, _) = setup.open(Role::Load)?;
            loader.checkpoint(&setup.stream)?;
            Ok(Mutex::new(loader))
        })
        .collect()
}

fn take_snapshot(setup: &Setup) -> Result<Snapshot, WriteError> {
    let name = setup.name();
    let mut waiting = |blockers: &[Blocker]| {
        for blocker in blockers {
            tracing::info!(lane = %name, "the snapshot waits for {blocker}");
        }
    };
    let timeout = setup.slot_timeout;
    let open = Snapshot::open(&setup.url, &setup.application, timeout, &mut waiting);
    setup.runtime.block_on(open).map_err(of_source)
}

/// The tables of OIDs `oids` as they are now.
pub(super) async fn look_up(setup: &Setup, oids: &[u32]) -> Result<Vec<Table>, SourceError> {
    let client = setup.url.connect_source(&setup.application).await?;
    catalog::by_oid(&client, oids).await
}

enum Outcome {
    /// With the relation, where the lane has it.
    Done(Option<Arc<Relation>>),
    Rewritten(String),
}

struct Copy<'a> {
    setup: &'a Setup,
    loaders: &'a [Mutex<RemoteWriter>],
    snapshot: Snapshot,
}

impl Copy<'_> {
    fn table(
        &self,
        writer: &mut RemoteWriter,
        routes: &mut Routes,
        shapes: &mut Shapes,
        table: &Table,
        mode: LoadMode,
    ) -> Result<Outcome, WriteError> {
        let source = self.setup.relations.version_of(table.relation.clone());
        let Some(relation) = routes.relation(source.version)? else {
            return Ok(Outcome::Done(None));
        };
        writer.prepare(&relation)?;
        writer.begin_load(&relation, mode)?;
        failpoint::pass("copy.begun");
        let rewritten = if self.loaders.is_empty() {
            self.rows(table, &source, &relation, &[Mutex::new(&mut *writer)])?
        } else {
            self.rows(table, &source, &relation, self.loaders)?
        };
        if let Some(reason) = rewritten {
            if self.loaders.is_empty() {
                writer.reset()?;
                writer.checkpoint(&self.setup.stream)?;
            }
            for loader in self.loaders {
                loader
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .reset()?;
            }
            Ok(Outcome::Rewritten(reason))
        } else {
            for loader in self.loaders {
                let mut loader = loader.lock().unwrap_or_else(PoisonError::into_inner);
                loader.flush(&Position::default())?;
            }
            failpoint::pass("copy.loaded");
            // Before the copy counts: whatever ends this copy at a later table, it has to be known what
            // this one looked like.
            let noted = shapes.note(&relation, &source);
            noted.map_err(of_state_folder)?;
            writer.end_load(&relation, self.snapshot.copied_to())?;
            Ok(Outcome::Done(Some(relation)))
        }
    }

    /// Reads and loads all rows: ranges are read by as many sessions as there are workers, and
    /// what they read is loaded by whichever loader is free. Returns why, where it was rewritten.
    fn rows<W: BorrowMut<RemoteWriter> + Send>(
        &self,
        table: &Table,
        source: &Arc<Relation>,
        relation: &Arc<Relation>,
        loaders: &[Mutex<W>],
    ) -> Result<Option<String>, WriteError> {
        let setup = self.setup;
        let workers = setup.sync.copy_workers.max(1) as usize;
        let tables = [table.clone()];
        let ranges = setup.runtime.block_on(self.snapshot.plan(&tables, workers));
        let ranges = Arc::new(Mutex::new(ranges.map_err(of_source)?));
        let (sender, receiver) = mpsc::channel::<Arena>(2);
        let receiver = Mutex::new(receiver);
        let routes: Arc<[_]> = vec![Some(Route {
            relation: Arc::clone(relation),
            from: Lsn::ZERO,
        })]
        .into();
        std::thread::scope(|scope| {
            let loading: Vec<_> = loaders
                .iter()
                .map(|loader| {
                    let (receiver, routes) = (&receiver, &routes);
                    scope.spawn(move || load(setup, loader, receiver, routes))
                })
                .collect();
            let copied_to = self.snapshot.copied_to();
            let reading = setup.runtime.block_on(async {
                let readers = (0..workers).map(|_| {
                    let sender = sender.clone();
                    let ranges = Arc::clone(&ranges);
                    self.read(table, Arc::clone(source), copied_to, ranges, sender)
                });
                futures_util::future::try_join_all(readers).await
            });
            drop(sender);
            let loaded = loading.into_iter().try_for_each(|thread| {
                thread
                    .join()
                    .unwrap_or_else(|_| Err(WriteError::fatal("a loader's thread died")))
            });
            loaded?;
            let rewritten = reading.map_err(of_source)?.into_iter().flatten().next();
            Ok(rewritten)
        })
    }

    /// Copies ranges until there are none; returns why, where the table was rewritten.
    async fn read(
        &self,
        table: &Table,
        source: Arc<Relation>,
        copied_to: Lsn,
        ranges: Arc<Mutex<Vec<CopyRange>>>,
        sender: mpsc::Sender<Arena>,
    ) -> Result<Option<String>, SourceError> {
        let next = || ranges.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let Some(mut range) = next() else {
            return Ok(None);
        };
        let setup = self.setup;
        let mut worker = Worker::open(&setup.url, &setup.application, &self.snapshot).await?;
        let mut decoder = CopyDecoder::new(source, copied_to, Limits::default());
        let malformed = |error| SourceError::unusable(format!("{error}"));
        let silence = setup.url.silence();
        loop {
            let copied = self.snapshot.heard(silence, worker.copy(table, &range));
            let mut rows = match copied.await?? {
                Copied::Rows(rows) => rows,
                Copied::Rewritten(reason) => {
                    ranges
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .clear();
                    return Ok(Some(reason));
                }
            };
            while let Some(chunk) = self.snapshot.heard(silence, rows.next()).await? {
                for line in chunk?.split_inclusive(|&byte| byte == b'\n') {
                    if let Some(arena) = decoder.row(line).map_err(malformed)?
                        && sender.send(arena).await.is_err()
                    {
                        // The loaders have failed and say why.
                        return Ok(None);
                    }
                }
            }
            match next() {
                Some(more) => range = more,
                None => break,
            }
        }
        if let Some(arena) = decoder.finish() {
            let _ = sender.send(arena).await;
        }
        Ok(None)
    }
}

/// Loads arenas until there are no more. After an error the channel closes, which ends the rest.
fn load<W: BorrowMut<RemoteWriter>>(
    setup: &Setup,
    loader: &Mutex<W>,
    receiver: &Mutex<mpsc::Receiver<Arena>>,
    routes: &Arc<[Option<Route>]>,
) -> Result<(), WriteError> {
    let mut loader = loader.lock().unwrap_or_else(PoisonError::into_inner);
    let fail = |error| {
        receiver
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .close();
        Err(error)
    };
    loop {
        let next = receiver
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .blocking_recv();
        let Some(arena) = next else { return Ok(()) };
        if setup.stop.is_stopping() {
            return fail(WriteError::transient("the engine is stopping"));
        }
        failpoint::pass("copy.load");
        let rows = arena.changes().len();
        let segment = Segment {
            first: 0,
            end: u32::try_from(rows).unwrap_or(u32::MAX),
            arena,
            routes: Arc::clone(routes),
        };
        let nowhere = Position::default();
        let batch = Batch::new(vec![segment], nowhere.clone(), nowhere, Part::Whole);
        if let Err(error) = (*loader).borrow_mut().load(&batch) {
            return fail(error);
        }
        setup.status.update(|status| {
            *status.rows_copied.get_or_insert(0) += rows as u64;
            if let Some(copy) = &mut status.copy {
                copy.rows += rows as u64;
            }
        });
    }
}

/// An error of the source, as the lane handles errors.
pub(super) fn of_source(error: SourceError) -> WriteError {
    let message = format!("copy from the source: {}", error.message);
    let made = match error.is_transient() {
        true => WriteError::transient(message),
        false => WriteError::rejected(message),
    };
    made.hint(error.hint)
}
