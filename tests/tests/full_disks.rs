//! A disk without room holds up the target whose file it is, and nobody else.
//!
//! The disk is played by the limit that the system sets to the size of a process's files.

use std::time::Duration;

use tahr::lane::State;
use tahr_tests::{Engine, Postgres, Rows, Run, eventually};

use crate::scene::limit_files;

const SOON: Duration = Duration::from_secs(30);
const ROWS: &str = "SELECT id, v FROM t";

#[tokio::test(flavor = "multi_thread")]
async fn a_file_without_room_waits_for_it_and_the_other_lane_goes_on() {
    let server = Postgres::shared();
    let (source, copy) = (server.database().await, server.database().await);
    let file = Run::current().make_folder("sqlite").join("target.db");
    source
        .execute("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (0, 'copied')")
        .await;
    let engine = Engine::builder()
        .config(format!(
            "[sources.src]\nurl = '{}'\n\
             [targets.pg]\nplugin = 'postgres'\noptions = {{ url = '{}' }}\n\
             [targets.lite]\nplugin = 'sqlite'\noptions = {{ path = '{}' }}\n\
             [syncs.s]\nsources = ['src']\ntargets = ['pg', 'lite']\ntables = ['public.*']\n",
            source.url(),
            copy.url(),
            file.display(),
        ))
        .build();
    let running = engine.start();
    for lane in ["pg", "lite"] {
        engine.await_lane(lane, State::Streaming).await;
    }
    let room = std::fs::metadata(&file).expect("the target's file").len() + 200_000;
    limit_files(&running, Some(room));
    source
        .execute("INSERT INTO t SELECT i, repeat(md5(i::text), 30) FROM generate_series(1, 2000) i")
        .await;
    let expected = Rows::postgres(&source, ROWS).await.expect("the rows");
    eventually(SOON, "the other target holds all", async || {
        expected.same_as(&Rows::postgres(&copy, ROWS).await?)
    })
    .await;
    let lane = engine.await_lane("lite", State::Retrying).await;
    let fault = lane.fault.expect("why it tries again");
    assert!(!fault.hint.is_empty(), "{fault:?}");
    // Nothing of the transaction is there.
    assert_eq!(Rows::sqlite(&file, ROWS).map(|rows| rows.len()), Ok(1));
    source
        .execute("INSERT INTO t VALUES (3000, 'meanwhile')")
        .await;

    limit_files(&running, None);
    let expected = Rows::postgres(&source, ROWS).await.expect("the rows");
    eventually(SOON, "both hold all", async || {
        expected.same_as(&Rows::postgres(&copy, ROWS).await?)?;
        expected.same_as(&Rows::sqlite(&file, ROWS)?)
    })
    .await;
    running.terminate().assert_success();
}
