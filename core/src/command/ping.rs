//! `tahr ping`.
//!
//! One line and an exit code, for a monitor that asks again and again: see [`judge`].

use std::time::Duration;

use serde::Serialize;

use super::{
    Output,
    status::{age, report},
};
use crate::{
    Error, ErrorKind, Faults, cli,
    config::{Config, Sync},
    engine::{Part, Report},
    exit_code,
    lane::{Fault, State},
    masters,
    progress::lag,
};

/// The longest that one problem is described, in characters: it is one line for all of them, and
/// monitors take some kilobytes.
const MESSAGE: usize = 600;

/// What is said.
#[derive(Debug, Serialize)]
struct Verdict {
    /// The exit code.
    code: u8,
    /// Everything that is not well, the gravest first.
    problems: Vec<Problem>,
    sources: usize,
    lanes: usize,
    /// The longest lag that is known.
    lag_seconds: Option<f64>,
}

#[derive(Debug, PartialEq, Serialize)]
struct Problem {
    code: u8,
    message: String,
}

/// Asks the engine, prints one line, and ends with the code of the gravest problem.
pub(super) fn ping(
    config: &Config,
    options: &cli::Ping,
    output: &mut Output,
) -> Result<(), Faults> {
    if let Some(sync) = &options.sync {
        Part::of_sync(sync).check(config)?;
    }
    let verdict = match report(&config.engine.state_dir) {
        Ok(report) => judge(&report, config, options.sync.as_deref(), options.max_lag),
        Err(faults) => unanswered(&faults),
    };
    if options.json {
        output.json(&verdict, true)?;
    } else {
        output.line(verdict.line());
    }
    let errors = verdict.problems.into_iter().map(|problem| {
        let kind = match problem.code {
            exit_code::SOURCE => ErrorKind::Source,
            exit_code::TARGET => ErrorKind::Target,
            exit_code::NO_ENGINE => ErrorKind::NoEngine,
            _ => ErrorKind::Failed,
        };
        Error::new(kind, problem.message)
    });
    // The line has said it.
    Faults::unless_empty(errors.collect()).map_err(Faults::shown)
}

fn unanswered(faults: &Faults) -> Verdict {
    let problem = Problem {
        code: faults.exit_code(),
        message: one_line(&faults.to_string()),
    };
    Verdict {
        code: problem.code,
        problems: vec![problem],
        sources: 0,
        lanes: 0,
        lag_seconds: None,
    }
}

/// What of `report` is not well, in the one sync, if one is named. An engine that ends is none;
/// then sources count more than targets, and what a person has to do or wanted so counts least.
fn judge(
    report: &Report,
    config: &Config,
    sync: Option<&str>,
    max_lag: Option<Duration>,
) -> Verdict {
    let mut problems = Vec::new();
    let mut problem = |code, message: String| {
        let message = one_line(&message);
        problems.push(Problem { code, message });
    };
    if report.is_stopping {
        problem(exit_code::NO_ENGINE, "the engine is ending".to_owned());
    }
    let reads = |source: &str| match sync {
        None => true,
        Some(sync) => {
            let has = |Sync { sources, .. }: &Sync| sources.iter().any(|name| name == source);
            config.syncs.get(sync).is_some_and(has)
        }
    };
    let is_meant = |name: &str| sync.is_none_or(|sync| sync == name);
    let mut sources = 0;
    for source in report.sources.iter().filter(|source| reads(&source.source)) {
        sources += 1;
        if !source.is_streaming {
            let why = source.fault.as_ref().map(|fault| fault.message.as_str());
            let why = why.unwrap_or("connecting");
            let since = source
                .away_since
                .map_or_else(String::new, |since| format!(" for {}", age(since)));
            problem(
                exit_code::SOURCE,
                format!("source {} is not read{since}: {why}", source.source),
            );
        }
    }
    let mut lags: Vec<(String, f64)> = Vec::new();
    let mut lanes = 0;
    for lane in report.lanes.iter().filter(|lane| is_meant(&lane.sync)) {
        lanes += 1;
        let name = format!("lane {}/{}", lane.sync, lane.target);
        match lane.state {
            State::Parked | State::Retrying => {
                let state = lane.state.as_str();
                let why = because(lane.fault.as_ref());
                problem(exit_code::TARGET, format!("{name} is {state}{why}"));
            }
            _ if lane.rejected > 0 => {
                let rows = lane.rejected;
                let s = if rows == 1 { "" } else { "s" };
                problem(
                    exit_code::FAILED,
                    format!("{name} has set {rows} row{s} aside"),
                );
            }
            State::Paused => problem(exit_code::FAILED, format!("{name} is paused")),
            _ => {}
        }
        lags.extend(lane.lag_seconds.map(|lag| (name, lag)));
    }
    for circle in report
        .masters
        .iter()
        .filter(|circle| is_meant(&circle.sync))
    {
        let name = format!("sync {}", circle.sync);
        if circle.paused_by.is_some() || circle.state == masters::State::Paused {
            let by = circle.paused_by.as_deref();
            let by = by.filter(|by| *by != masters::BY_PERSON);
            let why = by.map_or_else(String::new, |by| format!(": {by}"));
            problem(exit_code::FAILED, format!("{name} is paused{why}"));
        } else if circle.state == masters::State::Parked {
            let why = because(circle.fault.as_ref());
            problem(exit_code::FAILED, format!("{name} is parked{why}"));
        }
        for member in &circle.members {
            let name = format!("source {} of {name}", member.source);
            let why = because(member.fault.as_ref());
            match member.state {
                // It says so itself.
                masters::MemberState::Parked if circle.state == masters::State::Parked => {}
                masters::MemberState::Parked => {
                    problem(exit_code::FAILED, format!("{name} is parked{why}"));
                }
                masters::MemberState::Away => {
                    problem(exit_code::SOURCE, format!("{name} is away{why}"));
                }
                _ => {}
            }
            lags.extend(member.lag_seconds.map(|lag| (name, lag)));
        }
    }
    if let Some(most) = max_lag {
        for (name, seconds) in &lags {
            if *seconds > most.as_secs_f64() {
                let message = format!("{name} is {} behind", lag(*seconds));
                problem(exit_code::FAILED, message);
            }
        }
    }
    // Stable: within a kind they stay in the order of the report.
    problems.sort_by_key(|problem| match problem.code {
        exit_code::NO_ENGINE => 0,
        exit_code::SOURCE => 1,
        exit_code::TARGET => 2,
        _ => 3,
    });
    let first = problems.first();
    Verdict {
        code: first.map_or(exit_code::DONE, |problem| problem.code),
        lag_seconds: lags.iter().map(|(_, lag)| *lag).reduce(f64::max),
        problems,
        sources,
        lanes,
    }
}

impl Verdict {
    fn line(&self) -> String {
        if self.problems.is_empty() {
            let s = |count: usize| if count == 1 { "" } else { "s" };
            let lag = self.lag_seconds.map_or_else(|| "-".to_owned(), lag);
            return format!(
                "OK: {} source{}, {} lane{}, lag {lag}",
                self.sources,
                s(self.sources),
                self.lanes,
                s(self.lanes)
            );
        }
        let problems = self.problems.iter().map(|problem| problem.message.as_str());
        let problems: Vec<_> = problems.collect();
        format!("NOT OK: {}", problems.join("; "))
    }
}

fn because(fault: Option<&Fault>) -> String {
    fault.map_or_else(String::new, |fault| format!(": {}", fault.message))
}

/// Without line ends, and no longer than it may be: then it ends with a whole word, if it has any.
fn one_line(text: &str) -> String {
    let words: Vec<_> = text.split_whitespace().collect();
    let text = words.join(" ");
    let Some((end, _)) = text.char_indices().nth(MESSAGE) else {
        return text;
    };
    let end = match text[end..].starts_with(' ') {
        true => end,
        false => text[..end].rfind(' ').unwrap_or(end),
    };
    format!("{} …", &text[..end])
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{lane, source::SourceStatus};

    fn config() -> Config {
        let text = "
            [sources.a]
            url = \"postgres://h/a\"
            [sources.b]
            url = \"postgres://h/b\"
            [targets.copy]
            plugin = \"sqlite\"
            [syncs.shop]
            sources = [\"a\"]
            targets = [\"copy\"]
            tables = [\"t\"]
            [syncs.other]
            sources = [\"b\"]
            targets = [\"copy\"]
            tables = [\"t\"]";
        Config::parse(Path::new("tahr.toml"), text, &|_| None).unwrap()
    }

    fn report() -> Report {
        let source = |name: &str| SourceStatus {
            source: name.to_owned(),
            is_streaming: true,
            ..SourceStatus::default()
        };
        let lane = |sync: &str| lane::Status {
            sync: sync.to_owned(),
            target: "copy".to_owned(),
            state: State::Streaming,
            lag_seconds: Some(2.0),
            ..lane::Status::default()
        };
        Report {
            sources: vec![source("a"), source("b")],
            lanes: vec![lane("shop"), lane("other")],
            ..Report::default()
        }
    }

    /// The code and the line for all syncs, or the one.
    fn said(report: &Report, sync: Option<&str>) -> (u8, String) {
        let verdict = judge(report, &config(), sync, Some(Duration::from_secs(60)));
        (verdict.code, verdict.line())
    }

    #[test]
    fn an_engine_without_problems_is_one_short_line() {
        let line = "OK: 2 sources, 2 lanes, lag 2.0 s".to_owned();
        assert_eq!(said(&report(), None), (exit_code::DONE, line));
        let line = "OK: 1 source, 1 lane, lag 2.0 s".to_owned();
        assert_eq!(said(&report(), Some("shop")), (exit_code::DONE, line));
    }

    #[test]
    fn the_gravest_problem_gives_the_code_and_all_are_named() {
        let mut report = report();
        report.lanes[0].lag_seconds = Some(61.0);
        let (code, line) = said(&report, None);
        assert_eq!(
            (code, line.as_str()),
            (1, "NOT OK: lane shop/copy is 1 min 1 s behind")
        );
        report.lanes[0].state = State::Paused;
        report.lanes[1].state = State::Parked;
        report.lanes[1].fault = Some(Fault {
            message: format!("a\nb{}", " cc".repeat(300)),
            hint: String::new(),
            table: None,
            column: None,
            since: std::time::SystemTime::now(),
        });
        let (code, line) = said(&report, None);
        assert_eq!(code, exit_code::TARGET);
        assert!(
            line.starts_with("NOT OK: lane other/copy is parked: a b cc cc")
                && line.contains(" cc …; lane shop/copy is paused; ")
                && line.lines().count() == 1,
            "{line}"
        );
        report.sources[0].is_streaming = false;
        assert_eq!(said(&report, None).0, exit_code::SOURCE);
        assert_eq!(said(&report, Some("other")).0, exit_code::TARGET);
        report.is_stopping = true;
        assert_eq!(said(&report, None).0, exit_code::NO_ENGINE);
    }

    #[test]
    fn a_circle_that_waits_for_a_person_is_a_problem() {
        let mut report = report();
        report.masters.push(masters::Status {
            sync: "shop".to_owned(),
            state: masters::State::Paused,
            paused_by: Some("rule \"abort\" of table public.t".to_owned()),
            ..masters::Status::default()
        });
        let (code, line) = said(&report, None);
        assert_eq!(code, exit_code::FAILED);
        assert!(line.ends_with("sync shop is paused: rule \"abort\" of table public.t"));
        let circle = &mut report.masters[0];
        (circle.state, circle.paused_by) = (masters::State::Running, None);
        circle.members.push(masters::Member {
            source: "b".to_owned(),
            state: masters::MemberState::Away,
            ..masters::Member::default()
        });
        assert_eq!(said(&report, None).0, exit_code::SOURCE);
        report.masters[0].members[0].state = masters::MemberState::Parked;
        assert_eq!(said(&report, None).0, exit_code::FAILED);
        assert_eq!(said(&report, Some("other")).0, exit_code::DONE);
    }
}
