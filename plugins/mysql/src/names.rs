//! Names of tables and columns as MySQL takes them.
//!
//! A name of PostgreSQL's may be longer than MySQL's 64 characters (a schema and a table joined), hold
//! characters beyond the Basic Multilingual Plane, or end with a space: MySQL takes none of these. Such
//! a name is made to fit and ends with a hash of the whole, so that two names stay two names and the
//! same one comes out each time.

use tahr_plugin_api::Relation;

/// The table that holds the checkpoints.
pub(crate) const CHECKPOINT: &str = "tahr_checkpoint";

/// What the tables of copies under way begin with.
pub(crate) const LOAD_PREFIX: &str = "tahr_load_";

/// What the tables that copies have replaced begin with, for the moment until they are dropped.
const OLD_PREFIX: &str = "tahr_load_old_";

/// Characters of a name.
const LENGTH: usize = 64;

/// A table's name is a file's name too, of 255 bytes with its suffix, in which a character that is no
/// plain letter, digit or underscore takes up to five.
const FILE_LENGTH: usize = 230;

/// The table of a relation: `public.t` is `t`, `s.t` is `s_t`.
#[must_use]
pub fn table_name(relation: &Relation) -> String {
    table(&relation.target.flat())
}

/// The column of a table, for the column of that name in the source.
#[must_use]
pub fn column_name(name: &str) -> String {
    fit(name, LENGTH, usize::MAX)
}

fn table(name: &str) -> String {
    fit(name, LENGTH, FILE_LENGTH)
}

/// The table that `table` is copied into before it becomes the table itself.
pub(crate) fn load_table(table: &str) -> String {
    self::table(&format!("{LOAD_PREFIX}{table}"))
}

/// What `table` is called once its copy has taken its place.
pub(crate) fn old_table(table: &str) -> String {
    self::table(&format!("{OLD_PREFIX}{table}"))
}

/// The bytes of a character in a file's name.
fn file_bytes(c: char) -> usize {
    if c.is_ascii_alphanumeric() || c == '_' {
        1
    } else {
        5
    }
}

fn fit(name: &str, length: usize, file_length: usize) -> String {
    let is_allowed = |c: char| c != '\0' && (c as u32) < 0x1_0000;
    let file_bytes: usize = name.chars().map(file_bytes).sum();
    let fits = name.chars().count() <= length
        && file_bytes <= file_length
        && name.chars().all(is_allowed)
        && !name.ends_with(char::is_whitespace);
    if fits {
        return name.to_owned();
    }
    let hash = format!("_{:08x}", hash(name));
    let (mut count, mut bytes) = (hash.len(), hash.len());
    let kept = name.trim_end().chars().map_while(|c| {
        let c = if is_allowed(c) { c } else { '_' };
        count += 1;
        bytes += self::file_bytes(c);
        (count <= length && bytes <= file_length).then_some(c)
    });
    kept.collect::<String>() + &hash
}

/// FNV-1a: stable across versions of everything, since names outlive programs.
fn hash(name: &str) -> u32 {
    name.bytes().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}

/// `name` as an identifier in SQL.
pub(crate) fn quote(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// `text` as a literal that means the same under every `sql_mode`.
pub(crate) fn literal(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len() + 2);
    crate::value::put_text(&mut out, text);
    String::from_utf8(out).unwrap_or_default()
}

/// `name` as MySQL compares names of columns, and those of tables where the server folds them.
pub(crate) fn folded(name: &str) -> String {
    name.to_lowercase()
}

/// Whether no table of a user can have the name.
pub(crate) fn is_reserved(table: &str) -> bool {
    let table = folded(table);
    table.starts_with(LOAD_PREFIX) || table == CHECKPOINT
}

/// Two of the names that MySQL can't tell apart.
pub(crate) fn twins<'a>(names: impl IntoIterator<Item = &'a str>) -> Option<(&'a str, &'a str)> {
    let mut seen = std::collections::HashMap::new();
    names.into_iter().find_map(|name| {
        seen.insert(folded(&column_name(name)), name)
            .map(|first| (first, name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_fit_stay_as_they_are() {
        for name in ["items", "a`b", "größe", " x", "a.b", &"t".repeat(64)] {
            assert_eq!(table(name), name);
            assert_eq!(column_name(name), name);
        }
    }

    #[test]
    fn names_that_do_not_fit_are_made_to_and_stay_apart() {
        let long = |last: &str| format!("{}_{}{last}", "s".repeat(63), "ä".repeat(31));
        let names = [
            long("1"),
            long("2"),
            "🦀 crab".to_owned(),
            "🦞 crab".to_owned(),
            "trailing ".to_owned(),
            "trailing".to_owned(),
            "é".repeat(60),
        ];
        let mut fitted: Vec<String> = names.iter().map(|name| table(name)).collect();
        for name in &fitted {
            assert!(name.chars().count() <= 64 && !name.ends_with(' '), "{name}");
            assert!(name.chars().map(file_bytes).sum::<usize>() <= FILE_LENGTH);
            assert!(name.chars().all(|c| (c as u32) < 0x1_0000), "{name}");
        }
        fitted.sort();
        fitted.dedup();
        assert_eq!(fitted.len(), names.len());
        assert_eq!(table("🦀 crab"), "_ crab_2baebe8c");
        assert!(load_table(&"t".repeat(64)).chars().count() <= 64);
        assert!(old_table(&"t".repeat(64)) != load_table(&"t".repeat(64)));
    }

    #[test]
    fn quotes_are_doubled_and_twins_found() {
        assert_eq!(quote("a`b"), "`a``b`");
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(twins(["a", "b", "A"]), Some(("a", "A")));
        assert_eq!(twins(["ä", "Ä"]), Some(("ä", "Ä")));
        assert_eq!(twins(["a", "ä"]), None);
        assert!(is_reserved("Tahr_Checkpoint") && is_reserved("tahr_load_x") && !is_reserved("t"));
    }
}
