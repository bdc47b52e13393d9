//! A source in several syncs: what arrives by one travels on by the others, and never in circles.

use std::time::Duration;

use super::PLAIN;
use tahr_tests::{Masters, Rows, eventually};

/// A and B, B and D replicate to each other; C is a copy of B.
fn syncs(copy: &str) -> String {
    format!(
        r#"
        [syncs.ab]
        sources = ["a", "b"]
        targets = []
        tables = ["public.*"]
        [syncs.bd]
        sources = ["b", "d"]
        targets = []
        tables = ["public.*"]
        [syncs.bc]
        sources = ["b"]
        targets = ["copy"]
        tables = ["public.*"]
        [targets.copy]
        plugin = "postgres"
        options = {{ url = "{copy}" }}
        "#
    )
}

async fn chain() -> Masters {
    // The third, `c`, is nobody's source.
    let mut masters = Masters::each(&[PLAIN, PLAIN, "", PLAIN]).await;
    let syncs = syncs(masters[2].url());
    masters.configure_syncs(&syncs);
    let config = masters.engine().config();
    let c = format!(
        "[sources.c]\nurl = \"{}\"\nredo = \"200ms\"\n",
        masters[2].url()
    );
    masters.engine().write_config(&config.replace(&c, ""));
    masters.run();
    masters.await_state("ab", "running").await;
    masters.await_state("bd", "running").await;
    masters
}

async fn all_hold(masters: &Masters, query: &str, expected: &str) {
    masters.everywhere(query, expected).await;
    let applies = async || {
        let mut all = Vec::new();
        for place in [0, 1, 3] {
            all.push(
                Rows::postgres(
                    &masters[place],
                    "SELECT sync, sequence FROM tahr.checkpoint",
                )
                .await?,
            );
        }
        Ok::<_, String>(all)
    };
    let mut before = Vec::new();
    eventually(
        Duration::from_secs(20),
        "nothing travels in circles",
        async || {
            masters.equal().await?;
            let now = applies().await?;
            if now != before {
                before = now;
                tokio::time::sleep(Duration::from_millis(300)).await;
                return Err("applies go on".to_owned());
            }
            Ok(())
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_travel_on_through_further_syncs_and_come_to_rest() {
    let mut masters = chain().await;
    masters[0]
        .execute("UPDATE t SET v = 'from a' WHERE id = 1; INSERT INTO t VALUES (20, 'from a')")
        .await;
    all_hold(&masters, "SELECT v FROM t WHERE id = 20", "from a").await;
    masters[3]
        .execute("UPDATE t SET v = 'from d' WHERE id = 20; UPDATE t SET id = 30 WHERE id = 2")
        .await;
    all_hold(&masters, "SELECT v FROM t WHERE id = 20", "from d").await;
    masters[1]
        .execute("DELETE FROM t WHERE id IN (1, 30); UPDATE t SET n = 5")
        .await;
    all_hold(&masters, "SELECT count(*) FROM t WHERE n = 5", "9").await;
    masters[0].execute("TRUNCATE t").await;
    all_hold(&masters, "SELECT count(*) FROM t", "0").await;
    masters[3]
        .execute("INSERT INTO t VALUES (1, 'after')")
        .await;
    all_hold(&masters, "SELECT v FROM t", "after").await;
    masters.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_latest_is_judged_by_when_a_change_was_made_and_not_when_it_arrived() {
    let mut masters = chain().await;
    masters.tahr(&["pause", "ab"]);
    masters.tahr(&["pause", "bd"]);
    masters[0]
        .execute("UPDATE t SET v = 'earlier, of a' WHERE id = 1")
        .await;
    masters[3]
        .execute("UPDATE t SET v = 'later, of d' WHERE id = 1")
        .await;
    masters.tahr(&["resume", "ab"]);
    // On B it is newer than the change on D.
    eventually(Duration::from_secs(20), "b has a's", async || {
        let found = masters[1].value("SELECT v FROM t WHERE id = 1").await;
        (found == "earlier, of a").then_some(()).ok_or(found)
    })
    .await;
    masters.tahr(&["resume", "bd"]);
    all_hold(&masters, "SELECT v FROM t WHERE id = 1", "later, of d").await;
    masters.stop();
}
