//! `tahr demo`: the real program at work, on a database that nobody needs.
//!
//! It starts a PostgreSQL and a Redis of its own, fills a database, writes a config, and runs
//! `tahr run` on it as anybody would; then puts load on the source, and at last compares every row
//! of every target with it. What it started it ends, by process id, whether it comes to its end,
//! fails or is interrupted: everything is owned by [`show`]'s variables, and ends when they are
//! dropped.

mod compare;
mod config;
mod engine;
mod folder;
mod masters;
mod postgres;
mod process;
mod programs;
mod redis;
mod resp;
mod watch;

use std::time::{Duration, Instant};

use engine::Engine;
use folder::Folder;
use postgres::Postgres;
use process::Process;
use programs::Programs;
use redis::Redis;
use watch::Watch;

use super::Output;
use crate::{Error, Faults, cli, progress::grouped};

/// pgbench's scale: 100,000 accounts each.
const SCALE: u32 = 10;
/// Seconds of load.
const LOAD: u32 = 10;
/// The source's database.
const SOURCE: &str = "shop";
/// The copy's database, on the same server.
const COPY: &str = "copy";

/// Rows that are hard to copy.
const SAMPLE: &str = include_str!("sample.sql");
/// Changes that are hard to follow, to be made while pgbench runs; each line by itself.
const MISCHIEF: &str = include_str!("mischief.sql");

/// Runs the demo and prints what it does and finds.
pub(super) fn demo(options: &cli::Demo, output: &mut Output) -> Result<(), Faults> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::failed("start the async runtime").caused_by(error))?;
    let result = runtime.block_on(async {
        let stop = process::interrupted()?;
        tokio::select! {
            biased;
            () = stop => Err(Error::failed("the demo was interrupted; what it started has ended").into()),
            result = Box::pin(chosen(options, output)) => result,
        }
    });
    runtime.shutdown_timeout(Duration::from_secs(1));
    result
}

async fn chosen(options: &cli::Demo, out: &mut Output) -> Result<(), Faults> {
    match options.show {
        cli::Show::Copies => show(options, out).await,
        cli::Show::Masters => masters::show(options, out).await,
    }
}

async fn show(options: &cli::Demo, out: &mut Output) -> Result<(), Faults> {
    let begin = Instant::now();
    let programs = Programs::find(options.show)?;
    let folder = Folder::make(&options.dir, options.keep)?;
    out.line("tahr demo: a live PostgreSQL database, copied into Redis, SQLite and PostgreSQL");

    heading(out, 1, "starting a throwaway PostgreSQL and Redis");
    let password = folder::password()?;
    let postgres = Postgres::start(&programs, &folder, &password).await?;
    let redis = Redis::start(&programs, &folder, &password).await?;
    fill(&programs, &folder, &postgres).await?;
    let source = postgres.connect(SOURCE).await?;
    let tables = compare::tables(&source).await?;
    let rows = grouped(postgres::total(&source, &tables).await?);
    out.line(format!(
        "   database \"{SOURCE}\": {rows} rows in {} tables, by pgbench and by hand",
        tables.len()
    ));
    folder.write_config(&config::text(postgres.port(), redis.port()))?;
    out.line(format!("   config: {}", folder.config().display()));

    heading(
        out,
        2,
        "tahr run: the first copy, into three targets at once",
    );
    let mut watch = Watch::default();
    let began = Instant::now();
    let mut engine = Engine::start(&folder, &password)?;
    engine.catch_up(&source, &mut watch).await?;
    let (copied, copy_time) = (watch.copied(), began.elapsed());
    engine.stop().await?;
    let seconds = copy_time.as_secs_f64();
    out.line(format!(
        "   {} rows copied in {seconds:.1} s; stopped tahr",
        grouped(copied)
    ));

    heading(
        out,
        3,
        &format!("tahr run: going on from there, under {LOAD} s of pgbench with 4 clients"),
    );
    let mut engine = Engine::start(&folder, &password)?;
    engine.catch_up(&source, &mut watch).await?;
    watch.forget_lag();
    let transactions = load(&programs, &folder, &postgres, &mut engine, &mut watch).await?;
    let ended = Instant::now();
    engine.catch_up(&source, &mut watch).await?;
    let behind = ended.elapsed().as_secs_f64();
    engine.stop().await?;
    out.line(format!(
        "   {} transactions; every target had all of them {behind:.1} s after the last",
        grouped(transactions)
    ));

    heading(
        out,
        4,
        "comparing every row of every target with the source",
    );
    let at = compare::Places {
        sqlite: folder.sqlite(),
        sqlite_program: programs.sqlite3.clone(),
        redis_port: redis.port(),
        redis_password: password,
    };
    let verdicts = compare::compare(&source, postgres.connect(COPY).await?, tables, at).await?;
    for line in verdicts.iter().flat_map(compare::Verdict::lines) {
        out.line(format!("   {line}"));
    }

    out.line("");
    out.line(format!("{:18}{}", "rows copied", grouped(copied)));
    out.line(format!(
        "{:18}{}",
        "changes streamed",
        grouped(watch.changes())
    ));
    out.line(format!("{:18}{}", "highest lag", watch.highest_lag()));
    out.line(format!(
        "{:18}{:.0} s",
        "time",
        begin.elapsed().as_secs_f64()
    ));
    out.line(format!("{:18}{}", "the config", folder.config().display()));
    if options.keep {
        out.line(format!("{:18}{}", "the data", folder.servers().display()));
    }
    let wrong: Vec<_> = verdicts
        .iter()
        .filter(|verdict| !verdict.is_equal())
        .collect();
    if wrong.is_empty() {
        out.line("");
        out.line("✔ every target equals the source, row by row");
        return Ok(());
    }
    let names: Vec<_> = wrong.iter().map(|verdict| verdict.target).collect();
    let error = Error::failed(format!("not equal to the source: {}", names.join(", ")));
    Err(match options.keep {
        true => error,
        false => error.hint("tahr demo --keep, and look at the rows named above"),
    }
    .into())
}

fn heading(out: &mut Output, number: u32, text: &str) {
    out.line("");
    out.line(format!("{number}. {text}"));
}

async fn fill(programs: &Programs, folder: &Folder, postgres: &Postgres) -> Result<(), Error> {
    let server = postgres.connect("postgres").await?;
    for name in [SOURCE, COPY] {
        let sql = format!("CREATE DATABASE {name}");
        server
            .batch_execute(&sql)
            .await
            .map_err(|error| postgres::failed(&sql, &error))?;
    }
    let scale = SCALE.to_string();
    let arguments = ["-i", "-q", "-s", scale.as_str()];
    let mut command = postgres.client(&programs.pgbench, &arguments);
    Process::spawn("pgbench -i", &mut command, &folder.log("pgbench-init"))?
        .success()
        .await?;
    let source = postgres.connect(SOURCE).await?;
    source
        .batch_execute(SAMPLE)
        .await
        .map_err(|error| postgres::failed("fill tables", &error))
}

/// Runs pgbench, and now and then a change that is harder than pgbench's; returns how many
/// transactions that were.
async fn load(
    programs: &Programs,
    folder: &Folder,
    postgres: &Postgres,
    engine: &mut Engine,
    watch: &mut Watch,
) -> Result<u64, Error> {
    let session = postgres.connect(SOURCE).await?;
    let seconds = LOAD.to_string();
    let arguments = ["-n", "-c", "4", "-j", "2", "-T", seconds.as_str()];
    let mut command = postgres.client(&programs.pgbench, &arguments);
    let log = folder.log("pgbench");
    let mut pgbench = Process::spawn("pgbench", &mut command, &log)?;
    let mut mischief = MISCHIEF
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with("--"));
    let mut transactions = 0;
    let mut next = Instant::now() + Duration::from_secs(1);
    while !pgbench.has_ended()? {
        engine.observe(watch)?;
        if Instant::now() >= next {
            next += Duration::from_millis(600);
            if let Some(sql) = mischief.next() {
                let done = session.batch_execute(sql).await;
                done.map_err(|error| postgres::failed(sql, &error))?;
                transactions += 1;
            }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    pgbench.success().await?;
    for sql in mischief {
        session
            .batch_execute(sql)
            .await
            .map_err(|error| postgres::failed(sql, &error))?;
        transactions += 1;
    }
    let report = fs_err::read_to_string(&log).unwrap_or_default();
    let processed = report.lines().find_map(|line| {
        let count = line.strip_prefix("number of transactions actually processed: ")?;
        count.split('/').next()?.trim().parse::<u64>().ok()
    });
    Ok(transactions + processed.unwrap_or_default())
}
