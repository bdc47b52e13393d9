//! A whole verification: lane after lane, table after table.

use std::{
    collections::HashSet,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use tahr_plugin_api::{WriteError, read_back::Filter};

use super::{
    Key, Kind, LaneReport, Progress, Subject, TableReport, Verified, Wanted,
    buckets::Sums,
    inbox::Check,
    look::{Looker, Unable, rows_of},
    origin::Origin,
    second::{Candidates, Second},
    table::Compared,
};
use crate::{lane::Attendant, shutdown::Stop};

/// Rows of differing buckets that are held at a time.
const HELD: u64 = 200_000;
/// Keys that are asked of the source as the target spells them, at a time.
const SPELT: usize = 500;
/// Keys of a table that are named.
const NAMED: usize = 1000;
/// How often rows that still differ are repaired.
const REPAIRS: usize = 3;

/// A verification, and how far it is.
#[derive(Debug, Default)]
pub struct Verification {
    progress: Mutex<Progress>,
    stop: Stop,
}

/// Leaves the lane alone again, however it ends.
struct Attended<'a>(&'a Attendant);

impl Drop for Attended<'_> {
    fn drop(&mut self) {
        self.0.rest();
    }
}

impl Verification {
    /// One that ends when `stop` says so, or [`stop`](Self::stop).
    #[must_use]
    pub fn new(stop: &Stop) -> Self {
        Self {
            progress: Mutex::default(),
            stop: stop.child(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How far it is.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.lock().clone()
    }

    /// Ends it soon.
    pub fn stop(&self) {
        self.stop.stop();
    }

    /// Compares `subjects`, and repairs them where that is wanted. Blocks its thread.
    #[must_use]
    pub fn run(&self, subjects: &[Subject], wanted: &Wanted) -> Verified {
        let tables = subjects.iter().map(|subject| oids(subject, wanted).len());
        self.lock().tables = tables.sum();
        let lanes = subjects.iter().map(|subject| {
            let mut report = LaneReport {
                lane: subject.lane.clone(),
                ..LaneReport::default()
            };
            if self.stop.is_stopping() {
                report.unable = Some("it was stopped".to_owned());
                return report;
            }
            let done = self.lock().tables_done;
            if let Err(Unable(why)) = self.lane(subject, wanted, &mut report) {
                report.unable = Some(why);
            }
            self.lock().tables_done = done + oids(subject, wanted).len();
            report
        });
        Verified {
            lanes: lanes.collect(),
        }
    }

    fn lane(
        &self,
        subject: &Subject,
        wanted: &Wanted,
        report: &mut LaneReport,
    ) -> Result<(), Unable> {
        let description = &subject.plugin.description;
        if !description.capabilities.read_back {
            return Err(Unable(format!(
                "unsupported: plugin {} can't read rows back",
                description.name
            )));
        }
        subject.lane.clone_into(&mut self.lock().lane);
        let _attended = Attended(&subject.attendant);
        let origin = subject.runtime.block_on(Origin::open(subject))?;
        let mut source_side = Check::open(subject, &self.stop)?;
        let mut target_side = Check::open(subject, &self.stop)?;
        let looker = Looker {
            subject,
            origin: &origin,
            check: &mut source_side,
            stop: &self.stop,
        };
        self.doing("", "waiting for the lane", 0);
        looker.await_mark()?;
        for (oid, name) in oids(subject, wanted) {
            let mut table = TableReport {
                table: name,
                ..TableReport::default()
            };
            let work = Work {
                verification: self,
                origin: &origin,
                subject,
                repairs: wanted.repairs,
            };
            let compared = work.table(oid, (&mut source_side, &mut target_side), &mut table);
            let failed = compared.is_err();
            if let Err(Unable(why)) = compared {
                table.unable = Some(why);
            }
            report.tables.push(table);
            self.lock().tables_done += 1;
            if self.stop.is_stopping() {
                return Err(Unable("it was stopped".to_owned()));
            }
            // An interruption may still be under way, and a connection may be broken: neither is to
            // blame on the next table.
            if failed {
                source_side = Check::open(subject, &self.stop)?;
                target_side = Check::open(subject, &self.stop)?;
            }
        }
        Ok(())
    }

    fn doing(&self, table: &str, doing: &str, expected: u64) {
        let mut progress = self.lock();
        table.clone_into(&mut progress.table);
        doing.clone_into(&mut progress.doing);
        progress.rows = 0;
        progress.expected_rows = expected;
    }

    fn rows(&self, rows: u64) {
        self.lock().rows = rows;
    }
}

/// The tables that are wanted, by OID and name.
fn oids(subject: &Subject, wanted: &Wanted) -> Vec<(u32, String)> {
    let tables = subject.tables.iter();
    let tables = tables.map(|table| (table.relation.oid, table.relation.source.to_string()));
    let is_wanted = |name: &String| wanted.tables.is_empty() || wanted.tables.contains(name);
    tables.filter(|(_, name)| is_wanted(name)).collect()
}

/// What the comparison of a table needs.
struct Work<'a> {
    verification: &'a Verification,
    subject: &'a Subject,
    origin: &'a Origin,
    repairs: bool,
}

impl Work<'_> {
    fn table(
        &self,
        oid: u32,
        (source_side, target_side): (&mut Check, &mut Check),
        report: &mut TableReport,
    ) -> Result<(), Unable> {
        let verification = self.verification;
        verification.doing(&report.table, "comparing", 0);
        let runtime = &self.subject.runtime;
        let table = runtime.block_on(Compared::find(self.subject, self.origin, oid))?;
        let table = table.map_err(Unable)?;
        if table.key.is_empty() {
            report.skipped = Some("it has no key".to_owned());
            return Ok(());
        }
        report.new_columns.clone_from(&table.new_columns);
        verification.doing(&report.table, "comparing", table.estimated_rows);
        let (source, target) = self.sums(&table, source_side, target_side)?;
        report.rows = source.rows();
        let mut candidates = Candidates::default();
        for filter in source.differing(&target, HELD) {
            if candidates.is_full() {
                report.unable = Some(format!(
                    "more than {} rows differ, and the others were not looked at; to copy the table \
                     again: tahr resync {} {}",
                    candidates.count(),
                    self.subject.lane,
                    report.table
                ));
                break;
            }
            verification.doing(&report.table, "narrowing down", report.rows);
            self.second(&table, source_side, &filter, &mut candidates)?;
        }
        drop((source, target));
        let mut keys = candidates.known;
        for foreign in candidates.foreign.chunks(SPELT) {
            let canonical = runtime.block_on(self.origin.canonical(&table, foreign))?;
            candidates.unnamed += canonical.iter().filter(|key| key.is_none()).count() as u64;
            keys.extend(canonical.into_iter().flatten());
        }
        keys.sort_unstable();
        keys.dedup();
        let mut looker = Looker {
            subject: self.subject,
            origin: self.origin,
            check: source_side,
            stop: &verification.stop,
        };
        let mut progress = |rows| verification.rows(rows);
        verification.doing(&report.table, "looking again", keys.len() as u64);
        let settled = looker.settle(&table, keys, &mut progress)?;
        report.moving = settled.moving.len() as u64;
        if candidates.unnamed > 0 {
            report.extra += candidates.unnamed;
            report.unrepaired = Some(format!(
                "{} rows have keys that the source can't have",
                candidates.unnamed
            ));
        }
        let aside = self.subject.set_aside(oid);
        for (key, kind) in &settled.differing {
            report.count(*kind);
            report.set_aside += u64::from(aside.contains(key));
            if report.keys.len() < NAMED {
                report.keys.push(table.named(key, *kind));
            }
        }
        verification.lock().found += report.found();
        if self.repairs && !settled.differing.is_empty() {
            self.repair(&table, &mut looker, settled.differing, report)?;
        }
        Ok(())
    }

    /// Both sides, added up side by side.
    fn sums(
        &self,
        table: &Compared,
        source_side: &mut Check,
        target_side: &mut Check,
    ) -> Result<(Sums, Sums), Unable> {
        let empty = Sums::expecting(table.estimated_rows);
        let is_broken = AtomicBool::new(false);
        let canceller = target_side.canceller.clone();
        std::thread::scope(|scope| {
            let reading = scope.spawn(|| {
                let sums = target_side.sum(&table.relation, empty.clone());
                is_broken.store(sums.is_err(), Ordering::SeqCst);
                sums
            });
            let source = self.source(table, source_side, &is_broken, empty.clone());
            if source.is_err() {
                canceller.cancel();
            }
            let died = |_| Err(WriteError::fatal("the thread that reads the target died"));
            let target = reading.join().unwrap_or_else(died);
            // Whichever failed first says why.
            match source {
                Err(_) if is_broken.load(Ordering::SeqCst) && target.is_err() => Err(Unable::from(
                    target
                        .err()
                        .unwrap_or_else(|| WriteError::fatal("an error was lost")),
                )),
                source => Ok((source?, target?)),
            }
        })
    }

    fn source(
        &self,
        table: &Compared,
        check: &mut Check,
        is_broken: &AtomicBool,
        mut sums: Sums,
    ) -> Result<Sums, Unable> {
        let runtime = &self.subject.runtime;
        let mut reading = runtime.block_on(self.origin.read(table, &table.all()))?;
        while let Some(rows) = runtime.block_on(reading.next())? {
            if self.verification.stop.is_stopping() || is_broken.load(Ordering::SeqCst) {
                return Err(Unable("it was stopped".to_owned()));
            }
            for digest in check.digests(&table.relation, &rows)? {
                sums.add(digest);
            }
            self.verification.rows(sums.rows());
        }
        Ok(sums)
    }

    /// The rows of some buckets on both sides.
    fn second(
        &self,
        table: &Compared,
        check: &mut Check,
        filter: &Filter,
        candidates: &mut Candidates,
    ) -> Result<(), Unable> {
        let runtime = &self.subject.runtime;
        let mut second = Second::default();
        let mut count = 0;
        let mut reading = runtime.block_on(self.origin.read(table, &table.all()))?;
        while let Some(rows) = runtime.block_on(reading.next())? {
            if self.verification.stop.is_stopping() {
                return Err(Unable("it was stopped".to_owned()));
            }
            let digests = check.digests(&table.relation, &rows)?;
            let batch = rows_of(&rows, &table.relation);
            let found = batch.changes().filter_map(|change| change.new_row());
            for (row, digest) in found.zip(digests) {
                count += 1;
                if digest.is_kept()
                    && filter.has(digest.key)
                    && let Some(key) = Key::of(row, &table.key)
                {
                    second.expect(digest, key);
                }
            }
            self.verification.rows(count);
        }
        check
            .compare(&table.relation, filter.clone(), second)?
            .finish(candidates);
        Ok(())
    }

    fn repair(
        &self,
        table: &Compared,
        looker: &mut Looker<'_>,
        differing: Vec<(Key, Kind)>,
        report: &mut TableReport,
    ) -> Result<(), Unable> {
        let verification = self.verification;
        let aside = self.subject.set_aside(table.relation.oid);
        let keys = differing.into_iter().map(|(key, _)| key);
        // What the target refused is given to it again by a retry, whole.
        let (mut left, mut open): (Vec<_>, Vec<_>) = keys.partition(|key| aside.contains(key));
        let all = left.len() + open.len();
        let mut progress = |rows| verification.rows(rows);
        for _ in 0..REPAIRS {
            if open.is_empty() {
                break;
            }
            verification.doing(&report.table, "repairing", open.len() as u64);
            let refused = looker.repair(table, &open, &mut progress)?;
            let settled = looker.settle(table, open, &mut progress)?;
            // What moves is written anew by the stream, or was; nobody can say.
            report.moving += settled.moving.len() as u64;
            left.extend(settled.moving);
            open = settled.differing.into_iter().map(|(key, _)| key).collect();
            if refused.is_some() && !open.is_empty() {
                report.unrepaired = refused;
                break;
            }
        }
        left.extend(open);
        let open: HashSet<_> = left
            .iter()
            .map(|key| table.named(key, Kind::Differing).key)
            .collect();
        report.repaired = all.saturating_sub(left.len()) as u64;
        for differing in &mut report.keys {
            differing.repaired = !open.contains(&differing.key);
        }
        Ok(())
    }
}
