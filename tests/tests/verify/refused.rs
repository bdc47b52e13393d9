//! What can't be compared is said, and is no success.

use tahr::lane::State;
use tahr_tests::{Engine, Postgres, Scripted, sync};

use super::Scene;

#[tokio::test(flavor = "multi_thread")]
async fn without_an_engine_or_with_a_wrong_name_nothing_is_verified() {
    let scene = Scene::new().await;
    let wrong = scene.verify(&["t"], 2);
    assert!(wrong.stderr.contains("no sync \"t\""), "{}", wrong.stderr);
    let wrong = scene.verify(&["s", "--table", "acounts"], 2);
    let says = "s has no table \"acounts\"\nhint: did you mean \"public.accounts\"?";
    assert!(wrong.stderr.contains(says), "{}", wrong.stderr);
    scene.running.terminate().assert_success();
    let none = scene.subjects.engine.tahr(&["verify"]);
    none.assert_code(5);
    assert!(none.stderr.contains("tahr run"), "{}", none.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_that_rests_is_named_and_the_others_are_verified() {
    let scene = Scene::new().await;
    scene
        .subjects
        .engine
        .tahr(&["pause", "s/lite"])
        .assert_success();
    let verified = scene.verify(&["s"], 1);
    for line in [
        "s/lite  not compared: the lane is paused",
        "s/pg  public.history  not compared: it has no key",
        "s/pg  public.words  1,005 rows: equal",
    ] {
        assert!(
            verified.stdout.contains(line),
            "{line}: {}",
            verified.stdout
        );
    }
    // A table that can't be named row by row is said so, and is no failure.
    scene.verify(&["s/pg"], 0);
    scene.running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_can_not_read_back_says_so() {
    let database = Postgres::shared().database().await;
    database
        .execute("CREATE TABLE t (id int PRIMARY KEY, v text)")
        .await;
    let one = Scripted::new();
    let config = sync(database.url(), &[("one", &one)], "");
    let engine = Engine::builder().config(config).build();
    let running = engine.start();
    engine.await_lane("one", State::Streaming).await;
    let verified = engine.tahr(&["verify", "s"]);
    verified.assert_code(1);
    assert!(
        verified.stdout.contains("unsupported"),
        "{}",
        verified.stdout
    );
    running.terminate().assert_success();
}
