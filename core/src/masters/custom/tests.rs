//! Lua files asked about conflicts: right answers, wrong ones, and code that means harm.

use std::{collections::BTreeMap, fs, sync::Arc, time::Instant};

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
    Key::new(TableId::of(&TableName::new("public", "t")), packer.take().0)
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
fn wrong_answers_are_errors_that_name_what_is_wrong() {
    for (code, what) in [
        ("", "nothing"),
        ("return true", "a boolean"),
        ("return 3", "3, and there are 2 candidates"),
        ("return 0", "0, and there are 2"),
        ("return 'first'", "text other than \"skip\""),
        ("return {}", "a table that is no answer"),
        ("return { row = 1 }", "a table that is no answer"),
        (
            "return { row = {}, deleted = true }",
            "a table that is no answer",
        ),
        ("return conflict", "a table that is no answer"),
        (
            "return conflict.candidates[1].row",
            "a row: return { row = … }",
        ),
        (
            "return { row = { id = 7 } }",
            "column \"bid\" of table public.t is missing",
        ),
        (
            "local row = {} for _, name in ipairs(conflict.columns) do row[name] = NULL end
             row.id, row.nmae = 7, 1 return { row = row }",
            "a row with the column \"nmae\", which table public.t doesn't have",
        ),
        (
            "local row = copy(conflict.candidates[1].row) row.id = 8 return { row = row }",
            "key column \"id\" of table public.t is another",
        ),
        (
            "local row = copy(conflict.candidates[1].row) row.id = nil return { row = row }",
            "column \"id\" of table public.t is NULL",
        ),
        (
            "local row = copy(conflict.candidates[1].row) row.bid = 'x' return { row = row }",
            "is of type integer and takes a number, not a string",
        ),
        (
            "local row = copy(conflict.candidates[1].row) row.bid = 2^40 return { row = row }",
            "which the number doesn't fit into",
        ),
        (
            "local row = copy(conflict.candidates[1].row) row.data = '{}' return { row = row }",
            "takes a value that a candidate has there",
        ),
        (
            "conflict.candidates[1].row.bid = 6 return conflict.candidates[1]",
            "candidate 1, whose row it has altered",
        ),
    ] {
        let error = body(code).expect_err(code);
        assert!(
            error.starts_with("merge.lua:1: resolve returned ") && error.contains(what),
            "{error}"
        );
    }
    let resolver = load("function resolve(c) return { deleted = true } end").unwrap();
    let error = resolver
        .resolve(Quarrel::Unique, &key(), &two())
        .unwrap_err();
    assert!(
        error.contains("a unique constraint keeps both rows apart"),
        "{error}"
    );
}

#[test]
fn errors_name_the_line_that_led_to_them() {
    for (code, expected) in [
        (
            "\nlocal x = nil + 1",
            "merge.lua:3: attempt to perform arithmetic on a nil value",
        ),
        ("error('no luck')", "merge.lua:2: no luck"),
        ("error()", "merge.lua:2: "),
        ("error({})", "merge.lua:2: "),
        (
            "return conflict.candidates[1].row.nmae",
            "merge.lua:2: table public.t has no column \"nmae\"",
        ),
        (
            "conflict.candidates[1].row.nmae = 1",
            "merge.lua:2: table public.t has no column \"nmae\"",
        ),
        (
            "local n = #string.find(1)",
            "merge.lua:2: bad argument #2 to 'find'",
        ),
        (
            "local at = string.find('a', '(')",
            "merge.lua:2: malformed pattern",
        ),
        (
            "for _ in pairs(nil) do end",
            "merge.lua:2: bad argument #1 to 'pairs'",
        ),
        ("table.sort({ 1, 'a' })", "merge.lua:2: attempt to compare"),
        (
            "local s = string.format('%d', 'x')",
            "merge.lua:2: bad argument #2 to 'format'",
        ),
        ("table.concat({ {} })", "merge.lua:2: invalid value"),
        (
            "local function f() return 1 + f() end\nf()",
            "merge.lua:2: takes more than 64 MiB of memory",
        ),
    ] {
        let error = body(code).expect_err(code);
        assert!(error.starts_with(expected), "{code}: {error}");
        assert!(
            !error.contains("traceback") && !error.contains("tahr:"),
            "{error}"
        );
    }
}

#[test]
fn files_that_are_no_resolver_are_refused_when_they_are_loaded() {
    for (code, expected) in [
        (
            "function resolve(",
            "conflict code merge.lua:1: <name> or '...' expected near <eof>",
        ),
        (
            "\n\nx = = 1",
            "conflict code merge.lua:3: unexpected symbol near '='",
        ),
        (
            "local function resolve() end",
            "conflict code merge.lua: defines no function `resolve`",
        ),
        (
            "resolve = 1",
            "conflict code merge.lua: `resolve` is no function but a integer",
        ),
        ("\nerror('x')", "conflict code merge.lua:2: x"),
        (
            "while true do end",
            "conflict code merge.lua:1: does not end: stopped after 10000000",
        ),
        ("\x1bLua", "conflict code merge.lua:1: "),
    ] {
        let error = load(code).expect_err(code);
        assert!(error.message().starts_with(expected), "{code}: {error}");
        assert!(error.hint_text().is_some());
    }
    let absent = LuaResolver::load("/nowhere/m.lua".as_ref(), tables(), vec![], BTreeMap::new());
    assert!(
        absent
            .unwrap_err()
            .message()
            .contains("/nowhere/m.lua can't be read")
    );
}

#[test]
fn code_that_never_ends_is_stopped() {
    for code in [
        "while true do end",
        "local function f() return f() end f()",
        "local s = ('a'):rep(200) s:find(('.-'):rep(30) .. 'b')",
        "local s = ('a'):rep(1000) for i = 1, 1e9 do s:gsub('a', 'b') end",
        "local t = {} for i = 1, 1e5 do t[i] = -i end for i = 1, 1e9 do table.sort(t) end",
        "local t = {} for i = 1, 1e9 do table.insert(t, 1, 0) end",
    ] {
        let begun = Instant::now();
        let error = body(code).expect_err(code);
        assert!(
            error.starts_with("merge.lua:2: does not end: stopped after "),
            "{code}: {error}"
        );
        assert!(
            begun.elapsed().as_secs() < 30,
            "{code} took {:?}",
            begun.elapsed()
        );
    }
}

#[test]
fn code_that_takes_all_memory_is_stopped() {
    for code in [
        "return ('x'):rep(1e9)",
        "return ('x'):rep(1e300)",
        "local t = {} while true do t[#t + 1] = {} end",
        "local s = 'x' while true do s = s .. s end",
        "local t = {} for i = 1, 1e9 do t[i] = ('x'):rep(1e6) .. i end",
        "return string.format('%99999d', 1)",
    ] {
        let error = body(code).expect_err(code);
        let is_known = ["memory", "invalid conversion", "a whole number"];
        let is_known = is_known.iter().any(|what| error.contains(what));
        assert!(
            error.starts_with("merge.lua:") && is_known,
            "{code}: {error}"
        );
    }
}

#[test]
fn an_error_leaves_nothing_behind() {
    let resolver = load(
        "function resolve(conflict)
           if conflict.candidates[1].row.bid == 5 then
             local t = {} while true do t[#t + 1] = {} end
           end
           return 1
         end",
    );
    let resolver = resolver.unwrap();
    let [mut a, b] = two();
    for _ in 0..2 {
        let bad = [a.clone(), b.clone()];
        assert!(resolver.resolve(Quarrel::Key, &key(), &bad).is_err());
    }
    a.version.row = Some(row(&[("bid", "6")]));
    let good = resolver.resolve(Quarrel::Key, &key(), &[a, b]);
    assert_eq!(good, Ok(Answer::Winner(0)));
}

#[test]
fn calls_leave_nothing_to_each_other() {
    let resolver = load(
        "local calls = 0
         seen = seen or 0
         function resolve(conflict)
           calls, seen = calls + 1, seen + 1
           string = nil
           conflict.columns[1] = 'altered'
           if calls == 1 and seen == 1 then return 1 else return 2 end
         end",
    );
    let resolver = resolver.unwrap();
    for _ in 0..3 {
        let answer = resolver.resolve(Quarrel::Key, &key(), &two());
        assert_eq!(answer, Ok(Answer::Winner(0)));
    }
    for code in [
        "string.find = nil",
        "math.pi = 3",
        "table.insert(table, 1)",
        "utf8.x = 1",
    ] {
        let error = body(code).unwrap_err();
        assert!(error.contains("can't be altered"), "{code}: {error}");
    }
}

#[test]
fn nothing_of_the_outside_can_be_reached() {
    for name in [
        "os",
        "io",
        "package",
        "require",
        "debug",
        "load",
        "loadstring",
        "loadfile",
        "dofile",
        "collectgarbage",
        "coroutine",
        "print",
        "warn",
        "pcall",
        "xpcall",
        "rawset",
        "rawget",
        "setmetatable",
        "getmetatable",
        "_G",
        "_ENV._G",
        "math.random",
        "math.randomseed",
        "string.dump",
        "string.pack",
        "string.unpack",
    ] {
        let answer = body(&format!("if {name} == nil then return 1 else return 2 end"));
        assert_eq!(answer, Ok(Answer::Winner(0)), "{name} is there");
    }
    let shown = "for _, v in ipairs({ {}, print or type, NULL }) do
        if tostring(v):find('0x') or string.format('%s', v):find('0x') then return 2 end
      end
      return 1";
    assert_eq!(body(shown), Ok(Answer::Winner(0)));
    assert!(
        body("return string.format('%-p', {})")
            .unwrap_err()
            .contains("'%p' shows addresses")
    );
}

#[test]
fn tables_are_walked_in_the_order_of_their_keys() {
    let code =
        "local t, found = { 10, 20, [5] = 50, [-1] = 0, [2.5] = 25, [true] = 1, [false] = 0 }, {}
      for i = 1, 50 do t['k' .. i * 7 % 50] = i end
      for key in pairs(t) do found[#found + 1] = tostring(key) end
      local all = table.concat(found, ' ')
      local texts = {}
      for i = 0, 49 do texts[#texts + 1] = 'k' .. i end
      table.sort(texts)
      local wanted = '-1 1 2 2.5 5 ' .. table.concat(texts, ' ') .. ' false true'
      if all ~= wanted then error(all) end
      local key, count = nil, 0
      repeat key = next(t, key) count = count + 1 until key == nil
      if count ~= #found + 1 or next({}) ~= nil then error(count) end
      for key in pairs(t) do t[key] = nil end
      if next(t) ~= nil then error('not empty') end
      return 1";
    assert_eq!(body(code), Ok(Answer::Winner(0)));
    assert!(
        body("for _ in pairs({ [{}] = 1 }) do end")
            .unwrap_err()
            .contains("no order")
    );
    let row = "local names = {}
      for name in pairs(conflict.candidates[1].row) do names[#names + 1] = name end
      return table.concat(names, ' ') == 'bid id name ratio' and 1 or 2";
    assert_eq!(body(row), Ok(Answer::Winner(0)));
}

#[test]
fn the_libraries_do_what_lua_says() {
    let code = r#"
      local function is(found, wanted)
        if found ~= wanted then error(tostring(found) .. ' is not ' .. tostring(wanted)) end
      end
      is(('a,b,,c'):gsub(',', ';'), 'a;b;;c')
      is(select(2, ('abc'):gsub('', '-')), 4)
      is((('abc'):gsub('', '-')), '-a-b-c-')
      is((('abc'):gsub('%w', '%0%0', 2)), 'aabbc')
      is((('hello world'):gsub('(%w+) (%w+)', '%2 %1')), 'world hello')
      is((('$name is $age'):gsub('%$(%w+)', { name = 'x' })), 'x is $age')
      is((('abc'):gsub('b', function(b) return b:upper() end)), 'aBc')
      is((('aaa'):gsub('^a', 'b')), 'baa')
      is((('a%b'):gsub('%%', '%%%%')), 'a%%b')
      local words = {}
      for word in ('one two  three'):gmatch('%a+') do words[#words + 1] = word end
      is(table.concat(words, '|'), 'one|two|three')
      local pairs_found = {}
      for key, value in ('a=1, b=2'):gmatch('(%w+)=(%w+)') do
        pairs_found[#pairs_found + 1] = key .. value
      end
      is(table.concat(pairs_found, '|'), 'a1|b2')
      is(select('#', ('x'):find('y')), 1)
      is(('a.b'):find('.', 1, true), 2)
      is(('abcabc'):find('b', 3), 5)
      is(('abc'):find('b', -2), 2)
      is(('abc'):find('', 4), 4) is(('abc'):find('', 5), nil)
      is(('2026-01-31'):match('^(%d+)-'), '2026')
      is(('x'):rep(3, ','), 'x,x,x') is(('x'):rep(0), '') is(('x'):rep(-1), '')
      is(string.format('%5.2f|%s|%q|%%p', 1.5, true, 'a'), ' 1.50|true|"a"|%p')
      local t = { 3, 1, 2 }
      table.insert(t, 0) table.insert(t, 1, 9)
      is(table.concat(t, ' '), '9 3 1 2 0')
      is(table.remove(t), 0) is(table.remove(t, 1), 9) is(#t, 3)
      table.sort(t) is(table.concat(t, ' '), '1 2 3')
      table.sort(t, function(a, b) return a > b end) is(table.concat(t, ' '), '3 2 1')
      is(table.concat(table.move({ 1, 2, 3 }, 1, 3, 2), ' '), '1 1 2 3')
      is(table.concat(table.move({ 1, 2, 3 }, 2, 3, 1), ' '), '2 3 3')
      is(select('#', table.unpack({ 1, nil, 3 }, 1, 3)), 3)
      is(table.remove({}), nil)
      local stable = {}
      for i = 1, 40 do stable[i] = { key = i % 3, place = i } end
      table.sort(stable, function(a, b) return a.key < b.key end)
      for i = 2, 40 do
        local a, b = stable[i - 1], stable[i]
        if a.key > b.key or (a.key == b.key and a.place > b.place) then error('not stable') end
      end
      is(utf8.len('äö'), 2) is(math.max(1, 2), 2) is(tonumber('0x10'), 16)
      return 1"#;
    assert_eq!(body(code), Ok(Answer::Winner(0)));
}

/// The examples of `docs/lua.md`, in order: whole files, which is why the first block is left out.
fn examples() -> Vec<String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/lua.md");
    let page = fs::read_to_string(path).expect("docs/lua.md");
    let blocks = page.split("```lua\n").skip(1);
    let blocks = blocks.map(|block| block.split("```").next().unwrap_or_default().to_owned());
    blocks.skip(1).collect()
}

#[test]
fn the_documented_examples_do_what_they_say() {
    let examples = examples();
    let [highest, columns, counter] = examples.as_slice() else {
        panic!("{} examples", examples.len());
    };
    let [a, b] = two();
    assert_eq!(ask(highest, &[a.clone(), b.clone()]), Ok(Answer::Winner(1)));
    let gone = candidate(1, 3, None, None);
    assert_eq!(ask(highest, &[a, gone.clone()]), Ok(Answer::Winner(0)));
    assert_eq!(
        ask(highest, &[gone.clone(), gone.clone()]),
        Ok(Answer::Winner(0))
    );

    let before = row(&[("bid", "1"), ("name", "old"), ("hits", "10")]);
    let early = row(&[("bid", "2"), ("name", "early"), ("hits", "13")]);
    let late = row(&[("bid", "1"), ("name", "late"), ("hits", "15"), ("ok", "t")]);
    let early = candidate(0, 1, Some(early), Some(before.clone()));
    let late = candidate(1, 2, Some(late), Some(before));
    for candidates in [[early.clone(), late.clone()], [late.clone(), early.clone()]] {
        let found = merged(&ask(columns, &candidates));
        let shown = ["bid", "name", "hits", "ok"].map(|name| found[name].as_str());
        assert_eq!(shown, ["2", "late", "15", "t"]);
    }
    assert_eq!(ask(columns, &[early.clone(), gone]), Ok(Answer::Winner(1)));

    let found = merged(&ask(counter, &[early.clone(), late.clone()]));
    assert_eq!(
        (found["hits"].as_str(), found["name"].as_str()),
        ("18", "late")
    );
    let standing = Candidate {
        standing: true,
        ..candidate(0, 0, Some(row(&[("hits", "100")])), None)
    };
    let found = merged(&ask(counter, &[early, late, standing]));
    assert_eq!(found["hits"], "108");
}

#[test]
fn the_rule_has_the_name_of_its_file() {
    assert_eq!(
        load("function resolve() end").unwrap().rule(),
        "lua merge.lua"
    );
}

/// Prints what one machine does in a second; slow machines only make it print less.
#[test]
fn many_conflicts_are_decided_in_a_second() {
    let resolver = load(&examples()[1]).unwrap();
    let (key, candidates) = (key(), two());
    let begun = Instant::now();
    let mut count = 0_u32;
    while begun.elapsed().as_millis() < 500 {
        resolver.resolve(Quarrel::Key, &key, &candidates).unwrap();
        count += 1;
    }
    let speed = f64::from(count) / begun.elapsed().as_secs_f64();
    eprintln_speed(speed);
    assert!(speed > 1000.0, "{speed} conflicts a second");
}

#[allow(clippy::print_stderr)]
fn eprintln_speed(speed: f64) {
    eprintln!("{speed:.0} conflicts a second");
}
