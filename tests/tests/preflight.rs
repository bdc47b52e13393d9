//! Preflight finds every fault of a source at once, and its script mends them.

use tahr::source::{Owner, Report, Request, object_name, preflight, script};
use tahr_plugin_api::TableName;
use tahr_postgres_connect::Url;
use tahr_tests::{Database, Postgres, unique};

async fn look(url: &str, publication: Option<&str>) -> Report {
    let url = Url::parse(url).expect("a URL");
    let owner = Owner {
        engine: "test".to_owned(),
        source: unique(),
    };
    let wanted = |table: &TableName| table.schema == "public";
    let request = Request {
        owner: &owner,
        application: "tahr",
        publication,
        slot: None,
        wanted: &wanted,
        shared: None,
    };
    preflight(&url, &request)
        .await
        .unwrap_or_else(|error| panic!("{error}"))
}

fn texts(report: &Report) -> Vec<String> {
    report.findings.iter().map(ToString::to_string).collect()
}

fn has(report: &Report, text: &str) -> bool {
    texts(report).iter().any(|finding| finding.contains(text))
}

async fn broken() -> Database {
    let database = Postgres::shared().database().await;
    database
        .execute(
            "CREATE TABLE fine (id int PRIMARY KEY);
             CREATE TABLE \"no\"\"key\" (id int);
             CREATE TABLE nothing (id int PRIMARY KEY);
             ALTER TABLE nothing REPLICA IDENTITY NOTHING;
             CREATE TABLE late (id int PRIMARY KEY DEFERRABLE);
             CREATE TABLE lost (id int NOT NULL); CREATE UNIQUE INDEX lost_id ON lost (id);
             ALTER TABLE lost REPLICA IDENTITY USING INDEX lost_id; DROP INDEX lost_id;
             CREATE UNLOGGED TABLE scratch (id int PRIMARY KEY);
             CREATE TABLE parts (id int PRIMARY KEY) PARTITION BY RANGE (id);
             CREATE TABLE leaf PARTITION OF parts FOR VALUES FROM (0) TO (9)",
        )
        .await;
    database
}

#[tokio::test(flavor = "multi_thread")]
async fn all_faults_are_named_at_once_and_the_script_mends_them() {
    let database = broken().await;
    let report = look(database.url(), None).await;
    assert!(!report.is_usable());
    for expected in [
        "table public.no\"key has no primary key",
        "table public.nothing has REPLICA IDENTITY NOTHING",
        "table public.late has a deferrable primary key",
        "table public.lost has lost the index",
        "table public.scratch is unlogged",
    ] {
        assert!(has(&report, expected), "{expected}: {:?}", texts(&report));
    }
    assert!(
        !has(&report, "fine") && !has(&report, "parts"),
        "{:?}",
        texts(&report)
    );

    database.execute(&script(&report.findings)).await;
    let report = look(database.url(), None).await;
    assert!(report.is_usable(), "{:?}", texts(&report));
    let tables: Vec<_> = report
        .tables
        .iter()
        .map(|table| table.relation.source.table.as_str())
        .collect();
    assert_eq!(
        tables,
        [
            "fine", "late", "lost", "no\"key", "nothing", "parts", "scratch"
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_without_rights_is_told_which_and_how_to_get_them() {
    let database = Postgres::shared().database().await;
    let (role, owner) = (
        format!("reader_{}", unique()),
        format!("owner_{}", unique()),
    );
    database
        .execute(&format!(
            "CREATE ROLE {role} LOGIN; CREATE ROLE {owner};
             CREATE TABLE t (id int PRIMARY KEY); ALTER TABLE t OWNER TO {owner};
             GRANT ALL ON SCHEMA public TO {owner}"
        ))
        .await;
    let url = database.url_as(&role);
    let report = look(&url, None).await;
    for expected in [
        "may not replicate".to_owned(),
        "may not create a publication".to_owned(),
        format!("table public.t belongs to {owner}"),
    ] {
        assert!(has(&report, &expected), "{expected}: {:?}", texts(&report));
    }
    database.execute(&script(&report.findings)).await;
    let mended = look(&url, None).await;
    database
        .execute(&format!(
            "DROP OWNED BY {role}, {owner}; DROP ROLE {role}; DROP ROLE {owner}"
        ))
        .await;
    assert!(mended.is_usable(), "{:?}", texts(&mended));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_script_gives_no_right_that_a_dbas_publication_makes_needless() {
    let database = Postgres::shared().database().await;
    let (role, owner) = (
        format!("reader_{}", unique()),
        format!("owner_{}", unique()),
    );
    database
        .execute(&format!(
            "CREATE ROLE {role} LOGIN REPLICATION; CREATE ROLE {owner};
             CREATE TABLE a (id int PRIMARY KEY);
             CREATE TABLE b (id int PRIMARY KEY); ALTER TABLE b OWNER TO {owner}"
        ))
        .await;
    let url = Url::parse(&database.url_as(&role)).expect("a URL");
    let asker = Owner {
        engine: "test".to_owned(),
        source: unique(),
    };
    let own = object_name(&asker).expect("a name");
    let wanted = |table: &TableName| table.schema == "public";
    let look = async |publication| {
        let request = Request {
            owner: &asker,
            application: "tahr",
            publication,
            slot: None,
            wanted: &wanted,
            shared: None,
        };
        preflight(&url, &request).await.expect("a report")
    };
    // A superuser owns one of the tables: whatever else the role may do, a DBA has to publish it.
    let report = look(None).await;
    let sql = script(&report.findings);
    for needless in ["GRANT CREATE", &format!("GRANT \"{owner}\"")] {
        assert!(!sql.contains(needless), "{needless}: {sql}");
    }
    database.execute(&sql).await;
    // It is there now. Nothing but its name in the config is missing, and no script can give that.
    let sql = script(&look(None).await.findings);
    let statements: Vec<_> = sql
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with("--"))
        .collect();
    assert_eq!(statements, [""; 0], "{sql}");
    let named = look(Some(&own)).await;
    assert!(named.is_usable(), "{:?}", texts(&named));

    // One of tahr's own that carries all tables stays as it is.
    let comment = format!("COMMENT ON PUBLICATION \"{own}\" IS '{asker}'");
    database.execute(&comment).await;
    let ready = look(None).await;
    assert!(ready.is_usable(), "{:?}", texts(&ready));
    // And one that lacks a table is altered, not made again.
    database
        .execute("CREATE TABLE c (id int PRIMARY KEY)")
        .await;
    let lacking = look(None).await;
    assert!(
        has(&lacking, &format!("a DBA alters publication {own}")),
        "{:?}",
        texts(&lacking)
    );
    database.execute(&script(&lacking.findings)).await;
    let mended = look(None).await;
    database
        .execute(&format!(
            "DROP OWNED BY {role}, {owner}; DROP ROLE {role}; DROP ROLE {owner}"
        ))
        .await;
    assert!(mended.is_usable(), "{:?}", texts(&mended));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_logical_decoding_and_free_slots_is_told_so() {
    let server = Postgres::own(
        None,
        &[
            ("wal_level", "replica"),
            ("max_replication_slots", "1"),
            ("max_wal_senders", "1"),
        ],
    );
    let database = server.database().await;
    let report = look(database.url(), None).await;
    for expected in [
        "setting wal_level is replica, not logical",
        "setting max_replication_slots is 1 with 0 in use",
        "setting max_wal_senders is 1 with 0 in use",
        "has no table that the syncs' patterns match",
    ] {
        assert!(has(&report, expected), "{expected}: {:?}", texts(&report));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publication_of_a_dba_must_carry_every_row_of_every_table() {
    let database = Postgres::shared().database().await;
    database
        .execute(
            "CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY);
             CREATE PUBLICATION dba FOR TABLE a WITH (publish = 'insert')",
        )
        .await;
    let report = look(database.url(), Some("dba")).await;
    assert!(
        has(&report, "publication dba lacks public.b"),
        "{:?}",
        texts(&report)
    );
    assert!(
        has(&report, "doesn't publish every operation"),
        "{:?}",
        texts(&report)
    );
    assert!(has(
        &look(database.url(), Some("none")).await,
        "publication none doesn't exist"
    ));
    database.execute(&script(&report.findings)).await;
    let report = look(database.url(), Some("dba")).await;
    assert!(report.is_usable(), "{:?}", texts(&report));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_wal_does_not_bring_is_refused_or_left_out_by_name() {
    // The newest of the versions refuses an update of a full identity with a computed column.
    let version = Postgres::versions().into_iter().max();
    let server = Postgres::own(version, &[]);
    let database = server.database().await;
    database
        .execute(
            "CREATE TABLE fine (id int PRIMARY KEY); CREATE MATERIALIZED VIEW seen AS SELECT 1 AS id;
             CREATE FOREIGN DATA WRAPPER elsewhere; CREATE SERVER far FOREIGN DATA WRAPPER elsewhere;
             CREATE FOREIGN TABLE abroad (id int) SERVER far;
             CREATE TABLE parts (id int) PARTITION BY RANGE (id);
             CREATE FOREIGN TABLE outpost PARTITION OF parts FOR VALUES FROM (0) TO (9) SERVER far;
             CREATE TABLE whole (id int, twice int GENERATED ALWAYS AS (id * 2) STORED);
             ALTER TABLE whole REPLICA IDENTITY FULL;
             CREATE TABLE made (id int, up int NOT NULL GENERATED ALWAYS AS (id + 1) STORED);
             CREATE UNIQUE INDEX made_up ON made (up);
             ALTER TABLE made REPLICA IDENTITY USING INDEX made_up;
             CREATE TABLE split (id int PRIMARY KEY) PARTITION BY RANGE (id);
             CREATE TABLE leaf PARTITION OF split DEFAULT; CREATE PUBLICATION dba FOR ALL TABLES",
        )
        .await;
    let report = look(database.url(), None).await;
    let whole = "table public.whole has a computed column in its replica identity";
    for (expected, is_due) in [
        ("materialized view public.seen is not replicated", true),
        ("table public.abroad is a foreign table", true),
        (
            "table public.parts has partitions that are foreign tables: outpost",
            true,
        ),
        (
            "table public.made has a computed column in its replica identity",
            true,
        ),
        (whole, version >= Some(18)),
        ("table public.fine", false),
    ] {
        assert_eq!(
            has(&report, expected),
            is_due,
            "{expected}: {:?}",
            texts(&report)
        );
    }
    let report = look(database.url(), Some("dba")).await;
    let says = "publication dba publishes partitions under their own names";
    assert!(has(&report, says), "{:?}", texts(&report));
}
