//! `tahr status --watch` goes on until somebody ends it, or the engine ends.

use tahr::lane::State;
use tahr_tests::{Engine, Postgres, Scripted, Signal, eventually, sync};

use super::tahr;
use crate::reload::{SOON, streaming};

/// How many lines of `text` begin so.
fn count(text: &str, start: &str) -> usize {
    text.lines().filter(|line| line.starts_with(start)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipe_gets_block_after_block_until_the_engine_ends() {
    let one = Scripted::new();
    let (database, engine, running) = streaming(&[("one", &one)]).await;
    let text = engine.spawn(&["status", "--watch", "0.1"]);
    let json = engine.spawn(&["status", "--json", "--watch", "0.1"]);
    eventually(SOON, "some blocks", async || {
        let blocks = count(&text.stdout(), "engine ").min(json.stdout().lines().count());
        (blocks >= 3).then_some(()).ok_or(format!("{blocks}"))
    })
    .await;
    database.execute("INSERT INTO t VALUES (0, 'new')").await;
    tahr(&engine, &["pause", "s"], 0);
    eventually(SOON, "the pause is shown", async || {
        let shown = text.stdout().contains("s/one  paused") && json.stdout().contains("\"paused\"");
        shown.then_some(()).ok_or(text.stdout())
    })
    .await;
    running.terminate().assert_success();
    let (text, json) = (text.wait_exit(SOON), json.wait_exit(SOON));
    for ended in [&text, &json] {
        ended.assert_code(5);
        assert!(
            ended.stderr.contains("the engine has ended"),
            "{}",
            ended.stderr
        );
    }
    let blocks: Vec<_> = text.stdout.split("\n\n").collect();
    for block in &blocks {
        let mut lines = block.lines();
        let stamp = lines.next().unwrap_or_default();
        assert!(
            stamp.starts_with("20") && stamp.ends_with(" UTC"),
            "{block}"
        );
        assert!(
            lines.next().is_some_and(|line| line.starts_with("engine ")),
            "{block}"
        );
    }
    assert!(!text.stdout.contains('\x1b'), "a pipe is no terminal");
    for line in json.stdout.lines() {
        let report: serde_json::Value = serde_json::from_str(line).expect("an object a line");
        assert_eq!(report["lanes"].as_array().map(Vec::len), Some(1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_ends_watching_and_is_no_error() {
    let one = Scripted::new();
    let (_database, engine, running) = streaming(&[("one", &one)]).await;
    let watching = engine.spawn(&["status", "--watch"]);
    eventually(SOON, "a block", async || {
        let blocks = count(&watching.stdout(), "engine ");
        (blocks > 0).then_some(()).ok_or("none".to_owned())
    })
    .await;
    watching.process().signal(Signal::Int);
    watching.wait_exit(SOON).assert_success();
    running.terminate().assert_success();
    tahr(&engine, &["status", "--watch"], 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_display_of_a_run_is_not_drawn_again_below_its_last_words() {
    let one = Scripted::new();
    let database = Postgres::shared().database().await;
    database
        .execute("CREATE TABLE t (id int PRIMARY KEY, v text)")
        .await;
    let config = sync(database.url(), &[("one", &one)], "");
    let engine = Engine::builder().config(config).build();
    let running = engine.spawn(&["run", "--progress", "always"]);
    engine.await_lane("one", State::Streaming).await;
    eventually(SOON, "the display is drawn", async || {
        let drawn = running.stderr();
        drawn.contains(" changes ").then_some(()).ok_or(drawn)
    })
    .await;
    let finished = running.terminate();
    finished.assert_success();
    let log = &finished.stderr;
    let (_, after) = log.split_once("INFO stopped; ").expect("its last words");
    assert!(!after.contains(" changes "), "{log}");
}
