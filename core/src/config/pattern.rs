//! Patterns that choose tables: `public.*`, `!public.audit_*`, `t`, `"we.ird".*`.

use std::fmt;

use tahr_plugin_api::TableName;

/// One entry of a sync's `tables`: it includes the tables it matches, or with a leading `!`
/// excludes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TablePattern {
    text: String,
    exclude: bool,
    schema: Vec<Part>,
    table: Vec<Part>,
}

/// A piece of a half of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// This character.
    Char(char),
    /// `?`: one character.
    One,
    /// `*`: any number of characters.
    Any,
}

impl TablePattern {
    /// Reads `schema.table` or `table` (of schema `public`), each half with `*` and `?` as
    /// wildcards or in double quotes without any; a leading `!` excludes.
    ///
    /// # Errors
    ///
    /// What is wrong with it, as a fragment.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (exclude, body) = match text.strip_prefix('!') {
            Some(body) => (true, body),
            None => (false, text),
        };
        let (schema, table) = halves(body)?;
        Ok(Self {
            text: text.to_owned(),
            exclude,
            schema,
            table,
        })
    }

    /// Whether `table` fits, no matter whether the pattern includes or excludes.
    #[must_use]
    pub fn matches(&self, table: &TableName) -> bool {
        fits(&self.schema, &table.schema) && fits(&self.table, &table.table)
    }

    /// Whether it excludes what it matches.
    #[must_use]
    pub fn excludes(&self) -> bool {
        self.exclude
    }

    /// Whether `patterns` include `table`: the last one that matches decides, and none at all
    /// means no.
    #[must_use]
    pub fn select(patterns: &[Self], table: &TableName) -> bool {
        patterns
            .iter()
            .rfind(|pattern| pattern.matches(table))
            .is_some_and(|last| !last.exclude)
    }

    /// The one table that it can match, if it has no wildcards.
    #[must_use]
    pub fn single(&self) -> Option<TableName> {
        Some(TableName::new(
            literal(&self.schema)?,
            literal(&self.table)?,
        ))
    }
}

impl fmt::Display for TablePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Reads the name of one table, spelt as in a pattern; the schema is `None` where none is given.
///
/// # Errors
///
/// What is wrong with it, as a fragment.
pub fn parse_table_name(text: &str) -> Result<(Option<String>, String), String> {
    let has_schema = split(text)?.len() > 1;
    let (schema, table) = halves(text)?;
    match (literal(&schema), literal(&table)) {
        (Some(schema), Some(table)) => Ok((has_schema.then_some(schema), table)),
        _ => Err("has a wildcard, but must name one table".to_owned()),
    }
}

fn halves(text: &str) -> Result<(Vec<Part>, Vec<Part>), String> {
    let mut found = split(text)?;
    let table = found.pop().unwrap_or_default();
    let schema = found
        .pop()
        .unwrap_or_else(|| "public".chars().map(Part::Char).collect());
    if !found.is_empty() {
        return Err("has more than one dot; put a name that holds a dot in double quotes".into());
    }
    if table.is_empty() || schema.is_empty() {
        return Err("lacks a name".into());
    }
    Ok((schema, table))
}

/// Splits at the dots outside quotes.
fn split(text: &str) -> Result<Vec<Vec<Part>>, String> {
    let mut halves = Vec::new();
    let mut rest = text;
    loop {
        let (half, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_half(quoted)?,
            None => bare_half(rest)?,
        };
        halves.push(half);
        match after.strip_prefix('.') {
            Some(next) => rest = next,
            None if after.is_empty() => return Ok(halves),
            None => return Err("has text after a closing quote".into()),
        }
    }
}

fn quoted_half(text: &str) -> Result<(Vec<Part>, &str), String> {
    let mut half = Vec::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '"' {
            half.push(Part::Char(c));
        } else if let Some(after) = chars.as_str().strip_prefix('"') {
            half.push(Part::Char('"'));
            chars = after.chars();
        } else {
            return Ok((half, chars.as_str()));
        }
    }
    Err("has a quote that isn't closed".into())
}

fn bare_half(text: &str) -> Result<(Vec<Part>, &str), String> {
    let end = text.find('.').unwrap_or(text.len());
    let (half, after) = text.split_at(end);
    if half.contains('"') {
        return Err(
            "has a quote inside a name; quote the whole name, and write \"\" for a quote".into(),
        );
    }
    if half.contains(char::is_whitespace) {
        return Err("has a blank; put a name that holds a blank in double quotes".into());
    }
    let part = |c| match c {
        '*' => Part::Any,
        '?' => Part::One,
        c => Part::Char(c),
    };
    Ok((half.chars().map(part).collect(), after))
}

fn literal(half: &[Part]) -> Option<String> {
    half.iter()
        .map(|part| match part {
            Part::Char(c) => Some(*c),
            Part::One | Part::Any => None,
        })
        .collect()
}

/// Tries the shortest run for the last `*` seen and lengthens it on a mismatch: earlier stars never
/// need another try, so the time is at most the product of both lengths.
fn fits(half: &[Part], name: &str) -> bool {
    let name: Vec<char> = name.chars().collect();
    let (mut at, mut part) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while at < name.len() {
        match half.get(part) {
            Some(Part::Any) => {
                star = Some((part, at));
                part += 1;
            }
            Some(Part::One) => (at, part) = (at + 1, part + 1),
            Some(Part::Char(c)) if *c == name[at] => (at, part) = (at + 1, part + 1),
            _ => match &mut star {
                Some((star_part, star_at)) => {
                    *star_at += 1;
                    (at, part) = (*star_at, *star_part + 1);
                }
                None => return false,
            },
        }
    }
    half[part..].iter().all(|part| *part == Part::Any)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, schema: &str, table: &str) -> bool {
        TablePattern::parse(pattern)
            .unwrap()
            .matches(&TableName::new(schema, table))
    }

    #[test]
    fn patterns_match_what_they_say() {
        for (pattern, schema, table, fits) in [
            ("public.*", "public", "t", true),
            ("public.*", "sales", "t", false),
            ("*", "public", "t", true),
            ("*", "sales", "t", false),
            ("*.*", "sales", "t", true),
            ("t", "public", "t", true),
            ("t", "public", "tt", false),
            ("public.t", "public", "t", true),
            ("public.T", "public", "t", false),
            ("public.audit_*", "public", "audit_2024", true),
            ("public.audit_*", "public", "audit_", true),
            ("public.audit_*", "public", "audits", false),
            ("public.*_log", "public", "a_log_log", true),
            ("public.*_log", "public", "a_log_", false),
            ("public.a*b*c", "public", "aXbYbZc", true),
            ("public.a*b*c", "public", "aXcYb", false),
            ("public.t?", "public", "t1", true),
            ("public.t?", "public", "t", false),
            ("public.t?", "public", "tü", true),
            ("s*.t", "sales", "t", true),
            (r#""we.ird"."na me""#, "we.ird", "na me", true),
            (r#""we.ird".*"#, "we.ird", "x", true),
            (r#"public."*""#, "public", "*", true),
            (r#"public."*""#, "public", "t", false),
            (r#""a""b""#, "public", "a\"b", true),
            ("!public.t", "public", "t", true),
        ] {
            assert_eq!(
                matches(pattern, schema, table),
                fits,
                "{pattern} on {schema}.{table}"
            );
        }
    }

    #[test]
    fn the_last_pattern_that_matches_decides() {
        let list = ["public.*", "!public.audit_*", "public.audit_kept"]
            .map(|text| TablePattern::parse(text).unwrap());
        let selects = |name: &str| TablePattern::select(&list, &TableName::new("public", name));
        assert!(selects("t"));
        assert!(!selects("audit_2024"));
        assert!(selects("audit_kept"));
        assert!(!TablePattern::select(&list, &TableName::new("sales", "t")));
        assert!(!TablePattern::select(&[], &TableName::new("public", "t")));
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for wrong in [
            "", "!", ".t", "public.", "a.b.c", r#""open"#, r#"a"b"#, r#""a"b"#, "a b", r#""""#,
        ] {
            assert!(TablePattern::parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_table_name_has_no_wildcards() {
        assert_eq!(parse_table_name("t").unwrap(), (None, "t".into()));
        assert_eq!(
            parse_table_name("s.t").unwrap(),
            (Some("s".into()), "t".into())
        );
        assert_eq!(
            parse_table_name(r#"s."*""#).unwrap(),
            (Some("s".into()), "*".into())
        );
        assert!(parse_table_name("s.*").unwrap_err().contains("wildcard"));
        assert!(
            parse_table_name("!t").is_ok(),
            "a name may begin with an exclamation mark"
        );
    }
}
