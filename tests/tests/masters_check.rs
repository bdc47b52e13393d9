//! `tahr check` says whether the sources of one sync go together, each fault with what mends it.

use tahr::lane::State;
use tahr_tests::{Database, Engine, Finished, Postgres, unique};

const TABLE: &str = "CREATE TABLE t (id int PRIMARY KEY, v text)";

/// A database on the shared server for each of these scripts.
async fn databases(scripts: &[&str]) -> Vec<Database> {
    let mut made = Vec::new();
    for script in scripts {
        let database = Postgres::shared().database().await;
        database.execute(script).await;
        made.push(database);
    }
    made
}

/// Sources `a`, `b`, `c` …, at these URLs.
fn sources(urls: &[&str]) -> String {
    let named = ('a'..).zip(urls);
    named
        .map(|(name, url)| format!("[sources.{name}]\nurl = \"{url}\"\n"))
        .collect()
}

/// A sync of all tables of `public` among these sources, with `more` of its keys.
fn sync(name: &str, among: &str, more: &str) -> String {
    let names: Vec<_> = among.chars().map(|name| format!("\"{name}\"")).collect();
    format!(
        "[syncs.{name}]\nsources = [{}]\ntables = [\"public.*\"]\n{more}\n",
        names.join(", ")
    )
}

fn engine(config: &str) -> Engine {
    Engine::builder().config(config).build()
}

/// Checks one sync of these databases.
fn check(databases: &[Database]) -> Finished {
    let urls: Vec<_> = databases.iter().map(Database::url).collect();
    let among = &"abc"[..databases.len()];
    engine(&format!("{}{}", sources(&urls), sync("shop", among, ""))).tahr(&["check"])
}

#[track_caller]
fn assert_names(text: &str, expected: &[&str]) {
    for expected in expected {
        assert!(text.contains(expected), "no {expected:?} in:\n{text}");
    }
}

/// Checks that there is one fault and no warning, which reads so.
#[track_caller]
fn one_fault(checked: &Finished, code: i32, expected: &[&str]) {
    checked.assert_code(code);
    assert_names(&checked.stderr, expected);
    assert_eq!(
        checked.stderr.matches("error: ").count(),
        1,
        "{}",
        checked.stderr
    );
    assert_names(&checked.stdout, &["1 fault: 1 "]);
}

/// Checks that nothing is wrong but for one warning, which reads so.
#[track_caller]
fn one_warning(checked: &Finished, expected: &[&str]) {
    checked.assert_success();
    assert_names(&checked.stderr, expected);
    assert_names(&checked.stdout, &["all well", "; 1 warning"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_that_go_together_are_well_whatever_the_order_of_their_columns() {
    let other = "CREATE TABLE t (v text, gone int, id int PRIMARY KEY); ALTER TABLE t DROP gone";
    let databases = databases(&[TABLE, other, TABLE]).await;
    let checked = check(&databases);
    checked.assert_success();
    assert_names(
        &checked.stdout,
        &["all well: 3 sources, 3 tables, 0 targets"],
    );
    assert!(!checked.stdout.contains("warning"), "{}", checked.stderr);
    let schemas = "SELECT count(*) FROM pg_namespace WHERE nspname = 'tahr'";
    assert_eq!(databases[0].value(schemas).await, "0", "nothing is written");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_missing_on_a_source_is_named() {
    let more = format!("{TABLE}; CREATE TABLE u (id int PRIMARY KEY)");
    let databases = databases(&[TABLE, &more]).await;
    one_fault(
        &check(&databases),
        3,
        &[
            "sync \"shop\" (a ⇄ b)",
            "table public.u is missing on source \"a\", and source \"b\" has it",
            "tables = [\"!public.u\"]",
        ],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_the_config_names_is_missed_once() {
    let both = format!("{TABLE}; CREATE TABLE u (id int PRIMARY KEY)");
    let databases = databases(&[&both, TABLE]).await;
    let config = format!(
        "{}[syncs.shop]\nsources = [\"a\", \"b\"]\ntables = [\"t\", \"u\", \"w\"]\n\
         [syncs.shop.table.u]\nconflict = \"skip\"\n",
        sources(&[databases[0].url(), databases[1].url()])
    );
    let checked = engine(&config).tahr(&["check"]);
    checked.assert_code(2);
    assert_names(
        &checked.stderr,
        &[
            "source \"a\" has no table public.w",
            "source \"b\" has no table public.w",
            "table public.u is missing on source \"b\"",
        ],
    );
    assert_eq!(
        checked.stderr.matches("error: ").count(),
        3,
        "{}",
        checked.stderr
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn other_columns_are_named_on_both_sides() {
    let other = "CREATE TABLE t (id int PRIMARY KEY, w text)";
    let checked = check(&databases(&[TABLE, other]).await);
    checked.assert_code(3);
    assert_names(
        &checked.stderr,
        &[
            "has column \"v\" on source \"a\" and not on source \"b\"",
            "has column \"w\" on source \"b\" and not on source \"a\"",
        ],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn another_key_is_named_with_both() {
    let other = "CREATE TABLE t (id int, v text, PRIMARY KEY (id, v))";
    one_fault(
        &check(&databases(&[TABLE, other]).await),
        3,
        &["table public.t has the key (id) on source \"a\" and (id, v) on source \"b\""],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_without_a_primary_key_is_refused_even_with_full_identity() {
    let keyless = "CREATE TABLE t (id int, v text); ALTER TABLE t REPLICA IDENTITY FULL";
    one_fault(
        &check(&databases(&[TABLE, keyless]).await),
        3,
        &[
            "source \"b\"",
            "table public.t has no primary key to tell its rows apart on several sources",
            "ADD PRIMARY KEY",
        ],
    );
    let late = "CREATE TABLE t (id int PRIMARY KEY DEFERRABLE, v text); \
                ALTER TABLE t REPLICA IDENTITY FULL";
    one_fault(
        &check(&databases(&[TABLE, late]).await),
        3,
        &[
            "has a deferrable primary key, which can't tell its rows apart",
            "ALTER TABLE \"public\".\"t\" DROP CONSTRAINT …, ADD PRIMARY KEY (…);",
        ],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_other_than_the_key_is_refused() {
    let other = "CREATE TABLE t (id int PRIMARY KEY, v text NOT NULL); \
                 CREATE UNIQUE INDEX t_v ON t (v); ALTER TABLE t REPLICA IDENTITY USING INDEX t_v";
    let databases = databases(&[other, other]).await;
    let checked = check(&databases);
    checked.assert_code(3);
    assert_names(
        &checked.stderr,
        &[
            "table public.t has a replica identity other than its primary key",
            "ALTER TABLE \"public\".\"t\" REPLICA IDENTITY DEFAULT;",
        ],
    );
    for database in &databases {
        database
            .execute("ALTER TABLE t REPLICA IDENTITY FULL")
            .await;
    }
    check(&databases).assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unlogged_table_is_one_fault_not_two() {
    let unlogged =
        format!("{TABLE}; ALTER TABLE t SET UNLOGGED; CREATE TABLE u (id int PRIMARY KEY)");
    let logged = format!("{TABLE}; CREATE TABLE u (id int PRIMARY KEY)");
    one_fault(
        &check(&databases(&[&logged, &unlogged]).await),
        3,
        &["table public.t is unlogged", "SET LOGGED"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn types_that_lose_values_are_warned_of() {
    let wide = "CREATE TABLE t (id bigint PRIMARY KEY, v varchar)";
    one_warning(
        &check(&databases(&[TABLE, wide]).await),
        &["column \"id\" is integer on source \"a\" and bigint on source \"b\""],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unique_key_that_only_one_has_is_warned_of() {
    let unique = format!("{TABLE}; ALTER TABLE t ADD UNIQUE (v)");
    one_warning(
        &check(&databases(&[TABLE, &unique]).await),
        &["has a unique key (v) on source \"b\" and not on source \"a\""],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn two_sources_that_are_one_database_are_refused() {
    let databases = databases(&[TABLE]).await;
    let url = databases[0].url();
    let config = format!("{}{}", sources(&[url, url]), sync("shop", "ab", ""));
    one_fault(
        &engine(&config).tahr(&["check"]),
        2,
        &[
            "sync \"shop\": sources \"a\" and \"b\" are the same database",
            "[sources.b]",
        ],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_that_differ_are_warned_of_with_what_was_measured() {
    let slow = format!(
        "{TABLE}; ALTER FUNCTION pg_catalog.clock_timestamp() RENAME TO true_clock;
         CREATE FUNCTION pg_catalog.clock_timestamp() RETURNS timestamptz VOLATILE LANGUAGE sql
         AS 'SELECT pg_catalog.true_clock() - interval ''7 seconds'''"
    );
    let checked = check(&databases(&[TABLE, &slow, TABLE]).await);
    checked.assert_success();
    assert_names(&checked.stdout, &["; 2 warnings"]);
    for other in ["a", "c"] {
        let ahead = format!("the clock of source \"{other}\" is ");
        let at = checked.stderr.find(&ahead).expect("a warning");
        let rest = &checked.stderr[at + ahead.len()..];
        assert_names(
            rest,
            &[
                " ms ahead of that of source \"b\" (± ",
                "judges by these clocks",
            ],
        );
        let measured: f64 = rest.split(' ').next().unwrap().parse().expect("a number");
        assert!((6_900.0..7_100.0).contains(&measured), "{measured}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn syncs_that_form_a_ring_are_refused_and_a_tree_is_not() {
    let databases = databases(&[TABLE, TABLE, TABLE]).await;
    let urls: Vec<_> = databases.iter().map(Database::url).collect();
    let checked = |syncs: &[(&str, &str)]| {
        let syncs: String = syncs
            .iter()
            .map(|(name, among)| sync(name, among, ""))
            .collect();
        engine(&format!("{}{syncs}", sources(&urls))).tahr(&["check"])
    };
    checked(&[("one", "ab"), ("two", "bc")]).assert_success();
    one_fault(
        &checked(&[("one", "ab"), ("two", "bc"), ("three", "ca")]),
        2,
        &[
            "syncs \"one\", \"three\", \"two\" form a ring",
            "put them into one sync: sources = [\"a\", \"b\", \"c\"]",
        ],
    );
    one_fault(
        &checked(&[("one", "abc"), ("two", "ca")]),
        2,
        &["syncs \"one\", \"two\" form a ring", "a ⇄ c"],
    );
}

/// A role that may replicate and read, and one that owns the tables.
struct Roles {
    role: String,
    owner: String,
}

impl Roles {
    /// `t` with a trigger, and a cascade to `u`, in `database`.
    async fn create(database: &Database, rights: &str) -> Self {
        let roles = Self {
            role: format!("writer_{}", unique()),
            owner: format!("owner_{}", unique()),
        };
        let (role, owner) = (&roles.role, &roles.owner);
        database
            .execute(&format!(
                "CREATE ROLE {role} LOGIN REPLICATION; CREATE ROLE {owner}; {TABLE};
                 CREATE TABLE u (id int PRIMARY KEY REFERENCES t ON DELETE CASCADE);
                 CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
                 CREATE TRIGGER stamp BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION touch();
                 ALTER TABLE t OWNER TO {owner}; ALTER TABLE u OWNER TO {owner};
                 GRANT ALL ON SCHEMA public TO {owner}; {}",
                rights.replace("$ROLE", role).replace("$OWNER", owner)
            ))
            .await;
        roles
    }

    async fn drop(&self, database: &Database) {
        let Self { role, owner } = self;
        database
            .execute(&format!(
                "DROP OWNED BY {role}, {owner} CASCADE; DROP ROLE {role}; DROP ROLE {owner}"
            ))
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_role_is_told_of_triggers_and_cascades_and_how_to_silence_them() {
    for (version, hint) in [
        (14, "before PostgreSQL 15 only a superuser may set"),
        (15, "GRANT SET ON PARAMETER session_replication_role TO"),
    ] {
        if !Postgres::versions().contains(&version) {
            continue;
        }
        let server = Postgres::own(Some(version), &[]);
        let (database, other) = (server.database().await, server.database().await);
        other
            .execute(&format!("{TABLE}; CREATE TABLE u (id int PRIMARY KEY)"))
            .await;
        let rights = format!(
            "GRANT CREATE ON DATABASE {} TO $ROLE; GRANT $OWNER TO $ROLE",
            database.name()
        );
        let roles = Roles::create(&database, &rights).await;
        let url = database.url_as(&roles.role);
        let config = format!(
            "{}{}",
            sources(&[&url, other.url()]),
            sync("shop", "ab", "")
        );
        let engine = engine(&config);
        let checked = engine.tahr(&["check"]);
        checked.assert_success();
        assert_names(
            &checked.stderr,
            &[
                "table public.t answers to rows that tahr applies",
                "triggers stamp; cascades of foreign keys u_id_fkey of public.u",
                "`trigger_effects` decides",
                hint,
            ],
        );
        if version >= 15 {
            let grant = "GRANT SET ON PARAMETER session_replication_role TO";
            database.execute(&format!("{grant} {}", roles.role)).await;
            let checked = engine.tahr(&["check"]);
            checked.assert_success();
            assert!(!checked.stderr.contains("stamp"), "{}", checked.stderr);
            // This one fires all the same.
            database
                .execute("ALTER TABLE t ENABLE ALWAYS TRIGGER stamp")
                .await;
            assert_names(
                &engine.tahr(&["check"]).stderr,
                &["even for a replica's session: triggers stamp;"],
            );
        }
    }
}

/// What the script for several sources has for `database`, after psql was told to connect to it.
fn sql_of(script: &Finished, database: &Database) -> String {
    let place = format!(" dbname={}\"", database.name());
    let parts = script.stdout.split("\\connect -reuse-previous=on ");
    let part = parts.skip(1).find(|part| {
        let line = part.lines().next().unwrap_or_default();
        line.starts_with("\"host=") && line.ends_with(&place)
    });
    let part = part.unwrap_or_else(|| panic!("no part for {place}: {}", script.stdout));
    part.lines().skip(1).collect::<Vec<_>>().join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_may_not_write_gets_a_script_that_lets_it() {
    let databases =
        databases(&["", &format!("{TABLE}; CREATE TABLE u (id int PRIMARY KEY)")]).await;
    let database = &databases[0];
    // A DBA's publication: the role needs to own nothing.
    let rights = "GRANT SELECT ON t, u TO $ROLE; CREATE PUBLICATION dba FOR TABLE t, u";
    let roles = Roles::create(database, rights).await;
    let config = format!(
        "{}{}",
        sources(&[&database.url_as(&roles.role), databases[1].url()]).replacen(
            '\n',
            "\npublication = \"dba\"\n",
            1
        ),
        sync("shop", "ab", "")
    );
    let engine = engine(&config);
    let checked = engine.tahr(&["check"]);
    let script = engine.tahr(&["check", "--sql"]);
    database.execute(&sql_of(&script, database)).await;
    let mended = engine.tahr(&["check"]);
    let run = engine.tahr(&["run", "--once"]);
    let dropped = engine.tahr(&["drop", "--yes"]);
    roles.drop(database).await;
    checked.assert_code(3);
    let role = &roles.role;
    assert_names(
        &checked.stderr,
        &[
            "table tahr.checkpoint doesn't exist, and publication dba has to carry it",
            "publication dba lacks tahr.checkpoint",
            "ALTER PUBLICATION \"dba\" ADD TABLE ONLY \"tahr\".\"checkpoint\";",
            &format!(
                "table public.t can't be written by role {role}, who lacks INSERT, UPDATE, DELETE, \
                 TRUNCATE"
            ),
            "GRANT INSERT, UPDATE, DELETE, TRUNCATE ON \"public\".\"t\"",
        ],
    );
    script.assert_success();
    mended.assert_success();
    run.assert_success();
    dropped.assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn sequences_that_a_role_may_not_alter_or_set_are_named() {
    let serial = "CREATE TABLE s (id serial PRIMARY KEY);
                  CREATE TABLE i (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY)";
    let databases = databases(&[serial, serial]).await;
    let database = &databases[0];
    let rights = "ALTER TABLE s OWNER TO $OWNER; GRANT ALL ON ALL TABLES IN SCHEMA public TO $ROLE;
                  CREATE PUBLICATION dba FOR TABLE s, i";
    let roles = Roles::create(database, rights).await;
    let mut found = Vec::new();
    for mode in ["interleave", "max", "leave"] {
        let config = format!(
            "{}[syncs.shop]\nsources = [\"a\", \"b\"]\ntables = [\"s\", \"i\"]\nsequences = \"{mode}\"\n",
            sources(&[&database.url_as(&roles.role), databases[1].url()]).replacen(
                '\n',
                "\npublication = \"dba\"\n",
                1
            ),
        );
        found.push(engine(&config).tahr(&["check"]).stderr);
    }
    roles.drop(database).await;
    let Roles { role, owner } = &roles;
    assert_names(
        &found[0],
        &[
            &format!(
                "sequence public.s_id_seq can't be altered for sequences = \"interleave\" by role {role}"
            ),
            &format!("GRANT \"{owner}\" TO \"{role}\";"),
            "sequence public.i_id_seq can't be altered",
            "choose sequences = \"max\" or \"leave\"",
        ],
    );
    assert_names(
        &found[1],
        &[
            "sequence public.s_id_seq can't be set for sequences = \"max\"",
            "GRANT SELECT, UPDATE ON SEQUENCE \"public\".\"s_id_seq\" TO",
        ],
    );
    assert!(!found[2].contains("sequence public"), "{}", found[2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_without_a_right_to_the_schema_is_told_and_the_script_gives_it() {
    for (made, fault) in [
        ("", "schema tahr doesn't exist, and role"),
        ("CREATE SCHEMA tahr;", "schema tahr exists, and role"),
        (
            "CREATE SCHEMA tahr; CREATE TABLE tahr.checkpoint (engine text, sync text, \
             sequence bigint NOT NULL, notes bytea, PRIMARY KEY (engine, sync));",
            "table tahr.checkpoint does not belong to role",
        ),
    ] {
        let databases = databases(&[
            made,
            &format!("{TABLE}; CREATE TABLE u (id int PRIMARY KEY)"),
        ])
        .await;
        let database = &databases[0];
        let roles = Roles::create(database, "GRANT $OWNER TO $ROLE").await;
        let config = format!(
            "{}{}",
            sources(&[&database.url_as(&roles.role), databases[1].url()]),
            sync("shop", "ab", "")
        );
        let engine = engine(&config);
        let checked = engine.tahr(&["check"]);
        let script = engine.tahr(&["check", "--sql"]);
        database.execute(&sql_of(&script, database)).await;
        let mended = engine.tahr(&["check"]);
        let run = engine.tahr(&["run", "--once"]);
        let dropped = engine.tahr(&["drop", "--yes"]);
        roles.drop(database).await;
        checked.assert_code(3);
        assert_names(&checked.stderr, &[fault]);
        mended.assert_success();
        run.assert_success();
        dropped.assert_success();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_in_the_way_of_tahrs_own_is_named() {
    let taken = format!("{TABLE}; CREATE SCHEMA tahr; CREATE TABLE tahr.checkpoint (engine text)");
    one_fault(
        &check(&databases(&[TABLE, &taken]).await),
        3,
        &["table tahr.checkpoint is not tahr's: it has no column sync, sequence, notes; rename it"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_joins_a_running_sync_gets_what_it_needs() {
    let databases = databases(&[TABLE, TABLE]).await;
    let urls = sources(&[databases[0].url(), databases[1].url()]);
    let target = "[targets.copy]\nplugin = \"sqlite\"\noptions = { path = \"copy.db\" }\n";
    let alone = sync("shop", "a", "targets = [\"copy\"]");
    let engine = engine(&format!("{urls}{target}{alone}"));
    let running = engine.start();
    engine.await_lane("copy", State::Streaming).await;
    let both = "sources = [\"a\", \"b\"]";
    engine.write_config(&engine.config().replace("sources = [\"a\"]", both));
    let reloaded = engine.tahr(&["reload"]);
    reloaded.assert_success();
    assert_names(&reloaded.stdout, &["1 lane unchanged"]);
    let published = "SELECT string_agg(schemaname || '.' || tablename, ',' ORDER BY 1)
                     FROM pg_publication_tables";
    let marks = "SELECT engine || ' ' || sync FROM tahr.checkpoint";
    for database in &databases {
        assert_eq!(database.value(published).await, "public.t,tahr.checkpoint");
        let mark = database.value(marks).await;
        assert_eq!(mark, format!("{} shop", engine.name()));
    }
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_away_is_named_and_the_others_are_compared() {
    let other = "CREATE TABLE t (id int PRIMARY KEY, w text)";
    let databases = databases(&[TABLE, other]).await;
    let nowhere = "postgres://nobody@127.0.0.1:1/nothing?connect_timeout=5";
    let config = format!(
        "{}{}",
        sources(&[databases[0].url(), nowhere, databases[1].url()]),
        sync("shop", "abc", "")
    );
    let checked = engine(&config).tahr(&["check"]);
    checked.assert_code(3);
    assert_names(
        &checked.stderr,
        &[
            "127.0.0.1:1",
            "has column \"w\" on source \"c\" and not on source \"a\"",
        ],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_is_named_in_one_go() {
    let first = "CREATE TABLE t (id int PRIMARY KEY, v text);
        CREATE TABLE only_a (id int PRIMARY KEY); CREATE TABLE keyed (id int PRIMARY KEY, v int);
        CREATE TABLE keyless (id int); ALTER TABLE keyless REPLICA IDENTITY FULL;
        CREATE UNLOGGED TABLE scratch (id int PRIMARY KEY); CREATE TABLE wide (id int PRIMARY KEY);
        CREATE SCHEMA tahr; CREATE TABLE tahr.checkpoint (engine text)";
    let second = "CREATE TABLE t (id int PRIMARY KEY, w text);
        CREATE TABLE keyed (id int, v int PRIMARY KEY); CREATE TABLE keyless (id int PRIMARY KEY);
        CREATE TABLE scratch (id int PRIMARY KEY); CREATE TABLE wide (id bigint PRIMARY KEY)";
    let databases = databases(&[first, second]).await;
    let (a, b) = (databases[0].url(), databases[1].url());
    let config = format!(
        "{}{}{}{}",
        sources(&[a, b, a]),
        sync("shop", "ab", ""),
        sync("again", "ba", ""),
        "[syncs.twice]\nsources = [\"a\", \"c\"]\ntables = [\"wide\"]\n"
    );
    let checked = engine(&config).tahr(&["check"]);
    checked.assert_code(2);
    assert_names(
        &checked.stderr,
        &[
            "syncs \"again\", \"shop\" form a ring",
            "sync \"twice\": sources \"a\" and \"c\" are the same database",
            "table tahr.checkpoint is not tahr's",
            "table public.keyless has no primary key",
            "table public.scratch is unlogged",
            "table public.only_a is missing on source \"b\"",
            "table public.keyed has the key (id) on source \"a\" and (v) on source \"b\"",
            "has column \"v\" on source \"a\" and not on source \"b\"",
            "has column \"w\" on source \"b\" and not on source \"a\"",
        ],
    );
    assert_eq!(
        checked.stderr.matches("public.only_a").count(),
        2,
        "{}",
        checked.stderr
    );
}
