//! Lua files asked about conflicts: right answers, wrong ones, and code that means harm.

mod errors;
mod examples;
mod limits;

use std::{collections::BTreeMap, fs, sync::Arc};

use tahr_plugin_api::{Column, Relation, TableName, ValueKind};

use super::LuaResolver;
use crate::{
    masters::{
        Tables,
        rows::{Field, Packer, fields},
    },
    reconcile::{
        Answer, Candidate, Key, Origin, Quarrel, Resolver as _, Row, SourceId, TableId, Version,
    },
    source::Table,
};

/// 2026-01-01 in PostgreSQL's microseconds.
const NEW_YEAR: i64 = 820_540_800_000_000;

/// A table of columns `(name, kind, type, OID, modifier)`, whose key is `id`.
const COLUMNS: &[(&str, ValueKind, &str, u32)] = &[
    ("bid", ValueKind::Int, "integer", 23),
    ("data", ValueKind::Json, "jsonb", 3802),
    ("hits", ValueKind::Int, "bigint", 20),
    ("id", ValueKind::Int, "integer", 23),
    ("name", ValueKind::Text, "text", 25),
    ("ok", ValueKind::Bool, "boolean", 16),
    ("ratio", ValueKind::Float, "double precision", 701),
];

fn tables() -> Arc<Tables> {
    let columns = COLUMNS
        .iter()
        .map(|&(name, kind, type_name, type_oid)| Column {
            name: name.into(),
            kind,
            type_name: type_name.into(),
            type_oid,
            type_modifier: -1,
            not_null: name == "id",
            ..Column::default()
        });
    let relation = Relation {
        oid: 1,
        source: TableName::new("public", "t"),
        columns: columns.collect(),
        primary_key: vec![3],
        unique_keys: vec![vec![3]],
        ..Relation::default()
    };
    let table = Table {
        relation,
        ..Table::default()
    };
    let members = [
        ("a".to_owned(), vec![table.clone()]),
        ("b".to_owned(), vec![table]),
    ];
    Arc::new(Tables::agree(&members).expect("equal tables agree"))
}

fn load(code: &str) -> Result<LuaResolver, crate::Error> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("merge.lua");
    fs::write(&path, code).expect("write the file");
    let ids = ["a", "b", "far"].map(|name| (SourceId::of(name), name.to_owned()));
    LuaResolver::load(&path, tables(), vec!["a".into(), "b".into()], ids.into())
}

type Values<'a> = [(&'a str, &'a str)];

/// A row: `id` is 7, and other columns are NULL unless they are given.
fn row(values: &Values<'_>) -> Row {
    let mut packer = Packer::default();
    for (name, ..) in COLUMNS {
        let given = values.iter().find(|(column, _)| column == name);
        packer.field(match given {
            Some((_, text)) => Field::Text(text),
            None if *name == "id" => Field::Text("7"),
            None => Field::Null,
        });
    }
    packer.take_row()
}

fn key() -> Key {
    let mut packer = Packer::default();
    packer.field(Field::Text("7"));
    Key::new(TableId::of(&TableName::new("public", "t")), packer.take())
}

fn candidate(from: usize, time: i64, row: Option<Row>, previous: Option<Row>) -> Candidate {
    let source = SourceId::of(["a", "b"][from]);
    let origin = Origin {
        source,
        time: NEW_YEAR + time,
        path: Vec::new(),
    };
    let version = Version {
        row,
        from,
        origin,
        moved: None,
        hops: 0,
    };
    Candidate {
        version,
        previous,
        standing: false,
    }
}

fn two() -> [Candidate; 2] {
    [
        candidate(
            0,
            1,
            Some(row(&[("bid", "5"), ("name", "x"), ("ratio", "1e+20")])),
            None,
        ),
        candidate(
            1,
            2,
            Some(row(&[("bid", "9"), ("ok", "t"), ("data", "{\"a\": 1}")])),
            None,
        ),
    ]
}

fn ask(code: &str, candidates: &[Candidate]) -> Result<Answer, String> {
    let resolver = load(code).map_err(|error| error.message().to_owned())?;
    resolver.resolve(Quarrel::Key, &key(), candidates)
}

/// What `resolve` answers with this body between two candidates.
fn body(body: &str) -> Result<Answer, String> {
    ask(&format!("function resolve(conflict)\n{body}\nend"), &two())
}

/// The values of a merged row.
fn merged(answer: &Result<Answer, String>) -> BTreeMap<&'static str, String> {
    let Ok(Answer::Merged(Some(row))) = answer else {
        panic!("no merged row but {answer:?}");
    };
    let values = COLUMNS.iter().zip(fields(&row.payload));
    let values = values.filter_map(|(column, field)| match field {
        Field::Text(text) => Some((column.0, text.to_owned())),
        _ => None,
    });
    values.collect()
}

#[test]
fn a_candidate_wins_by_itself_or_by_its_number() {
    assert_eq!(body("return conflict.candidates[2]"), Ok(Answer::Winner(1)));
    assert_eq!(body("return 1"), Ok(Answer::Winner(0)));
    assert_eq!(body("return 4 / 2"), Ok(Answer::Winner(1)));
    assert_eq!(body("return 'skip'"), Ok(Answer::Skip));
    assert_eq!(body("return { deleted = true }"), Ok(Answer::Merged(None)));
}

#[test]
fn code_sees_all_that_is_known_of_a_conflict() {
    let code = "local function is(found, wanted)
      if found ~= wanted then error(tostring(found) .. ' is not ' .. tostring(wanted)) end
    end
    function resolve(conflict)
      is(conflict.kind, 'key') is(conflict.table, 'public.t') is(conflict.key.id, 7)
      is(table.concat(conflict.columns, ' '), 'bid data hits id name ok ratio')
      local a, b = conflict.candidates[1], conflict.candidates[2]
      is(#conflict.candidates, 2)
      is(a.source, 'a') is(a.origin, 'far') is(b.origin, 'b')
      is(a.time, 1767225600000001) is(a.time_text, '2026-01-01T00:00:00.000001Z')
      is(a.standing, true) is(b.standing, false)
      is(math.type(a.row.bid), 'integer') is(math.type(a.row.ratio), 'float')
      is(a.row.ok, nil) is(b.row.ok, true) is(b.row.data, '{\"a\": 1}')
      is(a.previous.bid, 4) is(b.previous, nil) is(a.deleted, false)
      return 1
    end";
    let [mut a, b] = two();
    a.standing = true;
    a.version.origin.source = SourceId::of("far");
    a.previous = Some(row(&[("bid", "4")]));
    assert_eq!(ask(code, &[a, b.clone()]), Ok(Answer::Winner(0)));
    let gone = "function resolve(c) if c.candidates[1].deleted and not c.candidates[1].row then
        return 2 end end";
    assert_eq!(
        ask(gone, &[candidate(0, 1, None, None), b]),
        Ok(Answer::Winner(1))
    );
}

#[test]
fn a_merged_row_keeps_the_text_of_what_it_took() {
    let answer = body(
        "local row = copy(conflict.candidates[1].row)
         row.data, row.ok, row.name = conflict.candidates[2].row.data, false, nil
         row.hits, row.bid = 2.0, NULL
         return { row = row }",
    );
    let expected = [
        ("data", "{\"a\": 1}"),
        ("hits", "2"),
        ("id", "7"),
        ("ok", "f"),
        ("ratio", "1e+20"),
    ];
    assert_eq!(
        merged(&answer),
        expected.map(|(name, text)| (name, text.to_owned())).into()
    );
    let altered = body("local row = conflict.candidates[1].row row.bid = 1 return { row = row }");
    assert_eq!(merged(&altered)["bid"], "1");
    let same = body("return { row = conflict.candidates[1].row }");
    assert_eq!(same, Ok(Answer::Merged(two()[0].version.row.clone())));
    let by_hand = body(
        "return { row = { id = 7, bid = 1, data = NULL, hits = 2, name = 'n', ok = true, ratio = 0.5 } }",
    );
    assert_eq!(merged(&by_hand)["ratio"], "0.5");
}

#[test]
fn the_rule_has_the_name_of_its_file() {
    assert_eq!(
        load("function resolve() end").unwrap().rule(),
        "lua merge.lua"
    );
}
