//! The demonstration that announced many masters, by hand and as `tahr demo masters` shows it.

use super::conflicts;
use tahr_tests::{Engine, Masters};

const SHAKESPEARE: &str =
    "CREATE TABLE character (charid text PRIMARY KEY, charname text, abbrev text,
      description text, speechcount int);
    INSERT INTO character VALUES ('Hamlet', 'Hamlet', 'Ham', 'son of the late king', 358),
      ('gremio', 'Gremio', 'GRE', 'suitor to Bianca', 58), ('Kate', 'Katharina', 'KATH', '', 82);";
const KATE: &str = "SELECT speechcount::text FROM character WHERE charid = 'Kate'";

fn set(count: u32) -> String {
    format!("UPDATE character SET speechcount = {count} WHERE charid = 'Kate'")
}

#[tokio::test(flavor = "multi_thread")]
async fn three_masters_agree_on_kates_speeches() {
    let mut shakes = Masters::new(3, SHAKESPEARE).await;
    shakes.start("conflict = \"latest\"").await;
    shakes[0].execute(&set(123)).await;
    shakes.everywhere(KATE, "123").await;
    assert_eq!(shakes.conflicts().len(), 0);

    let three = [(0, set(111)), (1, set(222)), (2, set(333))];
    let three: Vec<_> = three
        .iter()
        .map(|(place, sql)| (*place, sql.as_str()))
        .collect();
    shakes.meet(&three).await;
    shakes.everywhere(KATE, "333").await;
    conflicts(&shakes, 1).await;

    shakes.meet(&[(0, &set(1234)), (1, &set(4321))]).await;
    shakes.everywhere(KATE, "4321").await;
    conflicts(&shakes, 2).await;
    shakes.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tahr_demo_masters_shows_it() {
    let engine = Engine::builder().build();
    let demo = engine.tahr(&["demo", "masters", "--dir", "shown"]);
    demo.assert_success();
    for line in ["shake1", "shake2", "shake3", "123", "4321", "conflicts=1"] {
        assert!(
            demo.stdout.contains(line),
            "{line} is not in {}",
            demo.stdout
        );
    }
    // What somebody has made of its config is theirs.
    let config = engine.folder().join("shown/tahr.toml");
    let text = std::fs::read_to_string(&config).expect("the config that it used");
    let mine = text.replace("require_equal", "first_source");
    assert_ne!(mine, text);
    std::fs::write(&config, &mine).expect("change the config");
    for arguments in [&["demo", "masters"][..], &["demo"]] {
        let again = engine.tahr(&[arguments, &["--dir", "shown"]].concat());
        again.assert_code(2);
        let says = "shown/tahr.toml has been changed since the demo wrote it";
        assert!(again.stderr.contains(says), "{}", again.stderr);
        let kept = std::fs::read_to_string(&config).expect("the changed config");
        assert_eq!(kept, mine);
    }
}
