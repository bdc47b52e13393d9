//! What differs is named by its key, and repaired.

use std::collections::BTreeSet;

use super::{Load, Scene};
use crate::scene::clean;

fn set(rows: &[&str]) -> BTreeSet<String> {
    rows.iter().map(ToString::to_string).collect()
}

/// What is planted in a target; the load doesn't touch it.
const PLANTED: &[&str] = &[
    "UPDATE accounts SET filler = 'other' WHERE aid = 10",
    "UPDATE accounts SET balance = NULL WHERE aid = 11",
    "DELETE FROM accounts WHERE aid IN (12, 499)",
    "INSERT INTO accounts (aid, bid) VALUES (-7, 1)",
    "UPDATE words SET n = -1 WHERE word = ''",
    "DELETE FROM words WHERE word = 'ünïcødé ☃'",
    "UPDATE words SET n = 99 WHERE word LIKE 'it%'",
    "UPDATE words SET n = 99 WHERE word LIKE 'tab%'",
    "INSERT INTO words (word, n) VALUES ('Word 1', 1)",
    "UPDATE pairs SET n = 0 WHERE b = 5",
    "DELETE FROM pairs WHERE b = 6",
    "INSERT INTO pairs (a, b, n) VALUES ('p1', 5, 1)",
    "UPDATE ids SET doc = '{}' WHERE id = 'c4ca4238-a0b9-2382-0dcc-509a6f75849b'",
    "DELETE FROM ids WHERE id = 'c81e728d-9d4c-2f63-6f06-7f89cc14862c'",
    "INSERT INTO ids (id) VALUES ('00000000-0000-0000-0000-000000000001')",
    "UPDATE clients SET name = 'another' WHERE id = 3",
    "DELETE FROM moments WHERE at = '2020-01-01 01:00:00+00'",
    "INSERT INTO empty VALUES (77, 'mine')",
];

/// What has to be found of it.
const FOUND: &[&str] = &[
    "accounts differing 10",
    "accounts differing 11",
    "accounts missing 12",
    "accounts missing 499",
    "accounts extra -7",
    "words differing ",
    "words missing ünïcødé ☃",
    "words differing it's \"a\"\\b",
    "words differing tab\tand\nline",
    "words extra Word 1",
    "pairs differing p5|5",
    "pairs missing p6|6",
    "pairs extra p1|5",
    "ids differing c4ca4238-a0b9-2382-0dcc-509a6f75849b",
    "ids missing c81e728d-9d4c-2f63-6f06-7f89cc14862c",
    "ids extra 00000000-0000-0000-0000-000000000001",
    "people differing 3",
    "moments missing 2020-01-01 01:00:00+00|f",
    "empty extra 77",
];

fn expected(targets: &[&str]) -> BTreeSet<String> {
    let of = |target: &&str| {
        let target = (*target).to_owned();
        FOUND.iter().map(move |row| format!("{target} {row}"))
    };
    targets.iter().flat_map(of).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn planted_differences_are_named_and_repaired_under_load() {
    let scene = Scene::new().await;
    scene.settle().await;
    let load = Load::on(&scene.subjects.source).await;
    let planted = PLANTED.join(";\n");
    scene.subjects.postgres.execute(&planted).await;
    scene.lite(&planted);

    let found = scene.found(&[], 1);
    assert_eq!(found, expected(&["lite", "pg"]));
    // To name is not to change.
    assert_eq!(scene.found(&["s/lite"], 1), expected(&["lite"]));
    let some = scene.found(&["s/pg", "--table", "public.people"], 1);
    assert_eq!(some, set(&["pg people differing 3"]));
    assert_eq!(scene.found(&["s/pg", "--table", "people"], 1), some);

    let repaired = scene.verify(&["--repair"], 0).stdout;
    for line in [
        "extra: id = 77, repaired",
        "differs: a = p5, b = 5, repaired",
    ] {
        assert!(repaired.contains(line), "{line} is missing in {repaired}");
    }
    assert_eq!(scene.found(&[], 0), set(&[]));
    load.end().await;
    scene.settle().await;
    let status = scene.subjects.engine.lane("pg").expect("the lane");
    assert_eq!(status.counters["rows_repaired"], FOUND.len() as u64);
    clean(&scene.running.terminate().stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repair_of_rows_that_keep_changing_overwrites_nothing_newer() {
    let scene = Scene::new().await;
    scene.settle().await;
    let load = Load::on(&scene.subjects.source).await;
    for round in 0..2 {
        // Rows that the load changes all the time; but for those with long values, without which an
        // update can't bring them back.
        let planted = format!(
            "UPDATE accounts SET balance = -{round}, filler = 'planted' WHERE aid % 5 = {round};
             DELETE FROM accounts WHERE aid % 11 = {round} AND aid % 10 <> 0;
             UPDATE clients SET name = 'planted' WHERE id % 3 = 0;
             UPDATE pairs SET n = -1 WHERE b % 2 = 0; DELETE FROM ids WHERE day > '2021-06-01'"
        );
        scene.lite(&planted);
        scene.subjects.postgres.execute(&planted).await;
        scene.verify(&["--repair"], 0);
    }
    let done = load.end().await;
    assert!(done > 50, "only {done} transactions");
    scene.settle().await;
    assert_eq!(scene.found(&[], 0), set(&[]));
    clean(&scene.running.terminate().stderr);
}
