//! Runs simulated histories of several sources, as many as wanted: `make simulate`.
//!
//! ```text
//! simulate [COUNT [FIRST_SEED [STRATEGY]]]
//! ```
//!
//! A million histories of all strategies, or `COUNT` of them, on all processors. The first that
//! fails is printed with its seed and a smaller one, and the exit code is 1.

#![allow(clippy::print_stdout, reason = "it prints what it finds")]

mod reconcile;

use std::{
    process::ExitCode,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Instant,
};

use reconcile::simulation::{Failure, Kind, Tally, run};

/// Histories that a thread takes at a time.
const SLICE: u64 = 500;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |index: usize, default| match arguments.get(index).map(|text| text.parse::<u64>())
    {
        None => Some(default),
        Some(number) => number.ok(),
    };
    let kinds: Vec<Kind> = Kind::ALL
        .into_iter()
        .filter(|kind| {
            arguments
                .get(2)
                .is_none_or(|name| format!("{kind:?}") == *name)
        })
        .collect();
    let (Some(count), Some(first), false) = (number(0, 1_000_000), number(1, 0), kinds.is_empty())
    else {
        println!(
            "usage: simulate [COUNT [FIRST_SEED [STRATEGY]]], of {:?}",
            Kind::ALL
        );
        return ExitCode::from(2);
    };
    let each = count.div_ceil(kinds.len() as u64);
    for kind in kinds {
        let start = Instant::now();
        match run_all(kind, first, each) {
            Ok(Tally {
                writes,
                applies,
                conflicts,
                parked,
            }) => println!(
                "{kind:?}: {each} histories in {:.0} s, none failed: {writes} writes, {applies} \
                 applies, {conflicts} conflicts, {parked} times parked",
                start.elapsed().as_secs_f64()
            ),
            Err(failure) => {
                println!("{failure}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

/// Runs the histories of a strategy on all processors.
fn run_all(kind: Kind, first: u64, count: u64) -> Result<Tally, Box<Failure>> {
    let (next, total) = (AtomicU64::new(first), Mutex::new(Ok(Tally::default())));
    let work = || loop {
        let from = next.fetch_add(SLICE, Ordering::Relaxed);
        if from >= first + count {
            return;
        }
        let slice = run(kind, from, SLICE.min(first + count - from));
        let mut total = total.lock().expect("no thread panics");
        match (&mut *total, slice) {
            (Ok(total), Ok(slice)) => *total += slice,
            // The others stop at their next slice.
            (total @ Ok(_), Err(failure)) => {
                *total = Err(failure);
                next.store(u64::MAX - SLICE * 1024, Ordering::Relaxed);
            }
            (Err(_), _) => return,
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    total.into_inner().expect("no thread panics")
}
