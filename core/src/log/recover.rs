//! A log as an earlier run left it.

use std::{
    collections::{HashSet, VecDeque},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use fs_err::OpenOptions;
use tahr_plugin_api::{Lsn, Position};

use super::{
    ledger::Ledger,
    record::FILE_HEADER,
    segment::{Held, Mark, Segment, SegmentReader, invalid, is_damage, set_aside},
};
use crate::{record::Relations, state_file::sync_folder};

/// Where a source stands when its log is opened.
#[derive(Clone, Copy, Debug)]
pub(super) struct Present {
    /// What the slot was told last: it sends nothing from before.
    pub(super) confirmed: Lsn,
    /// Where WAL is written.
    pub(super) end: Lsn,
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) segments: VecDeque<Held>,
    /// The number of the last file.
    pub(super) made: u64,
    /// Relation versions that are in the ledger's list.
    pub(super) noted: HashSet<u32>,
}

/// A segment file whose header can be read.
#[derive(Debug)]
struct File {
    path: PathBuf,
    first: u64,
    begin: Position,
}

/// Finds the log in `ledger`'s folder again, and numbers `relations` as it does. What can't be used
/// is set aside: a log of another stream, one that ends before the slot begins, and what is damaged.
pub(super) fn recover(
    ledger: &Ledger,
    relations: &Relations,
    source: Present,
) -> io::Result<Found> {
    let files = ledger.segments()?;
    if files.is_empty() {
        ledger.clear()?;
        return Ok(Found::default());
    }
    let made = files.last().map_or(0, |(number, _)| *number);
    let folder = ledger.folder().display();
    if ledger.is_ours()? != Some(true) {
        return useless(ledger, made, "it is of another stream");
    }
    let Some(known) = ledger.relations()? else {
        return useless(ledger, made, "its list of relations is damaged");
    };
    let (runs, damaged) = runs(files)?;
    // The one that begins first holds most; one that ends before the slot begins leaves a gap.
    let mut found = None;
    for run in runs {
        found = held(run, source.confirmed)?;
        if found.is_some() {
            break;
        }
    }
    let Some(segments) = found else {
        return useless(ledger, made, "the slot begins behind it");
    };
    let end = segments.back().map_or(Lsn::ZERO, |last| last.end.lsn);
    if end > source.end {
        return useless(ledger, made, "the source's WAL ends before it");
    }
    for path in damaged {
        let aside = set_aside(&path);
        tracing::error!(file = %aside.display(), "a segment file of the log is damaged; set aside");
    }
    for (_, path) in ledger.segments()? {
        if !segments.iter().any(|held| *held.segment.path() == *path) {
            let aside = set_aside(&path);
            tracing::error!(file = %aside.display(),
                "a segment file can't be used, as another one is damaged; set aside");
        }
    }
    for held in &segments {
        // An engine that was killed has left to the system what it had not synced.
        fs_err::File::open(held.segment.path())?.sync_all()?;
    }
    sync_folder(ledger.folder())?;
    if *segments[0].begin() > Position::at(source.confirmed) {
        // The slot sends all of it again, and what lies before it: a lane may stand there.
        for held in &segments {
            held.segment.discard();
        }
        drop(segments);
        ledger.clear()?;
        return Ok(Found {
            made,
            ..Found::default()
        });
    }
    let noted = known.iter().map(|relation| relation.version).collect();
    relations.restore(known);
    let bytes: u64 = segments.iter().map(|held| held.bytes).sum();
    tracing::info!(%folder, bytes, begins = %segments[0].begin(),
        ends = %segments[segments.len() - 1].end, "log found again");
    Ok(Found {
        segments,
        made,
        noted,
    })
}

fn useless(ledger: &Ledger, made: u64, why: &str) -> io::Result<Found> {
    let aside = ledger.set_aside()?;
    tracing::warn!(folder = %aside.display(),
        hint = "a lane that needed it says that there is a gap, and how its tables are copied again",
        "log of an earlier run is set aside: {why}");
    Ok(Found {
        made,
        ..Found::default()
    })
}

/// Files that follow each other without a damaged one between; and the damaged ones.
fn runs(files: Vec<(u64, PathBuf)>) -> io::Result<(Vec<Vec<File>>, Vec<PathBuf>)> {
    let (mut runs, mut damaged) = (vec![Vec::<File>::new()], Vec::new());
    for (_, path) in files {
        let (first, begin) = match SegmentReader::header(&path) {
            Ok(header) => header,
            Err(error) if is_damage(&error) => {
                damaged.push(path);
                runs.push(Vec::new());
                continue;
            }
            Err(error) => return Err(error),
        };
        let last = runs.last().and_then(|run| run.last());
        if last.is_some_and(|last| first < last.first || begin < last.begin) {
            runs.push(Vec::new());
        }
        if let Some(run) = runs.last_mut() {
            run.push(File { path, first, begin });
        }
    }
    runs.retain(|run| !run.is_empty());
    Ok((runs, damaged))
}

/// The segments of `run`, whose torn end is cut; none where the slot begins behind them. Only the
/// last is read: whether the others are whole is seen when somebody needs them.
fn held(mut run: Vec<File>, confirmed: Lsn) -> io::Result<Option<VecDeque<Held>>> {
    while let Some(file) = run.last() {
        let last = match scanned(file) {
            Ok(last) if last.end.lsn >= confirmed => last,
            Err(error) if !is_damage(&error) => return Err(error),
            // It may be torn from its beginning on, and the ones before it be enough.
            _ if file.begin.lsn < confirmed => return Ok(None),
            _ => {
                run.pop();
                continue;
            }
        };
        let mut segments: VecDeque<Held> = run.iter().map(unread).collect();
        for index in 1..segments.len() {
            let (next, end) = (segments[index].first(), segments[index].begin().clone());
            segments[index - 1].next = next;
            segments[index - 1].end = end;
        }
        segments.pop_back();
        segments.push_back(last);
        return Ok(Some(segments));
    }
    Ok(None)
}

fn unread(file: &File) -> Held {
    let segment = Arc::new(Segment::new(file.path.clone()));
    let mut held = Held::new(segment, file.first, file.begin.clone());
    held.bytes = fs_err::metadata(&file.path).map_or(FILE_HEADER, |data| data.len());
    held
}

/// The segment in `file`, without what is torn at its end; synced.
fn scanned(file: &File) -> io::Result<Held> {
    let segment = Arc::new(Segment::new(file.path.clone()));
    let held = read(&segment, file.first, &file.begin)?;
    cut(&file.path, held.bytes)?;
    Ok(held)
}

/// What of `segment`, which begins with the entry `first` behind `begin`, can be read.
pub(super) fn read(segment: &Arc<Segment>, first: u64, begin: &Position) -> io::Result<Held> {
    let mut held = Held::new(Arc::clone(segment), first, begin.clone());
    let start = Mark {
        number: first,
        before: begin.clone(),
        offset: FILE_HEADER,
    };
    if SegmentReader::header(segment.path())? != (first, begin.clone()) {
        return Err(invalid("it begins elsewhere"));
    }
    SegmentReader::open(segment, &start)?.scan(&mut held)?;
    Ok(held)
}

/// Cuts the file at `path` to `bytes`.
pub(super) fn cut(path: &Path, bytes: u64) -> io::Result<()> {
    let file = OpenOptions::new().write(true).open(path)?;
    if file.metadata()?.len() > bytes {
        file.set_len(bytes)?;
    }
    file.sync_all()
}
