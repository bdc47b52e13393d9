//! MERGE.

use crate::{code, refused, rows, scene};

const TABLE: &str = "CREATE TABLE \"stock\" (\"shop\" NUMBER(5), \"item\" VARCHAR2(10), \"n\" NUMBER(10), \
    PRIMARY KEY (\"shop\", \"item\"))";

const MERGE: &str = "MERGE INTO \"stock\" t USING (SELECT :b1 AS \"shop\", :b2 AS \"item\", :b3 AS \"n\" FROM dual) s \
    ON (t.\"shop\" = s.\"shop\" AND t.\"item\" = s.\"item\") WHEN MATCHED THEN UPDATE SET t.\"n\" = s.\"n\" \
    WHEN NOT MATCHED THEN INSERT (\"shop\", \"item\", \"n\") VALUES (s.\"shop\", s.\"item\", s.\"n\")";

#[test]
fn rows_are_inserted_or_updated_in_order() {
    let (_database, session) = scene(&[TABLE]);
    let mut batch = session
        .batch(MERGE, 10)
        .with_row_counts()
        .with_batch_errors()
        .build()
        .unwrap();
    for (shop, item, n) in [(1, "a", 1), (2, "b", 2), (1, "a", 3), (2, "b", 4)] {
        batch.append_row(&[&shop, &item, &n]).unwrap();
    }
    batch.execute().unwrap();
    assert_eq!(batch.row_counts().unwrap(), [1, 1, 1, 1]);
    assert_eq!(
        rows(&session, "SELECT * FROM \"stock\" ORDER BY 1"),
        ["1|a|3", "2|b|4"]
    );
}

#[test]
fn a_merge_may_update_some_and_delete_some() {
    let (_database, session) = scene(&["CREATE TABLE t (id NUMBER PRIMARY KEY, v NUMBER)"]);
    session.execute("INSERT INTO t SELECT 1, 1 FROM dual UNION ALL SELECT 2, 2 FROM dual UNION ALL SELECT 3, 3 FROM dual", &[]).unwrap();
    let merge = "MERGE INTO t USING (SELECT :1 id, :2 v FROM dual) s ON (t.id = s.id) WHEN MATCHED THEN UPDATE \
        SET t.v = s.v WHERE t.v < s.v DELETE WHERE t.v > 10 WHEN NOT MATCHED THEN INSERT (id, v) VALUES (s.id, s.v) \
        WHERE s.v > 0";
    let mut batch = session.batch(merge, 10).with_row_counts().build().unwrap();
    for (id, v) in [(1, 0), (2, 5), (3, 11), (4, 0), (5, 1)] {
        batch.append_row(&[&id, &v]).unwrap();
    }
    batch.execute().unwrap();
    assert_eq!(batch.row_counts().unwrap(), [0, 1, 1, 0, 1]);
    assert_eq!(
        rows(&session, "SELECT * FROM t ORDER BY id"),
        ["1|1", "2|5", "5|1"]
    );
}

#[test]
fn what_oracle_refuses_of_a_merge_is_refused() {
    let (_database, session) = scene(&[
        "CREATE TABLE t (id NUMBER PRIMARY KEY, v NUMBER)",
        "CREATE TABLE u (id NUMBER)",
    ]);
    session.execute("INSERT INTO t VALUES (1, 1)", &[]).unwrap();
    session
        .execute(
            "INSERT INTO u SELECT 1 FROM dual UNION ALL SELECT 1 FROM dual",
            &[],
        )
        .unwrap();
    let on_column = "MERGE INTO t USING u ON (t.id = u.id) WHEN MATCHED THEN UPDATE SET t.id = 2";
    assert_eq!(refused(&session, on_column).0, 38104);
    let twice = "MERGE INTO t USING u ON (t.id = u.id) WHEN MATCHED THEN UPDATE SET v = 2";
    assert_eq!(refused(&session, twice).0, 30926);
    assert_eq!(rows(&session, "SELECT v FROM t"), ["1"]);
    let bare = "MERGE INTO t USING u ON t.id = u.id WHEN MATCHED THEN UPDATE SET v = 2";
    assert_eq!(refused(&session, bare).0, 906);
}

#[test]
fn long_text_has_no_place_in_the_source_of_a_merge() {
    let (_database, session) = scene(&["CREATE TABLE t (id NUMBER PRIMARY KEY, v CLOB)"]);
    let merge = "MERGE INTO t USING (SELECT :1 id, :2 v FROM dual) s ON (t.id = s.id) WHEN NOT MATCHED THEN INSERT \
        (id, v) VALUES (s.id, s.v)";
    session.execute(merge, &[&1, &"x".repeat(4000)]).unwrap();
    assert_eq!(
        code(
            &session
                .execute(merge, &[&2, &"x".repeat(4001)])
                .unwrap_err()
        ),
        1461
    );
    assert_eq!(rows(&session, "SELECT id, LENGTH(v) FROM t"), ["1|4000"]);
}
