//! `tahr history`.

use std::collections::BTreeMap;

use super::{
    Output,
    conflicts::{nothing, print_json, question, unexpected},
    output::table,
};
use crate::{
    Faults, cli,
    config::Config,
    control::{Answer, Request, ask},
    masters::chronicle::RoundEntry,
};

/// Prints the newest rounds.
pub(super) fn history(
    config: &Config,
    options: &cli::Past,
    output: &mut Output,
) -> Result<(), Faults> {
    let cli::Past { sync, limit, json } = options;
    let question = question(config, sync.as_deref(), None, *limit)?;
    let request = Request::History(question.clone());
    let rounds = match ask(&config.engine.state_dir, &request)? {
        Answer::History(rounds) => rounds,
        other => return Err(unexpected(other)),
    };
    if *json {
        return print_json(&rounds, output);
    }
    if rounds.is_empty() {
        output.line(nothing("rounds", config, &question));
        return Ok(());
    }
    lines(&rounds)
        .into_iter()
        .for_each(|line| output.line(line));
    Ok(())
}

fn lines(rounds: &[RoundEntry]) -> Vec<String> {
    let head = [
        "when",
        "sync",
        "round",
        "took",
        "transactions",
        "rows in",
        "rows out",
        "conflicts",
    ];
    let rows: Vec<_> = std::iter::once(head.map(str::to_owned))
        .chain(rounds.iter().map(row))
        .collect();
    table(&rows)
}

fn row(round: &RoundEntry) -> [String; 8] {
    let numbers = match round.rounds {
        0 | 1 => round.number.to_string(),
        several => format!("{} ({several} rounds)", round.number),
    };
    [
        round.at.to_string(),
        round.sync.clone(),
        numbers,
        format!("{:.1} ms", round.took_ms),
        round.transactions.to_string(),
        rows(&round.rows_in),
        rows(&round.rows_out),
        round.conflicts.to_string(),
    ]
}

fn rows(rows: &BTreeMap<String, u64>) -> String {
    let shown: Vec<_> = rows
        .iter()
        .filter(|(_, count)| **count > 0)
        .map(|(source, count)| format!("{source} {count}"))
        .collect();
    match shown.is_empty() {
        true => "-".to_owned(),
        false => shown.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::masters::chronicle::Moment;

    #[test]
    fn rounds_are_lines_of_a_table() {
        let round = RoundEntry {
            at: Moment::committed(0),
            sync: "shakes".into(),
            number: 9,
            rounds: 3,
            took_ms: 1.25,
            transactions: 4,
            rows_in: BTreeMap::from([("a".into(), 5), ("b".into(), 0)]),
            rows_out: BTreeMap::new(),
            conflicts: 1,
        };
        let lines = lines(&[round]);
        assert_eq!(lines[0].split_whitespace().next(), Some("when"));
        let cells: Vec<_> = lines[1]
            .split("  ")
            .filter(|cell| !cell.is_empty())
            .collect();
        let cells: Vec<_> = cells.iter().map(|cell| cell.trim()).collect();
        assert_eq!(
            cells,
            [
                "2000-01-01T00:00:00.000000Z",
                "shakes",
                "9 (3 rounds)",
                "1.2 ms",
                "4",
                "a 5",
                "-",
                "1"
            ]
        );
    }
}
