//! `tahr kick`.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, IsTerminal as _, Write as _},
    path::Path,
    time::{Duration, Instant},
};

use serde::Serialize;
use tahr_plugin_api::Lsn;

use super::Output;
use crate::{
    Error, Faults, cli,
    config::Config,
    control::{Answer, Request, ask},
    engine::{Kicked, Missing, Part},
};

/// How often it is asked what is still missing.
const EVERY: Duration = Duration::from_millis(50);
/// How long a source may take to say where it stands, before it is asked again.
const SOURCE_PATIENCE: Duration = Duration::from_secs(5);
/// Less than this is no chance to answer.
const SOURCE_LEAST: Duration = Duration::from_millis(500);

/// What is printed as JSON.
#[derive(Serialize)]
struct Told<'a> {
    tried: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    is_done: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<f64>,
    missing: &'a [Missing],
}

/// Lets what waits be tried at once; with `--wait` returns when all is where it belongs.
pub(super) fn kick(
    config: &Config,
    options: &cli::Kick,
    output: &mut Output,
) -> Result<(), Faults> {
    Part::of_sync(&options.sync).check(config)?;
    let begun = Instant::now();
    let state_dir = &config.engine.state_dir;
    let kicked = match ask(state_dir, &Request::Kick(options.sync.clone()))? {
        Answer::Kicked(kicked) => kicked,
        other => return Err(other.into_faults()),
    };
    if !options.json {
        for tried in &kicked.tried {
            output.line(format!("trying {tried} again"));
        }
    }
    for missing in &kicked.resting {
        output.note(format!("{missing}; it waits for `tahr resume`"));
    }
    let Some(patience) = options.wait else {
        return told(&kicked, options, output);
    };
    let mut wait = Wait {
        state_dir,
        sync: &options.sync,
        deadline: begun + patience,
        shown: io::stderr().is_terminal(),
    };
    let missing = wait.until_there()?;
    wait.clear();
    let seconds = begun.elapsed().as_secs_f64();
    if options.json {
        let told = Told {
            tried: &kicked.tried,
            is_done: Some(missing.is_empty()),
            seconds: Some(seconds),
            missing: &missing,
        };
        output.json(&told, true)?;
    } else if missing.is_empty() {
        output.line(format!(
            "all that was committed is there, after {seconds:.2} s"
        ));
    }
    let errors = missing.iter().map(|missing| {
        let error = Error::failed(format!("not everything is there: {missing}"));
        match missing.is_resting {
            true => error.hint(format!("to let it go on: tahr resume {}", options.sync)),
            false => error,
        }
    });
    Faults::unless_empty(errors.collect())
}

/// Prints what was done, without waiting for what comes of it.
fn told(kicked: &Kicked, options: &cli::Kick, output: &mut Output) -> Result<(), Faults> {
    if options.json {
        let told = Told {
            tried: &kicked.tried,
            is_done: None,
            seconds: None,
            missing: &kicked.resting,
        };
        output.json(&told, true)?;
    } else if kicked.tried.is_empty() {
        output.line("nothing waited to be tried again");
    }
    Ok(())
}

/// Waiting for a sync.
struct Wait<'a> {
    state_dir: &'a Path,
    sync: &'a str,
    deadline: Instant,
    /// Whether somebody watches.
    shown: bool,
}

impl Wait<'_> {
    /// Waits until all is there, or time is over, or only a person can help; returns what is missing.
    fn until_there(&mut self) -> Result<Vec<Missing>, Faults> {
        let missing = self.until_stored(false)?;
        let has_masters = self.has_masters()?;
        if !missing.is_empty() || !has_masters {
            return Ok(missing);
        }
        // What the sources were given by each other is behind the marks of before, and the targets
        // get it from one of them.
        self.until_stored(true)
    }

    /// Waits until what was committed before this moment is there; with `lanes` in the targets alone.
    fn until_stored(&mut self, lanes: bool) -> Result<Vec<Missing>, Faults> {
        let mut marks: BTreeMap<String, Lsn> = BTreeMap::new();
        let mut away: BTreeMap<String, String> = BTreeMap::new();
        let mut is_first = true;
        loop {
            // The last word on a source stands: one asked at the end could not answer in time.
            if is_first || (!away.is_empty() && Instant::now() < self.deadline) {
                let asked = away.keys().cloned().collect();
                away = self.mark(asked, &mut marks)?;
                is_first = false;
            }
            let mut missing: Vec<_> = away
                .iter()
                .map(|(source, why)| Missing {
                    what: format!("source {source}"),
                    why: why.clone(),
                    is_resting: false,
                })
                .collect();
            missing.extend(self.missing(&marks, lanes)?);
            let is_over = Instant::now() >= self.deadline;
            if is_over || missing.iter().all(|missing| missing.is_resting) {
                return Ok(missing);
            }
            self.show(&missing);
            std::thread::sleep(EVERY);
        }
    }

    /// Asks where sources stand; returns those that could not be asked.
    fn mark(
        &self,
        sources: BTreeSet<String>,
        marks: &mut BTreeMap<String, Lsn>,
    ) -> Result<BTreeMap<String, String>, Faults> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        let request = Request::Marks {
            sync: self.sync.to_owned(),
            sources,
            patience: left.clamp(SOURCE_LEAST, SOURCE_PATIENCE),
        };
        match ask(self.state_dir, &request)? {
            Answer::Marks(found) => {
                marks.extend(found.marks);
                Ok(found.away)
            }
            other => Err(other.into_faults()),
        }
    }

    fn missing(&self, marks: &BTreeMap<String, Lsn>, lanes: bool) -> Result<Vec<Missing>, Faults> {
        let request = Request::Missing {
            sync: self.sync.to_owned(),
            marks: marks.clone(),
            lanes,
        };
        match ask(self.state_dir, &request)? {
            Answer::Missing(missing) => Ok(missing),
            other => Err(other.into_faults()),
        }
    }

    fn has_masters(&self) -> Result<bool, Faults> {
        let report = super::status::report(self.state_dir)?;
        Ok(report.masters.iter().any(|status| status.sync == self.sync))
    }

    /// Shows what is waited for, in the terminal's current line.
    fn show(&self, missing: &[Missing]) {
        let Some(first) = missing.iter().find(|missing| !missing.is_resting) else {
            return;
        };
        if self.shown {
            let left = self.deadline.saturating_duration_since(Instant::now());
            let more = match missing.len() {
                1 => String::new(),
                count => format!(" and {} more", count - 1),
            };
            let mut line = format!("{:.0} s left: {first}{more}", left.as_secs_f64().ceil());
            line.retain(|letter| !letter.is_control());
            let line: String = line.chars().take(super::watch::width()).collect();
            // A closed stderr is nobody's fault.
            let _ = write!(io::stderr(), "\r\x1b[2K{line}");
        }
    }

    fn clear(&self) {
        if self.shown {
            let _ = write!(io::stderr(), "\r\x1b[2K");
        }
    }
}
