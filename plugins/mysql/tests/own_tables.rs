//! Tables that users made or changed.

mod subject;

use std::sync::Arc;

use subject::fixture::{Fixture, items, rejected};
use tahr_mysql::MysqlWriter;
use tahr_plugin_api::{
    LoadMode, Lsn, Position, Role,
    testing::{BatchBuilder, Cell, open, relation},
};

#[test]
fn narrower_columns_are_refused_with_the_statement_that_mends_them() {
    let table = relation("public.items")
        .column("id", "bigint")
        .column("price", "numeric(10,2)")
        .column("at", "timestamp without time zone")
        .column("name", "character varying(50)")
        .key(["id"])
        .build();
    let made = "CREATE TABLE items (id BIGINT PRIMARY KEY, price DECIMAL(10,2), at DATETIME(6), \
                name VARCHAR(50) CHARACTER SET utf8mb4)";
    for (alter, column) in [
        ("MODIFY id INT", "id"),
        ("MODIFY price DECIMAL(8,2)", "price"),
        ("MODIFY at DATETIME", "at"),
        ("MODIFY at TIMESTAMP(6) NULL", "at"),
        ("MODIFY name VARCHAR(20) CHARACTER SET utf8mb4", "name"),
        ("MODIFY name VARCHAR(50) CHARACTER SET latin1", "name"),
        ("MODIFY name CHAR(50) CHARACTER SET utf8mb4", "name"),
    ] {
        let statements = format!("{made} ENGINE=InnoDB; ALTER TABLE items {alter}");
        let mut f = Fixture::with(&statements, |_| {});
        let error = rejected(f.writer.prepare(&table));
        assert_eq!(error.column.as_deref(), Some(column), "{alter}: {error}");
        assert!(error.message.contains("\"items\""), "{error}");
        let (mut checker, ..) = open::<MysqlWriter>(&f.options, Role::Check).unwrap();
        let report = checker.check(&[(*table).clone()]).unwrap();
        let [finding] = &*report.findings else {
            panic!("{alter}: {:?}", report.findings);
        };
        assert!(finding.is_error && finding.hint == error.hint);
        f.database.execute(&finding.hint);
        let report = checker.check(&[(*table).clone()]).unwrap();
        assert_eq!(report.findings, [], "{alter}");
        f.writer.reset().unwrap();
        f.writer.prepare(&table).unwrap();
    }
}

#[test]
fn widened_types_follow_in_tables_that_are_replicated_to() {
    let mut f = Fixture::new();
    let narrow = relation("public.t")
        .column("id", "integer")
        .column("n", "smallint")
        .column("price", "numeric(5,2)")
        .column("name", "character varying(5)")
        .key(["id"])
        .build();
    f.writer.prepare(&narrow).unwrap();
    let batch = f.next().insert(&narrow, ["1", "7", "1.50", "abc"]).build();
    f.write(&batch);
    let mut wide = relation("public.t")
        .column("id", "bigint")
        .column("n", "integer")
        .column("price", "numeric(12,2)")
        .column("name", "text")
        .key(["id"])
        .build();
    Arc::get_mut(&mut wide).unwrap().oid = narrow.oid;
    f.writer.prepare(&wide).unwrap();
    let long = "z".repeat(1000);
    let row = ["9223372036854775807", "100000", "1234567890.00", &long];
    let batch = f.next().insert(&wide, row).build();
    f.write(&batch);
    let select = "SELECT id, n, price, LENGTH(name) FROM t ORDER BY id";
    let expected = [
        "1|7|1.50|3",
        "9223372036854775807|100000|1234567890.00|1000",
    ];
    assert_eq!(f.lines(select), expected);
}

#[test]
fn keys_that_a_collation_takes_for_one_stay_apart_or_are_refused() {
    let words = relation("public.words")
        .column("word", "text")
        .column("n", "integer")
        .key(["word"])
        .build();
    let mut f = Fixture::new();
    f.writer.prepare(&words).unwrap();
    let mut batch = f.next();
    for (word, n) in [
        ("A", "1"),
        ("a", "2"),
        ("á", "3"),
        ("a ", "4"),
        ("ß", "5"),
        ("ss", "6"),
    ] {
        batch = batch.insert(&words, [word, n]);
    }
    f.write(&batch.build());
    let batch = f
        .next()
        .delete(&words, ["a"])
        .update(&words, ["a ", "44"])
        .build();
    f.write(&batch);
    assert_eq!(
        f.lines("SELECT n FROM words ORDER BY n"),
        ["1", "3", "5", "6", "44"]
    );
    let long = "w".repeat(769);
    let batch = f.next().insert(&words, [&long, "7"]).build();
    let error = f.rejected(&batch);
    assert_eq!(error.column.as_deref(), Some("word"));
    assert!(error.message.contains("this long"), "{error}");
    // A user's own table, whose key compares otherwise.
    for collation in ["utf8mb4_general_ci", "utf8mb4_bin"] {
        let made = format!(
            "CREATE TABLE words (word VARCHAR(768) CHARACTER SET utf8mb4 COLLATE {collation} \
             PRIMARY KEY, n INT)"
        );
        let mut f = Fixture::with(&made, |_| {});
        let error = rejected(f.writer.prepare(&words));
        assert_eq!(error.column.as_deref(), Some("word"));
        f.database.execute(&error.hint);
        f.writer.prepare(&words).unwrap();
    }
}

#[test]
fn in_tables_with_several_unique_keys_values_change_hands_in_the_source_s_order() {
    let made = "CREATE TABLE codes (id INT PRIMARY KEY, code VARCHAR(768) CHARACTER SET utf8mb4 \
                COLLATE utf8mb4_nopad_bin UNIQUE, n INT DEFAULT 5)";
    let mut f = Fixture::with(made, |_| {});
    let codes = relation("public.codes")
        .column("id", "integer")
        .column("code", "character varying(20)")
        .key(["id"])
        .unique(["code"])
        .build();
    f.writer.prepare(&codes).unwrap();
    let batch = f
        .next()
        .insert(&codes, ["1", "a"])
        .insert(&codes, ["2", "b"])
        .insert(&codes, ["3", "c"])
        .update(&codes, ["1", "-"])
        .update(&codes, ["2", "a"])
        .update(&codes, ["1", "b"])
        .delete(&codes, ["3"])
        .insert(&codes, ["4", "c"])
        .build();
    f.write(&batch);
    assert_eq!(
        f.lines("SELECT * FROM codes ORDER BY id"),
        ["1|b|5", "2|a|5", "4|c|5"]
    );
    // Never is a row replaced for a value of another key.
    let batch = f
        .next()
        .insert(&codes, ["5", "z"])
        .insert(&codes, ["6", "a"])
        .build();
    let error = f.rejected(&batch);
    assert_eq!((error.change, error.code.as_str()), (Some(1), "1062"));
    // A row that is there already is made equal; one that is gone comes back.
    f.database
        .execute("INSERT INTO codes VALUES (7, 'x', 6); DELETE FROM codes WHERE id = 1");
    let batch = f
        .next()
        .insert(&codes, ["7", "y"])
        .update(&codes, ["1", "bb"])
        .build();
    f.write(&batch);
    let expected = ["1|bb|5", "2|a|5", "4|c|5", "7|y|6"];
    assert_eq!(f.lines("SELECT * FROM codes ORDER BY id"), expected);
}

#[test]
fn keys_that_change_places_under_a_deferred_constraint_do_so_here() {
    let mut f = Fixture::new();
    let items = items();
    f.writer.prepare(&items).unwrap();
    let batch = f
        .next()
        .insert(&items, ["1", "a", "long"])
        .insert(&items, ["2", "b", "longer"])
        .build();
    f.write(&batch);
    let moved = |id, name| [Cell::Text(id), Cell::Text(name), Cell::Unchanged];
    let batch = f
        .next()
        .update_moved(&items, ["1"], moved("2", "a"))
        .update_moved(&items, ["2"], moved("1", "b"))
        .build();
    f.write(&batch);
    let expected = ["1|b|longer", "2|a|long"];
    assert_eq!(f.lines("SELECT * FROM items ORDER BY id"), expected);
}

#[test]
fn an_update_in_part_of_a_row_that_others_removed_is_refused() {
    let mut f = Fixture::new();
    let items = items();
    f.writer.prepare(&items).unwrap();
    let row = [Cell::Text("1"), Cell::Unchanged, Cell::Null];
    let batch = f.next().delete(&items, ["7"]).update(&items, row).build();
    let error = f.rejected(&batch);
    assert_eq!(
        (error.change, error.table.as_deref()),
        (Some(1), Some("items"))
    );
    assert!(error.hint.contains("tahr drop"));
    let batch = f
        .next()
        .delete(&items, ["7"])
        .insert(&items, ["1", "a", ""])
        .build();
    f.write(&batch);
    assert_eq!(f.recorder.counter("deletes_of_missing_rows"), 1);
}

#[test]
fn a_replacing_copy_keeps_what_users_hang_on_the_table() {
    let made = "CREATE TABLE items (id INT PRIMARY KEY, name LONGTEXT CHARACTER SET utf8mb4, \
                notes LONGTEXT CHARACTER SET utf8mb4, mine INT DEFAULT 7, \
                shout LONGTEXT GENERATED ALWAYS AS (UPPER(name)) VIRTUAL, INDEX mine (mine)) \
                ENGINE=InnoDB; INSERT INTO items (id) VALUES (9); \
                CREATE VIEW names AS SELECT name FROM items";
    let trigger = "CREATE TABLE seen (id INT) ENGINE=InnoDB; CREATE TRIGGER see AFTER INSERT ON \
                   items FOR EACH ROW INSERT INTO seen VALUES (NEW.id)";
    for more in ["DO 0", trigger] {
        let mut f = Fixture::with(&format!("{made}; {more}"), |_| {});
        let items = items();
        f.writer.prepare(&items).unwrap();
        rejected(f.writer.begin_load(&items, LoadMode::Fresh));
        f.copy(&items, &[["1", "a", "x"], ["2", "b", "y"]]).unwrap();
        let rows = f.lines("SELECT id, name, mine, shout FROM items ORDER BY id");
        assert_eq!(rows, ["1|a|7|A", "2|b|7|B"]);
        assert_eq!(f.lines("SELECT name FROM names ORDER BY name"), ["a", "b"]);
        let indexes = "SELECT COUNT(*) FROM information_schema.STATISTICS \
                       WHERE TABLE_SCHEMA = DATABASE() AND INDEX_NAME = 'mine'";
        assert_eq!(f.lines(indexes), ["1"]);
        let triggers = "SELECT COUNT(*) FROM information_schema.TRIGGERS \
                        WHERE EVENT_OBJECT_SCHEMA = DATABASE()";
        assert_eq!(f.lines(triggers), [if more == trigger { "1" } else { "0" }]);
        let left = "SELECT COUNT(*) FROM information_schema.TABLES \
                    WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME LIKE 'tahr\\_load%'";
        assert_eq!(f.lines(left), ["0"]);
        let batch = f.next().update(&items, ["2", "bb", "y"]).build();
        f.write(&batch);
        assert_eq!(f.lines("SELECT shout FROM items WHERE id = 2"), ["BB"]);
    }
}

#[test]
fn a_table_of_text_columns_takes_postgresqls_text_from_copy_and_stream_alike() {
    let made = "CREATE TABLE kinds (id VARCHAR(20) PRIMARY KEY, flag VARCHAR(5), ratio TEXT, \
                data LONGTEXT, at VARCHAR(40)) ENGINE=InnoDB CHARACTER SET utf8mb4";
    let mut f = Fixture::with(made, |_| {});
    let kinds = relation("public.kinds")
        .column("id", "bigint")
        .column("flag", "boolean")
        .column("ratio", "double precision")
        .column("at", "timestamp with time zone")
        .key(["id"])
        .build();
    f.writer.prepare(&kinds).unwrap();
    let row = |id| [id, "t", "-0", "infinity"];
    f.writer.begin_load(&kinds, LoadMode::Replace).unwrap();
    let (mut loader, ..) = open::<MysqlWriter>(&f.options, Role::Load).unwrap();
    let start = BatchBuilder::after(&Position::default());
    loader
        .load(&start.insert(&kinds, row("1")).build())
        .unwrap();
    f.writer.end_load(&kinds, Lsn(5)).unwrap();
    let batch = f.next().insert(&kinds, row("2")).build();
    f.write(&batch);
    let select = "SELECT flag, ratio, at FROM kinds";
    assert_eq!(f.lines(select), ["t|-0|infinity"; 2]);
}
