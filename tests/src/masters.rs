//! Several databases that replicate to each other, and the engine between them.

use std::fmt::Write as _;
use std::ops::Index;
use std::time::Duration;

use serde_json::Value;

use crate::database::Database;
use crate::engine::{Engine, EngineBuilder, Finished, Running};
use crate::postgres::Postgres;
use crate::table::Rows;
use crate::wait::eventually;

/// What the sources are called in the config, in their order.
const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

/// How long all may take to be equal. A test that waits so long has failed anyway.
const PATIENCE: Duration = Duration::from_secs(30);

/// The tables of a database that are compared, each with the query for its rows: the columns in
/// the order of their names, since that is all that masters have to agree on.
const TABLES: &str = "SELECT format('%I.%I', n.nspname, c.relname),
    format('SELECT %s FROM %I.%I',
           string_agg(format('%I::text', a.attname), ', ' ORDER BY a.attname COLLATE \"C\"),
           n.nspname, c.relname)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname <> 'tahr'
    AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  GROUP BY n.nspname, c.relname ORDER BY 1";

/// Databases that are the sources `a`, `b`, … of the sync `s`. Indexed by their place.
#[derive(Debug)]
pub struct Masters {
    // Before the databases: slots can only be dropped once nobody reads from them.
    running: Option<Running>,
    engine: Option<Engine>,
    databases: Vec<Database>,
    /// What is in the config beside the sources and the sync.
    more: String,
    /// Their URLs in the config, where these are not their own.
    urls: Vec<Option<String>>,
    settings: String,
}

impl Index<usize> for Masters {
    type Output = Database;

    fn index(&self, place: usize) -> &Database {
        &self.databases[place]
    }
}

impl Masters {
    /// So many on the run's shared server, each set up by these statements.
    pub async fn new(count: usize, setup: &str) -> Self {
        Self::each(&vec![setup; count]).await
    }

    /// One on the run's shared server for each of these statements.
    pub async fn each(setups: &[&str]) -> Self {
        let server = Postgres::shared();
        let setups: Vec<_> = setups.iter().map(|setup| (&server, *setup)).collect();
        Self::on(&setups).await
    }

    /// One on each of these servers, set up by these statements.
    pub async fn on(places: &[(&Postgres, &str)]) -> Self {
        let mut databases = Vec::new();
        for (server, setup) in places {
            let database = server.database().await;
            database.execute(setup).await;
            databases.push(database);
        }
        Self {
            running: None,
            engine: None,
            urls: vec![None; databases.len()],
            databases,
            more: String::new(),
            settings: String::new(),
        }
    }

    /// All of them.
    pub fn databases(&self) -> &[Database] {
        &self.databases
    }

    /// Adds to the config what comes after the sync.
    #[must_use]
    pub fn with(mut self, toml: &str) -> Self {
        self.more.push_str(toml);
        self.more.push('\n');
        self
    }

    /// Adds a line of `[engine]`.
    #[must_use]
    pub fn setting(mut self, line: &str) -> Self {
        self.settings.push_str(line);
        self.settings.push('\n');
        self
    }

    /// Has one of them reached by another URL than its own.
    #[must_use]
    pub fn reached_by(mut self, place: usize, url: String) -> Self {
        self.urls[place] = Some(url);
        self
    }

    /// The sources' sections.
    pub fn sources(&self) -> String {
        let mut toml = String::new();
        for (place, database) in self.databases.iter().enumerate() {
            let url = self.urls[place].as_deref().unwrap_or(database.url());
            let name = NAMES[place];
            let _infallible = write!(
                toml,
                "[sources.{name}]\nurl = \"{url}\"\nredo = \"200ms\"\n"
            );
        }
        toml
    }

    /// Writes the config: one sync of all of them and all tables in `public`, with these lines in it.
    pub fn configure(&mut self, rules: &str) -> &Engine {
        let names: Vec<_> = NAMES[..self.databases.len()]
            .iter()
            .map(|name| format!("\"{name}\""))
            .collect();
        let targets = if rules.contains("targets =") {
            ""
        } else {
            "targets = []"
        };
        let sync = format!(
            "[syncs.s]\nsources = [{}]\ntables = [\"public.*\"]\n{targets}\n{rules}\n",
            names.join(", ")
        );
        self.configure_syncs(&sync)
    }

    /// Writes the config with these syncs.
    pub fn configure_syncs(&mut self, syncs: &str) -> &Engine {
        let config = format!("{}\n{syncs}\n{}", self.sources(), self.more);
        let mut builder = EngineBuilder::default();
        for line in self.settings.lines() {
            builder = builder.setting(line);
        }
        self.engine.insert(builder.config(config).build())
    }

    /// Starts the engine with these lines in the sync, and waits until it judges.
    pub async fn start(&mut self, rules: &str) {
        self.configure(rules);
        self.run();
        self.await_state("s", "running").await;
    }

    /// Starts the engine with what is configured.
    pub fn run(&mut self) {
        let running = self.engine().start();
        self.running = Some(running);
    }

    /// The engine, running or not.
    ///
    /// # Panics
    ///
    /// Before it was configured.
    pub fn engine(&self) -> &Engine {
        self.engine.as_ref().expect("configured before")
    }

    /// The engine's process.
    ///
    /// # Panics
    ///
    /// When it doesn't run.
    pub fn running(&self) -> &Running {
        self.running.as_ref().expect("started before")
    }

    /// `kill -9`.
    pub fn kill9(&mut self) {
        if let Some(running) = self.running.take() {
            running.kill9();
        }
    }

    /// Ends the engine in order.
    #[track_caller]
    pub fn stop(&mut self) -> Finished {
        let running = self.running.take().expect("it runs");
        let finished = running.terminate();
        finished.assert_success();
        finished
    }

    /// Ends the engine in order, once all are equal and nothing is under way.
    pub async fn end(mut self) {
        self.settle().await;
        self.stop();
    }

    /// A command, which has to succeed.
    #[track_caller]
    pub fn tahr(&self, arguments: &[&str]) -> Finished {
        let finished = self.engine().tahr(arguments);
        finished.assert_success();
        finished
    }

    /// Pauses the sync: once it is done nothing is judged.
    pub async fn pause(&self) {
        self.tahr(&["pause", "s"]);
        self.await_state("s", "paused").await;
    }

    /// Lets it go on.
    #[track_caller]
    pub fn resume(&self) {
        self.tahr(&["resume", "s"]);
    }

    /// Runs statements, one by one at these places, while the sync is paused, so that they meet.
    pub async fn meet(&self, statements: &[(usize, &str)]) {
        self.pause().await;
        for (place, statement) in statements {
            self[*place].execute(statement).await;
        }
        self.resume();
    }

    /// What `tahr status --json` says of a sync of several sources.
    pub fn status(&self, sync: &str) -> Result<Value, String> {
        let finished = self.engine().tahr(&["status", "--json"]);
        if finished.code() != Some(0) {
            return Err(finished.stderr);
        }
        let report = finished.json();
        let all = report["masters"].as_array().cloned().unwrap_or_default();
        let found = all.into_iter().find(|one| one["sync"] == sync);
        found.ok_or_else(|| format!("no sync {sync} in {report}"))
    }

    /// Waits until a sync is in this state, and gives all that is said of it.
    #[track_caller]
    pub fn await_state(&self, sync: &str, state: &str) -> impl Future<Output = Value> {
        let what = format!("sync {sync} is {state}");
        eventually(PATIENCE, what, async move || {
            let status = self.status(sync).map_err(|fault| {
                let log = self.running.as_ref().map(Running::stderr);
                format!("{fault}; {}", log.unwrap_or_default())
            })?;
            let is_there = status["state"] == state;
            is_there
                .then(|| status.clone())
                .ok_or_else(|| status.to_string())
        })
    }

    /// The log of conflicts of the sync, oldest first.
    #[track_caller]
    pub fn conflicts(&self) -> Vec<Value> {
        let finished = self.tahr(&["conflicts", "s", "--json"]);
        match finished.json() {
            Value::Array(conflicts) => conflicts,
            other => panic!("not a list of conflicts: {other}"),
        }
    }

    /// Waits until every database answers this query with this one value.
    #[track_caller]
    pub fn everywhere(&self, query: &str, expected: &str) -> impl Future<Output = ()> {
        let query = query.to_owned();
        let expected = Rows::new(vec![vec![Some(expected.to_owned())]]);
        eventually(
            PATIENCE,
            format!("everywhere {query} gives the same"),
            async move || {
                for (place, database) in self.databases.iter().enumerate() {
                    let found = Rows::postgres(database, &query).await?;
                    expected
                        .same_as(&found)
                        .map_err(|fault| format!("{}: {fault}", NAMES[place]))?;
                }
                Ok(())
            },
        )
    }

    /// Whether all hold the same rows in all tables, now.
    pub async fn equal(&self) -> Result<(), String> {
        self.equal_among(&self.databases.iter().collect::<Vec<_>>())
            .await
    }

    /// Whether these hold the same rows in all tables, now.
    pub async fn equal_among(&self, databases: &[&Database]) -> Result<(), String> {
        let tables = databases[0].try_query(TABLES).await?;
        for table in tables {
            let [Some(name), Some(query)] = table.as_slice() else {
                return Err("no name of a table".to_owned());
            };
            let first = Rows::postgres(databases[0], query).await?;
            for database in &databases[1..] {
                let other = Rows::postgres(database, query).await?;
                first.same_as(&other).map_err(|fault| {
                    let place = |database: &Database| {
                        let mut all = self.databases.iter();
                        let place = all.position(|one| std::ptr::eq(one, database));
                        place.map_or("?", |place| NAMES[place])
                    };
                    format!(
                        "{name} of {} and {}: {fault}",
                        place(databases[0]),
                        place(database)
                    )
                })?;
            }
        }
        Ok(())
    }

    /// Waits until all are equal and nothing more is written: two looks at all applies' numbers, with
    /// time for a round between them, are the same.
    #[track_caller]
    pub fn settle(&self) -> impl Future<Output = ()> {
        self.settle_within(PATIENCE)
    }

    /// As [`settle`](Self::settle), with more or less patience.
    #[track_caller]
    pub fn settle_within(&self, limit: Duration) -> impl Future<Output = ()> {
        let mut before = None;
        eventually(limit, "all are equal and at rest", async move || {
            self.equal().await?;
            let applies = self.applies().await?;
            let is_same = before.as_ref() == Some(&applies);
            if !is_same {
                before = Some(applies);
                tokio::time::sleep(Duration::from_millis(150)).await;
                return Err("applies go on".to_owned());
            }
            Ok(())
        })
    }

    /// The number of the last apply of each sync on each database.
    pub async fn applies(&self) -> Result<Vec<Rows>, String> {
        let mut all = Vec::new();
        for database in &self.databases {
            let query = "SELECT engine, sync, sequence FROM tahr.checkpoint";
            all.push(Rows::postgres(database, query).await?);
        }
        Ok(all)
    }
}
