use tahr_plugin_api::{Column, Relation, TableName, Value, ValueKind};

use super::*;

fn relation(table: &str, columns: &[&str], key: &[usize]) -> Relation {
    let column = |(index, name): (usize, &&str)| Column {
        name: (*name).to_owned(),
        kind: ValueKind::Text,
        in_identity: key.contains(&index),
        ..Column::default()
    };
    Relation {
        source: TableName::new("public", table),
        target: TableName::new("public", table),
        columns: columns.iter().enumerate().map(column).collect(),
        primary_key: key.to_vec(),
        ..Relation::default()
    }
}

fn key_of(template: &str, relation: &Relation, row: &[&str]) -> String {
    let template = KeyTemplate::parse(template, ':').unwrap();
    let key = TableKey::new(&template, relation).unwrap();
    let mut out = Vec::new();
    key.render(|i| Value::Text(ValueKind::Text, row[i]), &mut out)
        .unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn parts_are_joined_and_escaped_so_that_keys_never_collide() {
    let two = relation("t", &["a", "b"], &[0, 1]);
    assert_eq!(key_of("{table}:{pk}", &two, &["1", "2"]), "t:1:2");
    assert_eq!(key_of("{table}:{pk}", &two, &["1:", "2"]), r"t:1\::2");
    assert_eq!(key_of("{table}:{pk}", &two, &["1", ":2"]), r"t:1:\:2");
    assert_eq!(key_of("{table}:{pk}", &two, &[r"1\", "2"]), r"t:1\\:2");
    let odd = relation("a:b", &["id"], &[0]);
    assert_eq!(key_of("{table}:{pk}", &odd, &["1"]), r"a\:b:1");
    assert_eq!(
        key_of("app:{schema}:{table}:{b}:{a}:x", &two, &["1", "2"]),
        "app:public:t:2:1:x"
    );
}

#[test]
fn templates_that_could_mix_rows_or_tables_are_refused() {
    for wrong in [
        "",
        "{pk}",
        "{table}",
        "{table}{pk}",
        "{table}-{pk}",
        "t:{pk}{x}",
        "t:{pk}-{x}",
        "{table}:{pk",
        "t:{}",
        "t:}{pk}",
        "t:{pk}:\\",
        "{schema}{table}:{pk}",
    ] {
        assert!(KeyTemplate::parse(wrong, ':').is_err(), "{wrong}");
    }
}

#[test]
fn a_key_must_be_unique_and_known_to_deletes() {
    let wrong = |template: &str, relation: &Relation| {
        let template = KeyTemplate::parse(template, ':').unwrap();
        TableKey::new(&template, relation).unwrap_err().message
    };
    let mut table = relation("t", &["id", "email"], &[0]);
    assert!(wrong("{table}:{email}", &table).contains("deletes don't bring"));
    assert!(wrong("{table}:{nobody}", &table).contains("no column"));
    assert!(wrong("{table}:{a}", &relation("t", &["a", "b"], &[0, 1])).contains("same key"));
    assert!(wrong("{table}:{pk}", &relation("t", &["a"], &[])).contains("no primary key"));
    table.replica_identity = ReplicaIdentity::Full;
    table.unique_keys = vec![vec![0], vec![1]];
    assert_eq!(key_of("{table}:{email}", &table, &["1", "x@y"]), "t:x@y");
}

#[test]
fn objects_show_what_a_table_maps_to() {
    let template = KeyTemplate::parse("{table}:{pk}", ':').unwrap();
    let key = TableKey::new(&template, &relation("t", &["a", "b"], &[0, 1])).unwrap();
    assert_eq!((key.prefix(), key.object().as_str()), ("t:", "t:*"));
}
