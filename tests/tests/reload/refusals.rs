//! What is not carried out, and how a reload is asked for.

use std::path::PathBuf;

use tahr_tests::{Engine, Postgres, Scripted, Signal, eventually, sync};

use super::{SOON, begins, edit, hold, reload, says, streaming};

#[tokio::test(flavor = "multi_thread")]
async fn a_config_with_faults_changes_nothing_and_all_faults_are_named() {
    let (one, two) = (Scripted::new(), Scripted::new());
    let (database, engine, running) = streaming(&[("one", &one)]).await;
    let (before, good) = (begins(&one), engine.config());
    let new_target = format!("{}\n[syncs.s]", two.section("two"));
    let add = [
        ("targets = [\"one\"]", "targets = [\"one\", \"two\"]"),
        ("[syncs.s]", new_target.as_str()),
    ];
    type Edits = &'static [(&'static str, &'static str)];
    let cases: &[(Edits, &[&str], i32)] = &[
        (
            &[("redo =", "rdeo ="), ("tables =", "colour = 1\ntables =")],
            &["unknown key \"rdeo\"", "unknown key \"colour\""],
            2,
        ),
        (
            &[("redo = \"200ms\"", "redo = \"1h\""), ("1MiB", "2MiB")],
            &[
                "\"memory\" in [engine] needs a restart",
                "\"redo\" in [sources.src] needs a restart",
            ],
            2,
        ),
        (
            &[("folder =", "floder =")],
            &["target \"two\": ", "floder"],
            2,
        ),
        (
            &[(
                "tables = [\"public.*\"]",
                "tables = [\"t\"]\n[syncs.s.table.\"t\"]\nexclude = [\"nothing\"]",
            )],
            &["has no column \"nothing\""],
            2,
        ),
        (
            &[("tables = [\"public.*\"]", "tables = [\"absent\"]")],
            &["has no table that the syncs' patterns match"],
            3,
        ),
    ];
    for (edits, expected, code) in cases {
        engine.write_config(&good);
        edit(&engine, &add);
        if edits[0].0 == "folder =" {
            let broken = two.section("two").replace("folder =", "floder =");
            edit(&engine, &[(&two.section("two"), &broken)]);
        } else {
            edit(&engine, edits);
        }
        let finished = engine.tahr(&["reload"]);
        finished.assert_code(*code);
        for part in *expected {
            assert!(
                finished.stderr.contains(part),
                "{part}: {}",
                finished.stderr
            );
        }
        assert_eq!(finished.stdout, "");
    }
    assert_eq!(begins(&one), before);
    assert!(!two.calls().iter().any(|call| call == "open stream"));
    assert_eq!(engine.report().expect("a report").lanes.len(), 1);
    database.execute("UPDATE t SET v = 'after'").await;
    hold(&database, &[&one], &["t", "u"]).await;
    // And it takes the next one that is right.
    engine.write_config(&good);
    edit(&engine, &add);
    says(&reload(&engine), &["started lane s/two"]);
    hold(&database, &[&one, &two], &["t", "u"]).await;
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn sighup_reloads_and_what_comes_of_it_is_in_the_log() {
    let (one, two) = (Scripted::new(), Scripted::new());
    let (database, engine, running) = streaming(&[("one", &one)]).await;
    let logged = async |part: &str| {
        eventually(SOON, "the log says so", async || {
            let log = running.stderr();
            log.contains(part).then_some(()).ok_or(log)
        })
        .await;
    };
    let good = engine.config();
    edit(&engine, &[("redo =", "rdeo =")]);
    running.process().signal(Signal::Hup);
    logged("unknown key \"rdeo\"").await;
    engine.write_config(&good);
    edit(
        &engine,
        &[
            ("targets = [\"one\"]", "targets = [\"one\", \"two\"]"),
            ("[syncs.s]", &format!("{}\n[syncs.s]", two.section("two"))),
        ],
    );
    running.process().signal(Signal::Hup);
    logged("reload: started lane s/two").await;
    hold(&database, &[&one, &two], &["t", "u"]).await;
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_engine_there_is_nothing_to_reload() {
    let database = Postgres::shared().database().await;
    let one = Scripted::new();
    let engine = Engine::builder()
        .config(sync(database.url(), &[("one", &one)], ""))
        .build();
    engine.tahr(&["reload"]).assert_code(5);
    let absent: PathBuf = engine.folder().join("tahr-state");
    assert!(!absent.exists(), "it leaves nothing");
}
