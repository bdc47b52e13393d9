//! What most tests play in: one source, every kind of target, and two engines between them.
//!
//! The **live** engine runs all the time and gets changes as they are made. The **late** one runs
//! `--once` whenever the scene settles: it gets what has happened since in one go, merged and
//! compacted. Both have targets of their own, and every row of every target is compared with the
//! source each time.

use std::path::PathBuf;
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use tahr_tests::{
    Database, Engine, Postgres, Redis, RedisDatabase, Rows, Run, Running, eventually,
};

/// How long targets may take to follow. A test that waits so long has failed anyway.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A source with engines and targets, all in agreement after each [`settle`](Self::settle).
pub(crate) struct Scene {
    pub(crate) source: Database,
    pub(crate) live: Site,
    pub(crate) late: Site,
    pub(crate) running: Option<Running>,
}

/// An engine with its targets.
pub(crate) struct Site {
    pub(crate) engine: Engine,
    pub(crate) postgres: Database,
    pub(crate) sqlite: PathBuf,
    /// Only where it was asked for: it takes no table without a key.
    pub(crate) redis: Option<RedisDatabase>,
}

/// A table of the source, as the targets are asked for it.
struct Table {
    name: String,
    sqlite_name: String,
    columns: Vec<Column>,
}

struct Column {
    name: String,
    type_name: String,
}

impl Site {
    /// An engine that copies `source` under the keys of `sync`, in TOML, which may go on with
    /// `[syncs.s.table.…]`.
    pub(crate) async fn new(server: &Postgres, source: &Database, sync: &str) -> Self {
        Self::make(server, source, sync, None).await
    }

    async fn make(
        server: &Postgres,
        source: &Database,
        sync: &str,
        redis: Option<RedisDatabase>,
    ) -> Self {
        let postgres = server.database().await;
        let sqlite = Run::current().make_folder("sqlite").join("target.db");
        let config = format!(
            "[sources.src]\nurl = '{}'\n\
             [targets.pg]\nplugin = 'postgres'\noptions = {{ url = '{}' }}\n\
             [targets.lite]\nplugin = 'sqlite'\noptions = {{ path = '{}', synchronous = 'off' }}\n\
             {}[syncs.s]\nsources = ['src']\ntargets = [{}'pg', 'lite']\n{sync}",
            source.url(),
            postgres.url(),
            sqlite.display(),
            redis.as_ref().map_or_else(String::new, |redis| format!(
                "[targets.cache]\nplugin = 'redis'\noptions = {{ url = '{}' }}\n",
                redis.url()
            )),
            redis.as_ref().map_or("", |_| "'cache', "),
        );
        let engine = Engine::builder().config(config).build();
        Self {
            engine,
            postgres,
            sqlite,
            redis,
        }
    }

    /// Whether the targets hold the source's rows, and no others.
    pub(crate) async fn compare(&self, source: &Database) -> Result<(), String> {
        for table in tables(source).await? {
            let query = table.text_query();
            let expected = Rows::postgres(source, &query).await?;
            let found = Rows::postgres(&self.postgres, &query).await?;
            let differs = |target: &str, report| format!("{} in {target}: {report}", table.name);
            expected
                .same_as(&found)
                .map_err(|report| differs("postgres", report))?;
            if let Some(redis) = &self.redis {
                let columns = table.columns.iter().map(|column| column.name.as_str());
                let fields: Vec<&str> = columns.collect();
                let found = Rows::redis(redis, &format!("{}:", table.sqlite_name), &fields)?;
                expected
                    .same_as(&found)
                    .map_err(|report| differs("redis", report))?;
            }
            let expected = table.numbers(source.try_query(&table.plain_query()).await?);
            let found = Rows::sqlite(&self.sqlite, &table.sqlite_query())?;
            expected
                .same_as(&found)
                .map_err(|report| differs("sqlite", report))?;
        }
        Ok(())
    }

    /// Starts it, and waits until every lane streams.
    pub(crate) async fn start(&self) -> Running {
        let running = self.engine.start();
        self.streams(&running).await;
        running
    }

    /// Waits until every lane streams.
    pub(crate) async fn streams(&self, running: &Running) {
        eventually(PATIENCE, "all lanes stream", async || {
            fail_if_parked(running);
            let status = self.engine.tahr(&["status", "--json"]);
            if status.code() != Some(0) {
                return Err(status.stderr);
            }
            let lanes = status.json()["lanes"].clone();
            let lanes = lanes.as_array().map_or(&[][..], Vec::as_slice);
            let streams = |lane: &serde_json::Value| lane["state"] == "streaming";
            (!lanes.is_empty() && lanes.iter().all(streams))
                .then_some(())
                .ok_or(status.stdout)
        })
        .await;
    }

    /// Waits until the targets hold the source's rows.
    pub(crate) async fn settle(&self, running: &Running, source: &Database) {
        eventually(PATIENCE, "the targets equal the source", async || {
            fail_if_parked(running);
            self.compare(source).await
        })
        .await;
    }

    /// Waits until the lanes are parked that are to be, and gives the whole log.
    pub(crate) async fn parks(&self, running: &Running, lanes: usize) -> String {
        eventually(PATIENCE, "lanes are parked", async || {
            let log = running.stderr();
            match log.matches("lane is parked").count() {
                count if count >= lanes => Ok(log),
                count => Err(format!("{count} of {lanes} lanes are parked:\n{log}")),
            }
        })
        .await
    }
}

impl Scene {
    /// A source prepared by `setup`, copied whole to every target, and streaming.
    pub(crate) async fn of(setup: &str) -> Self {
        Self::with("tables = ['*.*']", setup).await
    }

    /// As [`of`](Self::of), with the keys of the sync.
    pub(crate) async fn with(sync: &str, setup: &str) -> Self {
        Self::on(&Postgres::shared(), sync, setup).await
    }

    /// As [`of`](Self::of), with a Redis among the targets: for tables of `public` with keys, whose
    /// values Redis spells as PostgreSQL does.
    pub(crate) async fn with_redis(setup: &str) -> Self {
        let server = Postgres::shared();
        let redis = Redis::shared();
        let source = server.database().await;
        source.execute(setup).await;
        let all = "tables = ['*.*']";
        let live = Site::make(&server, &source, all, Some(redis.database())).await;
        let late = Site::make(&server, &source, all, Some(redis.database())).await;
        Self::start(source, live, late).await
    }

    /// As [`with`](Self::with), with source and targets on a server.
    pub(crate) async fn on(server: &Postgres, sync: &str, setup: &str) -> Self {
        let source = server.database().await;
        source.execute(setup).await;
        let live = Site::new(server, &source, sync).await;
        let late = Site::new(server, &source, sync).await;
        Self::start(source, live, late).await
    }

    async fn start(source: Database, live: Site, late: Site) -> Self {
        let running = live.engine.start();
        late.engine.run_once();
        live.streams(&running).await;
        let scene = Self {
            source,
            live,
            late,
            running: Some(running),
        };
        scene.settle().await;
        scene
    }

    /// Makes changes on the source, and settles.
    pub(crate) async fn change(&self, statements: &str) {
        self.source.execute(statements).await;
        self.settle().await;
    }

    /// Waits until all targets equal the source.
    pub(crate) async fn settle(&self) {
        let running = self.running.as_ref().expect("the live engine runs");
        self.live.settle(running, &self.source).await;
        clean(&self.late.engine.run_once().stderr);
        if let Err(report) = self.late.compare(&self.source).await {
            panic!("after --once: {report}");
        }
    }

    /// Ends the live engine, which must have had nothing to complain about.
    pub(crate) async fn end(mut self) {
        let finished = self
            .running
            .take()
            .expect("the live engine runs")
            .terminate();
        finished.assert_success();
        clean(&finished.stderr);
        if let Err(report) = self.live.compare(&self.source).await {
            panic!("after the end: {report}");
        }
    }
}

impl Table {
    /// Without casts: a cast to text takes the blanks off `character`.
    fn text_query(&self) -> String {
        self.query(|column| quote(&column.name), &self.name)
    }

    /// In the spelling of SQLite's types.
    fn plain_query(&self) -> String {
        let spell = |column: &Column| match column.type_name.as_str() {
            "boolean" => format!("{}::int", quote(&column.name)),
            _ => quote(&column.name),
        };
        self.query(spell, &self.name)
    }

    fn sqlite_query(&self) -> String {
        self.query(|column| quote(&column.name), &quote(&self.sqlite_name))
    }

    fn query(&self, spell: impl Fn(&Column) -> String, table: &str) -> String {
        let columns: Vec<String> = self.columns.iter().map(spell).collect();
        format!("SELECT {} FROM {table}", columns.join(", "))
    }

    /// Floats as the harness spells those of SQLite.
    fn numbers(&self, mut rows: Vec<tahr_tests::Row>) -> Rows {
        for (index, column) in self.columns.iter().enumerate() {
            if !matches!(column.type_name.as_str(), "real" | "double precision") {
                continue;
            }
            for cell in rows.iter_mut().filter_map(|row| row[index].as_mut()) {
                let number: f64 = cell.parse().expect("a float");
                // SQLite has neither NaN, which is kept as text, nor -0.
                *cell = if number.is_nan() {
                    "NaN".to_owned()
                } else {
                    (number + 0.0).to_string()
                };
            }
        }
        Rows::new(rows)
    }
}

/// The source's tables with their columns. Partitions belong to their roots; columns that the source
/// computes are not copied.
async fn tables(source: &Database) -> Result<Vec<Table>, String> {
    let rows = source
        .try_query(
            "SELECT format('%I.%I', nspname, relname), \
             CASE nspname WHEN 'public' THEN relname ELSE nspname || '_' || relname END, \
             (SELECT json_agg(json_build_array(attname, \
               format_type(coalesce(nullif(typbasetype, 0), atttypid), NULL)) ORDER BY attnum) \
              FROM pg_attribute JOIN pg_type t ON t.oid = atttypid \
              WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped AND attgenerated = '') \
             FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace \
             WHERE relkind IN ('r', 'p') AND NOT relispartition \
             AND nspname !~ '^pg_|^information_schema$' ORDER BY 1",
        )
        .await?;
    let table = |row: tahr_tests::Row| {
        let cell = |index: usize| row[index].clone().unwrap_or_default();
        let columns: Vec<(String, String)> =
            serde_json::from_str(&cell(2)).map_err(|error| format!("{}: {error}", cell(0)))?;
        let columns = columns.into_iter();
        Ok(Table {
            name: cell(0),
            sqlite_name: cell(1),
            columns: columns
                .map(|(name, type_name)| Column { name, type_name })
                .collect(),
        })
    };
    rows.into_iter().map(table).collect()
}

/// A name in double quotes.
pub(crate) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// There is no use in waiting for a lane that waits for a person.
#[track_caller]
pub(crate) fn fail_if_parked(running: &Running) {
    assert!(running.is_running(), "the engine has ended");
    assert!(
        !running.stderr().contains("lane is parked"),
        "a lane is parked"
    );
}

/// Panics if an engine has complained.
#[track_caller]
pub(crate) fn clean(log: &str) {
    // A plugin beside the program that is not used here may not be built yet, or be an old one;
    // and what is not replicated has to be said.
    let expected = [
        "WARN plugin /",
        "that the source computes, which are not replicated",
    ];
    let complaint = |line: &&str| {
        (line.contains("WARN") || line.contains("ERROR"))
            && !expected.iter().any(|part| line.contains(part))
    };
    if let Some(line) = log.lines().find(complaint) {
        panic!("the engine complained: {line}\n{log}");
    }
}

/// Sets how large files of the engine may grow: a disk without room.
pub(crate) fn limit_files(running: &Running, bytes: Option<u64>) {
    let pid = i32::try_from(running.process().pid()).expect("a pid");
    let limit = Rlimit {
        current: bytes,
        maximum: getrlimit(Resource::Fsize).maximum,
    };
    prlimit(Pid::from_raw(pid), Resource::Fsize, limit).expect("set the limit");
}
