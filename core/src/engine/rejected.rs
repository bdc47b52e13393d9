//! What persons ask of the rows that targets reject: to see them, to have them tried again, to give
//! them up.

use std::{path::Path, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    Control, Part,
    plan::{LaneName, lanes_of},
};
use crate::{
    Error,
    config::Config,
    lane::{
        Fault, State,
        rejected::{Answer, Book, Choice, Entry, Place, Settled, Wish, discard_in, rejected_path},
    },
};

/// How long an answer waits for lanes that are busy.
const PATIENCE: Duration = Duration::from_secs(120);

/// The rows that one lane has set aside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejected {
    /// The sync.
    pub sync: String,
    /// The target.
    pub target: String,
    /// Oldest first.
    pub rows: Vec<Entry>,
    /// Why the lane is parked, if it is; as far as an engine runs.
    #[serde(default)]
    pub parked: Option<Fault>,
}

impl Rejected {
    /// Those of the lanes of `part`, or of all, from their files; no engine has them.
    ///
    /// # Errors
    ///
    /// A file can't be read.
    pub fn of_files(config: &Config, part: Option<&Part>) -> Result<Vec<Self>, Error> {
        let list = |name: &LaneName| {
            let path = rejected_path(&config.engine.state_dir, &name.sync, &name.target);
            let book = Book::open(&path).map_err(unreadable)?;
            Ok(owned(book.entries().values()))
        };
        listed(config, part, list)
    }

    /// Discards rows of `choice` in the files of the lanes of `part`; no engine has them, and the
    /// caller sees to it that none takes them.
    ///
    /// # Errors
    ///
    /// A file can't be read or written, or numbers are given for several lanes.
    pub fn discard_in_files(
        config: &Config,
        part: &Part,
        choice: &Choice,
    ) -> Result<Vec<Settled>, Error> {
        let names = lanes_of(config, Some(part));
        check_choice(&names, choice)?;
        let discard = |name: LaneName| {
            let path = rejected_path(&config.engine.state_dir, &name.sync, &name.target);
            discard_in(&path, choice, &name.to_string()).map_err(unreadable)
        };
        names.into_iter().map(discard).collect()
    }
}

/// Refuses numbers for several lanes, each of which counts by itself.
///
/// # Errors
///
/// They are.
fn check_choice(names: &[LaneName], choice: &Choice) -> Result<(), Error> {
    match (names, choice) {
        ([first, _, ..], Choice::Numbers(_)) => Err(Error::usage(format!(
            "sync \"{}\" has several targets, and each counts its own rows",
            first.sync
        ))
        .hint(format!("name one, such as {first}"))),
        _ => Ok(()),
    }
}

fn listed(
    config: &Config,
    part: Option<&Part>,
    list: impl Fn(&LaneName) -> Result<Vec<Entry>, Error>,
) -> Result<Vec<Rejected>, Error> {
    let names = lanes_of(config, part).into_iter();
    let rejected = names.map(|name| {
        Ok(Rejected {
            rows: list(&name)?,
            sync: name.sync,
            target: name.target,
            parked: None,
        })
    });
    rejected.collect()
}

fn owned<'a>(entries: impl IntoIterator<Item = &'a Arc<Entry>>) -> Vec<Entry> {
    let entries = entries.into_iter();
    entries.map(|entry| entry.as_ref().clone()).collect()
}

fn unreadable(error: std::io::Error) -> Error {
    Error::failed("rows that were set aside").caused_by(error)
}

impl Control {
    /// The rows that the lanes of `part`, or all lanes, have set aside.
    ///
    /// # Errors
    ///
    /// The config doesn't have it, or a file can't be read.
    pub fn rejected(&self, part: Option<&Part>) -> Result<Vec<Rejected>, Error> {
        let config = self.shared.config();
        if let Some(part) = part {
            part.check(&config)?;
        }
        let mut rejected = listed(&config, part, |name| {
            let path = rejected_path(&config.engine.state_dir, &name.sync, &name.target);
            let entries = self.listed(name, &path).map_err(unreadable)?;
            Ok(owned(&entries))
        })?;
        for (lane, name) in rejected.iter_mut().zip(lanes_of(&config, part)) {
            let status = self.shared.with_seat(&name, |seat| seat.status.get());
            let parked = status.filter(|status| status.state == State::Parked);
            lane.parked = parked.and_then(|status| status.fault);
        }
        Ok(rejected)
    }

    /// Does `wish` with the rows of `choice` that the lanes of `part` have set aside.
    ///
    /// # Errors
    ///
    /// The config doesn't have it, or a file can't be read or written. What single lanes can't do is
    /// said in their answers.
    pub async fn settle_rejected(
        &self,
        wish: Wish,
        part: &Part,
        choice: &Choice,
    ) -> Result<Vec<Settled>, Error> {
        let config = self.shared.config();
        part.check(&config)?;
        let names = lanes_of(&config, Some(part));
        check_choice(&names, choice)?;
        let mut asked = Vec::new();
        for name in &names {
            let path = rejected_path(&config.engine.state_dir, &name.sync, &name.target);
            let place = self.place(name).unwrap_or_default();
            let answer = place.ask(wish, choice.clone(), &name.to_string(), &path);
            asked.push((name, answer.map_err(unreadable)?));
            self.shared
                .with_seat_and_log(name, |seat, log| seat.rouse(log));
        }
        let deadline = tokio::time::Instant::now() + PATIENCE;
        let mut settled = Vec::new();
        for (name, answer) in asked {
            settled.push(match answer {
                Answer::Now(settled) => {
                    self.count(name, &config);
                    settled
                }
                Answer::Nobody => Settled::failed(name, self.why_nobody(name)),
                Answer::Later(answer) => match tokio::time::timeout_at(deadline, answer).await {
                    Ok(Ok(settled)) => settled,
                    Ok(Err(_)) => Settled::failed(name, self.why_nobody(name)),
                    Err(_) => Settled::failed(
                        name,
                        format!("the lane is {} and did not come to it", self.state(name)),
                    ),
                },
            });
        }
        Ok(settled)
    }

    fn listed(&self, name: &LaneName, path: &Path) -> std::io::Result<Vec<Arc<Entry>>> {
        let stored = self.shared.with_seat(name, |seat| seat.status.get().stored);
        let place = self.place(name).unwrap_or_default();
        place.list(path, stored.flatten().as_ref())
    }

    /// Shows how many rows a lane that doesn't work has set aside.
    fn count(&self, name: &LaneName, config: &Config) {
        let path = rejected_path(&config.engine.state_dir, &name.sync, &name.target);
        if let Ok(entries) = self.listed(name, &path) {
            self.shared.with_seat(name, |seat| {
                let rejected = entries.len() as u64;
                seat.status.update(|status| status.rejected = rejected);
            });
        }
    }

    fn place(&self, name: &LaneName) -> Option<Arc<Place>> {
        self.shared
            .with_seat(name, |seat| Arc::clone(&seat.rejected))
    }

    fn state(&self, name: &LaneName) -> &'static str {
        let state = self.shared.with_seat(name, |seat| seat.status.get().state);
        state.map_or("waiting for its source", State::as_str)
    }

    fn why_nobody(&self, name: &LaneName) -> String {
        let state = self.state(name);
        format!("the lane is {state}; once it streams (`tahr resume {name}`), try again")
    }
}
