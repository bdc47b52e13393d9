//! What a client without tahr achieves: the same rows, sent by a loop that does nothing else.

use std::time::{Duration, Instant};

use mongodb::{
    Client,
    bson::{Document, doc},
};
use mysql_async::prelude::Queryable as _;
use tahr_tests::{Database, MariaDatabase, MongoDatabase, Row};

/// Rows in one statement or command.
const ROWS: usize = 1000;

/// The rows of `items`, as text.
pub(crate) async fn rows(source: &Database) -> Vec<Row> {
    source
        .query("SELECT id, name, price, ok::int, to_char(at, 'YYYY-MM-DD HH24:MI:SS.US'), note FROM items")
        .await
}

fn text(cell: &Option<String>) -> &str {
    cell.as_deref().unwrap_or_default()
}

/// How long upserts of 1000 rows each take on MySQL or MariaDB, in one transaction for ten of them.
pub(crate) async fn mysql(database: &MariaDatabase, rows: &[Row]) -> Duration {
    database
        .execute(
            "CREATE TABLE bare (id bigint PRIMARY KEY, name longtext, price longtext, ok tinyint,
               at datetime(6), note longtext) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4",
        )
        .await;
    let mut session = database.connect().await;
    let start = Instant::now();
    for (index, chunk) in rows.chunks(ROWS).enumerate() {
        if index % 10 == 0 {
            session.query_drop("BEGIN").await.expect("begin");
        }
        let mut statement = String::with_capacity(ROWS * 200);
        statement.push_str("INSERT INTO bare VALUES ");
        for (place, row) in chunk.iter().enumerate() {
            statement.push_str(if place == 0 { "(" } else { ",(" });
            for (column, cell) in row.iter().enumerate() {
                statement.push_str(if column == 0 { "'" } else { ",'" });
                statement.push_str(text(cell));
                statement.push('\'');
            }
            statement.push(')');
        }
        statement.push_str(
            " ON DUPLICATE KEY UPDATE name = VALUES(name), price = VALUES(price), ok = VALUES(ok),
              at = VALUES(at), note = VALUES(note)",
        );
        session.query_drop(statement).await.expect("upsert");
        if index % 10 == 9 {
            session.query_drop("COMMIT").await.expect("commit");
        }
    }
    session.query_drop("COMMIT").await.expect("commit");
    start.elapsed()
}

fn document(row: &Row) -> Document {
    let id: i64 = text(&row[0]).parse().expect("a number");
    doc! {
        "_id": id, "id": id, "name": text(&row[1]), "price": text(&row[2]), "ok": text(&row[3]) == "1",
        "at": text(&row[4]), "note": text(&row[5]),
    }
}

/// How long ordered bulk writes of 1000 rows each take on MongoDB: plain inserts, and replacements
/// of what may be there.
pub(crate) async fn mongodb(database: &MongoDatabase, rows: &[Row]) -> (Duration, Duration) {
    let client = Client::with_uri_str(database.url()).await.expect("connect");
    let database = client.database(database.name());
    database.create_collection("bare").await.expect("create");
    let inserts = Instant::now();
    for chunk in rows.chunks(ROWS) {
        let documents = chunk.iter().map(document);
        let collection = database.collection::<Document>("bare");
        collection.insert_many(documents).await.expect("insert");
    }
    let inserts = inserts.elapsed();
    let replacements = Instant::now();
    for chunk in rows.chunks(ROWS) {
        let updates = chunk.iter().map(|row| {
            let document = document(row);
            let id = document.get_i64("_id").expect("an id");
            doc! { "q": { "_id": id }, "u": document, "upsert": true }
        });
        let updates: Vec<Document> = updates.collect();
        let command = doc! { "update": "bare", "updates": updates };
        database.run_command(command).await.expect("replace");
    }
    (inserts, replacements.elapsed())
}
