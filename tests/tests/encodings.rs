//! A source in another encoding than UTF-8.

use tahr::lane::State;
use tahr_tests::{Postgres, Rows, eventually};

use crate::scene::{PATIENCE, Site, clean};

#[tokio::test(flavor = "multi_thread")]
async fn text_in_another_encoding_arrives_as_the_same_characters() {
    let server = Postgres::shared();
    let source = server
        .database_with("TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
        .await;
    source
        .execute(
            "CREATE TABLE \"täglich\" (id int PRIMARY KEY, \"größe\" text, c char(3));
             INSERT INTO \"täglich\" VALUES (1, 'é', 'ü'), (2, 'ÿþ', '')",
        )
        .await;
    let site = Site::new(&server, &source, "tables = ['*.*']").await;
    let running = site.start().await;
    source
        .execute(
            "INSERT INTO \"täglich\" VALUES (3, 'naïve', 'ñ'); UPDATE \"täglich\" SET \"größe\" = 'ß' WHERE id = 1",
        )
        .await;
    site.settle(&running, &source).await;
    clean(&running.terminate().stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn text_that_is_no_text_is_kept_as_bytes_or_parks_its_lane_and_is_never_altered() {
    let server = Postgres::shared();
    let source = server
        .database_with("TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'")
        .await;
    source
        .execute("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'é')")
        .await;
    let site = Site::new(&server, &source, "tables = ['*.*']").await;
    let running = site.start().await;
    source.execute("INSERT INTO t VALUES (2, 'ü')").await;
    site.settle(&running, &source).await;
    source
        .execute("INSERT INTO t VALUES (3, convert_from('\\xe9ff', 'SQL_ASCII')), (4, 'after')")
        .await;
    let lane = site.engine.await_lane("pg", State::Parked).await;
    let fault = lane.fault.expect("why it is parked");
    let says = "a character doesn't exist in the target's encoding";
    assert!(fault.message.contains(says), "{fault:?}");
    let copied = Rows::postgres(&site.postgres, "SELECT id FROM t").await;
    assert_eq!(
        copied.map(|rows| rows.len()),
        Ok(2),
        "nothing of it is there"
    );
    let expected = |id: u32, value: &str| vec![Some(id.to_string()), Some(value.to_owned())];
    let expected = Rows::new(vec![
        expected(1, "é"),
        expected(2, "ü"),
        expected(3, "\\xe9ff"),
        expected(4, "after"),
    ]);
    eventually(PATIENCE, "the other lane goes on", async || {
        expected.same_as(&Rows::sqlite(&site.sqlite, "SELECT id, v FROM t")?)
    })
    .await;
    running.terminate().assert_success();
}
