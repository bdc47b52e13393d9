//! Rows that are named by keys of every type.
//!
//! A row has to be found again by the key that it was written under: by updates, deletes and moves,
//! whatever the key holds. Of types with equal values that print differently (`1.0` and `1.00`),
//! keys are also given the other spelling.

use std::collections::BTreeMap;

use tahr_tests::{Database, Postgres, Random};

use super::{
    judge::{Column, EMPTY_KEYS, Table},
    judges,
    site::{Judged, Site},
    values::{self, OWN_SETUP, Type},
};
use crate::scene::clean;

/// Keys that a table is given to begin with.
const KEYS: usize = 24;

/// Where an index entry would get too long for PostgreSQL, the literal is far longer than this.
const LONGEST: usize = 1000;

/// Longest key that every target takes, as PostgreSQL prints it.
const PRINTED: usize = 700;

/// Equal values of one type that print differently.
const SPELLINGS: &[(&str, &str, &str)] = &[
    ("numeric", "1.0", "1.00"),
    ("double precision", "-0", "0"),
    ("real", "0", "-0"),
    ("interval", "1 day", "24:00:00"),
    ("citext", "Abc", "aBC"),
    ("jsonb", r#"{"a": 1.0}"#, r#"{"a": 1.00}"#),
    ("numeric[]", "{1.0,NULL}", "{1.00,NULL}"),
    ("numrange", "[1.0,2.0)", "[1,2)"),
    ("character(6)", "a", "a  "),
];

/// Texts that are one in the eyes of some databases, and which PostgreSQL tells apart.
const ALIKE: &[&str] = &[
    "a",
    "A",
    "a ",
    " a",
    "",
    " ",
    "á",
    "a\u{301}",
    "ａ",
    "ß",
    "ss",
    "SS",
    "1",
    "01",
    "1.0",
    "\u{1}",
    "a\u{200d}",
    "a\t",
    "NULL",
    ":",
    "\\",
    "\\:",
    "a:b",
    "%",
    "_",
];

/// Types with a value that is empty text, or no bytes. They have a table with such keys, and another
/// one without.
const EMPTIABLE: &[&str] = &[
    "text",
    "character varying",
    "character varying(5)",
    "\"char\"",
    "name",
    "bytea",
    "bit varying",
    "bit varying(9)",
    "tsvector",
    "tsquery",
    "oidvector",
    "citext",
    "hstore",
];

/// A table whose key is of one type.
struct KeyTable {
    kind: Type,
    name: String,
    may_be_empty: bool,
    judged: Judged,
    statements: Vec<String>,
}

impl KeyTable {
    /// A table, and where keys of the type can be empty, another one that has such keys, too.
    fn of(number: usize, kind: &Type) -> Vec<Self> {
        let with_empty = format!("{EMPTY_KEYS}{number}");
        let name = format!("k{number}");
        match EMPTIABLE.contains(&&*kind.name) {
            true => vec![
                Self::new(name, kind.clone(), false),
                Self::new(with_empty, kind.clone(), true),
            ],
            false => vec![Self::new(name, kind.clone(), true)],
        }
    }

    fn new(name: String, kind: Type, may_be_empty: bool) -> Self {
        let column = |name: &str, base: &str| Column {
            name: name.to_owned(),
            base: base.to_owned(),
            is_domain: name == "k" && kind.is_domain(),
        };
        Self {
            judged: Judged {
                table: Table {
                    name: name.clone(),
                    columns: vec![
                        column("id", "integer"),
                        column("k", &kind.base),
                        column("v", "text"),
                    ],
                },
                literals: BTreeMap::new(),
                twin: None,
            },
            statements: vec![format!(
                "CREATE TABLE {name} (id int NOT NULL, k {} PRIMARY KEY, v text)",
                kind.name
            )],
            name,
            kind,
            may_be_empty,
        }
    }

    fn note(&mut self, id: usize, key: &str) {
        let row = [&id.to_string(), key, ""].map(str::to_owned);
        self.judged.literals.insert(id.to_string(), row.into());
    }

    fn insert(&mut self, id: usize, key: &str) {
        self.note(id, key);
        self.statements.push(format!(
            "INSERT INTO {} SELECT {id}, k, 'new' FROM (SELECT {key} AS k) AS one \
             WHERE {} ON CONFLICT DO NOTHING",
            self.name,
            self.fits("k"),
        ));
    }

    fn change(&mut self, statement: &str) {
        self.statements.push(statement.replace("TABLE", &self.name));
    }

    /// Another key, for one row.
    fn move_key(&mut self, id: usize, key: &str) {
        self.note(id, key);
        self.change(&format!(
            "UPDATE TABLE SET k = {key}, v = 'moved' WHERE id = {id} \
             AND {} AND NOT EXISTS (SELECT FROM TABLE WHERE k = {key})",
            self.fits(key)
        ));
    }

    /// The condition that the table takes the key.
    fn fits(&self, key: &str) -> String {
        let banned = match self.may_be_empty {
            true => "",
            false => r" AND k::text NOT IN ('', '\x')",
        };
        format!("(SELECT length(k::text) <= {PRINTED}{banned} FROM (SELECT {key} AS k) AS one)")
    }

    fn key(&self, random: &mut Random) -> String {
        loop {
            let key = self.kind.value(random);
            if key.len() < LONGEST {
                return key;
            }
        }
    }

    /// The rows that are copied.
    fn fill(&mut self, random: &mut Random) {
        if self.kind.name == "text" {
            for (number, text) in ALIKE.iter().enumerate() {
                self.insert(100 + number, &values::quoted(text));
            }
        }
        for id in 1..=KEYS {
            let key = self.key(random);
            self.insert(id, &key);
        }
        for (number, first, _) in self.spellings() {
            self.insert(number, &first);
        }
    }

    /// What is streamed.
    fn play(&mut self, random: &mut Random) {
        self.change("UPDATE TABLE SET v = 'x' WHERE id % 2 = 0");
        for id in (1..=KEYS).step_by(3) {
            let key = self.key(random);
            self.move_key(id, &key);
        }
        self.change("UPDATE TABLE SET v = v || 'y' WHERE id % 3 <> 2");
        for (id, first, second) in self.spellings() {
            self.change(&format!("UPDATE TABLE SET k = {second} WHERE id = {id}"));
            self.note(id, &second);
            self.change(&format!("UPDATE TABLE SET v = 'z' WHERE k = {first}"));
            // In one transaction: the row goes, and comes back in the first spelling.
            self.change(&format!(
                "BEGIN; DELETE FROM TABLE WHERE k = {first}; \
                 INSERT INTO TABLE VALUES ({id}, {first}, 'back'); \
                 UPDATE TABLE SET v = 'back again', k = {second} WHERE id = {id}; \
                 UPDATE TABLE SET v = v || '!' WHERE id = {id}; COMMIT"
            ));
        }
        self.change("DELETE FROM TABLE WHERE id % 4 = 1");
        for id in 30..36 {
            let key = self.key(random);
            self.insert(id, &key);
        }
        self.change("UPDATE TABLE SET v = 'w' WHERE id BETWEEN 30 AND 32 OR id > 100");
        self.change("DELETE FROM TABLE WHERE id IN (31, 33, 110, 111)");
    }

    fn spellings(&self) -> Vec<(usize, String, String)> {
        let own = |(number, &(name, first, second)): (usize, &(&str, &str, &str))| {
            let literal = |text| format!("{}::{name}", values::quoted(text));
            (name == self.kind.name).then(|| (90 + number, literal(first), literal(second)))
        };
        SPELLINGS.iter().enumerate().filter_map(own).collect()
    }

    async fn run(&mut self, source: &Database) {
        for statement in std::mem::take(&mut self.statements) {
            if let Err(error) = source.try_execute(&statement).await {
                panic!("{error:.2000}");
            }
        }
    }
}

/// The types that may be a key in PostgreSQL.
fn key_types() -> Vec<Type> {
    let keyless = [
        "xid",
        "cid",
        "json",
        "jsonpath",
        "xml",
        "point",
        "line",
        "lseg",
        "box",
        "path",
        "polygon",
        "circle",
        "txid_snapshot",
        "pg_snapshot",
        "int2vector",
        "regtype",
        "nested",
        "couple",
    ];
    let nested = [
        "integer[]",
        "text[]",
        "numeric[]",
        "bytea[]",
        "numrange",
        "tstzrange",
        "int4multirange",
    ];
    let own = [
        "mood", "citext", "hstore", "pair", "positive", "flag", "price", "blob", "texts", "mood[]",
        "pair[]",
    ];
    let mut types = values::scalars();
    types.retain(|kind| !keyless.contains(&&*kind.name));
    let others = values::nested().into_iter().chain(values::own());
    types.extend(others.filter(|kind| nested.contains(&&*kind.name) || own.contains(&&*kind.name)));
    types
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_any_type_finds_its_row_again_in_every_target() {
    let mut random = Random::new();
    let server = Postgres::shared();
    let source = server.database().await;
    source
        .execute(&format!(
            "{OWN_SETUP}; CREATE TABLE done (id int PRIMARY KEY)"
        ))
        .await;
    let types = key_types().into_iter().enumerate();
    let mut tables: Vec<KeyTable> = types
        .flat_map(|(number, kind)| KeyTable::of(number, &kind))
        .collect();
    for table in &mut tables {
        table.fill(&mut random);
        table.run(&source).await;
    }
    let live = Site::new(&source, judges(&server, OWN_SETUP).await);
    let late = Site::new(&source, judges(&server, "").await);
    let running = live.engine.start();
    clean(&late.engine.run_once().stderr);
    live.streams(&running).await;
    for table in &mut tables {
        table.play(&mut random);
        table.run(&source).await;
    }
    source.execute("INSERT INTO done VALUES (1)").await;
    clean(&late.engine.run_once().stderr);
    live.arrives(&running).await;
    let judged: Vec<&Judged> = tables.iter().map(|table| &table.judged).collect();
    late.judge(&source, &judged).await;
    live.judge(&source, &judged).await;
    clean(&running.terminate().stderr);
}
