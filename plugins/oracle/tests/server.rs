//! The conformance suite on a real Oracle server, where `TAHR_TEST_ORACLE_URL` names one.
//!
//! All tables of the user are dropped, over and over: its name must begin with `tahr_test`.

mod schema;

use oracle::Connection;
use schema::{Place, Schema};
use tahr_oracle::OracleWriter;
use tahr_plugin_api::testing::conformance;

struct Server {
    url: String,
    user: String,
    password: String,
    connect: String,
}

impl Server {
    fn new(url: &str) -> Self {
        let parts = url.strip_prefix("oracle://").and_then(|rest| {
            let (who, place) = rest.rsplit_once('@')?;
            let (user, password) = who.split_once(':')?;
            Some((user.to_owned(), password.to_owned(), format!("//{place}")))
        });
        let (user, password, connect) =
            parts.expect("TAHR_TEST_ORACLE_URL = oracle://user:password@host:1521/service");
        assert!(
            user.to_lowercase().starts_with("tahr_test"),
            "its tables are dropped: the user's name must begin with tahr_test"
        );
        Self {
            url: url.to_owned(),
            user,
            password,
            connect,
        }
    }
}

impl Place for Server {
    fn fresh(&mut self) -> serde_json::Value {
        let options = serde_json::json!({ "url": self.url });
        let connection = self.connect();
        let tables = connection.query_as::<String>("SELECT table_name FROM user_tables", &[]);
        let tables: Vec<String> = tables.unwrap().map(Result::unwrap).collect();
        for table in tables {
            let sql = format!("DROP TABLE \"{table}\" CASCADE CONSTRAINTS PURGE");
            connection.execute(&sql, &[]).unwrap();
        }
        options
    }

    fn connect(&self) -> Connection {
        let connection = Connection::connect(&self.user, &self.password, &self.connect).unwrap();
        connection
            .execute("ALTER SESSION SET TIME_ZONE = '+00:00'", &[])
            .unwrap();
        connection
    }
}

#[test]
#[expect(clippy::print_stderr, reason = "a test that proves nothing says so")]
fn a_real_server_keeps_every_promise_of_a_writer() {
    let Ok(url) = std::env::var("TAHR_TEST_ORACLE_URL") else {
        eprintln!("skipped: no Oracle server: TAHR_TEST_ORACLE_URL is not set");
        return;
    };
    let mut schema = Schema::new(Server::new(&url), "text");
    let report = conformance::run::<OracleWriter>(&mut schema);
    let skipped: Vec<&str> = report.skipped.iter().map(|(name, _)| &**name).collect();
    assert_eq!(skipped, ["a table can be prepared between parts"]);
    schema.unfit = "null";
    let report = conformance::run_only::<OracleWriter>(&mut schema, "arrive");
    assert_eq!(report.skipped, []);
}
