//! Tables are copied anew when a person asks for it, while everything else streams.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tahr::lane::State;
use tahr_tests::{
    Database, Engine, Finished, MariaDatabase, MariaDb, MongoDatabase, Mongod, Postgres, Rows,
    Scripted, eventually, sync,
};

use crate::reload::{COLUMNS, Load, SOON, begins, hold, says, streaming};

#[track_caller]
fn tahr(engine: &Engine, arguments: &[&str], code: i32) -> Finished {
    let finished = engine.tahr(arguments);
    finished.assert_code(code);
    finished
}

/// The copies that were begun since `from` calls.
fn copies(target: &Scripted, from: usize) -> Vec<String> {
    let calls = target.calls();
    let begun = calls[from..]
        .iter()
        .filter(|call| call.starts_with("begin_load"));
    begun.cloned().collect()
}

/// Waits until nothing is left to copy again.
async fn done(engine: &Engine, target: &str) {
    eventually(SOON, "nothing is left to copy", async || {
        let lane = engine.lane(target)?;
        let is_done = lane.resync.is_empty() && lane.state == State::Streaming;
        is_done.then_some(()).ok_or_else(|| format!("{lane:?}"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_table_several_or_all_of_a_lane_are_copied_again_while_the_others_stream() {
    let (one, two) = (Scripted::new(), Scripted::new());
    let (database, engine, running) = streaming(&[("one", &one), ("two", &two)]).await;
    let before = begins(&two);
    let load = Load::on(&database).await;
    for (arguments, line, expected) in [
        (
            &["resync", "s/one", "u"][..],
            "lane s/one copies public.u again",
            &["public.u"][..],
        ),
        (
            &["resync", "s/one", "public.*"],
            "lane s/one copies public.t, public.u again",
            &["public.t", "public.u"],
        ),
        (
            &["resync", "s/one"],
            "lane s/one copies public.t, public.u again",
            &["public.t", "public.u"],
        ),
    ] {
        let from = one.calls().len();
        says(&tahr(&engine, arguments, 0), &[line]);
        done(&engine, "one").await;
        let copied: Vec<_> = expected
            .iter()
            .map(|table| format!("begin_load {table} replace"))
            .collect();
        assert_eq!(copies(&one, from), copied, "{arguments:?}");
    }
    load.end().await;
    hold(&database, &[&one, &two], &["t", "u"]).await;
    assert_eq!(begins(&two), before, "the other lane was touched");
    let left = engine.folder().join("tahr-state/lanes/s.one.resync.json");
    assert!(!left.exists());
    // All targets of a sync, one of which rests.
    tahr(&engine, &["pause", "s/two"], 0);
    let asked = tahr(&engine, &["resync", "s", "t"], 0);
    says(
        &asked,
        &[
            "lane s/one copies public.t again",
            "lane s/two copies public.t again once it is resumed",
        ],
    );
    done(&engine, "one").await;
    let status = engine.tahr(&["status"]).stdout;
    assert!(status.contains("to be copied again: 1 table"), "{status}");
    tahr(&engine, &["resume", "s/two"], 0);
    done(&engine, "two").await;
    assert_eq!(begins(&two).2, before.2 + 1);
    hold(&database, &[&one, &two], &["t", "u"]).await;
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_for_survives_a_crash_and_finished_tables_are_not_copied_twice() {
    let (one, two) = (Scripted::new(), Scripted::new());
    let (database, engine, running) = streaming(&[("one", &one), ("two", &two)]).await;
    let from = one.calls().len();
    one.script("end_load hold table=public.u");
    tahr(&engine, &["resync", "s/one"], 0);
    eventually(SOON, "the second copy is held", async || {
        one.called("end_load held")
    })
    .await;
    let lane = engine.lane("one").expect("a lane");
    assert_eq!(lane.state, State::Copying);
    let left: Vec<_> = lane.resync.into_iter().collect();
    assert_eq!(left, ["public.u"]);
    let progress = lane.copy.expect("its progress");
    assert_eq!((progress.tables_done, progress.tables), (1, 2));
    // What happens meanwhile is neither lost nor held up elsewhere.
    database
        .execute("UPDATE t SET v = 'meanwhile' WHERE id < 9; DELETE FROM u WHERE id < 9")
        .await;
    hold(&database, &[&two], &["t", "u"]).await;
    running.kill9();
    one.script("");
    let running = engine.start();
    done(&engine, "one").await;
    assert_eq!(
        copies(&one, from),
        [
            "begin_load public.t replace",
            "begin_load public.u replace",
            "begin_load public.u replace"
        ]
    );
    hold(&database, &[&one, &two], &["t", "u"]).await;
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn it_goes_on_over_errors_of_the_target_and_a_stop_in_the_middle() {
    let one = Scripted::new();
    let (database, engine, running) = streaming(&[("one", &one)]).await;
    one.script("load transient times=2\nend_load fail_after table=public.t times=1");
    tahr(&engine, &["resync", "s/one"], 0);
    database.execute("INSERT INTO t VALUES (5000, 'a')").await;
    done(&engine, "one").await;
    hold(&database, &[&one], &["t", "u"]).await;
    one.script("begin_load slow ms=500");
    tahr(&engine, &["resync", "s", "u"], 0);
    running.terminate().assert_success();
    database.execute("INSERT INTO u VALUES (5000, 'a')").await;
    let running = engine.start();
    done(&engine, "one").await;
    hold(&database, &[&one], &["t", "u"]).await;
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_can_not_be_copied_and_nothing_is_asked_for() {
    let one = Scripted::new();
    let (_database, engine, running) = streaming(&[("one", &one)]).await;
    let before = begins(&one);
    for (arguments, says) in [
        (&["shop"][..], "the config has no sync \"shop\""),
        (&["s/onee"], "did you mean \"one\"?"),
        (&["s", "t", "tt"], "lane s/one has no table \"tt\""),
        (&["s", "public.tt"], "did you mean \"public.t\"?"),
        (&["s", "!t"], "excludes"),
    ] {
        let refused = tahr(&engine, &[&["resync"], arguments].concat(), 2);
        assert!(refused.stderr.contains(says), "{}", refused.stderr);
    }
    assert_eq!(begins(&one), before);
    running.terminate().assert_success();
    tahr(&engine, &["resync", "s"], 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_row_is_passed_by_a_new_copy() {
    let one = Scripted::new();
    let (database, engine, running) = streaming(&[("one", &one)]).await;
    one.script("write reject value=bad");
    database
        .execute("INSERT INTO t VALUES (5000, 'bad'); INSERT INTO u VALUES (5000, 'good')")
        .await;
    engine.await_lane("one", State::Parked).await;
    database
        .execute("UPDATE t SET v = 'good' WHERE id = 5000")
        .await;
    let asked = tahr(&engine, &["resync", "s/one", "t"], 0);
    says(&asked, &["lane s/one was parked; it copies public.t again"]);
    done(&engine, "one").await;
    hold(&database, &[&one], &["t", "u"]).await;
    running.terminate().assert_success();
}

/// Targets whose readers must see the old rows until the new ones are complete.
struct Read {
    postgres: Database,
    maria: MariaDatabase,
    mongodb: MongoDatabase,
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_never_see_an_emptied_table() {
    const ROWS: usize = 20_000;
    let server = Postgres::shared();
    let source = server.database().await;
    source
        .execute(&format!(
            "CREATE TABLE t (id int PRIMARY KEY, v text);
             INSERT INTO t SELECT g, repeat('v', 50) FROM generate_series(1, {ROWS}) g"
        ))
        .await;
    let read = Read {
        postgres: server.database().await,
        maria: MariaDb::shared().database().await,
        mongodb: Mongod::shared().database(),
    };
    let engine = Engine::builder()
        .config(format!(
            "[sources.src]\nurl = '{}'\n\
             [targets.pg]\nplugin = 'postgres'\noptions = {{ url = '{}' }}\n\
             [targets.maria]\nplugin = 'mysql'\noptions = {{ url = '{}' }}\n\
             [targets.mongo]\nplugin = 'mongodb'\noptions = {{ url = '{}' }}\n\
             [targets.lite]\nplugin = 'sqlite'\noptions = {{ path = 'copy.db' }}\n\
             [syncs.s]\nsources = ['src']\ntargets = ['pg', 'maria', 'mongo', 'lite']\n\
             tables = ['public.*']\n",
            source.url(),
            read.postgres.url(),
            read.maria.url(),
            read.mongodb.url(),
        ))
        .build();
    let targets = ["pg", "maria", "mongo", "lite"];
    let running = engine.start();
    for target in targets {
        engine.await_lane(target, State::Streaming).await;
    }
    let file = engine.folder().join("copy.db");
    let is_over = Arc::new(AtomicBool::new(false));
    let reader = {
        let (is_over, file) = (Arc::clone(&is_over), file.clone());
        tokio::spawn(async move {
            let mut looks = 0;
            while !is_over.load(Ordering::Relaxed) {
                read.look(&file, ROWS).await;
                looks += 1;
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            (looks, read)
        })
    };
    // A row that only the source has, as a target that lost it shows whether it was copied.
    for target in targets {
        tahr(&engine, &["resync", &format!("s/{target}"), "t"], 0);
    }
    source
        .execute("INSERT INTO t SELECT g, 'new' FROM generate_series(100001, 100100) g")
        .await;
    for target in targets {
        done(&engine, target).await;
    }
    is_over.store(true, Ordering::Relaxed);
    let (looks, read) = reader.await.expect("readers that never saw too few rows");
    assert!(looks > 5, "only {looks} looks");
    let query = "SELECT id, v FROM t";
    let expected = Rows::postgres(&source, query).await.expect("rows");
    eventually(SOON, "all hold the source's rows", async || {
        expected.same_as(&Rows::postgres(&read.postgres, query).await?)?;
        expected.same_as(&Rows::mysql(read.maria.url(), query).await?)?;
        expected.same_as(&Rows::sqlite(&file, query)?)?;
        expected.same_as(&Rows::mongodb(&read.mongodb, "t", COLUMNS)?)
    })
    .await;
    running.terminate().assert_success();
}

impl Read {
    /// Counts the rows, by one statement in each target.
    async fn look(&self, file: &Path, least: usize) {
        let enough = |target: &str, count: &str| {
            let count: usize = count.parse().expect("a number");
            assert!(count >= least, "{target} showed {count} rows");
        };
        let count = "SELECT count(*) FROM t";
        enough("postgres", &self.postgres.value(count).await);
        // A moment in which the table isn't there is one that an application would notice.
        enough("mariadb", &self.maria.value(count).await);
        let found = Rows::sqlite(file, count).expect("read the file");
        let expected = Rows::new(vec![vec![Some(least.to_string())]]);
        if expected.same_as(&found).is_err() {
            let more = Rows::sqlite(
                file,
                &format!("SELECT 1 FROM t LIMIT 1 OFFSET {}", least - 1),
            );
            assert!(
                !more.expect("read the file").is_empty(),
                "sqlite showed too few rows"
            );
        }
        let counted = self.mongodb.command(mongodb::bson::doc! { "count": "t" });
        let found = counted.get_i32("n").expect("a count");
        enough("mongodb", &found.to_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_of_many_tables_catches_up_between_the_groups_that_it_copies() {
    let one = Scripted::new();
    let (database, engine, running) = streaming(&[("one", &one)]).await;
    let many = "DO $$ BEGIN FOR n IN 10..68 LOOP
        EXECUTE format('CREATE TABLE many_%s (id int PRIMARY KEY, v text)', n); END LOOP; END $$";
    database.execute(many).await;
    engine.tahr(&["reload"]).assert_success();
    done(&engine, "one").await;
    hold(&database, &[&one], &["many_68", "t"]).await;
    let from = one.calls().len();
    one.script("begin_load hold table=public.many_12");
    tahr(&engine, &["resync", "s/one"], 0);
    eventually(SOON, "the copy is under way", async || {
        one.called("begin_load held")
    })
    .await;
    database
        .execute("INSERT INTO t VALUES (5000, 'meanwhile')")
        .await;
    one.script("");
    done(&engine, "one").await;
    hold(&database, &[&one], &["t", "u", "many_10"]).await;
    let calls = one.calls();
    let calls: Vec<_> = calls[from..].iter().collect();
    let is_load = |call: &&&String| call.starts_with("begin_load public.");
    assert_eq!(calls.iter().filter(is_load).count(), 61);
    let write = calls.iter().position(|call| call.starts_with("write"));
    let write = write.expect("the change that came meanwhile");
    let before = calls[..write].iter().filter(is_load).count();
    assert_eq!(before, 50, "it did not wait for all tables");
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_the_source_has_no_more_keeps_its_rows_and_holds_up_nothing() {
    let one = Scripted::new();
    let (database, engine, running) = streaming(&[("one", &one)]).await;
    let rows = one.rows("public.u", COLUMNS);
    database
        .execute("DROP TABLE u; ALTER TABLE t ADD extra int")
        .await;
    tahr(&engine, &["resync", "s"], 0);
    done(&engine, "one").await;
    database
        .execute("INSERT INTO t VALUES (5000, 'a', 1)")
        .await;
    hold(&database, &[&one], &["t"]).await;
    rows.assert_same(&one.rows("public.u", COLUMNS));
    let log = running.stderr();
    assert!(log.contains("table is not in the source any more"), "{log}");
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_dropped_and_made_again_while_tahr_is_stopped_is_copied_again() {
    let one = Scripted::new();
    let (database, engine, running) = streaming(&[("one", &one)]).await;
    database.execute("INSERT INTO u VALUES (5000, 'old')").await;
    hold(&database, &[&one], &["t", "u"]).await;
    running.terminate().assert_success();
    let from = one.calls().len();
    database
        .execute(
            "INSERT INTO t VALUES (5000, 'a'); INSERT INTO u VALUES (5001, 'gone'); DROP TABLE u;
             CREATE TABLE u (id int PRIMARY KEY, v text); INSERT INTO u VALUES (1, 'new')",
        )
        .await;
    let running = engine.start();
    hold(&database, &[&one], &["t", "u"]).await;
    assert_eq!(copies(&one, from), ["begin_load public.u replace"]);
    database.execute("INSERT INTO u VALUES (2, 'new')").await;
    hold(&database, &[&one], &["t", "u"]).await;
    running.terminate().assert_success();
    let log = engine.start();
    engine.await_lane("one", State::Streaming).await;
    assert_eq!(copies(&one, from).len(), 1, "it is known now");
    log.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_config_of_an_unknown_lane_leaves_no_wish_behind() {
    let one = Scripted::new();
    let database = Postgres::shared().database().await;
    database
        .execute("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'a')")
        .await;
    let config = sync(database.url(), &[("one", &one)], "");
    let engine = Engine::builder().config(config).build();
    let running = engine.start();
    engine.await_lane("one", State::Streaming).await;
    tahr(&engine, &["pause", "s"], 0);
    tahr(&engine, &["resync", "s"], 0);
    running.terminate().assert_success();
    let lanes = engine.folder().join("tahr-state/lanes");
    assert!(lanes.join("s.one.resync.json").exists());
    tahr(&engine, &["drop", "--yes"], 0);
    assert!(!lanes.exists(), "drop leaves nothing");
}
