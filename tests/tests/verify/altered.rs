//! Tables that were altered in the source, and that no change has reached since.

use std::time::Duration;

use tahr::lane::State;
use tahr_tests::{Database, Engine, Finished, Postgres, Running, eventually};

const SOON: Duration = Duration::from_secs(30);

/// An engine that streams three tables into PostgreSQL and SQLite.
struct Scene {
    source: Database,
    target: Database,
    engine: Engine,
    running: Running,
}

impl Scene {
    async fn new() -> Self {
        let server = Postgres::shared();
        let (source, target) = (server.database().await, server.database().await);
        for table in ["t", "u", "v"] {
            source
                .execute(&format!(
                    "CREATE TABLE {table} (id int PRIMARY KEY, v text); \
                     INSERT INTO {table} VALUES (1, 'a'), (2, 'b'), (3, NULL)"
                ))
                .await;
        }
        let config = format!(
            "[sources.src]\nurl = '{}'\n\
             [targets.pg]\nplugin = 'postgres'\noptions = {{ url = '{}' }}\n\
             [targets.lite]\nplugin = 'sqlite'\noptions = {{ path = 'copy.db' }}\n\
             [syncs.s]\nsources = ['src']\ntargets = ['pg', 'lite']\ntables = ['public.*']\n",
            source.url(),
            target.url()
        );
        let engine = Engine::builder().config(config).build();
        let running = engine.start();
        for target in ["pg", "lite"] {
            engine.await_lane(target, State::Streaming).await;
        }
        Self {
            source,
            target,
            engine,
            running,
        }
    }

    #[track_caller]
    fn verify(&self, arguments: &[&str], code: i32) -> Finished {
        let finished = self.engine.tahr(&[&["verify"], arguments].concat());
        assert_eq!(
            finished.code(),
            Some(code),
            "{}\n{}",
            finished.stdout,
            finished.stderr
        );
        finished
    }
}

#[track_caller]
fn says(finished: &Finished, lines: &[&str]) {
    for line in lines {
        let text = &finished.stdout;
        assert!(text.contains(line), "{line} is missing in {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_column_without_values_is_left_out_until_the_target_has_it() {
    let scene = Scene::new().await;
    scene
        .source
        .execute("ALTER TABLE t ADD COLUMN extra int")
        .await;
    let verified = scene.verify(&[], 0);
    let left_out = "public.t  3 rows: equal; new column extra left out, which the target gets";
    says(
        &verified,
        &[
            &format!("s/pg  {left_out}"),
            &format!("s/lite  {left_out}"),
            "s/pg  public.u  3 rows: equal\n",
        ],
    );
    // What differs in the other columns is found, and its repair makes the target ready.
    scene
        .target
        .execute("UPDATE t SET v = 'planted' WHERE id = 2")
        .await;
    says(
        &scene.verify(&["s/pg"], 1),
        &["public.t  3 rows: 1 differing", "differs: id = 2"],
    );
    says(
        &scene.verify(&["s/pg", "--repair", "--table", "t"], 0),
        &["1 repaired"],
    );
    says(&scene.verify(&["s/pg"], 0), &["public.t  3 rows: equal\n"]);
    // With a change everything is compared.
    scene
        .source
        .execute("UPDATE t SET extra = 5 WHERE id = 1")
        .await;
    says(
        &scene.verify(&[], 0),
        &[
            "s/pg  public.t  3 rows: equal\n",
            "s/lite  public.t  3 rows: equal\n",
        ],
    );
    scene
        .target
        .execute("UPDATE t SET extra = 6 WHERE id = 1")
        .await;
    says(&scene.verify(&["s/pg"], 1), &["differs: id = 1"]);
    scene.running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_compared_says_what_to_do_and_hinders_no_other_table() {
    let scene = Scene::new().await;
    scene
        .source
        .execute(
            "ALTER TABLE t ADD COLUMN extra int DEFAULT 7; \
             ALTER TABLE u RENAME COLUMN v TO w",
        )
        .await;
    let verified = scene.verify(&["s/pg"], 1);
    says(
        &verified,
        &[
            "public.t  not compared: column \"extra\" was added to public.t with values in it",
            "to have it come at once: tahr resync s/pg public.t",
            "public.u  not compared: column \"v\" of public.u was renamed",
            "public.v  3 rows: equal",
        ],
    );
    scene.engine.tahr(&["resync", "s/pg", "t"]).assert_success();
    eventually(SOON, "it is copied again", async || {
        let verified = scene.engine.tahr(&["verify", "s/pg", "--table", "t"]);
        match verified.code() {
            Some(0) => Ok(()),
            _ => Err(verified.stdout),
        }
    })
    .await;
    // A table that the target lost, and is asked for first.
    scene.target.execute("DROP TABLE t").await;
    says(
        &scene.verify(&["s/pg"], 1),
        &[
            "public.t  not compared: target: ",
            "public.v  3 rows: equal",
        ],
    );
    scene.source.execute("DROP TABLE u").await;
    says(
        &scene.verify(&["s/pg"], 1),
        &["public.u  not compared: it was dropped in the source; take it out of `tables`"],
    );
    scene.running.terminate().assert_success();
}
