//! Conflicts that a Lua function decides.

use std::fs;
use std::time::Duration;

use super::conflicts;
use tahr_tests::{Masters, eventually};

const SOON: Duration = Duration::from_secs(20);

const BIDS: &str =
    "CREATE TABLE bids (id int PRIMARY KEY, bid int, who text, hits int NOT NULL DEFAULT 0);
    ALTER TABLE bids REPLICA IDENTITY FULL;
    INSERT INTO bids SELECT g, 0, 'nobody', 100 FROM generate_series(1, 5) g";

async fn decided_by(lua: &str) -> Masters {
    let mut masters = Masters::new(3, BIDS).await;
    masters.configure("conflict = { lua = \"rule.lua\" }");
    write(&masters, lua);
    masters.run();
    masters.await_state("s", "running").await;
    masters
}

fn write(masters: &Masters, lua: &str) {
    fs::write(masters.engine().folder().join("rule.lua"), lua).expect("write rule.lua");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_candidate_that_the_function_returns_wins() {
    let masters = decided_by(
        "function resolve(conflict)
           local best
           for _, candidate in ipairs(conflict.candidates) do
             if not candidate.deleted and (not best or candidate.row.bid > best.row.bid) then
               best = candidate
             end
           end
           return best or conflict.candidates[1]
         end",
    )
    .await;
    masters
        .meet(&[
            (
                0,
                "UPDATE bids SET bid = 7, who = 'a' WHERE id = 1; DELETE FROM bids WHERE id = 2",
            ),
            (1, "UPDATE bids SET bid = 9, who = 'b' WHERE id = 1"),
            (2, "UPDATE bids SET bid = 8, who = 'c' WHERE id IN (1, 2)"),
        ])
        .await;
    masters
        .everywhere("SELECT who FROM bids WHERE id = 1", "b")
        .await;
    masters
        .everywhere("SELECT who FROM bids WHERE id = 2", "c")
        .await;
    conflicts(&masters, 2).await;
    masters.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_the_function_merges_is_on_all() {
    let masters = decided_by(
        "function resolve(conflict)
           local latest, hits
           for _, candidate in ipairs(conflict.candidates) do
             if not latest or candidate.time > latest.time then latest = candidate end
             hits = (hits or candidate.previous.hits) + candidate.row.hits - candidate.previous.hits
           end
           local row = copy(latest.row)
           row.hits = hits
           return { row = row }
         end",
    )
    .await;
    masters
        .meet(&[
            (0, "UPDATE bids SET hits = hits + 1, who = 'a' WHERE id = 1"),
            (1, "UPDATE bids SET hits = hits + 10 WHERE id = 1"),
            (
                2,
                "UPDATE bids SET hits = hits + 100, who = 'c' WHERE id = 1",
            ),
        ])
        .await;
    masters
        .everywhere("SELECT hits || who FROM bids WHERE id = 1", "211c")
        .await;
    conflicts(&masters, 1).await;
    masters.end().await;
}

/// The sync pauses at a conflict, nothing is written, the error names the file's line; once the file is
/// mended it goes on with the same conflict.
async fn pauses_at(lua: &str, line: &str, word: &str) {
    let masters = decided_by(lua).await;
    masters
        .meet(&[
            (0, "UPDATE bids SET who = 'a' WHERE id = 1"),
            (
                1,
                "UPDATE bids SET who = 'b' WHERE id = 1; UPDATE bids SET who = 'b' WHERE id = 2",
            ),
        ])
        .await;
    // Until it has judged, a person's pause is still shown.
    eventually(SOON, format!("it pauses at {line}, {word}"), async || {
        let status = masters.status("s")?;
        let said = status.to_string();
        let is_it = status["state"] == "paused" && said.contains(line) && said.contains(word);
        is_it.then_some(()).ok_or(said)
    })
    .await;
    for (place, own) in [(0, "a"), (1, "b"), (2, "nobody")] {
        let found = masters[place]
            .value("SELECT who FROM bids WHERE id = 1")
            .await;
        assert_eq!(found, own, "something was written");
    }
    write(
        &masters,
        "function resolve(conflict) return conflict.candidates[1] end",
    );
    masters.tahr(&["reload"]);
    masters.resume();
    masters
        .everywhere("SELECT who FROM bids WHERE id = 1", "a")
        .await;
    masters
        .everywhere("SELECT who FROM bids WHERE id = 2", "b")
        .await;
    masters.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_in_the_function_pauses_and_names_the_line() {
    pauses_at(
        "function resolve(conflict)\n  error(\"no idea\")\nend",
        "rule.lua:2",
        "no idea",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loop_in_the_function_pauses_and_names_the_line() {
    pauses_at(
        "function resolve(conflict)\n  while true do\n  end\nend",
        "rule.lua:2",
        "instructions",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_answer_of_the_function_pauses_and_is_named() {
    pauses_at(
        "function resolve(conflict)\n  return 42\nend",
        "rule.lua",
        "42",
    )
    .await;
}
