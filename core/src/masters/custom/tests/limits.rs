//! Code that means harm, or would answer differently tomorrow.

use std::time::Instant;

use super::*;

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
