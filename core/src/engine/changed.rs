//! What a pause or a resume answers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::lane::State;

/// What became of one thing that was to be paused or resumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is paused now.
    Paused,
    /// It was paused before.
    WasPaused,
    /// It goes on.
    Resumed,
    /// It was parked, and is tried again.
    TriedAgain,
    /// It was neither paused nor parked.
    WasRunning,
}

/// What a pause or a resume has done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// By `sync/target`.
    pub lanes: Vec<(String, Outcome)>,
    /// By sync: the rounds between its sources, where it has several.
    pub rounds: Vec<(String, Outcome)>,
    /// By `sync/target`: what lanes do that were neither paused nor parked.
    #[serde(default)]
    pub doing: BTreeMap<String, State>,
    /// What a person should know besides.
    pub notes: Vec<String>,
}

impl Changed {
    /// As a person reads it.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let lanes = self.lanes.iter().map(|(name, outcome)| {
            let lane = format!("lane {name}");
            match outcome {
                Outcome::Paused => format!("paused {lane}"),
                Outcome::WasPaused => format!("{lane} was paused already"),
                Outcome::Resumed => format!("resumed {lane}"),
                Outcome::TriedAgain => format!("{lane} was parked and is tried again"),
                Outcome::WasRunning => match self.doing.get(name) {
                    Some(state) => format!("{lane} was not paused; it is {}", state.as_str()),
                    None => format!("{lane} was not paused"),
                },
            }
        });
        let rounds = self.rounds.iter().map(|(sync, outcome)| match outcome {
            Outcome::Paused => format!("paused the rounds of {sync}"),
            Outcome::WasPaused => format!("the rounds of {sync} were paused already"),
            Outcome::Resumed => format!("resumed the rounds of {sync}"),
            Outcome::TriedAgain => format!("the rounds of {sync} had stopped and are tried again"),
            Outcome::WasRunning => format!("the rounds of {sync} were not paused"),
        });
        let notes = self.notes.iter().map(|note| format!("note: {note}"));
        rounds.chain(lanes).chain(notes).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_that_was_not_paused_is_said_to_do_what_it_does() {
        let lane = |target: &str| (format!("shop/{target}"), Outcome::WasRunning);
        let changed = Changed {
            lanes: vec![lane("copy"), lane("gone")],
            doing: BTreeMap::from([("shop/copy".to_owned(), State::Copying)]),
            ..Changed::default()
        };
        assert_eq!(
            changed.lines(),
            [
                "lane shop/copy was not paused; it is copying",
                "lane shop/gone was not paused"
            ]
        );
    }
}
