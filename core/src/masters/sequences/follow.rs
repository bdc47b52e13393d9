//! Raises sequences to the highest of all sources.
//!
//! Nothing is ever lowered. Sessions draw while this looks, so a sequence that is a little behind is
//! drawn from until it isn't, which can't take anything back. One that is far behind is set: in the
//! moment between look and set nobody draws as many values as it is behind.

use std::time::{Duration, Instant};

use tahr_postgres_connect::Session;
use tokio_postgres::Client;

use super::{
    Member, Note, at, connect,
    found::{Found, Group, groups, places},
};
use crate::{masters::Tables, source::SourceError};

/// How often sequences are looked at, at most.
const EVERY: Duration = Duration::from_secs(1);
/// How far behind a sequence is drawn from; beyond that it is set.
const DRAWN: i128 = 10_000;

/// Keeps the sequences of a sync at the highest value of all its sources, as of the last look.
#[derive(Debug)]
pub struct Follower {
    members: Vec<Member>,
    groups: Vec<Group>,
    /// None on a source that is away.
    sessions: Vec<Option<Session>>,
    looked: Option<Instant>,
}

impl Follower {
    /// Finds the sequences of `tables` on all `members`: needs all of them.
    ///
    /// # Errors
    ///
    /// A source is out of reach, or its role lacks rights.
    pub async fn open(tables: &Tables, members: Vec<Member>) -> Result<Self, SourceError> {
        let sessions = connect(&members).await?;
        let groups = followed(tables, &members, &sessions).await?.0;
        Ok(Self {
            members,
            groups,
            sessions: sessions.into_iter().map(Some).collect(),
            looked: None,
        })
    }

    /// Raises the sequences that are behind, unless it has looked within this second. Sources that
    /// are away are left out, and returned with the reason.
    pub async fn follow(&mut self) -> Vec<(usize, SourceError)> {
        if self.groups.is_empty() || self.looked.is_some_and(|looked| looked.elapsed() < EVERY) {
            return Vec::new();
        }
        self.looked = Some(Instant::now());
        let Self {
            members,
            groups,
            sessions,
            ..
        } = self;
        let looks = members.iter().zip(sessions.iter_mut()).enumerate();
        let looks = looks.map(|(index, (member, session))| {
            let own: Vec<&Found> = of(groups, index);
            async move {
                let looked = look(member, session, &own).await;
                looked.map_err(|error| (index, at(&member.name, error)))
            }
        });
        let mut failed = Vec::new();
        for looked in futures_util::future::join_all(looks).await {
            match looked {
                Ok(places) => {
                    for (oid, (last, is_called), member) in places {
                        let mut all = groups.iter_mut().flatten();
                        if let Some(found) = all.find(|f| f.oid == oid && f.member == member) {
                            found.place.last = last;
                            found.place.is_called = is_called;
                        }
                    }
                }
                Err(error) => failed.push(error),
            }
        }
        let is_here = |member: usize| !failed.iter().any(|(away, _)| *away == member);
        let mut raises: Vec<Vec<Raise<'_>>> = members.iter().map(|_| Vec::new()).collect();
        for group in groups.iter() {
            let here = || group.iter().filter(|found| is_here(found.member));
            let highest = highest(here(), &[]);
            for found in here() {
                raises[found.member].extend(highest.and_then(|to| Raise::new(found, to)));
            }
        }
        let raised = sessions
            .iter_mut()
            .zip(raises)
            .enumerate()
            .map(|(index, (session, all))| {
                let name = &members[index].name;
                async move {
                    let open = session.as_ref().filter(|_| !all.is_empty())?;
                    let error = raise(open, &all).await.err()?;
                    *session = None;
                    Some((index, at(name, error)))
                }
            });
        let raised = futures_util::future::join_all(raised).await;
        failed.extend(raised.into_iter().flatten());
        failed
    }
}

/// As [`setup`](super::setup), to follow: what is stored counts, too.
pub(super) async fn begin(
    tables: &Tables,
    members: &[Member],
    sessions: &[Session],
) -> Result<Vec<Note>, SourceError> {
    let (groups, mut notes) = followed(tables, members, sessions).await?;
    for group in &groups {
        let mut stored = Vec::new();
        for found in group {
            let value = found.stored(&sessions[found.member]).await;
            let value = value.map_err(|error| at(&members[found.member].name, error))?;
            stored.extend(value.filter(|value| (found.min..=found.max).contains(value)));
        }
        let Some(highest) = highest(group.iter(), &stored) else {
            continue;
        };
        for found in group {
            let Some(raised) = Raise::new(found, highest) else {
                continue;
            };
            let source = &members[found.member].name;
            let done = raise(&sessions[found.member], &[raised]).await;
            done.map_err(|error| at(source, error))?;
            notes.push(Note {
                source: source.clone(),
                sequence: found.shown(),
                text: format!("was raised to {highest}"),
                is_warning: false,
            });
        }
    }
    Ok(notes)
}

/// The sequences that can be followed, and what is to be said of the others.
async fn followed(
    tables: &Tables,
    members: &[Member],
    sessions: &[Session],
) -> Result<(Vec<Group>, Vec<Note>), SourceError> {
    let (mut followed, mut notes) = (Vec::new(), Vec::new());
    for group in groups(tables, members, sessions).await? {
        if let Some(found) = group.iter().find(|found| !found.is_writable) {
            let source = &members[found.member].name;
            return Err(found.forbidden(source, "set", Some("SELECT, UPDATE")));
        }
        let direction = group[0].place.increment.signum();
        let odd = group.iter().find_map(|found| {
            let text = if found.cycles {
                "cycles, so there is no highest value: it is left as it is"
            } else if found.place.increment.signum() != direction {
                "counts in the other direction than on another source: it is left as it is"
            } else {
                return None;
            };
            Some((found, text))
        });
        match odd {
            Some((found, text)) => notes.push(Note {
                source: members[found.member].name.clone(),
                sequence: found.shown(),
                text: text.to_owned(),
                is_warning: true,
            }),
            None => followed.push(group),
        }
    }
    Ok((followed, notes))
}

fn of(groups: &[Group], member: usize) -> Vec<&Found> {
    let all = groups.iter().flatten();
    all.filter(|found| found.member == member).collect()
}

type Seen = Vec<(u32, (i64, bool), usize)>;

/// Where a source's sequences stand, on its session or a new one.
async fn look(
    member: &Member,
    session: &mut Option<Session>,
    own: &[&Found],
) -> Result<Seen, SourceError> {
    let open = match session.take().filter(|session| !session.is_closed()) {
        Some(open) => open,
        None => member.url.connect_source(&member.application).await?,
    };
    let found: Vec<Found> = own.iter().map(|found| (*found).clone()).collect();
    let places = places(&open, &found).await?;
    *session = Some(open);
    let seen = own.iter().zip(places);
    Ok(seen
        .map(|(found, place)| (found.oid, place, found.member))
        .collect())
}

/// The highest value that was drawn or is stored, or the lowest where these descend.
fn highest<'a>(group: impl Iterator<Item = &'a Found>, stored: &[i64]) -> Option<i64> {
    let mut sign = 1;
    let mut all: Vec<i128> = stored.iter().map(|value| i128::from(*value)).collect();
    for found in group {
        sign = i128::from(found.place.increment.signum());
        if found.place.is_called {
            all.push(i128::from(found.place.last));
        }
    }
    let highest = all.into_iter().max_by_key(|value| value * sign)?;
    i64::try_from(highest).ok()
}

/// A sequence that is behind.
struct Raise<'a> {
    found: &'a Found,
    to: i64,
    /// How many values until it isn't.
    behind: i128,
}

impl<'a> Raise<'a> {
    fn new(found: &'a Found, to: i64) -> Option<Self> {
        let place = found.place;
        let increment = i128::from(place.increment);
        let way = (i128::from(to) - i128::from(place.last)) * increment.signum();
        let step = increment.abs();
        let behind = (way + step - 1).div_euclid(step) + i128::from(!place.is_called);
        let fits = (found.min..=found.max).contains(&to);
        (behind > 0 && fits).then_some(Self { found, to, behind })
    }
}

async fn raise(client: &Client, all: &[Raise<'_>]) -> Result<(), SourceError> {
    let done = all.iter().map(|raise| async move {
        let Raise { found, to, behind } = raise;
        let done = if *behind <= DRAWN {
            let sql = "SELECT count(pg_catalog.nextval($1::oid::regclass)) \
                       FROM pg_catalog.generate_series(1, $2::int8)";
            let count = i64::try_from(*behind).unwrap_or(i64::MAX);
            client.execute(sql, &[&found.oid, &count]).await
        } else {
            let is_behind = if found.place.increment > 0 { "<" } else { ">" };
            let sql = format!(
                "SELECT pg_catalog.setval($1::oid::regclass, $2) FROM {} \
                 WHERE last_value {is_behind} $2",
                found.quoted()
            );
            client.execute(&sql, &[&found.oid, to]).await
        };
        done.map_err(|error| SourceError::sql(format!("raise sequence {}", found.shown()), &error))
    });
    let done = futures_util::future::join_all(done).await;
    done.into_iter().try_for_each(|done| done.map(drop))
}
