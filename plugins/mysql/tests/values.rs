//! Values, rows and names at the limits of what MySQL takes, and how copies get there.

mod subject;

use std::sync::Arc;

use serde_json::json;
use subject::{
    MysqlSubject,
    fixture::{Fixture, items, own, rejected},
};
use tahr_mysql::MysqlWriter;
use tahr_plugin_api::{
    LoadMode, Lsn, Relation, Role,
    testing::{open, relation, stream},
};
use tahr_tests::MariaDb;

/// `public.values` with a column of each type that has values MySQL's own types don't hold.
fn values() -> Arc<Relation> {
    relation("public.values")
        .column("id", "integer")
        .column("number", "double precision")
        .column("price", "numeric(10,2)")
        .column("day", "date")
        .column("at", "timestamp with time zone")
        .key(["id"])
        .build()
}

#[test]
fn values_that_do_not_fit_follow_the_policy_in_copy_and_stream_alike() {
    let low = ["-Infinity", "NaN", "0044-03-15 BC", "-infinity"];
    let high = [
        "Infinity",
        "NaN",
        "infinity",
        "294276-12-31 23:59:59.999999+00",
    ];
    let fitting = ["0.1", "1.50", "2024-02-29", "2024-02-29 12:00:00.5+00"];
    for (unfit, expected_low, expected_high) in [
        ("null", "∅|∅|∅|∅", "∅|∅|∅|∅"),
        (
            "clamp",
            "-1.7976931348623157e308|∅|1000-01-01|1000-01-01 00:00:00.000000",
            "1.7976931348623157e308|∅|9999-12-31|9999-12-31 23:59:59.999999",
        ),
        (
            "text",
            "-Infinity|NaN|0044-03-15 BC|-infinity",
            "Infinity|NaN|infinity|294276-12-31 23:59:59.999999+00",
        ),
    ] {
        let mut f = Fixture::with("", |options| options["unfit"] = json!(unfit));
        let values = values();
        f.writer.prepare(&values).unwrap();
        let row = |id, [number, price, day, at]: [&'static str; 4]| [id, number, price, day, at];
        let batch = f
            .next()
            .insert(&values, row("1", low))
            .insert(&values, row("2", fitting))
            .insert(&values, row("3", high))
            .build();
        f.write(&batch);
        let select = "SELECT number, price, day, at FROM `values` ORDER BY id";
        let streamed = f.lines(select);
        assert_eq!(
            [&*streamed[0], &*streamed[2]],
            [expected_low, expected_high]
        );
        let (set_null, clamped) = match unfit {
            "null" => (8, 0),
            "clamp" => (2, 6),
            _ => (0, 0),
        };
        assert_eq!(f.recorder.counter("values_set_null"), set_null, "{unfit}");
        assert_eq!(f.recorder.counter("values_clamped"), clamped, "{unfit}");
        f.writer.begin_load(&values, LoadMode::Replace).unwrap();
        let (mut loader, _, recorder) = open::<MysqlWriter>(&f.options, Role::Load).unwrap();
        loader.load(&batch).unwrap();
        f.writer.end_load(&values, Lsn(5)).unwrap();
        assert_eq!(f.lines(select), streamed, "{unfit}");
        assert_eq!(recorder.counter("values_clamped"), clamped, "{unfit}");
    }
}

#[test]
fn under_the_default_policy_a_value_that_does_not_fit_is_named_without_itself() {
    let mut f = Fixture::new();
    let values = values();
    f.writer.prepare(&values).unwrap();
    for (column, row, word) in [
        (
            "number",
            ["2", "NaN", "1", "2024-01-01", "2024-01-01 00:00:00+00"],
            "NaN in DOUBLE",
        ),
        (
            "price",
            ["2", "1", "NaN", "2024-01-01", "2024-01-01 00:00:00+00"],
            "NaN in DECIMAL(10,2)",
        ),
        (
            "day",
            ["2", "1", "1", "infinity", "2024-01-01 00:00:00+00"],
            "infinity in DATE",
        ),
        (
            "at",
            ["2", "1", "1", "2024-01-01", "0044-03-15 00:00:00+00 BC"],
            "a year before 1000 in DATETIME(6)",
        ),
    ] {
        let first = ["1", "1", "1", "2024-01-01", "2024-01-01 00:00:00+00"];
        let batch = f.next().insert(&values, first).insert(&values, row).build();
        let error = f.rejected(&batch);
        assert_eq!(error.change, Some(1));
        assert_eq!(error.table.as_deref(), Some("values"));
        assert_eq!(error.column.as_deref(), Some(column));
        assert!(error.message.ends_with(word), "{error}");
        assert!(error.hint.contains("unfit = "));
        let begin = format!(
            "keep such values as text: ALTER TABLE `values` MODIFY `{column}` LONGTEXT; or"
        );
        assert!(error.hint.starts_with(&begin), "{}", error.hint);
    }
    assert_eq!(f.lines("SELECT * FROM `values`"), [""; 0]);
}

#[test]
fn rows_of_many_bytes_have_room_until_the_page_is_full() {
    let mut f = Fixture::new();
    // 100,000 bytes of VARCHAR at four bytes a character.
    let mut wide = relation("public.wide").column("id", "integer");
    for number in 0..25 {
        wide = wide.column(&format!("c{number}"), "character varying(1000)");
    }
    let wide = wide.key(["id"]).build();
    f.writer.prepare(&wide).unwrap();
    let text = "é".repeat(1000);
    let mut row = [text.as_str(); 26];
    row[0] = "1";
    let batch = f.next().insert(&wide, row).build();
    f.write(&batch);
    assert_eq!(
        f.lines("SELECT LENGTH(c0), LENGTH(c24) FROM wide"),
        ["2000|2000"]
    );
    // Five hundred long values leave no room for what stays in the page of each.
    let mut wider = relation("public.wider").column("id", "integer");
    for number in 0..499 {
        wider = wider.column(&format!("c{number}"), "text");
    }
    let wider = wider.key(["id"]).build();
    f.writer.prepare(&wider).unwrap();
    let mut row = [text.as_str(); 500];
    row[0] = "1";
    let batch = f
        .next()
        .insert(&wide, [row[0]; 26])
        .insert(&wider, row)
        .build();
    let error = f.rejected(&batch);
    assert_eq!((error.change, error.code.as_str()), (Some(1), "1118"));
    assert_eq!(error.table.as_deref(), Some("wider"));
    assert!(error.hint.contains("exclude"), "{}", error.hint);
}

#[test]
fn limits_of_names_and_columns_are_errors_of_check() {
    let mut f = Fixture::new();
    let mut many = relation("public.many");
    for number in 0..1018 {
        many = many.column(&format!("c{number}"), "integer");
    }
    let plain = |name: &str, columns: [&str; 2]| {
        let table = relation(name).column(columns[0], "integer");
        table.column(columns[1], "text").key([columns[0]]).build()
    };
    let long = format!("{}.{}", "s".repeat(63), "t".repeat(63));
    let tables = [
        many.build(),
        plain("public.tahr_checkpoint", ["id", "a"]),
        plain("public.twins", ["id", "ID"]),
        plain(&long, ["id", "a"]),
        plain("public.items", ["id", "a"]),
    ];
    let (mut checker, ..) = open::<MysqlWriter>(&f.options, Role::Check).unwrap();
    let relations: Vec<Relation> = tables.iter().map(|table| (**table).clone()).collect();
    let report = checker.check(&relations).unwrap();
    assert_eq!(report.objects[4], "items");
    assert_eq!(report.objects[3].chars().count(), 64);
    let found: Vec<(bool, &str)> = (report.findings.iter())
        .map(|finding| (finding.is_error, &*finding.message))
        .collect();
    let expected = [
        (true, "has 1018 columns, and InnoDB's limit is 1017"),
        (true, "\"tahr_checkpoint\" is reserved"),
        (true, "\"id\" and \"ID\""),
        (false, "MySQL takes no such name"),
    ];
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for ((is_error, message), (expected, part)) in found.iter().zip(expected) {
        assert!(*is_error == expected && message.contains(part), "{message}");
    }
    for table in &tables[..3] {
        let error = rejected(f.writer.prepare(table));
        assert!(!error.hint.is_empty());
    }
}

#[test]
fn names_that_a_server_folds_are_one_object() {
    let (_server, f) = own(&[("lower-case-table-names", "1")]);
    let table = |name| (*relation(name).column("id", "integer").key(["id"]).build()).clone();
    let (mut checker, ..) = open::<MysqlWriter>(&f.options, Role::Check).unwrap();
    let report = checker
        .check(&[table("public.Items"), table("public.items")])
        .unwrap();
    assert_eq!(report.objects, ["items", "items"]);
}

#[test]
fn copies_come_out_the_same_with_and_without_load_data() {
    let [takes, refuses] = ["1", "0"].map(|local| MariaDb::own(&[("local-infile", local)]));
    let texts = [
        "it's\ta\\tab",
        "line\nand\r\n",
        "\\N",
        "\\",
        "",
        "größe 🦀",
        "NULL",
        "'",
    ];
    let mut rows: Vec<[String; 3]> = Vec::new();
    for (id, text) in texts.iter().enumerate() {
        rows.push([
            id.to_string(),
            (*text).to_owned(),
            texts[texts.len() - 1 - id].to_owned(),
        ]);
    }
    let rows: Vec<[&str; 3]> = rows
        .iter()
        .map(|row| row.each_ref().map(|v| &**v))
        .collect();
    let mut found = Vec::new();
    for (server, load_data, loads) in [(&takes, false, 0), (&takes, true, 1), (&refuses, true, 0)] {
        let database = MysqlSubject::on(server, "error");
        let mut f = Fixture::on(database, "", |options| {
            options["load_data"] = json!(load_data);
        });
        let items = items();
        f.writer.prepare(&items).unwrap();
        f.copy(&items, &rows).unwrap();
        found.push(f.lines("SELECT * FROM items ORDER BY id"));
        let count = "SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS \
                     WHERE VARIABLE_NAME = 'COM_LOAD'";
        assert_eq!(f.lines(count), [loads.to_string()]);
    }
    let expected: Vec<String> = rows.iter().map(|row| row.join("|")).collect();
    assert_eq!(found, [&expected[..]; 3]);
}

#[test]
fn what_load_data_would_only_warn_of_is_an_error_all_the_same() {
    let made = "CREATE TABLE items (id INT PRIMARY KEY, name LONGTEXT CHARACTER SET utf8mb4, \
                notes LONGTEXT CHARACTER SET utf8mb4, UNIQUE (name(10)))";
    let mut f = Fixture::with(made, |_| {});
    let items = items();
    f.writer.prepare(&items).unwrap();
    let rows = [["1", "same", "a"], ["2", "same", "b"]];
    let error = rejected(f.copy(&items, &rows));
    assert_eq!(error.code, "1062");
    assert!(!error.message.contains("same"), "{error}");
    f.writer.reset().unwrap();
    f.writer.checkpoint(&stream()).unwrap();
    f.copy(&items, &[["1", "one", "a"], ["2", "two", "b"]])
        .unwrap();
    assert_eq!(
        f.lines("SELECT name FROM items ORDER BY id"),
        ["one", "two"]
    );
}
