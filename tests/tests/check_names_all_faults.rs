//! `tahr check` names every fault at once, writes nothing, and says by its exit code where to begin.

use tahr_tests::{Database, Engine, Postgres, Redis, eventually, unique};

/// Nobody listens there.
const NOWHERE: &str = "postgres://nobody@127.0.0.1:1/nothing?connect_timeout=5";

async fn database(tables: &str) -> Database {
    let database = Postgres::shared().database().await;
    database.execute(tables).await;
    database
}

/// A source, a target and a sync of all tables of `public`.
fn config(url: &str, target: &str) -> String {
    format!(
        "[sources.shop]\nurl = \"{url}\"\n[targets.copy]\n{target}\n\
         [syncs.shop]\nsources = [\"shop\"]\ntargets = [\"copy\"]\ntables = [\"public.*\"]\n"
    )
}

const SQLITE: &str = "plugin = \"sqlite\"\noptions = { path = \"copy.db\" }";

#[track_caller]
fn assert_names(text: &str, expected: &[&str]) {
    for expected in expected {
        assert!(text.contains(expected), "no {expected:?} in:\n{text}");
    }
}

/// What tahr could have made on a source.
async fn made(database: &Database) -> String {
    let query = "SELECT (SELECT count(*) FROM pg_publication) + (SELECT count(*) FROM \
                 pg_replication_slots WHERE database = current_database())";
    database.value(query).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_config_without_faults_is_well_and_nothing_is_written() {
    let database =
        database("CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY)").await;
    let engine = Engine::builder()
        .config(config(database.url(), SQLITE))
        .build();
    let checked = engine.tahr(&["check"]);
    checked.assert_success();
    assert!(
        checked
            .stdout
            .starts_with("all well: 1 source, 2 tables, 1 target"),
        "{}",
        checked.stdout
    );
    assert_eq!(made(&database).await, "0");
    assert!(!engine.folder().join("copy.db").exists());
    assert!(!engine.folder().join("tahr-state").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_of_config_sources_and_targets_are_named_in_one_go() {
    let database = database(
        "CREATE TABLE customers (id int PRIMARY KEY, name text); CREATE TABLE keyless (id int)",
    )
    .await;
    let engine = Engine::builder()
        .config(format!(
            "[sources.shop]\nurl = \"{}\"\n[sources.gone]\nurl = \"{NOWHERE}\"\n\
             [targets.copy]\nplugin = \"sqlite\"\noptions = {{ path = \"missing/copy.db\" }}\n\
             [targets.far]\nplugin = \"postgres\"\noptions = {{ url = \"{NOWHERE}\" }}\n\
             [targets.typo]\nplugin = \"sqlitee\"\n\
             [syncs.shop]\nsources = [\"shop\"]\ntargets = [\"copy\", \"far\", \"typo\"]\n\
             tables = [\"public.*\"]\n\
             [syncs.shop.table.\"public.custmers\"]\nrename = \"clients\"\n\
             [syncs.shop.table.\"public.customers\"]\nexclude = [\"nmae\"]\n\
             [syncs.empty]\nsources = [\"shop\"]\ntargets = [\"copy\"]\ntables = [\"nowhere.*\"]\n\
             [syncs.gone]\nsources = [\"gone\"]\ntargets = [\"copy\"]\ntables = [\"public.*\"]\n",
            database.url()
        ))
        .build();
    let checked = engine.tahr(&["check"]);
    checked.assert_code(2);
    assert_names(
        &checked.stderr,
        &[
            "plugin \"sqlitee\" is not in any plugin folder (searched /",
            "did you mean \"sqlite\"?",
            "rules are for public.custmers",
            "did you mean \"public.customers\"?",
            "public.customers has no column \"nmae\"",
            "sync \"empty\": its patterns match no table",
            "table public.keyless has no primary key",
            "ALTER TABLE \"public\".\"keyless\" REPLICA IDENTITY FULL;",
            "source \"gone\" (postgres://nobody@127.0.0.1:1/nothing)",
            "folder missing does not exist",
            "target \"far\" (postgres)",
            "127.0.0.1:1",
        ],
    );
    assert_names(
        &checked.stdout,
        &["8 faults: 4 in the config, 2 of sources, 2 of targets"],
    );
    assert_eq!(
        checked.stderr.matches("public.keyless").count(),
        1,
        "{}",
        checked.stderr
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_or_target_out_of_reach_is_named_with_what_was_tried() {
    let source = Engine::builder()
        .config(config(NOWHERE, SQLITE))
        .build()
        .tahr(&["check"]);
    source.assert_code(3);
    assert_names(
        &source.stderr,
        &["source \"shop\"", "127.0.0.1:1", "refused"],
    );

    let database = database("CREATE TABLE a (id int PRIMARY KEY)").await;
    let far = format!("plugin = \"postgres\"\noptions = {{ url = \"{NOWHERE}\" }}");
    let engine = Engine::builder()
        .config(config(database.url(), &far))
        .build();
    let target = engine.tahr(&["check"]);
    target.assert_code(4);
    assert_names(
        &target.stderr,
        &["target \"copy\"", "127.0.0.1:1", "refused"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_options_of_a_target_are_faults_of_the_config() {
    let database = database("CREATE TABLE a (id int PRIMARY KEY)").await;
    for (target, named) in [
        (
            "plugin = \"redis\"\noptions = { url = \"http://x\" }",
            "url",
        ),
        ("plugin = \"postgres\"\noptions = { url = \"x\" }", "url"),
    ] {
        let engine = Engine::builder()
            .config(config(database.url(), target))
            .build();
        let checked = engine.tahr(&["check"]);
        checked.assert_code(2);
        assert_names(&checked.stderr, &["target \"copy\"", named, "hint:"]);
        assert_names(&checked.stdout, &["1 fault: 1 in the config"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_misspelt_option_of_any_plugin_is_named_with_the_one_that_is_meant() {
    let database = database("CREATE TABLE a (id int PRIMARY KEY)").await;
    for (plugin, given, meant) in [
        ("jsonl", "foldre", "folder"),
        ("mongodb", "databse", "database"),
        ("mysql", "create_table", "create_tables"),
        ("oracle", "pasword", "password"),
        ("postgres", "creat_tables", "create_tables"),
        ("redis", "ulr", "url"),
        ("sqlite", "paht", "path"),
    ] {
        let target = format!("plugin = \"{plugin}\"\noptions = {{ {given} = \"x\" }}");
        let engine = Engine::builder()
            .config(config(database.url(), &target))
            .build();
        let checked = engine.tahr(&["check"]);
        checked.assert_code(2);
        let text = engine.config();
        let line = text.lines().position(|line| line.contains(given));
        let line = line.expect("the option's line") + 1;
        let fault = format!("tahr.toml:{line}: plugin \"{plugin}\" has no option \"{given}\"");
        let hint = format!("hint: did you mean \"{meant}\"?");
        assert_names(&checked.stderr, &[&fault, &hint]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_the_first_copy_will_find_are_told_until_it_was_made() {
    let source = database(
        "CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY);
         INSERT INTO a VALUES (1); INSERT INTO b VALUES (1)",
    )
    .await;
    let target = database("CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a VALUES (7)").await;
    let cache = Redis::shared().database();
    cache.command::<()>("HSET b:9 id 9");
    let keys = "key = \"{table}:{pk}\"";
    let text = format!(
        "[targets.cache]\nplugin = \"redis\"\noptions = {{ url = \"{}\", {keys} }}\n{}",
        cache.url(),
        config(
            source.url(),
            &format!(
                "plugin = \"postgres\"\noptions = {{ url = \"{}\" }}",
                target.url()
            )
        )
    );
    let text = text.replace("targets = [\"copy\"]", "targets = [\"copy\", \"cache\"]");
    let engine = Engine::builder().config(&text).build();
    let (parks, removes) = ("its lane parks at the copy", "its first copy removes them");
    let rows_of = |object: &str, fate: &str| {
        format!("{object}: holds rows that sync \"shop\" has not copied: {fate}")
    };

    let refused = engine.tahr(&["check"]);
    refused.assert_code(4);
    let in_cache = rows_of("b:*", removes);
    assert_names(
        &refused.stderr,
        &[
            &format!("error: {}", rows_of("public.a", parks)),
            &format!("warning: {in_cache}"),
        ],
    );
    for silent in ["public.b: holds", "a:*: holds"] {
        assert!(!refused.stderr.contains(silent), "{}", refused.stderr);
    }

    engine.write_config(&engine.config().replace(
        "tables = [\"public.*\"]",
        "tables = [\"public.*\"]\nexisting = \"replace\"",
    ));
    let replaced = engine.tahr(&["check"]);
    replaced.assert_success();
    let in_table = rows_of("public.a", removes);
    assert_names(
        &replaced.stderr,
        &[&format!("warning: {in_table}"), &in_cache],
    );

    engine.run_once().assert_success();
    assert_eq!(
        target
            .value("SELECT string_agg(id::text, ',') FROM a")
            .await,
        "1"
    );
    let copied = engine.tahr(&["check"]);
    copied.assert_success();
    assert!(!copied.stderr.contains("holds rows"), "{}", copied.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_logical_decoding_is_told_the_setting() {
    let server = Postgres::own(None, &[("wal_level", "replica")]);
    let database = server.database().await;
    database
        .execute("CREATE TABLE a (id int PRIMARY KEY)")
        .await;
    let engine = Engine::builder()
        .config(config(database.url(), SQLITE))
        .build();
    let checked = engine.tahr(&["check"]);
    checked.assert_code(3);
    assert_names(
        &checked.stderr,
        &[
            "wal_level is replica, not logical",
            "ALTER SYSTEM SET wal_level",
        ],
    );
    let run = engine.tahr(&["run", "--once"]);
    run.assert_code(3);
    assert_names(&run.stderr, &["wal_level is replica, not logical"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_without_rights_gets_a_script_that_gives_them() {
    let database = database("CREATE TABLE t (id int PRIMARY KEY)").await;
    let (role, owner) = (
        format!("reader_{}", unique()),
        format!("owner_{}", unique()),
    );
    database
        .execute(&format!(
            "CREATE ROLE {role} LOGIN; CREATE ROLE {owner}; ALTER TABLE t OWNER TO {owner};
             GRANT ALL ON SCHEMA public TO {owner}"
        ))
        .await;
    let engine = Engine::builder()
        .config(config(&database.url_as(&role), SQLITE))
        .build();
    let checked = engine.tahr(&["check"]);
    let script = engine.tahr(&["check", "--sql"]);
    database.execute(&script.stdout).await;
    let mended = engine.tahr(&["check"]);
    database
        .execute(&format!(
            "DROP OWNED BY {role}, {owner}; DROP ROLE {role}; DROP ROLE {owner}"
        ))
        .await;
    checked.assert_code(3);
    assert_names(
        &checked.stderr,
        &[
            &format!("role {role} may not replicate"),
            "hint: ALTER ROLE",
        ],
    );
    script.assert_success();
    mended.assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hints_of_a_target_without_rights_give_them_as_they_stand() {
    let source = database(
        "CREATE TABLE a (id int PRIMARY KEY);
         CREATE SCHEMA s; CREATE TABLE s.b (id int PRIMARY KEY)",
    )
    .await;
    let target = database("CREATE TABLE a (id int PRIMARY KEY)").await;
    let role = format!("writer_{}", unique());
    target
        .execute(&format!(
            "CREATE ROLE {role} LOGIN; REVOKE CREATE ON SCHEMA public FROM PUBLIC;
             DO $$ BEGIN EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', \
             current_database()); END $$"
        ))
        .await;
    let options = format!(
        "plugin = \"postgres\"\noptions = {{ url = \"{}\" }}",
        target.url_as(&role)
    );
    let text = config(source.url(), &options).replace("\"public.*\"", "\"*.*\"");
    let engine = Engine::builder().config(text).build();
    let checked = engine.tahr(&["check"]);
    let hints = checked
        .stderr
        .lines()
        .filter_map(|line| line.trim().strip_prefix("hint: "));
    let grants: Vec<_> = hints.filter(|hint| hint.starts_with("GRANT ")).collect();
    target.execute(&grants.join("\n")).await;
    let mended = engine.tahr(&["check"]);
    target
        .execute("CREATE TABLE public.tahr_checkpoint (\"table\" text)")
        .await;
    let unreadable = engine.tahr(&["check"]);
    target
        .execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}"))
        .await;
    checked.assert_code(4);
    unreadable.assert_code(4);
    let named =
        format!("GRANT SELECT, INSERT, UPDATE, DELETE ON public.tahr_checkpoint TO \"{role}\";");
    assert_names(&unreadable.stderr, &[&named]);
    assert_eq!(grants.len(), 4, "{}", checked.stderr);
    assert!(!checked.stderr.contains('…'), "{}", checked.stderr);
    mended.assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_tables_of_one_target_name_are_both_named_and_the_engine_does_not_start() {
    let database = database(
        "CREATE TABLE s_t (id int PRIMARY KEY); CREATE SCHEMA s; CREATE TABLE s.t (id int PRIMARY KEY)",
    )
    .await;
    let text = config(database.url(), SQLITE).replace("\"public.*\"", "\"public.*\", \"s.*\"");
    let engine = Engine::builder().config(text).build();
    for command in [&["check"][..], &["run", "--once"]] {
        let finished = engine.tahr(command);
        finished.assert_code(2);
        assert_names(
            &finished.stderr,
            &[
                "public.s_t",
                "s.t",
                "one object of target \"copy\"",
                "rename = \"another_name\"",
            ],
        );
    }
    assert_eq!(
        made(&database).await,
        "0",
        "a refused start leaves nothing on the source"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn two_syncs_that_write_one_table_are_both_named() {
    let database = database("CREATE TABLE t (id int PRIMARY KEY)").await;
    let second = "[syncs.again]\nsources = [\"shop\"]\ntargets = [\"copy\"]\ntables = [\"t\"]\n";
    let engine = Engine::builder()
        .config(config(database.url(), SQLITE))
        .config(second)
        .build();
    for command in [&["check"][..], &["run", "--once"]] {
        let finished = engine.tahr(command);
        finished.assert_code(2);
        assert_names(
            &finished.stderr,
            &["sync \"again\" and public.t of sync \"shop\" map to one"],
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_for_a_partition_would_do_nothing_and_is_an_error() {
    let database = database(
        "CREATE TABLE p (id int PRIMARY KEY, secret text) PARTITION BY RANGE (id);
         CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (9)",
    )
    .await;
    let rule = "[syncs.shop.table.\"public.p1\"]\nexclude = [\"secret\"]\n";
    let engine = Engine::builder()
        .config(config(database.url(), SQLITE))
        .config(rule)
        .build();
    let checked = engine.tahr(&["check"]);
    checked.assert_code(2);
    assert_names(&checked.stderr, &["rules for public.p1 have no effect"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_in_use_by_another_engine_is_named_with_its_user() {
    let database = database("CREATE TABLE t (id int PRIMARY KEY)").await;
    let slot = format!("dba_{}", unique());
    database
        .execute(&format!(
            "SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput')"
        ))
        .await;
    let text = config(database.url(), SQLITE).replace(
        "[targets.copy]",
        &format!("slot = \"{slot}\"\n[targets.copy]"),
    );
    let first = Engine::builder().config(&text).build();
    let running = first.start();
    let active = format!("SELECT active FROM pg_replication_slots WHERE slot_name = '{slot}'");
    eventually(
        std::time::Duration::from_secs(30),
        "the first engine streams",
        async || {
            let active = database.value(&active).await;
            if active == "t" {
                Ok(())
            } else {
                Err(running.stderr())
            }
        },
    )
    .await;
    let second = Engine::builder().config(&text).build().tahr(&["check"]);
    second.assert_code(3);
    let user = format!("(tahr {})", first.name());
    assert_names(
        &second.stderr,
        &[&format!("slot {slot} is in use by pid"), &user],
    );
    // The engine whose slot it is sees nothing wrong.
    first.tahr(&["check"]).assert_success();
    running.terminate().assert_success();
}
