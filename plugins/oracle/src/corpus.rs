//! Every shape of statement that the writer sends, read by a parser of Oracle's SQL and run by H2 in
//! its Oracle mode.
//!
//! Both tools come from `scripts/oracle-tools.sh` and `scripts/install.sh`; without them the tests say
//! so and pass. What neither can see: Oracle's catalog views, `ALTER SESSION`, and `DBMS_LOB`, which
//! is parsed only.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use tahr_plugin_api::{Relation, Unfit, testing::relation};

use crate::{
    names::Names,
    prepare,
    statements::{self, Condition, NewColumn},
    types,
};

/// A column of every type that has a form of its own, keys of several sorts, and names that have to be
/// quoted.
fn relations() -> Vec<std::sync::Arc<Relation>> {
    vec![
        relation("public.items")
            .column("id", "integer")
            .column("name", "character varying(20)")
            .column("note", "text")
            .column("data", "bytea")
            .column("price", "numeric(38,10)")
            .column("any", "numeric")
            .column("ratio", "double precision")
            .column("small", "real")
            .column("day", "date")
            .column("at", "timestamp without time zone")
            .column("seen", "timestamp with time zone")
            .column("flag", "boolean")
            .column("span", "interval")
            .key(["id"])
            .build(),
        relation("public.Select")
            .column("From", "uuid")
            .column("a.b", "text")
            .column("größe", "bytea")
            .column("when", "timestamp with time zone")
            .key(["From", "a.b", "größe", "when"])
            .build(),
        relation("sales.log")
            .column("level", "smallint")
            .column("line", "text")
            .full()
            .build(),
    ]
}

/// Every shape for the table of `relation`, in an order in which they can be run; parameters still in
/// them.
fn shapes(relation: &Relation) -> Vec<String> {
    let names = Names::new(128);
    let table = names.table(relation);
    let load = names.load_table(relation);
    let spelled = names.columns(relation);
    let all: Vec<&str> = spelled.iter().map(|name| &**name).collect();
    let key: Vec<&str> = relation.key().iter().map(|&index| all[index]).collect();
    let made = |index: usize| types::made(&relation.columns[index], None, Unfit::Error);
    let is_key = |name: &&str| key.contains(name);
    let others: Vec<&str> = all.iter().copied().filter(|name| !is_key(name)).collect();
    let short: Vec<&str> = (0..all.len())
        .filter(|&index| !made(index).is_lob && !is_key(&all[index]))
        .map(|index| all[index])
        .collect();
    let by_key: Vec<Condition<'_>> = key.iter().map(|name| Condition::Equal(name)).collect();
    let added = NewColumn {
        name: "added \u{1f980}",
        declared: "VARCHAR2(10 CHAR)",
    };
    let wider = NewColumn {
        declared: "VARCHAR2(20 CHAR)",
        ..added.clone()
    };
    let declared: Vec<String> = (0..all.len()).map(|index| made(index).declared).collect();
    let copied: Vec<NewColumn<'_>> = (all.iter().zip(&declared))
        .map(|(name, declared)| NewColumn { name, declared })
        .collect();
    let mut shapes = vec![
        prepare::create(relation, names, Unfit::Error),
        statements::add_column(&table, &added),
        statements::modify_column(&table, &wider),
        statements::has_rows(&table),
        statements::insert(&table, &all),
        statements::create_table(&load, &copied, &[]),
        statements::move_rows(&table, &load, &all),
        statements::delete_all(&load),
        statements::drop_table(&load),
    ];
    if key.is_empty() {
        let old: Vec<Condition<'_>> = (0..all.len())
            .map(|index| match made(index).is_lob {
                true => Condition::EqualLob(all[index]),
                false => Condition::Equal(all[index]),
            })
            .collect();
        let nulls: Vec<Condition<'_>> = all.iter().map(|name| Condition::Null(name)).collect();
        shapes.push(statements::update(&table, &all, &old, true));
        shapes.push(statements::delete(&table, &old, true));
        shapes.push(statements::delete(&table, &nulls, true));
    } else {
        shapes.push(statements::merge(&table, &key, &short));
        shapes.push(statements::merge(&table, &key, &[]));
        if !others.is_empty() {
            shapes.push(statements::update(&table, &others, &by_key, false));
        }
        shapes.push(statements::update(&table, &all, &by_key, false));
        shapes.push(statements::delete(&table, &by_key, false));
    }
    shapes.push(statements::drop_table(&table));
    shapes
}

fn fixed() -> Vec<String> {
    [
        statements::SESSION,
        statements::CURRENT_SCHEMA,
        statements::CHARACTER_SET,
        statements::COLUMNS,
        statements::UNIQUE_KEYS,
        statements::FOREIGN_KEYS,
        statements::LOAD_TABLES,
        statements::CREATE_CHECKPOINT,
        statements::READ_CHECKPOINT,
        statements::ADVANCE_CHECKPOINT,
        statements::ADD_CHECKPOINT,
        statements::SET_CHECKPOINT,
        statements::FORGET_CHECKPOINT,
        statements::COUNT_CHECKPOINTS,
    ]
    .map(str::to_owned)
    .into_iter()
    .chain([statements::drop_checkpoint()])
    .collect()
}

/// The build's own folder, beside which `scripts/oracle-tools.sh` puts what it fetches.
fn target() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.ancestors().nth(3).unwrap().to_owned()
}

/// A file that goes with the test.
struct File(PathBuf);

impl File {
    fn new(name: &str, statements: &[String]) -> Self {
        let name = format!("tahr-{}-{name}.sql", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::write(&path, statements.join(";\n") + ";\n").unwrap();
        Self(path)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[expect(clippy::print_stderr, reason = "a test that proves nothing says so")]
fn skipped(what: &str, how: &str) {
    eprintln!("skipped: {what} is missing: {how}");
}

/// What sqlfluff can't parse as Oracle's SQL.
fn unparsed(sqlfluff: &Path, name: &str, statements: &[String]) -> Vec<String> {
    let file = File::new(name, statements);
    let output = Command::new(sqlfluff)
        .args([
            "lint",
            "--dialect",
            "oracle",
            "--templater",
            "raw",
            "--rules",
            "CP01",
        ])
        .args(["--format", "json", "--nofail", "--disable-progress-bar"])
        .arg(&file.0)
        .output()
        .unwrap();
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!(
            "sqlfluff: {error}; {}",
            String::from_utf8_lossy(&output.stderr)
        )
    });
    let violations = found[0]["violations"].as_array().unwrap();
    let unparsed = violations.iter().filter(|one| one["code"] == "PRS");
    unparsed
        .map(|one| format!("{}", one["description"]))
        .collect()
}

#[test]
fn every_statement_is_oracles_sql_to_a_parser() {
    let sqlfluff = target().join("oracle-tools/bin/sqlfluff");
    if !sqlfluff.exists() {
        return skipped("sqlfluff", "scripts/oracle-tools.sh");
    }
    let mut statements = fixed();
    statements.extend(relations().iter().flat_map(|relation| shapes(relation)));
    assert_eq!(
        unparsed(&sqlfluff, "corpus", &statements),
        Vec::<String>::new()
    );
    // It does tell Oracle's SQL from others'.
    let foreign = ["INSERT INTO \"t\" (\"a\") VALUES (:b1) ON CONFLICT DO NOTHING".to_owned()];
    assert_ne!(
        unparsed(&sqlfluff, "foreign", &foreign),
        Vec::<String>::new()
    );
}

/// What H2 prints when it runs `statements`; it stops the test at the first that it refuses.
fn run_by_h2(jar: &Path, name: &str, statements: &[String]) -> String {
    let file = File::new(name, statements);
    let output = Command::new("java")
        .args(["-Xmx128m", "-cp"])
        .arg(jar)
        .args([
            "org.h2.tools.RunScript",
            "-url",
            "jdbc:h2:mem:tahr;MODE=Oracle",
            "-showResults",
        ])
        .arg("-script")
        .arg(&file.0)
        .output()
        .unwrap();
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "H2: {shown}\n{error}");
    shown
}

/// The rows that queries printed.
fn rows(shown: &str) -> Vec<&str> {
    let lines = shown.lines();
    lines.filter_map(|line| line.strip_prefix("--> ")).collect()
}

fn h2() -> Option<PathBuf> {
    let jar = PathBuf::from("/usr/share/java/h2.jar");
    let has_java = Command::new("java").arg("-version").output().is_ok();
    if jar.exists() && has_java {
        return Some(jar);
    }
    skipped("H2", "apt-get install libh2-java default-jre-headless");
    None
}

/// `sql` for H2: literals in place of parameters, which it wants typed, and without what it lacks.
fn literal(sql: &str, values: &[&str]) -> String {
    let mut sql = sql
        .replace(" PURGE", "")
        .replace("DBMS_LOB.COMPARE(\"line\", ", "(\"line\" = ");
    if sql.contains("(\"line\" = ") {
        sql = sql.replace(") = 0", ")");
    }
    for (index, value) in values.iter().enumerate().rev() {
        sql = sql.replace(&format!(":b{}", index + 1), value);
    }
    assert!(!sql.contains(":b"), "{sql}");
    sql
}

/// A value of each column of `relation`, typed.
fn typed(relation: &Relation, row: usize) -> Vec<String> {
    let key = relation.key();
    let share = |index| key.contains(&index).then(|| types::key_share(key.len()));
    let value = |index: usize| {
        let declared = types::made(&relation.columns[index], share(index), Unfit::Error).declared;
        let text = match declared.split('(').next().unwrap() {
            "DATE" => "2024-02-29".to_owned(),
            "TIMESTAMP" if declared.ends_with("ZONE") => {
                "2024-02-29 12:34:56.789012+00:00".to_owned()
            }
            "TIMESTAMP" => "2024-02-29 12:34:56.789012".to_owned(),
            "RAW" | "BLOB" => return format!("CAST(X'00ff' AS {declared})"),
            "NUMBER" if declared == "NUMBER(1)" => "1".to_owned(),
            _ => format!("{}", 10 + row),
        };
        format!("CAST('{text}' AS {declared})")
    };
    (0..relation.columns.len()).map(value).collect()
}

#[test]
fn h2_runs_every_statement_about_rows() {
    let Some(jar) = h2() else { return };
    let mut script = Vec::new();
    for relation in relations() {
        let values = typed(&relation, 1);
        let pick = |indexes: &[usize]| -> Vec<&str> {
            indexes.iter().map(|&index| &*values[index]).collect()
        };
        let key = relation.key();
        let all: Vec<usize> = (0..values.len()).collect();
        let others: Vec<usize> = all
            .iter()
            .copied()
            .filter(|index| !key.contains(index))
            .collect();
        let made = |index: usize| types::made(&relation.columns[index], None, Unfit::Error);
        let short = others.iter().copied().filter(|&index| !made(index).is_lob);
        let short: Vec<usize> = short.collect();
        for sql in shapes(&relation) {
            let parameters = if sql.starts_with("MERGE") {
                let rest: &[usize] = if sql.contains("WHEN MATCHED") {
                    &short
                } else {
                    &[]
                };
                [&key[..], rest].concat()
            } else if sql.starts_with("UPDATE") {
                let set =
                    sql.matches(":b").count() - if key.is_empty() { all.len() } else { key.len() };
                let set = if set == all.len() { &all } else { &others };
                [&set[..], if key.is_empty() { &all[..] } else { &key[..] }].concat()
            } else if sql.starts_with("DELETE") && sql.contains(":b") {
                if key.is_empty() {
                    all.clone()
                } else {
                    key.clone()
                }
            } else {
                all.clone()
            };
            let used = sql.matches(":b").count();
            script.push(literal(&sql, &pick(&parameters)[..used]));
        }
    }
    let checkpoint = |sql: &str, count: usize| literal(sql, &["'a'"; 5][..count]);
    script.extend([
        statements::CREATE_CHECKPOINT.to_owned(),
        checkpoint(statements::ADD_CHECKPOINT, 5),
        checkpoint(statements::ADVANCE_CHECKPOINT, 5),
        checkpoint(statements::SET_CHECKPOINT, 5),
        checkpoint(statements::READ_CHECKPOINT, 2),
        statements::COUNT_CHECKPOINTS.to_owned(),
        checkpoint(statements::FORGET_CHECKPOINT, 2),
        literal(&statements::drop_checkpoint(), &[]),
    ]);
    let shown = run_by_h2(&jar, "shapes", &script);
    assert_eq!(
        rows(&shown),
        ["0", "0", "0", "a a a", "1"],
        "three empty tables, and a checkpoint"
    );
}

#[test]
fn h2_agrees_about_what_they_do() {
    let Some(jar) = h2() else { return };
    let columns = ["id", "name", "amount"];
    let declared = ["NUMBER(10)", "VARCHAR2(20 CHAR)", "NUMBER(38,10)"];
    let new: Vec<NewColumn<'_>> = (columns.iter().zip(&declared))
        .map(|(name, declared)| NewColumn { name, declared })
        .collect();
    let merge = statements::merge("t", &["id"], &["name", "amount"]);
    let row = |id: &str, name: &str, amount: &str| {
        let [id, name, amount] = [(id, 0), (name, 1), (amount, 2)]
            .map(|(value, place)| format!("CAST('{value}' AS {})", declared[place]));
        literal(&merge, &[&id, &name, &amount])
    };
    let by_key = [Condition::Equal("id")];
    let one_of_equal = [Condition::Null("name"), Condition::Equal("amount")];
    let amount = "1234567890123456789012345678.0123456789";
    let script = [
        statements::create_table("t", &new, &[0]),
        literal(&statements::insert("t", &columns), &["1", "'a'", "1"]),
        row("1", "b", amount),
        row("2", "", "2"),
        "SELECT * FROM \"t\" ORDER BY 1".to_owned(),
        "SELECT COUNT(*) FROM \"t\" WHERE \"name\" IS NULL".to_owned(),
        literal(
            &statements::update("t", &["name"], &by_key, false),
            &["'c'", "2"],
        ),
        literal(
            &statements::update("t", &["id"], &by_key, false),
            &["7", "2"],
        ),
        "SELECT \"id\", \"name\" FROM \"t\" ORDER BY 1".to_owned(),
        literal(&statements::delete("t", &by_key, false), &["7"]),
        statements::create_table("l", &new, &[]),
        statements::move_rows("t", "l", &columns),
        "UPDATE \"l\" SET \"name\" = NULL, \"amount\" = 5".to_owned(),
        statements::move_rows("l", "l", &columns),
        literal(&statements::delete("l", &one_of_equal, true), &["5"]),
        statements::has_rows("l"),
        "SELECT COUNT(*) FROM \"l\"".to_owned(),
    ];
    let shown = run_by_h2(&jar, "results", &script);
    let exact = format!("1 b {amount}");
    let expected = [&*exact, "2 null 2", "1", "1 b", "7 c", "1", "1"];
    assert_eq!(rows(&shown), expected);
}
