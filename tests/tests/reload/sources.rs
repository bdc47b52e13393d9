//! Sources that join and leave.

use tahr::lane::State;
use tahr_tests::{Postgres, Scripted};

use super::{SETUP, begins, edit, hold, reload, says, streaming};

#[tokio::test(flavor = "multi_thread")]
async fn a_source_joins_and_leaves_beside_another() {
    let (one, two) = (Scripted::new(), Scripted::new());
    let (database, engine, running) = streaming(&[("one", &one)]).await;
    let second = Postgres::shared().database().await;
    second.execute(SETUP).await;
    let before = begins(&one);
    let alone = engine.config();
    edit(
        &engine,
        &[(
            "[syncs.s]",
            &format!(
                "[sources.more]\nurl = \"{}\"\n{}\n[syncs.more]\nsources = [\"more\"]\n\
                 targets = [\"two\"]\ntables = [\"t\"]\n\n[syncs.s]",
                second.url(),
                two.section("two")
            ),
        )],
    );
    says(
        &reload(&engine),
        &["started lane more/two", "1 lane unchanged"],
    );
    engine.await_lane("two", State::Streaming).await;
    second.execute("UPDATE t SET v = 'second'").await;
    hold(&second, &[&two], &["t"]).await;
    engine.write_config(&alone);
    let done = reload(&engine);
    says(
        &done,
        &[
            "stopped lane more/two",
            "note: source \"more\" is not read any more",
        ],
    );
    assert_eq!(engine.report().expect("a report").sources.len(), 1);
    let drop_slot = done.stdout.lines().find_map(|line| line.split_once("or: "));
    second.query(drop_slot.expect("the statement").1).await;
    let slots = format!(
        "SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'tahr_{}_more'",
        engine.name()
    );
    assert_eq!(second.value(&slots).await, "0");
    database.execute("UPDATE t SET v = 'first'").await;
    hold(&database, &[&one], &["t"]).await;
    assert_eq!(begins(&one), before);
    running.terminate().assert_success();
}
