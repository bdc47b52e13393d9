//! Sources that have to be equal before anything begins.

use std::{collections::BTreeMap, fmt};

use tahr_plugin_api::TableName;

use super::Meeting;
use crate::source::SourceError;

/// A table that sources hold differently. No key is told, since keys are values too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unequal {
    /// The table.
    pub table: TableName,
    /// How many of its rows each source lacks that others have, by the source's name; those that
    /// lack none are left out.
    pub missing: Vec<(String, u64)>,
    /// How many of its rows are others on one source than on another.
    pub different: u64,
}

impl fmt::Display for Unequal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "table {}: ", self.table)?;
        let mut comma = "";
        for (source, count) in &self.missing {
            write!(f, "{comma}{} missing on source \"{source}\"", rows(*count))?;
            comma = ", ";
        }
        match self.different {
            0 => Ok(()),
            count => write!(f, "{comma}{} different", rows(count)),
        }
    }
}

fn rows(count: u64) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{count} row{s}")
}

/// Compares all tables; tells of each that is not equal on all sources.
///
/// # Errors
///
/// As [`Meeting::next`].
pub async fn require_equal(meeting: &mut Meeting) -> Result<Result<(), Vec<Unequal>>, SourceError> {
    let mut unequal: BTreeMap<TableName, (Vec<u64>, u64)> = BTreeMap::new();
    while let Some(differences) = meeting.next(1000).await? {
        for difference in differences {
            let Some(table) = meeting.tables.get(difference.key.table) else {
                continue;
            };
            let fresh = || (vec![0; meeting.members.len()], 0);
            let (missing, different) = unequal.entry(table.name.clone()).or_insert_with(fresh);
            for (missing, held) in missing.iter_mut().zip(&difference.rows) {
                *missing += u64::from(held.is_none());
            }
            let mut rows = difference.rows.iter().flatten().map(|held| &held.row);
            let first = rows.next();
            *different += u64::from(rows.any(|row| Some(row) != first));
        }
    }
    if unequal.is_empty() {
        return Ok(Ok(()));
    }
    let tell = |(table, (missing, different)): (TableName, (Vec<u64>, u64))| {
        let names = meeting
            .members
            .iter()
            .map(|member| member.source.name.clone());
        let missing = names.zip(missing).filter(|(_, count)| *count > 0);
        Unequal {
            table,
            missing: missing.collect(),
            different,
        }
    };
    Ok(Err(unequal.into_iter().map(tell).collect()))
}
