//! A source made ready to be read: looked at, its publication and its slot in place.

use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use tahr_plugin_api::{Lsn, TableName, failpoint};
use tahr_postgres_connect::Url;
use tokio_postgres::Client;

use super::{
    Blocker, Identity, Owner, Past, Publication, Report, Request, Severity, Shared, Slot,
    SourceError, Table, object_name, own_table, preflight,
};
use crate::{
    Error, Faults,
    config::{Config, Sequences, Source},
    masters::checkpoint,
    shutdown::Stop,
};

/// What will be said of a source's tables.
pub type Approval = BoxFuture<'static, Result<(), Faults>>;

/// How tahr calls itself in `pg_stat_activity`.
#[must_use]
pub fn application(engine: &str) -> String {
    format!("tahr {engine}")
}

/// A source that can be read.
#[derive(Clone, Debug)]
pub struct Opened {
    /// Its name in the config.
    pub name: String,
    /// Where it is.
    pub url: Url,
    /// How tahr calls itself there.
    pub application: String,
    /// Which database it is.
    pub identity: Identity,
    /// What its log descends from.
    pub past: Past,
    /// The publication.
    pub publication: String,
    /// The slot.
    pub slot: String,
    /// Where the slot's stream begins.
    pub confirmed: Lsn,
}

impl Opened {
    /// Looks at the source `name`, makes its publication carry the tables of all its syncs, and
    /// makes its slot where there is none: publication first, so that the slot can never stand
    /// before it. Returns the tables, too. A source that is out of reach is tried for `patience`, or
    /// without end; `away` is told each time. `approve` is asked about its tables before anything is
    /// made.
    ///
    /// # Errors
    ///
    /// All that preflight found, what `approve` said, or what PostgreSQL refused.
    pub async fn open(
        config: &Config,
        (name, source): (&str, &Source),
        patience: Option<Duration>,
        stop: &Stop,
        mut away: impl FnMut(&SourceError) + Send,
        mut approve: impl FnMut(&[Table]) -> Approval + Send,
    ) -> Result<(Self, Vec<Table>), Faults> {
        let begun = Instant::now();
        let mut wait = Duration::from_millis(250);
        loop {
            let error = match Self::attempt(config, name, source, &mut approve).await {
                Ok(opened) => return opened,
                Err(error) => error,
            };
            let is_over = patience.is_some_and(|patience| begun.elapsed() >= patience);
            if !error.is_transient() || stop.is_stopping() || is_over {
                return Err(crate::engine::of_source(name, error).into());
            }
            tracing::warn!(source = name, %error, hint = error.hint_text(), retry_in = ?wait,
                "source can't be opened yet");
            away(&error);
            tokio::select! {
                () = stop.asked() => return Err(crate::engine::of_source(name, error).into()),
                () = stop.pause(wait) => {}
            }
            wait = (wait * 2).min(Duration::from_secs(10));
        }
    }

    async fn attempt(
        config: &Config,
        name: &str,
        source: &Source,
        approve: &mut (impl FnMut(&[Table]) -> Approval + Send),
    ) -> Result<Result<(Self, Vec<Table>), Faults>, SourceError> {
        let url = parse(source)?;
        let owner = owner(config, name);
        let application = application(&owner.engine);
        let report = look(config, name, source).await?;
        let (identity, tables) = match usable(name, report) {
            Ok(usable) => usable,
            Err(faults) => return Ok(Err(faults)),
        };
        if let Err(faults) = approve(&tables).await {
            return Ok(Err(faults));
        }
        let past = Past::read(&url, &application, &identity).await?;
        let client = url.connect_source(&application).await?;
        mark(&client, config, name).await?;
        let made = object_name(&owner)?;
        let publication = source.publication.clone().unwrap_or_else(|| made.clone());
        let slot = source.slot.clone().unwrap_or(made);
        if source.publication.is_none() {
            let tables = published(config, name, &tables);
            Publication::ensure(&client, &publication, &owner, &tables).await?;
        }
        failpoint::pass("source.published");
        let confirmed = match Slot::find(&client, &slot).await? {
            Some(found) => match found.confirmed_flush {
                Some(confirmed) => confirmed,
                None => {
                    return Err(SourceError::unusable(format!(
                        "slot \"{slot}\" is no logical slot"
                    )));
                }
            },
            None => {
                let mut waiting = |blockers: &[Blocker]| {
                    for blocker in blockers {
                        tracing::info!(source = name, "slot \"{slot}\" waits for {blocker}");
                    }
                };
                let timeout = source.slot_timeout;
                let begin = Slot::create(&url, &application, &slot, timeout, &mut waiting).await?;
                failpoint::pass("source.slot");
                begin
            }
        };
        let opened = Self {
            name: name.to_owned(),
            url,
            application,
            identity,
            past,
            publication,
            slot,
            confirmed,
        };
        Ok(Ok((opened, tables)))
    }

    /// Makes the publication carry `tables` while it is read, if it is tahr's own: those that are in
    /// it already stay in it, unless `only` these are wanted; and makes what syncs of several sources
    /// need. Committed when this returns.
    ///
    /// # Errors
    ///
    /// The source can't be reached, or PostgreSQL refused.
    pub async fn publish(
        &self,
        config: &Config,
        tables: &[Table],
        only: bool,
    ) -> Result<(), SourceError> {
        let Some(source) = config.sources.get(&self.name) else {
            return Ok(());
        };
        let has_masters = config.masters_of(&self.name).next().is_some();
        if source.publication.is_some() && !has_masters {
            return Ok(());
        }
        let client = self.url.connect_source(&self.application).await?;
        mark(&client, config, &self.name).await?;
        if source.publication.is_some() {
            return Ok(());
        }
        let owner = owner(config, &self.name);
        let tables = published(config, &self.name, tables);
        match only {
            true => Publication::ensure(&client, &self.publication, &owner, &tables).await,
            false => Publication::add(&client, &self.publication, &owner, &tables).await,
        }
    }

    /// Writes a mark into the source's log and returns where: a reader that has passed it has seen
    /// everything that was committed before the call.
    ///
    /// # Errors
    ///
    /// The source can't be reached.
    pub async fn mark_present(&self) -> Result<Lsn, SourceError> {
        let client = self.url.connect_source(&self.application).await?;
        let sql = "SELECT pg_catalog.pg_logical_emit_message(true, 'tahr', 'present')::text";
        let row = client.query_one(sql, &[]).await;
        let row = row.map_err(|error| SourceError::sql("mark the present", &error))?;
        let text: String = row.get(0);
        text.parse()
            .map_err(|_| SourceError::unusable("the source returned no LSN"))
    }
}

/// What preflight says to the source `name` and to all that the syncs want of it.
///
/// # Errors
///
/// As [`preflight()`].
pub async fn look(config: &Config, name: &str, source: &Source) -> Result<Report, SourceError> {
    let url = parse(source)?;
    let owner = owner(config, name);
    let wanted = |table: &TableName| is_wanted(config, name, table);
    let of = |table: &TableName| {
        let mut syncs = config.masters_of(name);
        syncs.find(|(_, sync)| sync.selects(table))
    };
    let shared = |table: &TableName| of(table).is_some();
    let sequences =
        |table: &TableName| of(table).map_or(Sequences::Leave, |(_, sync)| sync.masters.sequences);
    let syncs: Vec<&str> = config
        .masters_of(name)
        .map(|(sync, _)| sync.as_str())
        .collect();
    let request = Request {
        owner: &owner,
        application: &application(&owner.engine),
        publication: source.publication.as_deref(),
        slot: source.slot.as_deref(),
        wanted: &wanted,
        shared: (!syncs.is_empty()).then_some(Shared {
            syncs: &syncs,
            tables: &shared,
            sequences: &sequences,
        }),
    };
    preflight(&url, &request).await
}

/// Who makes what tahr makes in the source `name`.
#[must_use]
pub fn owner(config: &Config, name: &str) -> Owner {
    Owner {
        engine: config.engine.name.clone(),
        source: name.to_owned(),
    }
}

/// The source's URL.
///
/// # Errors
///
/// It is none; says what is wrong with it.
pub fn parse(source: &Source) -> Result<Url, SourceError> {
    Url::parse(&source.url)
        .map_err(|error| SourceError::unusable(error.to_string()).hint(error.hint()))
}

/// Whether some sync from the source `name` selects `table`.
#[must_use]
pub fn is_wanted(config: &Config, name: &str, table: &TableName) -> bool {
    let mut syncs = config.syncs.values();
    syncs.any(|sync| sync.sources.iter().any(|source| source == name) && sync.selects(table))
}

/// What a source is and which tables it has, unless preflight found it unusable. Its warnings go to
/// the log.
///
/// # Errors
///
/// All faults that preflight found.
pub fn usable(name: &str, report: Report) -> Result<(Identity, Vec<Table>), Faults> {
    let mut faults = Vec::new();
    for finding in &report.findings {
        match finding.severity {
            Severity::Error => faults.push(finding_error(name, finding)),
            Severity::Warning => tracing::warn!(source = name, "{finding}"),
        }
    }
    Faults::unless_empty(faults)?;
    let identity = report.identity.ok_or_else(|| {
        Error::source(format!(
            "source \"{name}\": the source does not say which it is"
        ))
    })?;
    Ok((identity, report.tables))
}

/// Makes the rows by which tahr's own transactions are recognized, one for each sync of several
/// sources.
async fn mark(client: &Client, config: &Config, name: &str) -> Result<(), SourceError> {
    for (sync, _) in config.masters_of(name) {
        checkpoint::ensure(client, &config.engine.name, sync).await?;
    }
    Ok(())
}

/// What the publication of the source `name`, which has these `tables`, has to carry: tahr's own
/// table too, where other sources replicate to it.
#[must_use]
pub fn published(config: &Config, name: &str, tables: &[Table]) -> Vec<TableName> {
    let names = tables.iter().map(|table| table.relation.source.clone());
    let has_masters = config.masters_of(name).next().is_some();
    names.chain(has_masters.then(own_table)).collect()
}

/// What preflight found, as a command ends with it.
#[must_use]
pub fn finding_error(name: &str, finding: &super::Finding) -> Error {
    let error = Error::source(format!("source \"{name}\": {finding}"));
    match &finding.fix {
        Some(fix) => error.hint(fix.clone()),
        None => error,
    }
}
