//! Patterns beside what Lua makes of them.

use super::*;

fn all(text: &str, pattern: &str) -> Option<Vec<String>> {
    let search = Search {
        from: 0,
        anchors: true,
        not_at: None,
    };
    let mut steps = 100_000;
    let found = find(text.as_bytes(), pattern.as_bytes(), search, &mut steps).unwrap()?;
    let mut shown = vec![text[found.start..found.end].to_owned()];
    shown.extend(found.captures.iter().map(|capture| match *capture {
        Capture::Text(start, end) => text[start..end].to_owned(),
        Capture::Place(place) | Capture::Open(place) => format!("@{}", place + 1),
    }));
    Some(shown)
}

#[test]
fn patterns_mean_what_they_mean_in_lua() {
    for (text, pattern, expected) in [
        (
            "  trim me ",
            "^%s*(.-)%s*$",
            Some(vec!["  trim me ", "trim me"]),
        ),
        (
            "key = value",
            "(%w+)%s*=%s*(%w+)",
            Some(vec!["key = value", "key", "value"]),
        ),
        (
            "2026-01-31",
            "(%d+)-(%d+)-(%d+)",
            Some(vec!["2026-01-31", "2026", "01", "31"]),
        ),
        ("f(a(b)c)d", "%b()", Some(vec!["(a(b)c)"])),
        ("THE (quick) fox", "%f[%a]%a+%f[%A]", Some(vec!["THE"])),
        (
            "say \"it's\"",
            "([\"'])(.-)%1",
            Some(vec!["\"it's\"", "\"", "it's"]),
        ),
        ("hello", "()ll()", Some(vec!["ll", "@3", "@5"])),
        ("a]b", "[]]", Some(vec!["]"])),
        ("x^y", "[%^x]+", Some(vec!["x^"])),
        ("colour", "colou?r", Some(vec!["colour"])),
        ("color", "colou?r", Some(vec!["color"])),
        ("aaa", "a-b", None),
        ("abc", "^b", None),
        ("a.b", "%.", Some(vec!["."])),
        ("", "", Some(vec![""])),
        ("a-z", "[a%-z]+", Some(vec!["a-z"])),
        ("12ab", "[^%d]+$", Some(vec!["ab"])),
    ] {
        let expected = expected.map(|parts| parts.into_iter().map(String::from).collect());
        assert_eq!(all(text, pattern), expected, "{text:?} {pattern:?}");
    }
}

#[test]
fn wrong_patterns_are_errors_and_endless_ones_end() {
    let search = Search {
        from: 0,
        anchors: true,
        not_at: None,
    };
    for wrong in ["%", "[a", "(a", "a)", "%1", "%b", "%fa", "[%", "[^", "[]"] {
        let mut steps = 1000;
        let found = find(b"aaa", wrong.as_bytes(), search, &mut steps);
        assert!(
            matches!(found, Err(Fault::Malformed(_))),
            "{wrong} {found:?}"
        );
    }
    let mut steps = 1_000_000;
    let endless = find(&[b'a'; 200], "a-".repeat(30).as_bytes(), search, &mut steps);
    assert!(endless.is_ok(), "the empty match comes first");
    let mut steps = 1_000_000;
    let pattern = format!("{}b", ".-".repeat(30));
    let endless = find(&[b'a'; 200], pattern.as_bytes(), search, &mut steps);
    assert_eq!((endless, steps), (Err(Fault::Endless), 0));
    let deep = find(b"", &b"(".repeat(40), search, &mut steps);
    assert!(matches!(deep, Err(Fault::Malformed(_) | Fault::Endless)));
}
