//! Waiting until every lane holds the present, for `tahr run --once`.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{Engine, lock, of_source, seat::Seat};
use crate::{Error, Faults, lane::State};

impl Engine {
    /// Waits until every lane holds what the sources hold now.
    ///
    /// # Errors
    ///
    /// A lane is parked or paused, or has failed `patience` long.
    pub async fn catch_up(&self, patience: Duration) -> Result<(), Faults> {
        let opened: Vec<_> = lock(&self.shared.sources)
            .iter()
            .filter_map(|(name, running)| {
                let streaming = running.streaming.as_ref()?;
                Some((name.clone(), Arc::clone(&streaming.opened)))
            })
            .collect();
        let mut presents = Vec::new();
        for (name, opened) in opened {
            let present = opened.mark_present().await;
            let present = present.map_err(|error| of_source(&name, error))?;
            presents.push((name, present));
        }
        let mut retrying_since: BTreeMap<String, Instant> = BTreeMap::new();
        loop {
            let mut faults = Vec::new();
            let mut is_done = true;
            for (name, present) in &presents {
                self.shared.with_source(name, |streaming| {
                    for seat in streaming.seats.values() {
                        // A lane that has nothing to do looks where the source stands now and then:
                        // here somebody waits for it.
                        streaming.log.wake(seat.id);
                        let status = seat.status.get();
                        let is_there =
                            status.passed >= *present && status.state == State::Streaming;
                        match given_up(seat, patience, &mut retrying_since) {
                            Some(error) => faults.push(error),
                            None => is_done &= is_there,
                        }
                    }
                });
            }
            // The others finish before one that can't is reported.
            if is_done || self.shared.stop.is_stopping() {
                return Faults::unless_empty(faults);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Why the lane of `seat` will not get there.
fn given_up(
    seat: &Seat,
    patience: Duration,
    retrying_since: &mut BTreeMap<String, Instant>,
) -> Option<Error> {
    let status = seat.status.get();
    let name = seat.name.to_string();
    if status.state == State::Paused {
        let error = Error::failed(format!("lane {name} is paused: it was left where it is"));
        return Some(error.hint(format!("`tahr resume {name}`, then once more")));
    }
    let has_given_up = match status.state {
        State::Parked => true,
        State::Retrying => {
            let since = retrying_since
                .entry(name.clone())
                .or_insert_with(Instant::now);
            since.elapsed() > patience
        }
        _ => {
            retrying_since.remove(&name);
            false
        }
    };
    let fault = status.fault.filter(|_| has_given_up)?;
    let message = format!("lane {name}: {}", fault.message);
    let error = match status.awaits {
        Some(_) => Error::usage(message),
        None => Error::target(message),
    };
    Some(error.hint(fault.hint))
}
