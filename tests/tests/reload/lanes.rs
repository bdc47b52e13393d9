//! Lanes that begin, end, or begin anew.

use std::{path::Path, time::Duration};

use tahr::lane::State;
use tahr_tests::{Database, Engine, Postgres, Rows, Run, Scripted, eventually, sync};

use super::{COLUMNS, Load, SETUP, SOON, begins, edit, hold, opens, reload, says, streaming};

#[tokio::test(flavor = "multi_thread")]
async fn a_new_target_is_copied_and_streamed_under_load_and_the_other_lane_notices_nothing() {
    let (one, two) = (Scripted::new(), Scripted::new());
    let (database, engine, running) = streaming(&[("one", &one)]).await;
    let before = begins(&one);
    let connections = opens(&one);
    let load = Load::on(&database).await;
    eventually(SOON, "changes arrive", async || one.called("write")).await;
    two.script("load slow ms=300");
    edit(
        &engine,
        &[
            ("targets = [\"one\"]", "targets = [\"one\", \"two\"]"),
            ("[syncs.s]", &format!("{}\n[syncs.s]", two.section("two"))),
        ],
    );
    let done = reload(&engine);
    says(&done, &["started lane s/two", "1 lane unchanged"]);
    engine.await_lane("two", State::Streaming).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    load.end().await;
    hold(&database, &[&one, &two], &["t", "u"]).await;
    assert_eq!(begins(&one), before, "the lane that stays was touched");
    assert_eq!(opens(&one), connections, "its target was asked");
    // Its place in the stream is its own from the beginning on.
    running.kill9();
    database.execute("UPDATE t SET v = 'after'").await;
    let running = engine.start();
    hold(&database, &[&one, &two], &["t", "u"]).await;
    assert_eq!(begins(&two).2, 2, "each table is copied once");
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_target_is_written_no_more_and_the_slot_waits_for_it_no_longer() {
    let (one, two) = (Scripted::new(), Scripted::new());
    let (database, engine, running) = streaming(&[("one", &one), ("two", &two)]).await;
    database.execute("INSERT INTO t VALUES (0, 'both')").await;
    hold(&database, &[&one, &two], &["t"]).await;
    let before = begins(&one);
    two.script("write hold");
    database.execute("INSERT INTO t VALUES (-1, 'held')").await;
    eventually(SOON, "a batch is in flight", async || {
        two.called("write held")
    })
    .await;
    edit(
        &engine,
        &[("targets = [\"one\", \"two\"]", "targets = [\"one\"]")],
    );
    let released = engine.spawn(&["reload"]);
    tokio::time::sleep(Duration::from_millis(300)).await;
    two.script("");
    let done = released.wait_exit(SOON);
    done.assert_success();
    says(
        &done,
        &[
            "stopped lane s/two",
            "1 lane unchanged",
            "note: target \"two\" keeps its rows",
        ],
    );
    // The batch in flight was finished.
    two.holds(&database, "t", COLUMNS)
        .await
        .expect("the last batch");
    let calls = two.calls().len();
    let mark = database.value("SELECT pg_current_wal_lsn()").await;
    database
        .execute("INSERT INTO t VALUES (-2, 'one alone')")
        .await;
    hold(&database, &[&one], &["t"]).await;
    eventually(SOON, "the slot is released", async || {
        let sql = format!(
            "SELECT confirmed_flush_lsn >= '{mark}' FROM pg_replication_slots \
             WHERE slot_name = 'tahr_{}_src'",
            engine.name()
        );
        let is_released = database.value(&sql).await;
        (is_released == "true" || is_released == "t")
            .then_some(())
            .ok_or(is_released)
    })
    .await;
    assert_eq!(engine.report().expect("a report").lanes.len(), 1);
    assert_eq!(two.calls().len(), calls);
    assert_eq!(begins(&one), before);
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_option_restarts_its_lane_alone() {
    let one = Scripted::new();
    let database = Postgres::shared().database().await;
    database.execute(SETUP).await;
    let file = Run::current().make_folder("sqlite").join("target.db");
    let lite = |synchronous: &str| {
        format!(
            "[targets.lite]\nplugin = \"sqlite\"\noptions = {{ path = \"{}\", synchronous = \"{synchronous}\" }}\n",
            file.display()
        )
    };
    let config = sync(database.url(), &[("one", &one)], "")
        .replace("targets = [\"one\"]", "targets = [\"one\", \"lite\"]");
    let engine = Engine::builder().config(lite("off")).config(config).build();
    let running = engine.start();
    for lane in ["one", "lite"] {
        engine.await_lane(lane, State::Streaming).await;
    }
    let before = begins(&one);
    edit(&engine, &[(&lite("off"), &lite("normal"))]);
    let done = reload(&engine);
    says(
        &done,
        &["restarted lane s/lite: options changed", "1 lane unchanged"],
    );
    database.execute("UPDATE t SET v = 'after'").await;
    hold(&database, &[&one], &["t"]).await;
    same(&database, &file).await;
    // No table was copied again.
    assert_eq!(engine.lane("lite").expect("a lane").rows_copied, Some(1100));
    assert_eq!(begins(&one), before);
    running.terminate().assert_success();
}

async fn same(database: &Database, file: &Path) {
    let query = "SELECT id, v FROM t";
    eventually(SOON, "the file equals the source", async || {
        let expected = Rows::postgres(database, query).await?;
        expected.same_as(&Rows::sqlite(file, query)?)
    })
    .await;
}

/// The file of the scripted plugin has this SHA-256.
fn sha256(engine: &Engine) -> String {
    let described = engine.tahr(&["plugins", "describe", "scripted"]);
    described.assert_success();
    let mut lines = described.stdout.lines();
    let line = lines.find_map(|line| line.strip_prefix("sha256  "));
    line.expect("the plugin's hash").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parked_lane_begins_anew_and_parks_again_while_nothing_is_mended() {
    let (one, two) = (Scripted::new(), Scripted::new());
    let (database, engine, running) = streaming(&[("one", &one), ("two", &two)]).await;
    one.script("write reject");
    database.execute("INSERT INTO t VALUES (0, 'bad')").await;
    engine.await_lane("one", State::Parked).await;
    // The log lets go of what the parked lane needs; the slot doesn't.
    for _ in 0..5 {
        database.execute("UPDATE t SET v = v || '.'").await;
        hold(&database, &[&two], &["t"]).await;
    }
    let before = begins(&two);
    let again = ["restarted lane s/one: it was parked", "1 lane unchanged"];
    says(&reload(&engine), &again);
    engine.await_lane("one", State::Parked).await;
    one.script("");
    says(&reload(&engine), &again);
    hold(&database, &[&one, &two], &["t"]).await;
    says(&reload(&engine), &["2 lanes unchanged"]);
    let pinned = format!("[targets.one]\nsha256 = \"{}\"", sha256(&engine));
    edit(&engine, &[("[targets.one]", &pinned)]);
    let done = reload(&engine);
    says(
        &done,
        &["restarted lane s/one: sha256 changed", "1 lane unchanged"],
    );
    database.execute("UPDATE t SET v = 'after'").await;
    hold(&database, &[&one, &two], &["t", "u"]).await;
    assert_eq!(begins(&one).2, 2, "nothing is copied again");
    assert_eq!(begins(&two), before);
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renamed_sync_begins_only_when_the_old_one_has_ended() {
    let one = Scripted::new();
    let (database, engine, running) = streaming(&[("one", &one)]).await;
    one.script("write hold");
    database.execute("INSERT INTO t VALUES (0, 'held')").await;
    eventually(SOON, "a batch is in flight", async || {
        one.called("write held")
    })
    .await;
    let begun = begins(&one);
    edit(&engine, &[("[syncs.s]", "[syncs.renamed]")]);
    let reloading = engine.spawn(&["reload"]);
    tokio::time::sleep(Duration::from_millis(700)).await;
    let (_, checkpoints, _) = begins(&one);
    assert_eq!(
        checkpoints, begun.1,
        "the new lane began beside the old one"
    );
    one.script("");
    let done = reloading.wait_exit(SOON);
    done.assert_success();
    says(&done, &["started lane renamed/one", "stopped lane s/one"]);
    // The scripted target keeps one checkpoint only, so it gets no further.
    eventually(SOON, "the new lane begins", async || {
        let asked = begins(&one).1;
        (asked > begun.1).then_some(()).ok_or(asked.to_string())
    })
    .await;
    running.terminate().assert_success();
}
