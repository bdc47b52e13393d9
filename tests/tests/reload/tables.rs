//! Tables that join a sync, leave it, and come back.

use std::time::Duration;

use tahr::lane::State;
use tahr_tests::{Database, Engine, Scripted, eventually};

use super::{Load, SOON, begins, edit, hold, reload, says, streaming};

async fn published(database: &Database, engine: &Engine) -> String {
    let sql = format!(
        "SELECT string_agg(tablename, ',' ORDER BY tablename) FROM pg_publication_tables \
         WHERE pubname = 'tahr_{}_src'",
        engine.name()
    );
    database.value(&sql).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_joins_and_leaves_and_comes_back_under_load() {
    let (one, two) = (Scripted::new(), Scripted::new());
    let (database, engine, running) = streaming(&[("one", &one)]).await;
    // The other sync has one of the tables, and is none of this reload's business.
    edit(
        &engine,
        &[
            ("tables = [\"public.*\"]", "tables = [\"t\"]"),
            (
                "[syncs.s]",
                &format!(
                    "{}\n[syncs.other]\nsources = [\"src\"]\ntargets = [\"two\"]\ntables = [\"t\"]\n\n[syncs.s]",
                    two.section("two")
                ),
            ),
        ],
    );
    let done = reload(&engine);
    says(
        &done,
        &[
            "started lane other/two",
            "restarted lane s/one: tables changed",
        ],
    );
    assert_eq!(published(&database, &engine).await, "t");
    engine.await_lane("two", State::Streaming).await;
    let before = begins(&two);
    for round in 0..2 {
        let load = Load::on(&database).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        edit(
            &engine,
            &[(
                "targets = [\"one\"]\ntables = [\"t\"]",
                "targets = [\"one\"]\ntables = [\"public.*\"]",
            )],
        );
        says(
            &reload(&engine),
            &["restarted lane s/one: tables changed", "1 lane unchanged"],
        );
        assert_eq!(published(&database, &engine).await, "t,u");
        eventually(SOON, "it is copied", async || {
            let copies = one.calls();
            let copies = copies
                .iter()
                .filter(|call| call.starts_with("end_load public.u"));
            (copies.count() == round + 2)
                .then_some(())
                .ok_or("not yet".to_owned())
        })
        .await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        load.end().await;
        hold(&database, &[&one], &["t", "u"]).await;
        edit(
            &engine,
            &[(
                "targets = [\"one\"]\ntables = [\"public.*\"]",
                "targets = [\"one\"]\ntables = [\"t\"]",
            )],
        );
        says(&reload(&engine), &["restarted lane s/one: tables changed"]);
        assert_eq!(published(&database, &engine).await, "t");
        // What happens to it meanwhile is in its next copy.
        database.execute("UPDATE u SET v = 'meanwhile'; DELETE FROM t WHERE id > 10000; DELETE FROM u WHERE id > 10000").await;
    }
    hold(&database, &[&one, &two], &["t"]).await;
    assert_eq!(begins(&two), before, "the other sync was touched");
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_made_while_the_engine_runs_joins_at_a_reload_of_the_same_config() {
    let one = Scripted::new();
    let (database, engine, running) = streaming(&[("one", &one)]).await;
    says(&reload(&engine), &["1 lane unchanged"]);
    let before = begins(&one);
    database
        .execute(
            "CREATE TABLE late (id int PRIMARY KEY, v text); INSERT INTO late VALUES (1, 'early')",
        )
        .await;
    let done = reload(&engine);
    says(&done, &["restarted lane s/one: table public.late joins"]);
    database
        .execute("INSERT INTO late VALUES (2, 'late')")
        .await;
    hold(&database, &[&one], &["t", "u", "late"]).await;
    assert_eq!(
        begins(&one).2,
        before.2 + 1,
        "the others are not copied again"
    );
    running.terminate().assert_success();
}
