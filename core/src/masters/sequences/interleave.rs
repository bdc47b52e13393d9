//! Gives each source a class of its own in the sequences that could meet.

use tahr_postgres_connect::Session;
use tokio_postgres::Client;

use super::{
    Member, Note, at,
    classes::{Stride, are_apart},
    found::{Found, Group, groups, places},
    stored::{self, Kept},
};
use crate::{masters::Tables, source::SourceError};

/// How long others may be kept from drawing while a lock is waited for.
const PATIENCE: &str = "2s";
/// A source with fewer values left than this is warned of.
const FEW: i128 = 100_000;

/// As [`setup`](super::setup), to interleave.
pub(super) async fn interleave(
    owner: (&str, &str),
    tables: &Tables,
    members: &[Member],
    sessions: &[Session],
) -> Result<Vec<Note>, SourceError> {
    let mut work = Work {
        owner,
        members,
        sessions,
        kept: Vec::new(),
        notes: Vec::new(),
    };
    let groups: Vec<Group> = groups(tables, members, sessions).await?;
    let groups: Vec<Group> = groups
        .into_iter()
        .filter(|group| work.is_due(group))
        .collect();
    if groups.is_empty() {
        return Ok(work.notes);
    }
    for (session, member) in sessions.iter().zip(members) {
        let kept = stored::all(session).await;
        work.kept
            .push(kept.map_err(|error| at(&member.name, error))?);
    }
    // Everything that can be said in advance is said before anything is altered.
    let groups = groups.into_iter().map(|group| {
        let stride = work.stride(&group)?;
        Ok((group, stride))
    });
    let groups: Vec<(Group, Stride)> = groups.collect::<Result<_, SourceError>>()?;
    for (session, member) in sessions.iter().zip(members) {
        let made = stored::ensure(session).await;
        made.map_err(|error| at(&member.name, error))?;
    }
    for (group, stride) in groups {
        work.give(&group, stride).await?;
    }
    Ok(work.notes)
}

struct Work<'a> {
    /// Engine and sync.
    owner: (&'a str, &'a str),
    members: &'a [Member],
    sessions: &'a [Session],
    /// For each member what was interleaved there before.
    kept: Vec<Vec<Kept>>,
    notes: Vec<Note>,
}

impl Work<'_> {
    fn note(&mut self, found: &Found, is_warning: bool, text: String) {
        self.notes.push(Note {
            source: self.members[found.member].name.clone(),
            sequence: found.shown(),
            text,
            is_warning,
        });
    }

    /// Whether values of the group could meet, and something can be done about it.
    fn is_due(&mut self, group: &Group) -> bool {
        if let Some(cycling) = group.iter().find(|found| found.cycles) {
            let text = "cycles, so its values come again whatever is done: it is left as it is";
            self.note(cycling, true, text.to_owned());
            return false;
        }
        for (index, member) in self.members.iter().enumerate() {
            if !group.iter().any(|found| found.member == index) {
                let drawer = &group[0].drawers[0].0;
                let text = format!(
                    "has no counterpart on source \"{}\", where column \"{}\" of table {}.{} draws \
                     from none",
                    member.name, drawer.column, drawer.schema, drawer.table
                );
                self.note(&group[0], true, text);
            }
        }
        let places: Vec<_> = group
            .iter()
            .map(|found| (found.member, found.place))
            .collect();
        !are_apart(&places)
    }

    /// The stride that the group gets.
    fn stride(&self, group: &Group) -> Result<Stride, SourceError> {
        let (engine, sync) = self.owner;
        let mut unit = 0_i64;
        for found in group {
            let source = &self.members[found.member].name;
            if !found.is_owned {
                return Err(found.forbidden(source, "alter", None));
            }
            let mut kept = self.kept[found.member].iter();
            let kept = kept.find(|kept| kept.schema == found.schema && kept.name == found.name);
            if let Some(other) = kept.filter(|kept| kept.engine != engine || kept.sync != sync) {
                return Err(SourceError::unusable(format!(
                    "source \"{source}\": sequence {} is interleaved by sync \"{}\" of engine \
                     \"{}\" already",
                    found.shown(),
                    other.sync,
                    other.engine
                ))
                .hint(
                    "give it an increment and a start of its own on each source by hand, and set \
                     sequences = \"leave\" in both syncs",
                ));
            }
            let own = kept.map_or(found.place.increment, |kept| kept.increment);
            if unit.signum() * own.signum() < 0 {
                return Err(SourceError::unusable(format!(
                    "source \"{source}\": sequence {} counts in the other direction than on \
                     another source",
                    found.shown()
                ))
                .hint(format!(
                    "ALTER SEQUENCE {} INCREMENT BY {unit};",
                    found.quoted()
                )));
            }
            if own.unsigned_abs() > unit.unsigned_abs() {
                unit = own;
            }
        }
        let stride = Stride::new(self.members.len(), unit, group[0].start);
        match stride.increment() {
            Some(_) => Ok(stride),
            None => Err(exhausted(&self.members[group[0].member].name, &group[0])),
        }
    }

    /// Gives a group its stride, as one transaction on each source.
    async fn give(&mut self, group: &Group, stride: Stride) -> Result<(), SourceError> {
        let mut held = Vec::new();
        let mut stored = Vec::new();
        for found in group {
            let source = &self.members[found.member].name;
            let value = found.stored(&self.sessions[found.member]).await;
            stored.extend(value.map_err(|error| at(source, error))?);
            if held.last() != Some(&found.member) {
                held.push(found.member);
            }
        }
        let given = self.give_held(&held, group, stride, &stored).await;
        let end = if given.is_ok() { "COMMIT" } else { "ROLLBACK" };
        let (members, sessions) = (self.members, self.sessions);
        let ends = held.iter().map(|&member| async move {
            let end = sessions[member].batch_execute(end).await;
            end.map_err(|error| at(&members[member].name, failed(group, &error)))
        });
        let ended = futures_util::future::join_all(ends).await;
        let notes = given?;
        ended.into_iter().collect::<Result<(), _>>()?;
        self.notes.extend(notes);
        Ok(())
    }

    /// The transactions up to their ends.
    async fn give_held(
        &self,
        held: &[usize],
        group: &Group,
        stride: Stride,
        stored: &[i64],
    ) -> Result<Vec<Note>, SourceError> {
        let increment = stride.increment().unwrap_or(i64::MAX);
        let locks = held.iter().map(|&member| async move {
            let own: Vec<Found> = of(group, member).cloned().collect();
            let drawn = hold(&self.sessions[member], &own, increment).await;
            drawn.map_err(|error| at(&self.members[member].name, error))
        });
        let drawn = futures_util::future::try_join_all(locks).await?;
        let drawn: Vec<i64> = drawn.into_iter().flatten().collect();
        let moves = held.iter().map(|&member| {
            let drawn = &drawn;
            async move {
                let mut notes = Vec::new();
                for found in of(group, member) {
                    notes.extend(self.go_on(found, stride, drawn, stored).await?);
                }
                Ok::<_, SourceError>(notes)
            }
        });
        let notes = futures_util::future::try_join_all(moves).await?;
        Ok(notes.into_iter().flatten().collect())
    }

    /// Lets a sequence go on in its source's class.
    async fn go_on(
        &self,
        found: &Found,
        stride: Stride,
        drawn: &[i64],
        stored: &[i64],
    ) -> Result<Vec<Note>, SourceError> {
        let Member { name: source, .. } = &self.members[found.member];
        let increment = stride.increment().unwrap_or(i64::MAX);
        let mut notes = Vec::new();
        let mut note = |is_warning, text| {
            notes.push(Note {
                source: source.clone(),
                sequence: found.shown(),
                text,
                is_warning,
            });
        };
        let fits = |value: &i64| (found.min..=found.max).contains(value);
        let drawn = || drawn.iter().copied();
        let first = |seen: &mut dyn Iterator<Item = i64>| {
            stride.first_beyond(seen, found.member).filter(fits)
        };
        let first = match first(&mut drawn().chain(stored.iter().copied())) {
            Some(first) => first,
            None => {
                let first = first(&mut drawn()).ok_or_else(|| exhausted(source, found))?;
                let text = "goes on below the highest value that is stored, since there are none \
                            beyond it";
                note(true, text.to_owned());
                first
            }
        };
        let bound = if increment > 0 { found.max } else { found.min };
        let left = (i128::from(bound) - i128::from(first)) / i128::from(increment) + 1;
        note(
            false,
            format!("draws every {} value from {first} on", nth(increment)),
        );
        if left < FEW {
            note(true, format!("has only {left} values left"));
        }
        let session = &self.sessions[found.member];
        let sql = "SELECT pg_catalog.setval($1::oid::regclass, $2, false)";
        let set = session.execute(sql, &[&found.oid, &first]).await;
        set.map_err(|error| {
            at(
                source,
                SourceError::sql(format!("set sequence {}", found.shown()), &error),
            )
        })?;
        let kept = stored::keep(session, self.owner, found, increment).await;
        kept.map_err(|error| at(source, error))?;
        Ok(notes)
    }
}

fn of(group: &Group, member: usize) -> impl Iterator<Item = &Found> {
    group.iter().filter(move |found| found.member == member)
}

/// Begins a transaction in which nobody else draws from these sequences, and returns what was drawn
/// last. Their increment is the new one from then on.
async fn hold(client: &Client, own: &[Found], increment: i64) -> Result<Vec<i64>, SourceError> {
    let mut sql = format!("BEGIN; SET LOCAL lock_timeout = '{PATIENCE}';");
    for found in own {
        sql += &format!(
            "ALTER SEQUENCE {} INCREMENT BY {increment};",
            found.quoted()
        );
    }
    let held = client.batch_execute(&sql).await;
    held.map_err(|error| failed(own, &error))?;
    let places = places(client, own).await?;
    Ok(places.into_iter().map(|(last, _)| last).collect())
}

fn failed(group: &[Found], error: &tokio_postgres::Error) -> SourceError {
    let names: Vec<String> = group.iter().map(Found::shown).collect();
    let mut names = names;
    names.dedup();
    let made = SourceError::sql(format!("alter sequence {}", names.join(", ")), error);
    match made.is_transient() && made.hint.is_empty() {
        true => made.hint("a transaction that drew from it is open: it is tried again"),
        false => made,
    }
}

fn exhausted(source: &str, found: &Found) -> SourceError {
    let name = found.shown();
    SourceError::unusable(format!(
        "source \"{source}\": sequence {name} has no values left for each source to have its own"
    ))
    .hint(format!(
        "ALTER SEQUENCE {} AS bigint NO MAXVALUE; and make its column bigint, on every source\n\
         or leave sequences alone: sequences = \"leave\"",
        found.quoted()
    ))
}

/// `4th`; strides are even.
fn nth(increment: i64) -> String {
    let number = increment.unsigned_abs();
    let ending = if number % 10 == 2 && number % 100 != 12 {
        "nd"
    } else {
        "th"
    };
    format!("{number}{ending}")
}
