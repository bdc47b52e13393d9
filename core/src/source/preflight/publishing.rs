//! Who brings the tables into the publication, and the rights that this takes.
//!
//! tahr itself needs the right to create a publication only where there is none, and the rights of the
//! tables' owners only where it has to create or alter one. A DBA needs none of tahr's role.

use std::collections::BTreeSet;

use tahr_plugin_api::TableName;

use super::{Finding, Request, server::Role, tables::can_be_published};
use crate::source::{
    Publication, Table, own_table,
    publication::{alteration, creation},
    quote_identifier,
};

/// What is to become of the publication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    /// A DBA made it, or it is as it has to be.
    None,
    Create,
    Alter,
}

/// What is to become of the publication, and by whom.
#[derive(Debug)]
pub(super) struct Publishing {
    deed: Deed,
    /// Superusers that own some of the tables: lending their rights would be worse than to leave it to
    /// a DBA.
    superusers: BTreeSet<String>,
}

impl Publishing {
    /// What follows from the publication as it is, `found`.
    pub(super) fn of(
        request: &Request<'_>,
        found: Option<&Publication>,
        role: &Role,
        tables: &[Table],
    ) -> Self {
        let deed = match found {
            _ if request.publication.is_some() => Deed::None,
            None => Deed::Create,
            // It is to be named in the config, or to go; that is said.
            Some(found) if !found.belongs_to(request.owner) => Deed::None,
            Some(found) if found.carries(&wanted(request, tables)) => Deed::None,
            Some(_) => Deed::Alter,
        };
        let foreign = tables.iter().filter(|table| {
            can_be_published(table)
                && !table.owned
                && table.owner_is_superuser
                && !role.is_superuser
        });
        Self {
            deed,
            superusers: foreign.map(|table| table.owner.clone()).collect(),
        }
    }

    /// Whether tahr's role does it, with the rights of the tables' owners.
    pub(super) fn needs_owners(&self) -> bool {
        self.deed != Deed::None && self.superusers.is_empty()
    }

    /// Whether the role may create one, where it has to.
    pub(super) fn check(&self, role: &Role, found: &mut Vec<Finding>) {
        if role.may_create || self.deed != Deed::Create || !self.superusers.is_empty() {
            return;
        }
        let (role, database) = (&role.name, &role.database);
        found.push(
            Finding::error(
                format!("role {role}"),
                format!("may not create a publication in database {database}"),
            )
            .fix(format!(
                "GRANT CREATE ON DATABASE {} TO {};",
                quote_identifier(database),
                quote_identifier(role)
            )),
        );
    }

    /// Tables of superusers can only be published by a DBA.
    pub(super) fn unlendable(
        &self,
        request: &Request<'_>,
        tables: &[Table],
        role: &Role,
        publication: &str,
        found: &mut Vec<Finding>,
    ) {
        if self.superusers.is_empty() {
            return;
        }
        let owners = Vec::from_iter(self.superusers.iter().map(String::as_str)).join(", ");
        let names: Vec<_> = names(tables).collect();
        let (by_dba, fix) = match self.deed {
            Deed::None => return,
            Deed::Create => (
                format!(
                    "makes the publication, and the source's config names it: publication = \
                     \"{publication}\""
                ),
                creation(publication, None, &names),
            ),
            Deed::Alter => (
                format!("alters publication {publication}"),
                alteration(publication, &wanted(request, tables)),
            ),
        };
        found.push(
            Finding::error(
                format!("role {}", role.name),
                format!("may not publish tables of superuser {owners}: a DBA {by_dba}"),
            )
            .fix(fix),
        );
    }
}

fn names(tables: &[Table]) -> impl Iterator<Item = TableName> {
    let published = tables.iter().filter(|table| can_be_published(table));
    published.map(|table| table.relation.source.clone())
}

/// What tahr's own publication has to carry.
fn wanted(request: &Request<'_>, tables: &[Table]) -> Vec<TableName> {
    let own = request.shared.map(|_| own_table());
    names(tables).chain(own).collect()
}
