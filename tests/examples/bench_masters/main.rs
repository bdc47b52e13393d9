//! How fast masters replicate to each other: tahr beside Bucardo 5, and beside PostgreSQL's own logical
//! replication in one direction, on the same server, with the same rows, in the same run.
//!
//! `make bench-masters` runs it on a release build; by hand, `tahr`, `bucardo` or `native` restricts it
//! to one of them. It prints:
//!
//! - throughput between two masters: of rows that one has and that begin to be replicated, until the
//!   other has all of them, in transactions of 1000 rows and in one; and of rows that are being
//!   written, which can't be faster than their writer;
//! - latency between three masters (the others: two): from the commit of one row's update to its sight on
//!   all others, which are asked each millisecond.
//!
//! It fails where rows that are inserted on one master don't get to the other at 8 times Bucardo's
//! speed, the clock running from the first statement to the last row's sight, or where a change takes
//! more than 50 ms at the median: that is what was promised. Rows that wait have paid for Bucardo's
//! triggers already, so there the difference is smaller; what updates gain is bounded by PostgreSQL,
//! which has to write them twice and decode both.

#![allow(clippy::print_stdout, reason = "it prints its measurements")]

mod bucardo;
mod load;
mod native;
mod tahr;

use std::process::ExitCode;
use std::time::Duration;

use tahr_tests::Postgres;

use load::{Measured, TASKS};

/// How many times as fast as Bucardo tahr has to be, where that is promised.
const TIMES: f64 = 8.0;
/// How long a change may take to the other masters, at the median.
const MEDIAN: Duration = Duration::from_millis(50);

/// A server as people have it: what is committed is on disk.
const SERVER: &[(&str, &str)] = &[
    ("fsync", "on"),
    ("full_page_writes", "on"),
    ("max_wal_size", "8GB"),
    ("shared_buffers", "256MB"),
    ("TimeZone", "UTC"),
    ("DateStyle", "ISO"),
    ("IntervalStyle", "postgres"),
    ("bytea_output", "hex"),
    ("extra_float_digits", "1"),
];

#[tokio::main]
async fn main() -> ExitCode {
    let asked: Vec<String> = std::env::args().skip(1).collect();
    let is_asked = |name: &str| asked.is_empty() || asked.iter().any(|one| one == name);
    let bucardo = match is_asked("bucardo") {
        true => Some(bucardo::measure(&Postgres::own(None, SERVER)).await),
        false => None,
    };
    let native = match is_asked("native") {
        true => {
            let settings = [SERVER, &[native::AT_ONCE]].concat();
            Some(native::measure(&Postgres::own(None, &settings)).await)
        }
        false => None,
    };
    let tahr = match is_asked("tahr") {
        true => Some(tahr::measure(&Postgres::own(None, SERVER)).await),
        false => None,
    };
    print(bucardo.as_ref(), native.as_ref(), tahr.as_ref());
    let (Some(bucardo), Some(tahr)) = (bucardo, tahr) else {
        return ExitCode::SUCCESS;
    };
    let rates = bucardo.rates.iter().zip(&tahr.rates).zip(&TASKS);
    let is_fast = rates
        .filter(|(_, task)| task.is_promised())
        .all(|((theirs, ours), _)| *ours >= TIMES * theirs);
    if is_fast && tahr.median() <= MEDIAN {
        return ExitCode::SUCCESS;
    }
    println!("not as promised: {TIMES} times Bucardo's throughput, a median of {MEDIAN:?}");
    ExitCode::FAILURE
}

fn print(bucardo: Option<&Measured>, native: Option<&Measured>, tahr: Option<&Measured>) {
    println!(
        "{:<44} {:>12} {:>12} {:>12} {:>8}",
        "", "PostgreSQL", "Bucardo", "tahr", "times"
    );
    for (index, task) in TASKS.iter().enumerate() {
        let rate = |measured: Option<&Measured>| measured.map(|measured| measured.rates[index]);
        let (theirs, ours) = (rate(bucardo), rate(tahr));
        let times = theirs.zip(ours).map(|(theirs, ours)| ours / theirs);
        let name = format!("{}, rows/s", task.name);
        line(&name, [rate(native), theirs, ours], 0, times);
    }
    for (name, per_cent) in [("median", 50), ("99th percentile", 99)] {
        let of = |measured: Option<&Measured>| {
            measured.map(|measured| measured.latency(per_cent).as_secs_f64() * 1000.0)
        };
        let (theirs, ours) = (of(bucardo), of(tahr));
        let times = theirs.zip(ours).map(|(theirs, ours)| theirs / ours);
        let name = format!("one row's update, {name}, ms");
        line(&name, [of(native), theirs, ours], 1, times);
    }
}

/// PostgreSQL's, Bucardo's and tahr's value, and how many times better than Bucardo's tahr's is.
fn line(name: &str, values: [Option<f64>; 3], decimals: usize, times: Option<f64>) {
    let [native, bucardo, tahr] = values.map(|value| shown(value, decimals));
    let times = shown(times, 1);
    println!("{name:<44} {native:>12} {bucardo:>12} {tahr:>12} {times:>8}");
}

fn shown(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.decimals$}"))
}
