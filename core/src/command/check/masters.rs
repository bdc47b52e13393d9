//! Syncs of several sources: whether these go together.

use std::collections::BTreeSet;

use tahr_plugin_api::TableName;

use super::{Group, Looked};
use crate::{
    Error, ErrorKind,
    config::{Config, Sync},
    masters::preflight::{Member, look},
    source::is_refused,
};

/// What was found between the sources of each sync of several; what is the config's own fault goes
/// to `in_config`.
pub(super) async fn check(
    config: &Config,
    all: &[Looked<'_>],
    in_config: &mut Group,
) -> Vec<Group> {
    // A ring is found by every sync of it.
    let mut said: BTreeSet<String> = BTreeSet::new();
    let mut groups = Vec::new();
    let syncs = config.syncs.iter();
    for (name, sync) in syncs.filter(|(_, sync)| sync.has_masters()) {
        let mut group = Group::new(format!("sync \"{name}\" ({})", sync.sources.join(" ⇄ ")));
        let found = look(config, name, &members(all, sync)).await;
        let mut is_new = |error: &Error| said.insert(error.message().to_owned());
        for error in found.errors.into_iter().filter(&mut is_new) {
            match error.kind() {
                ErrorKind::Usage => in_config.errors.push(error),
                _ => group.errors.push(error),
            }
        }
        group.warnings = found.warnings.into_iter().filter(is_new).collect();
        groups.push(group);
    }
    groups
}

/// Whether some source of `sync`, if they are several, has the table `name`.
pub(super) fn has(all: &[Looked<'_>], sync: &Sync, name: &TableName) -> bool {
    let mut names = of(all, sync).filter_map(|looked| looked.result.as_ref().ok());
    sync.has_masters() && names.any(|(_, names)| names.contains(name))
}

/// The sources of `sync`, in its order.
fn of<'a, 'c>(all: &'a [Looked<'c>], sync: &Sync) -> impl Iterator<Item = &'a Looked<'c>> {
    let sources = sync.sources.iter();
    sources.filter_map(|name| all.iter().find(|looked| looked.name == name))
}

/// The sources of `sync` that could be looked at, without what is said of them already: tables that
/// some of them refuses, and sources that have none of its tables.
fn members(all: &[Looked<'_>], sync: &Sync) -> Vec<Member> {
    let reports = of(all, sync).filter_map(|looked| {
        let (report, names) = looked.result.as_ref().ok()?;
        Some((looked.name, report, names))
    });
    let reports: Vec<_> = reports.collect();
    let is_refused = |table: &TableName| {
        let mut reports = reports.iter();
        reports.any(|(_, report, names)| {
            let mut usable = report.tables.iter();
            names.contains(table)
                && !usable.any(|usable| usable.relation.source == *table)
                && is_refused(&report.findings, table)
        })
    };
    let member = |(name, report, _): &(&str, &crate::source::Report, _)| {
        let tables = report.tables.iter().filter(|table| {
            let name = &table.relation.source;
            sync.selects(name) && !is_refused(name)
        });
        Some(Member {
            name: (*name).to_owned(),
            identity: report.identity.clone()?,
            tables: tables.cloned().collect(),
        })
    };
    let members = reports.iter().filter_map(member);
    members.filter(|member| !member.tables.is_empty()).collect()
}
