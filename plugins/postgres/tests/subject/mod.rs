//! A database of the shared test server as a target, seen from outside.

use serde_json::{Value, json};
use tahr_plugin_api::{
    Relation,
    testing::{Row, Subject},
};
use tahr_tests::{Database, Postgres};
use tokio::runtime::Runtime;

/// A database that is made anew for each case.
pub struct PostgresSubject {
    runtime: Runtime,
    database: Option<Database>,
}

#[allow(dead_code, reason = "each test file uses some")]
impl PostgresSubject {
    pub fn new() -> Self {
        Self {
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime"),
            database: None,
        }
    }

    pub fn database(&self) -> &Database {
        self.database.as_ref().expect("fresh comes first")
    }

    pub fn execute(&self, statements: &str) {
        self.runtime.block_on(self.database().execute(statements));
    }

    pub fn query(&self, query: &str) -> Vec<Row> {
        self.runtime.block_on(self.database().query(query))
    }

    /// The only value of the only row.
    pub fn value(&self, query: &str) -> String {
        self.runtime.block_on(self.database().value(query))
    }

    pub fn options(&self) -> Value {
        json!({ "url": self.database().url() })
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn table(relation: &Relation) -> String {
    let target = &relation.target;
    format!("{}.{}", quoted(&target.schema), quoted(&target.table))
}

fn key(relation: &Relation) -> String {
    quoted(&relation.columns[relation.key()[0]].name)
}

impl Subject for PostgresSubject {
    fn fresh(&mut self) -> Value {
        let database = self.runtime.block_on(Postgres::shared().database());
        self.database = Some(database);
        self.options()
    }

    fn rows(&mut self, relation: &Relation) -> Vec<Row> {
        let found = format!("SELECT to_regclass($name${}$name$)", table(relation));
        if self.query(&found)[0][0].is_none() {
            return Vec::new();
        }
        let columns: Vec<_> = relation.columns.iter().map(|c| quoted(&c.name)).collect();
        self.query(&format!(
            "SET DateStyle = 'ISO'; SET IntervalStyle = 'postgres'; SET TimeZone = 'UTC'; \
             SET extra_float_digits = 3; SET bytea_output = 'hex'; SET lc_monetary = 'C'; \
             SELECT {} FROM {}",
            columns.join(", "),
            table(relation)
        ))
    }

    fn poison(&mut self, relation: &Relation, id: &str) -> bool {
        self.execute(&format!(
            "ALTER TABLE {} ADD CONSTRAINT poison_{id} CHECK ({} <> {id})",
            table(relation),
            key(relation)
        ));
        true
    }

    fn cure(&mut self, relation: &Relation, id: &str) {
        self.execute(&format!(
            "ALTER TABLE {} DROP CONSTRAINT poison_{id}",
            table(relation)
        ));
    }

    fn add_foreign_row(&mut self, relation: &Relation, id: &str) -> bool {
        self.execute(&format!(
            "INSERT INTO {} ({}) VALUES ({id})",
            table(relation),
            key(relation)
        ));
        true
    }

    fn has_bookkeeping(&mut self) -> bool {
        let count = "SELECT count(*) FROM pg_class WHERE relname LIKE 'tahr%' \
                     AND relkind = 'r' AND relpersistence <> 't'";
        self.value(count) != "0"
    }
}
