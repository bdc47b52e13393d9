//! Sources that meet are compared by key: every difference is found, whatever their collations,
//! encodings and column orders, and nothing else is.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use tahr::{
    masters::{
        Tables,
        meeting::{Meeting, MemberSource, require_equal},
        rows::{Field, fields},
    },
    reconcile::{Difference, TableId},
    source::{SourceError, Table, catalog},
};
use tahr_plugin_api::TableName;
use tahr_postgres_connect::Url;
use tahr_tests::{Database, Postgres, Random};

async fn tables(databases: &[Database]) -> Tables {
    let mut members: Vec<(String, Vec<Table>)> = Vec::new();
    for (index, database) in databases.iter().enumerate() {
        let url = Url::parse(database.url()).unwrap();
        let client = url.connect_source("tahr").await.unwrap();
        let wanted = |table: &TableName| table.schema == "public";
        let found = catalog::tables(&client, &wanted).await.unwrap();
        members.push((format!("s{index}"), found));
    }
    Tables::agree(&members).unwrap()
}

async fn meet(databases: &[Database]) -> Meeting {
    let tables = Arc::new(tables(databases).await);
    let member = |(index, database): (usize, &Database)| MemberSource {
        member: index,
        name: format!("s{index}"),
        url: Url::parse(database.url()).unwrap(),
        application: "tahr".to_owned(),
        slot_timeout: Duration::from_secs(60),
    };
    let members: Vec<MemberSource> = databases.iter().enumerate().map(member).collect();
    Meeting::open(&members, tables, &|_, _| ()).await.unwrap()
}

async fn all(meeting: &mut Meeting, most: usize) -> Vec<Difference> {
    let mut all = Vec::new();
    while let Some(differences) = meeting.next(most).await.unwrap() {
        assert!(differences.len() <= most && !differences.is_empty());
        all.extend(differences);
    }
    all
}

/// A database like any other, one of another encoding and collation, and one more.
async fn three() -> Vec<Database> {
    let postgres = Postgres::shared();
    vec![
        postgres.database().await,
        postgres
            .database_with("TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
            .await,
        postgres.database().await,
    ]
}

/// A linguistic collation for columns, since what a database may have depends on the machine.
async fn collate(database: &Database) -> &'static str {
    let icu = "SELECT count(*) FROM pg_collation WHERE collname = 'und-x-icu'";
    match database.value(icu).await.as_str() {
        "0" => "",
        _ => "COLLATE \"und-x-icu\"",
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_sources_are_equal_whatever_their_collation_encoding_and_column_order() {
    let databases = three().await;
    for (index, database) in databases.iter().enumerate() {
        let collation = match index {
            2 => collate(database).await,
            _ => "",
        };
        let columns = match index {
            0 => format!(
                "k text {collation}, n int, v text, d float8, g int GENERATED ALWAYS AS (n * 2) STORED"
            ),
            _ => format!(
                "g int GENERATED ALWAYS AS (n * 2) STORED, v text, d float8, n int, k text {collation}"
            ),
        };
        let part = match index {
            1 => "CREATE TABLE part (id bigint PRIMARY KEY, v text)".to_owned(),
            _ => format!(
                "CREATE TABLE part (id bigint PRIMARY KEY, v text) PARTITION BY RANGE (id);
                 CREATE TABLE part_low PARTITION OF part FOR VALUES FROM (MINVALUE) TO ({index}0);
                 CREATE TABLE part_high PARTITION OF part FOR VALUES FROM ({index}0) TO (MAXVALUE)"
            ),
        };
        database
            .execute(&format!(
                "CREATE TABLE mixed ({columns}, PRIMARY KEY (k, n));
                 CREATE TABLE \"Odd \"\"name\" (\"a b\" varchar(20) {collation} PRIMARY KEY, \"Ä\" bytea);
                 CREATE TABLE nothing (id int PRIMARY KEY);
                 CREATE TABLE kinds (b bool, c char(3) {collation}, t timestamptz, u uuid, y bytea, m numeric,
                                     PRIMARY KEY (b, c, t, u, y, m));
                 {part};"
            ))
            .await;
        // The order of insertion is not that of the keys, and another one on each.
        let shuffled = ["i", "-i", "md5(i::text)"][index];
        database
            .execute(&format!(
                "INSERT INTO mixed (k, n, v, d)
                 SELECT (ARRAY['a', 'B', 'b', 'A', 'ä', 'é', 'Z', '-a', 'a-b', 'a b', '', '_', E'x\\ty', E'x\\\\\\n'])[1 + i % 14]
                        || CASE WHEN i % 3 = 0 THEN '' ELSE (i % 5)::text END,
                        i - 500, CASE WHEN i % 7 > 0 THEN repeat(E'tab\\there \\\\N \\n', i % 4) END, i / 3.0
                 FROM generate_series(1, 1000) i ORDER BY {shuffled};
                 INSERT INTO \"Odd \"\"name\" SELECT chr(200 + i) || i, decode(to_hex(i + 4096), 'hex')
                 FROM generate_series(1, 40) i ORDER BY {shuffled};
                 INSERT INTO kinds SELECT i % 2 = 0, (ARRAY['a', 'B', 'ab', ' a'])[1 + i % 4],
                        '2024-01-01 00:00 BC'::timestamptz + i % 3 * interval '2023 years',
                        md5((i % 6)::text)::uuid, decode(substr(md5((i % 9)::text), 1, i % 4 * 2), 'hex'), i
                 FROM generate_series(1, 300) i ORDER BY {shuffled};
                 INSERT INTO part SELECT i, 'v' || i FROM generate_series(-50, 50) i ORDER BY {shuffled};
                 ANALYZE"
            ))
            .await;
    }
    let mut meeting = meet(&databases).await;
    assert_eq!(meeting.cuts().len(), 3);
    assert_eq!(require_equal(&mut meeting).await, Ok(Ok(())));
    let progress = meeting.progress();
    assert_eq!((progress.tables_done, progress.tables), (5, 5));
    assert_eq!((progress.rows, progress.differences), (1441, 0));
    assert_eq!(progress.expected_rows, 1441);
}

/// What a source holds: rows by key, as the model knows them.
type Model = BTreeMap<(String, i32), Option<String>>;

#[tokio::test(flavor = "multi_thread")]
async fn every_planted_difference_is_found_once_and_nothing_else() {
    let mut random = Random::new();
    let databases = three().await;
    let mut models: Vec<Model> = vec![Model::new(); databases.len()];
    let letters = ["a", "B", "é", "Z", "_", " ", "-", "\\", "\t", "10", "9"];
    for _ in 0..2000 {
        let word = (0..1 + random.below(3)).map(|_| letters[random.below(11) as usize]);
        let key = (word.collect::<String>(), random.below(20) as i32 - 10);
        let value = |number: u64| (number > 0).then(|| format!("value {number}"));
        let row = value(random.below(5));
        let odd = random.below(30);
        for (index, model) in models.iter_mut().enumerate() {
            match odd {
                0 if index == 1 => {}
                1 if index != 1 => {}
                2 if index == 2 => _ = model.insert(key.clone(), value(9)),
                _ => _ = model.insert(key.clone(), row.clone()),
            }
        }
    }
    for (index, (database, model)) in databases.iter().zip(&models).enumerate() {
        let collation = match index {
            2 => collate(database).await,
            _ => "",
        };
        let columns = [
            "word text, number int, value text",
            "value text, word text, number int",
        ];
        let columns = columns[index % 2].replace("word text", &format!("word text {collation}"));
        database
            .execute(&format!(
                "CREATE TABLE t ({columns}, PRIMARY KEY (number, word))"
            ))
            .await;
        let client = database.connect().await;
        let insert = "INSERT INTO t (word, number, value) SELECT * FROM unnest($1::text[], $2::int[], $3::text[])";
        let (words, numbers): (Vec<&str>, Vec<i32>) = model
            .keys()
            .map(|(word, number)| (word.as_str(), *number))
            .unzip();
        let values: Vec<Option<&str>> = model.values().map(Option::as_deref).collect();
        client
            .execute(insert, &[&words, &numbers, &values])
            .await
            .unwrap();
    }
    let keys: BTreeSet<&(String, i32)> = models.iter().flat_map(BTreeMap::keys).collect();
    let differs = |key: &&(String, i32)| {
        models
            .iter()
            .any(|model| model.get(*key) != models[0].get(*key))
    };
    let expected: BTreeSet<_> = keys.iter().copied().filter(differs).cloned().collect();
    let mut meeting = meet(&databases).await;
    let found = all(&mut meeting, 7).await;
    let mut told = BTreeSet::new();
    for Difference { key, rows } in found {
        assert_eq!(key.table, TableId::of(&TableName::new("public", "t")));
        let packed = key.row.unwrap();
        let [Field::Text(number), Field::Text(word)] = fields(&packed).collect::<Vec<_>>()[..]
        else {
            panic!("no key of two texts");
        };
        let key = (word.to_owned(), number.parse::<i32>().unwrap());
        for (model, held) in models.iter().zip(rows) {
            let held = held.map(|held| {
                assert_eq!(held.time, None, "commit times are not tracked");
                let values: Vec<Field<'_>> = fields(&held.row.payload).collect();
                assert_eq!(values[0], Field::Text(number));
                assert_eq!(values[2], Field::Text(word));
                match values[1] {
                    Field::Text(text) => Some(text.to_owned()),
                    _ => None,
                }
            });
            assert_eq!(model.get(&key), held.as_ref());
        }
        assert!(told.insert(key), "a key was told twice");
    }
    assert_eq!(told, expected);
    assert!(!told.is_empty());
    assert_eq!(meeting.progress().rows, keys.len() as u64);
    assert_eq!(meeting.progress().differences, told.len() as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn required_equality_counts_what_is_missing_and_different_and_shows_no_key() {
    let databases = three().await;
    for (index, database) in databases.iter().enumerate() {
        database
            .execute(&format!(
                "CREATE TABLE same (id int PRIMARY KEY); INSERT INTO same VALUES (1);
                 CREATE TABLE other (id int PRIMARY KEY, v int);
                 INSERT INTO other SELECT i, CASE WHEN i = 7 THEN {index} ELSE 0 END
                 FROM generate_series(1, 100) i;
                 DELETE FROM other WHERE id BETWEEN 11 AND 11 + {index} AND {index} > 0"
            ))
            .await;
    }
    let unequal = require_equal(&mut meet(&databases).await)
        .await
        .unwrap()
        .unwrap_err();
    let texts: Vec<String> = unequal.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "table public.other: 2 rows missing on source \"s1\", 3 rows missing on source \"s2\", \
          1 row different"
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_tell_when_they_were_committed_where_that_is_tracked() {
    let tracking = Postgres::own(None, &[("track_commit_timestamp", "on")]);
    let databases = [
        tracking.database().await,
        Postgres::shared().database().await,
    ];
    for (index, database) in databases.iter().enumerate() {
        database
            .execute(
                "CREATE TABLE t (id int PRIMARY KEY, v int) PARTITION BY RANGE (id);
                 CREATE TABLE p PARTITION OF t FOR VALUES FROM (0) TO (9)",
            )
            .await;
        database
            .execute(&format!("INSERT INTO t VALUES (1, 1), (2, {index})"))
            .await;
    }
    let expected = databases[0]
        .value(
            "SELECT ((extract(epoch FROM pg_xact_commit_timestamp(xmin)) - 946684800) * 1000000)::bigint
             FROM t WHERE id = 2",
        )
        .await;
    let found = all(&mut meet(&databases).await, 10).await;
    let times: Vec<_> = found[0]
        .rows
        .iter()
        .map(|held| held.as_ref().unwrap().time)
        .collect();
    assert_eq!(
        (found.len(), times),
        (1, vec![Some(expected.parse().unwrap()), None])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_committed_after_the_snapshots_is_not_in_them() {
    let databases = three().await;
    for database in &databases {
        database
            .execute("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)")
            .await;
    }
    let mut meeting = meet(&databases).await;
    databases[0]
        .execute("INSERT INTO t VALUES (2); DELETE FROM t WHERE id = 1")
        .await;
    assert_eq!(meeting.next(9).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_was_rewritten_meanwhile_is_no_empty_table() {
    for rewrite in [
        "TRUNCATE t",
        "TRUNCATE part",
        "ALTER TABLE t ALTER v TYPE text",
        "DROP TABLE t",
    ] {
        let databases = three().await;
        for database in &databases {
            database
                .execute(
                    "CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t VALUES (1, 1);
                     CREATE TABLE part (id int PRIMARY KEY) PARTITION BY RANGE (id);
                     CREATE TABLE p PARTITION OF part FOR VALUES FROM (0) TO (9);
                     INSERT INTO part VALUES (1)",
                )
                .await;
        }
        let mut meeting = meet(&databases).await;
        databases[2].execute(rewrite).await;
        let error: SourceError = loop {
            match meeting.next(9).await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("{rewrite} went unnoticed"),
                Err(error) => break error,
            }
        };
        assert!(
            error.is_transient() && error.message.contains("source \"s2\": table public."),
            "{error}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn differences_come_in_parts_of_bounded_size() {
    let databases = &three().await[..2];
    for database in databases {
        database
            .execute("CREATE TABLE t (id int PRIMARY KEY, v text)")
            .await;
    }
    databases[1]
        .execute("INSERT INTO t SELECT i, repeat('x', 1000000) FROM generate_series(1, 40) i")
        .await;
    let mut meeting = meet(databases).await;
    let mut counts = Vec::new();
    while let Some(differences) = meeting.next(1000).await.unwrap() {
        counts.push(differences.len());
    }
    assert_eq!(counts, [17, 17, 6]);
}
