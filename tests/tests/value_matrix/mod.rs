//! Every value of every type in every target, with PostgreSQL as the judge.
//!
//! Rows of random values are copied; the same ones are inserted again while the engine streams, and
//! then columns of both are updated one by one, so that most updates leave long values unsent. At
//! the end each value of each target has to be what PostgreSQL prints, under the rule that
//! `docs/types.md` states for the target, and the copied row has to equal its streamed twin.
//! [`keys`] does the same to rows that are named by keys of every type.
//!
//! One engine follows live; another gets the changes in one go, merged and compacted.

mod judge;
mod keys;
mod mongodb;
mod mysql;
mod oracle;
mod postgres;
mod redis;
mod site;
mod sqlite;
pub(crate) mod values;

use std::collections::BTreeMap;

use tahr_tests::{Database, MariaDb, Mongod, Random, Redis};

use self::judge::{Column, Judge, Table};
use self::site::{Judged, Site};
use self::values::{OWN_SETUP, Type};
use crate::scene::clean;

/// Between the id of a copied row and that of its streamed twin.
const TWIN: i64 = 1000;

/// Between the old id and the new one of a row that moves.
const MOVED: i64 = 5000;

/// A fresh target of each kind. `setup` prepares those that could hold the user's own types.
async fn judges(server: &tahr_tests::Postgres, setup: &str) -> Vec<Box<dyn Judge>> {
    let postgres = server.database().await;
    postgres.execute(setup).await;
    let redis = Redis::shared();
    vec![
        Box::new(postgres::Postgres(postgres)),
        Box::new(sqlite::Sqlite::new()),
        Box::new(redis::Hashes(redis.database())),
        Box::new(redis::Documents(redis.database())),
        Box::new(mysql::Mysql::text(MariaDb::shared().database().await)),
        Box::new(mongodb::Mongodb::text(Mongod::shared().database())),
        Box::new(oracle::Oracle::new()),
    ]
}

/// How the table's rows are told apart.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Identity {
    Key,
    /// `REPLICA IDENTITY FULL` without any key: by all their values.
    Full,
}

/// A table with a column of each type, and the literals of its rows.
struct Matrix {
    types: Vec<Type>,
    /// Rows that are copied; as many are streamed.
    rows: i64,
    judged: Judged,
}

impl Matrix {
    fn new(types: Vec<Type>, rows: i64, random: &mut Random) -> Self {
        let id = Column {
            name: "id".to_owned(),
            base: "integer".to_owned(),
            is_domain: false,
        };
        let column = |(number, kind): (usize, &Type)| Column {
            name: format!("c{number}"),
            base: kind.base.clone(),
            is_domain: kind.is_domain(),
        };
        let columns = types.iter().enumerate().map(column);
        let columns = [id].into_iter().chain(columns).collect();
        let mut literals = BTreeMap::new();
        for id in 1..=rows {
            let value = |kind: &Type, random: &mut Random| match random.one_in(12) {
                true => format!("NULL::{}", kind.name),
                false => kind.value(random),
            };
            let row = types.iter().map(|kind| value(kind, random));
            let row: Vec<String> = [id.to_string()].into_iter().chain(row).collect();
            literals.insert((id + TWIN).to_string(), row.clone());
            literals.insert(id.to_string(), row);
        }
        let name = "v".to_owned();
        Self {
            types,
            rows,
            judged: Judged {
                table: Table { name, columns },
                literals,
                twin: Some(TWIN),
            },
        }
    }

    fn create(&self, identity: Identity) -> String {
        let columns = self.types.iter().enumerate();
        let columns: Vec<String> = columns
            .map(|(number, kind)| format!("c{number} {}", kind.name))
            .collect();
        let (key, then) = match identity {
            Identity::Key => ("PRIMARY KEY", ""),
            Identity::Full => ("", "ALTER TABLE v REPLICA IDENTITY FULL"),
        };
        format!(
            "CREATE TABLE v (id int {key}, {}); {then}",
            columns.join(", ")
        )
    }

    /// Inserts the rows, a few at a time, under ids that are `shift` higher.
    async fn insert(&self, source: &Database, shift: i64) {
        let rows: Vec<String> = (1..=self.rows)
            .map(|id| {
                let row = &self.judged.literals[&id.to_string()][1..];
                format!("({}, {})", id + shift, row.join(", "))
            })
            .collect();
        for rows in rows.chunks(7) {
            let statement = format!("INSERT INTO v VALUES {}", rows.join(", "));
            if let Err(error) = source.try_execute(&statement).await {
                panic!("{error:.2000}");
            }
        }
    }

    /// Gives a quarter of the rows, others for each column, the column's value of the next row.
    async fn update(&mut self, source: &Database) {
        let mut statements = String::new();
        for number in 0..self.types.len() {
            statements += &format!(
                "UPDATE v SET c{number} = n.c{number} FROM v n \
                 WHERE n.id = v.id + 1 AND v.id % {TWIN} % 4 = {};\n",
                number % 4
            );
            let is_changed = |id: &i64| usize::try_from(id % 4) == Ok(number % 4);
            for id in (1..self.rows).filter(is_changed) {
                for id in [id, id + TWIN] {
                    let literals = &mut self.judged.literals;
                    let next = literals[&(id + 1).to_string()][number + 1].clone();
                    if let Some(row) = literals.get_mut(&id.to_string()) {
                        row[number + 1] = next;
                    }
                }
            }
            if number % 9 == 8 {
                source.execute(&std::mem::take(&mut statements)).await;
            }
        }
        source.execute(&statements).await;
    }
}

impl Matrix {
    /// Gives rows other ids: to new ones, and two rows to each other's. Their long values are not
    /// sent with that.
    async fn move_ids(&mut self, source: &Database) {
        let mut statements = "BEGIN;".to_owned();
        let mut rename = |from: i64, to: i64| {
            statements += &format!("UPDATE v SET id = {to} WHERE id = {from};");
            let literals = &mut self.judged.literals;
            if let Some(row) = literals.remove(&from.to_string()) {
                literals.insert(to.to_string(), row);
            }
        };
        for half in [0, TWIN] {
            for id in (7..=self.rows).step_by(10) {
                rename(half + id, half + id + MOVED);
            }
            for id in (2..self.rows).step_by(8) {
                rename(half + id, -1);
                rename(half + id + 1, half + id);
                rename(-1, half + id + 1);
            }
        }
        statements += "COMMIT";
        source.execute(&statements).await;
    }
}

/// Runs `types` through every target. `setup` makes the types in the source; half of the targets
/// that could hold them have them too.
async fn arrives(types: Vec<Type>, setup: &str, rows: i64, identity: Identity) {
    let mut random = Random::new();
    let server = tahr_tests::Postgres::shared();
    let source = server.database().await;
    let mut matrix = Matrix::new(types, rows, &mut random);
    source
        .execute(&format!(
            "{setup}; CREATE TABLE done (id int PRIMARY KEY); {}",
            matrix.create(identity)
        ))
        .await;
    matrix.insert(&source, 0).await;

    let (mut here, mut there) = (judges(&server, setup).await, judges(&server, "").await);
    let lossy = mysql::Mysql::null(MariaDb::shared().database().await);
    here.push(Box::new(lossy));
    let dates = mongodb::Mongodb::dates(Mongod::shared().database());
    here.push(Box::new(dates));
    if identity == Identity::Full {
        here.retain(|judge| judge.takes_keyless());
        there.retain(|judge| judge.takes_keyless());
    }
    let (live, late) = (Site::new(&source, here), Site::new(&source, there));
    let running = live.engine.start();
    clean(&late.engine.run_once().stderr);
    late.judge(&source, &[&matrix.judged]).await;
    live.streams(&running).await;
    live.judge(&source, &[&matrix.judged]).await;

    matrix.insert(&source, TWIN).await;
    matrix.update(&source).await;
    matrix.move_ids(&source).await;
    source
        .execute("DELETE FROM v WHERE id % 1000 % 10 = 5; INSERT INTO done VALUES (1)")
        .await;
    clean(&late.engine.run_once().stderr);
    late.judge(&source, &[&matrix.judged]).await;
    live.arrives(&running).await;
    live.judge(&source, &[&matrix.judged]).await;
    clean(&running.terminate().stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_value_of_a_scalar_type_is_in_every_target_what_its_rule_says() {
    arrives(values::scalars(), "", 60, Identity::Key).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_array_and_range_is_in_every_target_what_its_rule_says() {
    arrives(values::nested(), "", 60, Identity::Key).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_value_of_the_users_own_types_is_in_every_target_what_its_rule_says() {
    arrives(values::own(), OWN_SETUP, 60, Identity::Key).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_without_a_key_is_found_again_by_its_values_of_every_type() {
    let own = values::own();
    let types = values::scalars().into_iter().chain(own).collect();
    arrives(types, OWN_SETUP, 16, Identity::Full).await;
}
