//! What is wrong is said, with the line.

use std::collections::BTreeMap;

use super::*;

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
