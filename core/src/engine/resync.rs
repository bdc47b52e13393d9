//! Tables that a person wants copied anew.
//!
//! [`Control::resync`] notes them with each lane, durably, and lets it begin: one that streams sees to
//! it before its next batch, one that is parked starts again, one that is paused when it is resumed.

use std::{collections::BTreeSet, sync::Arc};

use serde::{Deserialize, Serialize};
use tahr_plugin_api::TableName;

use super::{
    Control, Part,
    plan::{LaneName, lanes_of},
    tables::choose,
};
use crate::{Error, lane::State};

/// What is to be copied anew, in one lane.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resynced {
    /// `sync/target`.
    pub lane: String,
    /// The tables.
    pub tables: BTreeSet<String>,
    /// What the lane was doing when it was told.
    pub state: State,
}

impl Resynced {
    /// As a person reads it.
    #[must_use]
    pub fn line(&self) -> String {
        let tables: Vec<_> = self.tables.iter().map(String::as_str).collect();
        let tables = match tables.as_slice() {
            [] => "no table".to_owned(),
            few if few.len() <= 3 => few.join(", "),
            many => format!("{} tables", many.len()),
        };
        let lane = &self.lane;
        match self.state {
            State::Paused => format!("lane {lane} copies {tables} again once it is resumed"),
            State::Parked => format!("lane {lane} was parked; it copies {tables} again"),
            _ => format!("lane {lane} copies {tables} again"),
        }
    }
}

impl Control {
    /// Has the tables of `part` copied anew that `patterns` name; without any all of them, whatever
    /// the targets hold. Returns once that is noted; the copies take their time.
    ///
    /// # Errors
    ///
    /// The config doesn't have `part`, a pattern fits none of its tables, its source is not open yet,
    /// or the state folder can't be written.
    pub async fn resync(&self, part: &Part, patterns: &[String]) -> Result<Vec<Resynced>, Error> {
        let shared = &self.shared;
        let _one = shared.changing.lock().await;
        let config = shared.config();
        part.check(&config)?;
        let names = lanes_of(&config, Some(part));
        // All or nothing: first all are looked at.
        let mut chosen = Vec::new();
        for name in &names {
            let tables = self.tables_of(name)?;
            chosen.push(match patterns.is_empty() {
                true => tables.iter().map(ToString::to_string).collect(),
                false => choose(&format!("lane {name}"), &tables, patterns)?,
            });
        }
        let mut done = Vec::new();
        for (name, tables) in names.iter().zip(chosen) {
            let resyncs = shared.with_seat(name, |seat| Arc::clone(&seat.resyncs));
            let resyncs = resyncs.ok_or_else(|| not_open(name))?;
            resyncs
                .ask(tables.clone(), patterns.is_empty())
                .map_err(|error| {
                    Error::failed(format!(
                        "note what lane {name} is to copy again in the state folder"
                    ))
                    .caused_by(error)
                })?;
            let state = shared.with_seat_and_log(name, |seat, log| {
                let state = seat.status.get().state;
                match state {
                    State::Parked => seat.begin_again(),
                    _ => seat.rouse(log),
                }
                state
            });
            let state = state.ok_or_else(|| not_open(name))?;
            done.push(Resynced {
                lane: name.to_string(),
                tables,
                state,
            });
        }
        shared.untidy.notify_one();
        Ok(done)
    }

    fn tables_of(&self, name: &LaneName) -> Result<BTreeSet<TableName>, Error> {
        let tables = self.shared.with_seat(name, |seat| {
            let wanted = seat.wanted()?;
            let tables = wanted.tables.iter();
            Some(tables.map(|table| table.relation.source.clone()).collect())
        });
        tables.flatten().ok_or_else(|| not_open(name))
    }
}

fn not_open(name: &LaneName) -> Error {
    Error::source(format!(
        "source \"{}\" is not open yet, so the tables of lane {name} are not known",
        name.source
    ))
    .hint("`tahr status` says why; ask again when it is streaming")
}
