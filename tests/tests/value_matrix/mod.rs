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
mod postgres;
mod redis;
mod site;
mod sqlite;
mod values;

use std::collections::BTreeMap;

use tahr_tests::{Database, Random, Redis};

use self::judge::{Column, Judge, Table};
use self::site::{Judged, Site};
use self::values::{OWN_SETUP, Type};
use crate::scene::clean;

/// Rows that are copied; as many are streamed.
const ROWS: usize = 100;

/// Between the id of a copied row and that of its streamed twin.
const TWIN: i64 = 1000;

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
    ]
}

/// A table with a column of each type, and the literals of its rows.
struct Matrix {
    types: Vec<Type>,
    judged: Judged,
}

impl Matrix {
    fn new(types: Vec<Type>, random: &mut Random) -> Self {
        let id = Column {
            name: "id".to_owned(),
            base: "integer".to_owned(),
        };
        let column = |(number, kind): (usize, &Type)| Column {
            name: format!("c{number}"),
            base: kind.base.clone(),
        };
        let columns = types.iter().enumerate().map(column);
        let columns = [id].into_iter().chain(columns).collect();
        let mut literals = BTreeMap::new();
        for id in 1..=i64::try_from(ROWS).unwrap_or_default() {
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
            judged: Judged {
                table: Table { name, columns },
                literals,
                twin: Some(TWIN),
            },
        }
    }

    fn create(&self) -> String {
        let columns = self.types.iter().enumerate();
        let columns: Vec<String> = columns
            .map(|(number, kind)| format!("c{number} {}", kind.name))
            .collect();
        format!(
            "CREATE TABLE v (id int PRIMARY KEY, {})",
            columns.join(", ")
        )
    }

    /// Inserts the rows, a few at a time, under ids that are `shift` higher.
    async fn insert(&self, source: &Database, shift: i64) {
        let rows: Vec<String> = (1..=i64::try_from(ROWS).unwrap_or_default())
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
            for id in 1..ROWS {
                if id % 4 == number % 4 {
                    for id in [id, id + usize::try_from(TWIN).unwrap_or_default()] {
                        let literals = &mut self.judged.literals;
                        let next = literals[&(id + 1).to_string()][number + 1].clone();
                        if let Some(row) = literals.get_mut(&id.to_string()) {
                            row[number + 1] = next;
                        }
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

/// Runs `types` through every target. `setup` makes the types in the source; half of the targets
/// that could hold them have them too.
async fn arrives(types: Vec<Type>, setup: &str) {
    let mut random = Random::new();
    let server = tahr_tests::Postgres::shared();
    let source = server.database().await;
    let mut matrix = Matrix::new(types, &mut random);
    source
        .execute(&format!(
            "{setup}; CREATE TABLE done (id int PRIMARY KEY); {}",
            matrix.create()
        ))
        .await;
    matrix.insert(&source, 0).await;
    source.execute("INSERT INTO done VALUES (1)").await;

    let live = Site::new(&source, judges(&server, setup).await);
    let late = Site::new(&source, judges(&server, "").await);
    let running = live.engine.start();
    clean(&late.engine.run_once().stderr);
    late.judge(&source, &[&matrix.judged]).await;
    live.arrives(&running, 1).await;
    live.judge(&source, &[&matrix.judged]).await;

    matrix.insert(&source, TWIN).await;
    matrix.update(&source).await;
    source
        .execute("DELETE FROM v WHERE id % 1000 % 10 = 5; INSERT INTO done VALUES (2)")
        .await;
    clean(&late.engine.run_once().stderr);
    late.judge(&source, &[&matrix.judged]).await;
    live.arrives(&running, 2).await;
    live.judge(&source, &[&matrix.judged]).await;
    clean(&running.terminate().stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_value_of_a_scalar_type_is_in_every_target_what_its_rule_says() {
    arrives(values::scalars(), "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_array_and_range_is_in_every_target_what_its_rule_says() {
    arrives(values::nested(), "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_value_of_the_users_own_types_is_in_every_target_what_its_rule_says() {
    arrives(values::own(), OWN_SETUP).await;
}
