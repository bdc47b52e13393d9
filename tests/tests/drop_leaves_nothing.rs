//! `tahr drop` leaves a source exactly as it was found, and no bookkeeping in a target.

use std::time::Duration;

use tahr_tests::{Database, Engine, Postgres, Redis, RedisDatabase, Row, Rows, eventually, unique};

const TABLES: &str = "CREATE TABLE t (id int PRIMARY KEY, v text); \
    INSERT INTO t SELECT i, 'row ' || i FROM generate_series(1, 50) i; \
    CREATE TABLE u (id int PRIMARY KEY); INSERT INTO u VALUES (1)";

/// Everything in the catalog that tahr could have made.
async fn catalog(database: &Database) -> Vec<Row> {
    let query = "
        SELECT 'slot', slot_name::text FROM pg_replication_slots WHERE database = current_database()
        UNION ALL SELECT 'publication', pubname::text FROM pg_publication
        UNION ALL SELECT 'schema', nspname::text FROM pg_namespace WHERE nspname !~ '^pg_(toast|temp)'
        UNION ALL SELECT 'relation', c.oid::regclass::text || c.relreplident::text FROM pg_class c
                  WHERE c.relnamespace::regnamespace::text !~ '^pg_'
        UNION ALL SELECT 'function', oid::regprocedure::text FROM pg_proc WHERE oid >= 16384
        UNION ALL SELECT 'trigger', tgname::text FROM pg_trigger
        UNION ALL SELECT 'event trigger', evtname::text FROM pg_event_trigger
        UNION ALL SELECT 'type', oid::regtype::text FROM pg_type WHERE oid >= 16384
        ORDER BY 1, 2";
    database.query(query).await
}

struct Setup {
    source: Database,
    copy: Database,
    cache: RedisDatabase,
    engine: Engine,
}

/// One source into three targets by the syncs `shop` (table `t`) and `more` (table `u`).
async fn setup() -> Setup {
    let server = Postgres::shared();
    let (source, copy) = (server.database().await, server.database().await);
    source.execute(TABLES).await;
    let cache = Redis::shared().database();
    let engine = Engine::builder()
        .config(format!(
            "[sources.shop]\nurl = \"{}\"\n\
             [targets.file]\nplugin = \"sqlite\"\noptions = {{ path = \"copy.db\" }}\n\
             [targets.copy]\nplugin = \"postgres\"\noptions = {{ url = \"{}\" }}\n\
             [targets.cache]\nplugin = \"redis\"\noptions = {{ url = \"{}\" }}\n\
             [syncs.shop]\nsources = [\"shop\"]\ntargets = [\"file\", \"copy\", \"cache\"]\n\
             tables = [\"t\"]\n\
             [syncs.more]\nsources = [\"shop\"]\ntargets = [\"copy\"]\ntables = [\"u\"]\n",
            source.url(),
            copy.url(),
            cache.url()
        ))
        .build();
    Setup {
        source,
        copy,
        cache,
        engine,
    }
}

/// Names of the tables of a SQLite file.
fn tables(engine: &Engine) -> Rows {
    let query = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY 1";
    Rows::sqlite(&engine.folder().join("copy.db"), query).expect("read the file")
}

fn names(names: &[&str]) -> Rows {
    Rows::new(
        names
            .iter()
            .map(|name| vec![Some((*name).to_owned())])
            .collect(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn the_source_is_as_it_was_and_copied_rows_stay() {
    let Setup {
        source,
        copy,
        cache,
        engine,
    } = setup().await;
    let (before, copy_before) = (catalog(&source).await, catalog(&copy).await);
    engine.run_once();
    assert_ne!(catalog(&source).await, before);

    // Nobody is there to ask.
    let refused = engine.tahr(&["drop"]);
    refused.assert_code(2);
    assert!(
        refused.stderr.contains("tahr drop --yes"),
        "{}",
        refused.stderr
    );

    let dropped = engine.tahr(&["drop", "--yes"]);
    dropped.assert_success();
    assert_eq!(catalog(&source).await, before, "{}", dropped.stdout);
    assert!(!engine.folder().join("tahr-state").exists());
    tables(&engine).assert_same(&names(&["t"]));
    assert_eq!(copy.value("SELECT count(*) FROM t").await, "50");
    let left: Vec<Row> = catalog(&copy).await;
    let tahrs = left.iter().filter(|row| !copy_before.contains(row));
    let tahrs = tahrs.filter(|row| row.iter().flatten().any(|text| text.contains("tahr")));
    assert_eq!(tahrs.count(), 0, "{left:?}");
    assert_eq!(cache.keys("t:").expect("scan").len(), 50);
    assert!(cache.keys("tahr:").expect("scan").is_empty());

    assert!(
        dropped.stdout.contains("removed state folder"),
        "{}",
        dropped.stdout
    );

    // There is nothing left to drop, which is said, and nothing comes of trying.
    let again = engine.tahr(&["drop", "--yes"]);
    again.assert_success();
    let last = again.stdout.lines().last();
    assert_eq!(last, Some("nothing is left to drop"), "{}", again.stdout);
    assert!(!again.stdout.contains("removed"), "{}", again.stdout);
    assert_eq!(catalog(&source).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_what_never_ran_makes_nothing() {
    let Setup {
        source,
        copy,
        cache,
        engine,
    } = setup().await;
    let (before, copy_before) = (catalog(&source).await, catalog(&copy).await);
    engine.tahr(&["drop", "--yes"]).assert_success();
    assert_eq!(catalog(&source).await, before);
    assert_eq!(catalog(&copy).await, copy_before);
    assert!(cache.keys("").expect("scan").is_empty());
    assert!(!engine.folder().join("copy.db").exists());
    assert!(!engine.folder().join("tahr-state").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn with_data_the_copied_tables_are_emptied() {
    let Setup {
        source,
        copy,
        cache,
        engine,
    } = setup().await;
    let before = catalog(&source).await;
    copy.execute("CREATE TABLE theirs (id int); INSERT INTO theirs VALUES (1)")
        .await;
    cache.command::<()>("SET theirs 1");
    engine.run_once();
    engine
        .tahr(&["drop", "--with-data", "--yes"])
        .assert_success();
    assert_eq!(catalog(&source).await, before);
    tables(&engine).assert_same(&names(&["t"]));
    let file = engine.folder().join("copy.db");
    assert!(
        Rows::sqlite(&file, "SELECT * FROM t")
            .expect("read the file")
            .is_empty()
    );
    let counts = "SELECT (SELECT count(*) FROM t) || ' ' || (SELECT count(*) FROM u) || ' ' || \
                  (SELECT count(*) FROM theirs)";
    assert_eq!(copy.value(counts).await, "0 0 1");
    assert_eq!(cache.keys("").expect("scan"), ["theirs"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_another_sync_has_taken_over_is_emptied_and_not_said_to_be_kept() {
    let setup = setup().await;
    let (copy, engine) = (&setup.copy, &setup.engine);
    let config = engine.config();
    let both = config.find("[syncs.more]").expect("the other sync");
    engine.write_config(&config[..both].replace("[\"t\"]", "[\"t\", \"u\"]"));
    engine.run_once();
    engine.write_config(&format!("{config}existing = \"replace\"\n"));
    engine.run_once();
    let dropped = engine.tahr(&["drop", "--with-data", "--yes"]);
    dropped.assert_success();
    let said = dropped.stdout.lines();
    let said: Vec<_> = said
        .filter(|line| line.starts_with("target \"copy\"") && line.contains("public.u"))
        .collect();
    assert_eq!(
        said,
        [
            "target \"copy\": emptied public.u",
            "target \"copy\": left public.u to sync \"more\", which has it now instead of \"shop\"",
        ],
        "{}",
        dropped.stdout
    );
    // Where no sync has it any more.
    assert!(
        dropped.stdout.contains(
            "target \"file\": kept rows of public.u, which sync \"shop\" doesn't name any more"
        ),
        "{}",
        dropped.stdout
    );
    assert_eq!(copy.value("SELECT count(*) FROM u").await, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_sync_of_two_goes_and_the_other_goes_on() {
    let Setup {
        source,
        copy,
        engine,
        ..
    } = setup().await;
    let before = catalog(&source).await;
    engine.run_once();
    let dropped = engine.tahr(&["drop", "shop", "--yes"]);
    dropped.assert_success();
    assert!(
        dropped.stderr.contains("remove [syncs.shop] from"),
        "{}",
        dropped.stderr
    );
    let published = "SELECT string_agg(tablename, ',') FROM pg_publication_tables";
    assert_eq!(source.value(published).await, "u");
    let checkpoints = "SELECT string_agg(DISTINCT sync, ',') FROM tahr_checkpoint";
    assert_eq!(copy.value(checkpoints).await, "more");

    let config = engine.config();
    let start = config.find("[syncs.shop]").expect("the sync");
    let end = config.find("[syncs.more]").expect("the other sync");
    engine.write_config(&format!("{}{}", &config[..start], &config[end..]));
    source.execute("INSERT INTO u VALUES (2)").await;
    engine.run_once();
    assert_eq!(copy.value("SELECT count(*) FROM u").await, "2");

    let unknown = engine.tahr(&["drop", "shop", "--yes"]);
    unknown.assert_code(2);
    assert!(
        unknown.stderr.contains("no sync \"shop\""),
        "{}",
        unknown.stderr
    );
    engine.tahr(&["drop", "more", "--yes"]).assert_success();
    assert_eq!(catalog(&source).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_engine_is_not_dropped_from_under() {
    // Whole, so that its targets live as long as the engine.
    let setup = setup().await;
    let (source, engine) = (&setup.source, &setup.engine);
    let running = engine.start();
    // Snapshots of the copies have slots of their own for a moment.
    let slots = "SELECT count(*) FROM pg_replication_slots
                 WHERE database = current_database() AND NOT temporary";
    eventually(
        Duration::from_secs(30),
        "the engine has its slot",
        async || match source.value(slots).await.as_str() {
            "1" => Ok(()),
            _ => Err(running.stderr()),
        },
    )
    .await;
    let refused = engine.tahr(&["drop", "--yes"]);
    refused.assert_code(1);
    assert!(
        refused
            .stderr
            .contains("the engine of this config runs (pid"),
        "{}",
        refused.stderr
    );
    assert!(refused.stderr.contains("tahr stop"), "{}", refused.stderr);
    assert_eq!(source.value(slots).await, "1");
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_out_of_reach_is_named_and_all_else_is_dropped() {
    let source = Postgres::shared().database().await;
    source.execute(TABLES).await;
    let before = catalog(&source).await;
    let mut redis = Redis::own(&[]);
    let cache = redis.database();
    let engine = Engine::builder()
        .config(format!(
            "[sources.shop]\nurl = \"{}\"\n\
             [targets.cache]\nplugin = \"redis\"\noptions = {{ url = \"{}\" }}\n\
             [targets.file]\nplugin = \"sqlite\"\noptions = {{ path = \"copy.db\" }}\n\
             [syncs.shop]\nsources = [\"shop\"]\ntargets = [\"cache\", \"file\"]\ntables = [\"t\"]\n",
            source.url(),
            cache.url()
        ))
        .build();
    engine.run_once();
    redis.stop();
    let dropped = engine.tahr(&["drop", "--yes"]);
    dropped.assert_code(4);
    assert!(
        dropped.stderr.contains("target \"cache\" still holds"),
        "{}",
        dropped.stderr
    );
    assert_eq!(catalog(&source).await, before);
    tables(&engine).assert_same(&names(&["t"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dba_made_stays() {
    let source = Postgres::shared().database().await;
    let slot = format!("dba_{}", unique());
    source.execute(TABLES).await;
    source.execute("CREATE PUBLICATION dba FOR TABLE t").await;
    source
        .execute(&format!(
            "SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput')"
        ))
        .await;
    let before = catalog(&source).await;
    let engine = Engine::builder()
        .config(format!(
            "[sources.shop]\nurl = \"{}\"\npublication = \"dba\"\nslot = \"{slot}\"\n\
             [targets.file]\nplugin = \"sqlite\"\noptions = {{ path = \"copy.db\" }}\n\
             [syncs.shop]\nsources = [\"shop\"]\ntargets = [\"file\"]\ntables = [\"t\"]\n",
            source.url()
        ))
        .build();
    engine.run_once();
    engine.tahr(&["drop", "--yes"]).assert_success();
    assert_eq!(catalog(&source).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_of_one_sync_are_as_they_were_and_so_is_their_target() {
    let server = Postgres::shared();
    let mut sources = Vec::new();
    let mut config = String::new();
    for name in ["north", "south", "west"] {
        let source = server.database().await;
        source
            .execute("CREATE TABLE t (id serial PRIMARY KEY, v text)")
            .await;
        config.push_str(&format!("[sources.{name}]\nurl = \"{}\"\n", source.url()));
        let before = catalog(&source).await;
        sources.push((source, before));
    }
    config.push_str(
        "[targets.file]\nplugin = \"sqlite\"\noptions = { path = \"copy.db\" }\n\
         [syncs.shop]\nsources = [\"north\", \"south\"]\ntargets = [\"file\"]\ntables = [\"t\"]\n\
         [syncs.branch]\nsources = [\"south\", \"west\"]\ntables = [\"t\"]\n",
    );
    let engine = Engine::builder().config(config).build();
    engine.run_once();
    let marks = "SELECT string_agg(sync, ',' ORDER BY sync) FROM tahr.checkpoint";
    let published = "SELECT string_agg(schemaname || '.' || tablename, ',' ORDER BY 1)
                     FROM pg_publication_tables";
    let mut found = Vec::new();
    for (source, _) in &sources {
        assert_eq!(source.value(published).await, "public.t,tahr.checkpoint");
        found.push(source.value(marks).await);
    }
    assert_eq!(found, ["shop", "branch,shop", "branch"]);

    engine.tahr(&["drop", "shop", "--yes"]).assert_success();
    assert_eq!(catalog(&sources[0].0).await, sources[0].1);
    for (source, before) in &sources[1..] {
        assert_eq!(source.value(marks).await, "branch");
        assert_eq!(source.value(published).await, "public.t,tahr.checkpoint");
        assert_ne!(catalog(source).await, *before);
    }
    assert!(!engine.folder().join("tahr-state/masters/shop").exists());

    let dropped = engine.tahr(&["drop", "--yes"]);
    dropped.assert_success();
    let increments = "SELECT string_agg(increment_by::text, ',') FROM pg_sequences";
    for (source, before) in &sources {
        assert_eq!(catalog(source).await, *before, "{}", dropped.stdout);
        assert_eq!(source.value(increments).await, "1");
    }
    assert!(!engine.folder().join("tahr-state").exists());
    tables(&engine).assert_same(&names(&["t"]));
}
