//! What must hold at rest.

use crate::reconcile::Precedence;

use super::{
    History, Kind, Topology, Triggers,
    source::{KEYS, SLOTS, claim},
};

/// Checks a history that has come to rest.
pub(crate) fn at_rest(history: &History) -> Result<(), String> {
    equal(history)?;
    unique(history)?;
    undisputed(history)?;
    nothing_seen_is_lost(history)?;
    latest(history)?;
    few_applies(history)
}

/// All sources hold the same rows, except where they were said not to.
fn equal(history: &History) -> Result<(), String> {
    if history.settings.topology == Topology::Circle {
        return Ok(());
    }
    for slot in (0..SLOTS).filter(|&slot| history.must_equal(slot)) {
        let rows: Vec<_> = history
            .sources
            .iter()
            .map(|source| source.rows[slot])
            .collect();
        if rows.iter().any(|row| *row != rows[0]) {
            return Err(format!("sources differ in row {slot}: {rows:x?}"));
        }
    }
    Ok(())
}

/// The simulated constraint holds, or the simulation is wrong.
fn unique(history: &History) -> Result<(), String> {
    for source in &history.sources {
        for table in source.rows.chunks(KEYS) {
            let mut seen = [false; 4];
            for &row in table
                .iter()
                .filter(|row| history.settings.unique && claim(**row) != 0)
            {
                if std::mem::replace(&mut seen[claim(row) as usize], true) {
                    return Err("a unique constraint is violated".into());
                }
            }
        }
    }
    Ok(())
}

/// A row whose every write had seen the one before holds the last one.
fn undisputed(history: &History) -> Result<(), String> {
    let settings = &history.settings;
    let circle = settings.topology == Topology::Circle;
    if settings.triggers != Triggers::None || settings.limit.is_some() || circle {
        return Ok(());
    }
    let meets_first = settings.meet == Some(Precedence::First);
    for slot in 0..SLOTS {
        // The first source has no such row, so nobody shall.
        if meets_first && history.unequal[slot] == Some(0) {
            continue;
        }
        let noted = |e: &super::Engine| e.collateral[slot] || e.diverged[slot];
        if history.engines.iter().any(noted) || history.truncated[slot / KEYS] != 0 {
            continue;
        }
        let Some(write) = history.writes.undisputed(slot) else {
            continue;
        };
        if history.sources[0].rows[slot] != write.content {
            return Err(format!(
                "row {slot} lost a write that nobody disputed: {write:?}"
            ));
        }
    }
    Ok(())
}

/// No write that had seen the winner, directly or through others, lost to it.
fn nothing_seen_is_lost(history: &History) -> Result<(), String> {
    if !history.settings.plain() || matches!(history.settings.kind, Kind::Skip | Kind::Custom) {
        return Ok(());
    }
    for slot in 0..SLOTS {
        let winner = history.engines[0].winners[slot];
        // One that was there before, and nobody knows since when.
        if history.settings.meet.is_some()
            && winner.is_some_and(|time| history.writes.find(slot, time).is_none())
        {
            continue;
        }
        let winner = winner.and_then(|time| history.writes.find(slot, time));
        match winner {
            Some(winner) => {
                if let Some(lost) = history.writes.later(slot, winner) {
                    let lost = &history.writes.0[lost];
                    return Err(format!(
                        "row {slot} lost a write that had seen the winner: {lost:?}"
                    ));
                }
                if history.sources[0].rows[slot] != history.writes.0[winner].content {
                    return Err(format!("row {slot} is not the one that won"));
                }
            }
            None if history.writes.latest(slot, history.initial).is_some() => {
                return Err(format!("row {slot} was written and never judged"));
            }
            None => {}
        }
    }
    Ok(())
}

/// By `latest`, every row is what its latest write or its table's latest truncate made of it.
fn latest(history: &History) -> Result<(), String> {
    let settings = &history.settings;
    let exact = matches!(settings.kind, Kind::Latest)
        && settings.moves == 0
        && !settings.unique
        && settings.triggers == Triggers::None
        && settings.limit.is_none()
        && !settings.skewed
        && settings.topology != Topology::Circle;
    let tracks = history.sources.iter().all(|source| source.tracks);
    for slot in (0..SLOTS).filter(|_| exact) {
        let live = history.writes.latest(slot, history.initial);
        let write = live.or_else(|| history.writes.latest(slot, 0));
        let write = write.filter(|write| write.time >= history.truncated[slot / KEYS]);
        let mut expected = write.map_or(0, |write| write.content);
        if live.is_none() && history.truncated[slot / KEYS] == 0 {
            match (settings.meet, history.unequal[slot]) {
                (Some(Precedence::First), Some(first)) => expected = first,
                (Some(Precedence::Merge), Some(_)) if !tracks => continue,
                _ => {}
            }
        }
        let found = history.sources[0].rows[slot];
        // A delete leaves no trace where the row never was, and the syncs beyond don't hear of it.
        let unheard = settings.topology == Topology::Chain && expected == 0;
        if found != expected && !unheard {
            let topology = settings.topology;
            return Err(format!(
                "row {slot} is {found:x}, not the latest {expected:x} ({topology:?})"
            ));
        }
    }
    Ok(())
}

/// Nothing goes round in circles.
fn few_applies(history: &History) -> Result<(), String> {
    let applies: usize = history.engines.iter().map(|engine| engine.applies).sum();
    let writes =
        history.writes.0.len() + history.engines.iter().map(|e| e.conflicts).sum::<usize>();
    let factor = match history.settings.topology {
        Topology::One => 2,
        _ => 8,
    };
    if applies > 20 + factor * writes * history.settings.sources {
        return Err(format!(
            "{applies} applies for {writes} writes and conflicts"
        ));
    }
    Ok(())
}
