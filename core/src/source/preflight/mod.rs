//! Whether a source can be read at all: every fault at once, each with the statement that mends
//! it.
//!
//! Nothing is made or changed here, so it may run at any time, beside a running engine too.

mod finding;
mod masters;
mod objects;
mod publishing;
mod server;
mod tables;

use tahr_plugin_api::TableName;
use tahr_postgres_connect::Url;

pub use finding::{Finding, Severity, script};
pub use masters::is_refused;

use publishing::Publishing;

use super::{Identity, Owner, Publication, SourceError, Table, Wanted, catalog, object_name};
use crate::config::Sequences;

/// What is asked of a source.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// Who asks; names slot and publication unless a DBA made them.
    pub owner: &'a Owner,
    /// The `application_name` of this engine's sessions: a slot in use by it is in good hands.
    pub application: &'a str,
    /// A publication that a DBA made.
    pub publication: Option<&'a str>,
    /// A slot that a DBA made.
    pub slot: Option<&'a str>,
    /// The tables to replicate.
    pub wanted: Wanted<'a>,
    /// What it has in common with other sources; none where it is in no sync of several.
    pub shared: Option<Shared<'a>>,
}

/// What a source has in common with others, which replicate to it and it to them.
#[derive(Clone, Copy)]
pub struct Shared<'a> {
    /// The names of the syncs.
    pub syncs: &'a [&'a str],
    /// The tables.
    pub tables: Wanted<'a>,
    /// What becomes of the sequences of such a table.
    pub sequences: &'a (dyn Fn(&TableName) -> Sequences + Send + Sync),
}

impl std::fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request")
            .field("owner", self.owner)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Shared<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("syncs", &self.syncs)
            .finish_non_exhaustive()
    }
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Faults and warnings, the server's first.
    pub findings: Vec<Finding>,
    /// The tables that were asked for and can be replicated at all; none where the server itself
    /// can't be used.
    pub tables: Vec<Table>,
    /// Which database it is; none for a standby or too old a server.
    pub identity: Option<Identity>,
}

impl Report {
    /// Whether nothing stands in the way.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.findings
            .iter()
            .all(|finding| finding.severity != Severity::Error)
    }
}

/// Looks at the source behind `url`.
///
/// # Errors
/// It can't be reached, or the connection broke: faults of the source are findings.
pub async fn preflight(url: &Url, request: &Request<'_>) -> Result<Report, SourceError> {
    let name = object_name(request.owner)?;
    let client = url.connect_source(request.application).await?;
    let mut report = Report::default();
    let role = server::Role::read(&client).await?;
    if !server::version(&client, &mut report.findings).await? {
        return Ok(report);
    }
    let (publication, slot) = (
        request.publication.unwrap_or(&name),
        request.slot.unwrap_or(&name),
    );
    server::check(url, &client, &role, request, slot, &mut report.findings).await?;
    if role.in_recovery {
        return Ok(report);
    }
    report.identity = Some(Identity::read(&client).await?);
    let mut listed = catalog::tables(&client, request.wanted).await?;
    let found = Publication::find(&client, publication).await?;
    let publishing = Publishing::of(request, found.as_ref(), &role, &listed);
    publishing.check(&role, &mut report.findings);
    tables::check(&listed, &role, request, &publishing, &mut report.findings);
    listed.retain(tables::can_be_published);
    if let Some(shared) = &request.shared {
        masters::check(
            &client,
            &role,
            request,
            shared,
            &listed,
            &mut report.findings,
        )
        .await?;
    }
    publishing.unlendable(request, &listed, &role, publication, &mut report.findings);
    objects::publication(request, publication, found, &listed, &mut report.findings);
    objects::slot(&client, request, slot, &role, &mut report.findings).await?;
    report.tables = listed;
    Ok(report)
}
