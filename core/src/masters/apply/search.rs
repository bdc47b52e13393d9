//! Searching for the rows that can't be written, by halving.

use std::collections::BTreeMap;

use super::{
    careful::Careful,
    error::{Class, Failure},
    refused::{Clashes, Index},
};

/// How long one row is waited for here: each is, several times.
const SHORT_WAIT: &str = "SET LOCAL lock_timeout = 25";

/// Rows that are found one by one. Beyond, what fails together is left out together, and is found
/// the next time.
const FOUND: usize = 64;

impl<'a> Careful<'a> {
    /// Writes what can be written, in parts that get smaller where one fails, and leaves out the
    /// rest.
    pub(super) async fn search(&mut self) -> Result<(), Failure<'a>> {
        let session = self.session;
        session.run(SHORT_WAIT).await?;
        self.truncate().await?;
        let rows = self.in_order();
        let mut found = 0;
        let all = 0..rows.len();
        let mut parts = Vec::from([all]);
        while let Some(part) = parts.pop() {
            if part.is_empty() {
                continue;
            }
            let places = &rows[part.clone()];
            session.run("SAVEPOINT tahr_part").await?;
            let failure = match self.attempt(places, &BTreeMap::new()).await {
                Ok(()) => {
                    session.run("RELEASE tahr_part").await?;
                    continue;
                }
                Err(failure) => failure,
            };
            self.back("tahr_part", &failure).await?;
            match failure.class() {
                Class::Marked | Class::Other => return Err(failure),
                Class::Singly if part.len() == 1 => return Err(failure),
                Class::Locked | Class::ForeignKey | Class::Unique if found >= FOUND => {
                    self.left.extend(places.iter().map(|&at| (at, None)));
                }
                _ if part.len() == 1 => {
                    found += 1;
                    self.leave(places[0], &failure).await?;
                }
                _ => {
                    let middle = part.start + part.len() / 2;
                    parts.push(middle..part.end);
                    parts.push(part.start..middle);
                }
            }
        }
        Ok(())
    }

    /// Empties the tables that are to be emptied.
    async fn truncate(&mut self) -> Result<(), Failure<'a>> {
        let whole = |at: &usize| self.order.rows[*at].0.is_whole();
        let places: Vec<usize> = self.rest().into_iter().filter(whole).collect();
        if places.is_empty() {
            return Ok(());
        }
        self.session.run("SAVEPOINT tahr_part").await?;
        match self.attempt(&places, &BTreeMap::new()).await {
            Ok(()) => self.session.run("RELEASE tahr_part").await,
            Err(failure) => {
                self.back("tahr_part", &failure).await?;
                if failure.class() != Class::Locked {
                    return Err(failure);
                }
                self.leave_truncates();
                Ok(())
            }
        }
    }

    /// The rows that are not left out, as they are written: children are deleted before parents,
    /// parents written before children.
    fn in_order(&self) -> Vec<usize> {
        let order = self.order;
        let mut groups: Vec<_> = self.by_table(&self.rest()).into_iter().collect();
        groups.sort_by_key(|(table, _)| table.rank);
        let of = |rows: bool| {
            let groups = groups.iter().map(move |(_, places)| {
                let places = places.iter().copied();
                places.filter(move |&at| order.rows[at].1.is_row() == rows)
            });
            groups.collect::<Vec<_>>()
        };
        let deletes = of(false).into_iter().rev().flatten();
        let rows = of(true).into_iter().flatten();
        match self.rows_first {
            true => rows.chain(deletes).collect(),
            false => deletes.chain(rows).collect(),
        }
    }

    /// Leaves out one row that failed.
    async fn leave(&mut self, at: usize, failure: &Failure<'a>) -> Result<(), Failure<'a>> {
        let mut holder = None;
        match failure.class() {
            Class::Unique => {
                if let Some(index) = Index::find(self.session, failure).await? {
                    let mut clashes = Clashes::default();
                    clashes.look(self, &index, &[at]).await?;
                    holder = clashes.holder();
                }
            }
            Class::ForeignKey => self.fault = Some(failure.bare_fault()),
            _ => {}
        }
        self.left.insert(at, holder);
        Ok(())
    }
}
