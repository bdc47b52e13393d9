//! A role that is no superuser; triggers, which fire for it; tables of different owners.

use std::time::Duration;

use tahr_tests::{Masters, eventually, unique};

/// Two masters, tahr a mere role on the second, where a trigger alters what is written.
async fn with_a_trigger() -> Masters {
    let role = format!("mere_{}", unique());
    let table = "CREATE TABLE t (id int PRIMARY KEY, v text, stamp text);
                 INSERT INTO t VALUES (1, 'first'), (2, 'first');";
    let second = format!(
        "{table} CREATE ROLE {role} LOGIN REPLICATION; ALTER TABLE t OWNER TO {role};
         CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$
           BEGIN NEW.stamp := 'stamped'; RETURN NEW; END $$;
         CREATE TRIGGER stamps BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION stamp();
         DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO {role}', current_database()); END $$"
    );
    let masters = Masters::each(&[table, &second]).await;
    let url = masters[1].url_as(&role);
    masters.reached_by(1, url)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_without_superuser_and_tables_of_different_owners_do() {
    let roles = [unique(), unique()].map(|name| format!("owner_{name}"));
    let setup = |role: &str| {
        format!(
            "CREATE ROLE {role} LOGIN REPLICATION; CREATE TABLE t (id int PRIMARY KEY, v text);
             INSERT INTO t VALUES (1, 'first'), (2, 'first'); ALTER TABLE t OWNER TO {role};
             DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO {role}', current_database()); END $$"
        )
    };
    let masters = Masters::each(&[&setup(&roles[0]), &setup(&roles[1])]).await;
    let urls = [0, 1].map(|place| masters[place].url_as(&roles[place]));
    let [first, second] = urls;
    let mut masters = masters.reached_by(0, first).reached_by(1, second);
    masters.start("").await;
    masters[0]
        .execute("INSERT INTO t VALUES (3, 'a'); DELETE FROM t WHERE id = 2")
        .await;
    masters
        .everywhere("SELECT count(*) FROM t WHERE v = 'a'", "1")
        .await;
    masters[1]
        .execute("UPDATE t SET v = 'b' WHERE id = 1; UPDATE t SET id = 9 WHERE id = 3")
        .await;
    masters
        .everywhere("SELECT v FROM t WHERE id = 1", "b")
        .await;
    masters
        .everywhere("SELECT count(*) FROM t WHERE id = 9", "1")
        .await;
    masters
        .meet(&[
            (0, "UPDATE t SET v = 'earlier' WHERE id = 1"),
            (1, "UPDATE t SET v = 'later' WHERE id = 1"),
        ])
        .await;
    masters
        .everywhere("SELECT v FROM t WHERE id = 1", "later")
        .await;
    masters.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_trigger_alters_travels_on_as_a_change_of_its_source() {
    let mut masters = with_a_trigger().await;
    masters.start("trigger_effects = \"local\"").await;
    masters[0]
        .execute("UPDATE t SET v = 'a' WHERE id = 1")
        .await;
    masters
        .everywhere("SELECT v || ' ' || stamp FROM t WHERE id = 1", "a stamped")
        .await;
    masters.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_trigger_alters_is_left_where_it_is() {
    let mut masters = with_a_trigger().await;
    masters.start("trigger_effects = \"ignore\"").await;
    masters[0]
        .execute("UPDATE t SET v = 'a' WHERE id = 1")
        .await;
    masters
        .everywhere("SELECT v FROM t WHERE id = 1", "a")
        .await;
    masters[0].execute("INSERT INTO t VALUES (3, 'next')").await;
    masters
        .everywhere("SELECT v FROM t WHERE id = 3", "next")
        .await;
    for (place, expected) in [(0, ""), (1, "stamped")] {
        let found = masters[place]
            .value("SELECT coalesce(stamp, '') FROM t WHERE id = 1")
            .await;
        assert_eq!(found, expected);
    }
    masters.stop();
}

/// The second one is parked, since a trigger has altered what was applied.
async fn parked() -> Masters {
    let mut masters = with_a_trigger().await;
    masters.start("").await;
    masters[0]
        .execute("UPDATE t SET v = 'a' WHERE id = 1")
        .await;
    eventually(
        Duration::from_secs(20),
        "the source is parked, and the trigger named",
        async || {
            let status = masters.status("s")?.to_string();
            let is_told = status.contains("parked") && status.contains("stamps");
            is_told.then_some(()).ok_or(status)
        },
    )
    .await;
    masters
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_trigger_alters_parks_its_source_and_the_trigger_is_named() {
    parked().await.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parked_source_keeps_nobody_busy_however_much_else_is_written_there() {
    let mut masters = parked().await;
    // More than a cut is left behind for, in a table that is nothing to the sync.
    masters[1]
        .execute(
            "CREATE SCHEMA other; CREATE TABLE other.noise (v text);
             INSERT INTO other.noise SELECT repeat(md5(g::text), 60) FROM generate_series(1, 12000) g",
        )
        .await;
    let second = Duration::from_secs(1);
    tokio::time::sleep(second).await;
    let engine = masters.running().process();
    let before = engine.busy();
    tokio::time::sleep(2 * second).await;
    let busy = engine.busy() - before;
    assert!(busy < second / 2, "{busy:?} of two seconds");
    masters.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_superusers_applies_fire_no_triggers() {
    let masters = with_a_trigger().await;
    let url = masters[1].url().to_owned();
    let mut masters = masters.reached_by(1, url);
    masters.start("").await;
    masters[0]
        .execute("UPDATE t SET v = 'a' WHERE id = 1")
        .await;
    masters
        .everywhere("SELECT v || coalesce(stamp, '') FROM t WHERE id = 1", "a")
        .await;
    masters[1]
        .execute("UPDATE t SET v = 'b' WHERE id = 2")
        .await;
    masters
        .everywhere("SELECT v || stamp FROM t WHERE id = 2", "bstamped")
        .await;
    masters.end().await;
}
