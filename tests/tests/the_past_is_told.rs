//! `tahr conflicts` and `tahr history` ask the running engine what has happened between sources.

use tahr::masters::{
    chronicle::{ConflictLog, Entry, History, RoundEntry},
    store::Store,
};
use tahr_tests::{Engine, Postgres, Scripted, sync};

/// A conflict as the log has it.
fn conflict(table: &str, name: &str) -> Entry {
    let candidate = |source: &str, won: bool, name: &str| {
        serde_json::json!({
            "source": source, "origin_source": source, "won": won, "standing": false,
            "committed_at": "2026-01-31T12:00:00.000000Z", "row": {"id": "1", "name": name},
        })
    };
    let entry = serde_json::json!({
        "number": 0, "when": "2026-01-31T12:00:01.000000Z", "round": 4, "sync": "s",
        "table": table, "quarrel": "key", "key": {"id": "1"}, "other": null,
        "candidates": [candidate("a", false, "loser"), candidate("b", true, name)],
        "winner": "b", "merged": null, "rule": "latest", "withdrawn": [],
    });
    serde_json::from_value(entry).expect("an entry")
}

fn round(number: u64) -> RoundEntry {
    let round = serde_json::json!({
        "at": "2026-01-31T12:00:01.000000Z", "sync": "s", "number": number, "rounds": 1,
        "took_ms": 1.5, "transactions": 2, "rows_in": {"a": 3}, "rows_out": {"b": 3}, "conflicts": 1,
    });
    serde_json::from_value(round).expect("a round")
}

#[tokio::test(flavor = "multi_thread")]
async fn conflicts_and_rounds_are_shown_by_the_engine_and_go_with_their_sync() {
    let source = Postgres::shared().database().await;
    source.execute("CREATE TABLE t (id int PRIMARY KEY)").await;
    let target = Scripted::new();
    let engine = Engine::builder()
        .config(sync(source.url(), &[("one", &target)], ""))
        .build();
    let tahr = |arguments: &[&str]| engine.tahr(arguments);

    for command in ["conflicts", "history"] {
        let alone = tahr(&[command]);
        alone.assert_code(5);
        assert!(alone.stderr.contains("tahr run"), "{}", alone.stderr);
        let misspelt = tahr(&[command, "sy"]);
        misspelt.assert_code(2);
        assert!(misspelt.stderr.contains("hint: "), "{}", misspelt.stderr);
    }
    tahr(&["conflicts", "--table", "public.*"]).assert_code(2);
    tahr(&["conflicts", "--limit", "0"]).assert_code(2);

    let running = engine.start();
    engine.await_lane("one", tahr::lane::State::Streaming).await;
    let none = tahr(&["conflicts", "s"]);
    none.assert_success();
    assert!(none.stdout.contains("has one source"), "{}", none.stdout);
    assert!(tahr(&["history"]).stdout.starts_with("no rounds"));
    assert_eq!(tahr(&["conflicts", "--json"]).json(), serde_json::json!([]));

    let folder = Store::folder_of(&engine.folder().join("tahr-state"), "s");
    let mut log = ConflictLog::open(&folder).expect("a log");
    let mut entries = ["first", "second", "third"].map(|name| conflict("public.t", name));
    entries[1].table = "public.other".into();
    log.append(&mut entries).expect("append");
    let mut history = History::open(&folder).expect("a history");
    for number in 1..=30 {
        history.append(round(number)).expect("append");
    }

    let shown = tahr(&["conflicts"]).stdout;
    let places = ["first", "second", "third"].map(|name| shown.find(name).expect("it is shown"));
    assert!(places.is_sorted(), "{shown}");
    assert!(
        shown.contains("  * b  2026-01-31T12:00:00.000000Z  name=first\n"),
        "{shown}"
    );
    assert!(
        shown.contains("    a  2026-01-31T12:00:00.000000Z  name=loser\n"),
        "{shown}"
    );
    let one = tahr(&["conflicts", "s", "--table", "t", "--limit", "1", "--json"]).json();
    assert_eq!(
        (one.as_array().map(Vec::len), &one[0]["number"]),
        (Some(1), &3.into())
    );
    let rounds = tahr(&["history", "s", "--limit", "2", "--json"]).json();
    // Those of a busy second share a line.
    assert_eq!(
        (&rounds[0]["number"], &rounds[1]["rounds"]),
        (&10.into(), &20.into())
    );
    let table = tahr(&["history"]).stdout;
    assert!(
        table.contains("30 (20 rounds)") && table.contains("a 60"),
        "{table}"
    );
    let other = tahr(&["conflicts", "--table", "public.nothing"]).stdout;
    assert!(other.starts_with("no conflicts"), "{other}");

    running.terminate().assert_success();
    tahr(&["drop", "--yes"]).assert_success();
    assert!(!folder.exists());
}
