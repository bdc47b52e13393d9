//! Under load nothing is told that is not so.

use super::{Load, Scene};
use crate::scene::clean;

#[tokio::test(flavor = "multi_thread")]
async fn targets_that_follow_are_equal_however_busy_the_source_is() {
    let scene = Scene::new().await;
    let load = Load::on(&scene.subjects.source).await;
    for _ in 0..2 {
        let verified = scene.verify(&["--json"], 0).json();
        let found = super::scene::found(&verified);
        assert!(found.is_empty(), "{found:?}");
        let lanes = verified["lanes"].as_array().expect("lanes");
        assert_eq!(lanes.len(), 2);
        for lane in lanes {
            let tables = lane["tables"].as_array().expect("tables");
            assert_eq!(tables.len(), 9);
            let accounts = tables
                .iter()
                .find(|table| table["table"] == "public.accounts");
            let rows = accounts.and_then(|table| table["rows"].as_u64());
            assert!(rows.is_some_and(|rows| rows >= 4000), "{lane}");
        }
    }
    let lines = scene.verify(&["s/pg", "--table", "public.ids"], 0).stdout;
    assert_eq!(lines, "s/pg  public.ids  1,000 rows: equal\n");
    let done = load.end().await;
    assert!(done > 50, "only {done} transactions");
    scene.settle().await;
    clean(&scene.running.terminate().stderr);
}
