//! What tahr makes in a source: made once, altered while the slot lives, never another's, and
//! gone without a trace.

use std::time::{Duration, Instant};

use tahr::source::{Owner, Publication, Slot, object_name};
use tahr_plugin_api::TableName;
use tahr_postgres_connect::Url;
use tahr_tests::{Postgres, unique};

const SOON: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn a_publication_follows_its_tables_and_refuses_another_owner() {
    let database = Postgres::shared().database().await;
    database
        .execute(
            "CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE child (b int) INHERITS (a);
             CREATE TABLE p (id int PRIMARY KEY) PARTITION BY RANGE (id)",
        )
        .await;
    let url = Url::parse(database.url()).unwrap();
    let client = url.connect_source("tahr").await.unwrap();
    let owner = Owner {
        engine: "e".into(),
        source: "s".into(),
    };
    let name = object_name(&owner).unwrap();
    let (a, p) = (TableName::new("public", "a"), TableName::new("public", "p"));

    Publication::ensure(&client, &name, &owner, std::slice::from_ref(&a))
        .await
        .unwrap();
    let oid = format!("SELECT oid FROM pg_publication WHERE pubname = '{name}'");
    let made = database.value(&oid).await;
    Publication::add(&client, &name, &owner, std::slice::from_ref(&p))
        .await
        .unwrap();
    let found = Publication::find(&client, &name).await.unwrap().unwrap();
    assert_eq!(found.tables, [a, p], "the child must not be in it");
    assert!(found.via_root && found.all_operations && found.belongs_to(&owner));
    assert_eq!(
        database.value(&oid).await,
        made,
        "it must be altered, not made anew"
    );

    let other = Owner {
        engine: "other".into(),
        source: "s".into(),
    };
    assert!(Publication::drop(&client, &name, &other).await.is_err());
    assert!(Publication::drop(&client, &name, &owner).await.unwrap());
    assert!(!Publication::drop(&client, &name, &owner).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn making_a_slot_says_whom_it_waits_for_and_leaves_nothing_when_it_gives_up() {
    let server = Postgres::own(None, &[]);
    let database = server.database().await;
    let url = Url::parse(database.url()).unwrap();
    let client = url.connect_source("tahr").await.unwrap();
    let name = format!("slot_{}", unique());

    let blocker = database.connect().await;
    blocker
        .batch_execute("BEGIN; SELECT txid_current()")
        .await
        .unwrap();
    let row = blocker
        .query_one("SELECT pg_backend_pid()", &[])
        .await
        .unwrap();
    let pid: i32 = row.get(0);
    let mut seen = Vec::new();
    let mut waiting = |blockers: &[tahr::source::Blocker]| seen.extend_from_slice(blockers);
    let error = Slot::create(
        &url,
        "tahr",
        &name,
        Duration::from_millis(1500),
        &mut waiting,
    )
    .await
    .unwrap_err();
    assert!(
        error.is_transient() && error.message.contains(&format!("pid {pid}")),
        "{error}"
    );
    assert!(seen.iter().all(|blocker| blocker.pid == Some(pid)) && !seen.is_empty());
    assert_eq!(Slot::find(&client, &name).await.unwrap(), None);

    blocker.batch_execute("COMMIT").await.unwrap();
    let point = Slot::create(&url, "tahr", &name, SOON, &mut |_| ())
        .await
        .unwrap();
    let slot = Slot::find(&client, &name).await.unwrap().unwrap();
    assert_eq!(slot.confirmed_flush, Some(point));
    assert!(Slot::drop(&client, &name, SOON).await.unwrap());
    assert!(!Slot::drop(&client, &name, SOON).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_slot_stays_of_an_engine_that_went_away_while_it_waited() {
    let server = Postgres::own(None, &[]);
    let database = server.database().await;
    let url = Url::parse(database.url()).unwrap();
    let client = url.connect_source("tahr").await.unwrap();
    let name = format!("slot_{}", unique());
    let blocker = database.connect().await;
    blocker
        .batch_execute("BEGIN; SELECT txid_current()")
        .await
        .unwrap();
    let mut waiting = |_: &[tahr::source::Blocker]| ();
    let creation = Slot::create(&url, "tahr", &name, SOON, &mut waiting);
    assert!(
        tokio::time::timeout(Duration::from_millis(1500), creation)
            .await
            .is_err()
    );
    let start = Instant::now();
    while Slot::find(&client, &name).await.unwrap().is_some() {
        assert!(start.elapsed() < SOON, "the half-made slot stayed");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    blocker.batch_execute("COMMIT").await.unwrap();
    assert_eq!(Slot::find(&client, &name).await.unwrap(), None);
}
