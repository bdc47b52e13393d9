//! Which type a column gets, and which of PostgreSQL's types hold all values of which others.

use tahr_plugin_api::{Column, Rule, RuleTable};

/// How a table that is made for a relation holds `column`. `is_known`: whether the target has the
/// source's type, which extensions, users and newer versions of PostgreSQL may have added.
pub(crate) fn rule(column: &Column, is_known: bool) -> Rule {
    if is_known {
        Rule::exact(&column.type_name)
    } else {
        Rule::exact("text").form("PostgreSQL's text")
    }
}

/// The rules as the documentation shows them.
pub(crate) fn rules() -> Vec<RuleTable> {
    let table = |setting: &str, is_known| RuleTable::of(setting, |column| rule(column, is_known));
    vec![
        table("types that the target has", true),
        table("types that the target lacks", false),
    ]
}

/// A type name taken apart: `timestamp(3) without time zone` is `timestamp without time zone`
/// with the modifiers `[3]`.
#[derive(Debug, PartialEq, Eq)]
struct TypeName {
    base: String,
    modifiers: Vec<i64>,
}

impl TypeName {
    fn parse(name: &str) -> Self {
        let plain = Self {
            base: name.to_owned(),
            modifiers: Vec::new(),
        };
        // A quoted name may hold parentheses of its own.
        let start = name.rfind('"').map_or(0, |quote| quote + 1);
        let Some(open) = name[start..].find('(').map(|at| at + start) else {
            return plain;
        };
        let Some(close) = name[open..].find(')').map(|at| at + open) else {
            return plain;
        };
        let modifiers = name[open + 1..close]
            .split(',')
            .map(|part| part.trim().parse());
        match modifiers.collect() {
            Ok(modifiers) => Self {
                base: format!("{}{}", &name[..open], &name[close + 1..]),
                modifiers,
            },
            Err(_) => plain,
        }
    }
}

/// Whether a column of type `target` holds every value of a column of type `source`.
pub(crate) fn fits(source: &str, target: &str) -> bool {
    if source == target {
        return true;
    }
    let (from, to) = (TypeName::parse(source), TypeName::parse(target));
    if from.base == to.base {
        return modifiers_fit(&from, &to);
    }
    match (from.base.as_str(), to.base.as_str()) {
        // Any value's text form; also what enums become where the type is absent.
        (_, "text") => true,
        ("text" | "name", "character varying") => to.modifiers.is_empty(),
        ("character", "character varying") => {
            to.modifiers.is_empty() || from.modifiers.first() <= to.modifiers.first()
        }
        (_, "character varying") => to.modifiers.is_empty(),
        ("smallint", "integer" | "bigint")
        | ("integer", "bigint")
        | ("real", "double precision") => true,
        ("smallint", "numeric") => holds_digits(&to, 5),
        ("integer", "numeric") => holds_digits(&to, 10),
        ("bigint", "numeric") => holds_digits(&to, 19),
        ("bit", "bit varying") => {
            to.modifiers.is_empty() || from.modifiers.first() <= to.modifiers.first()
        }
        _ => false,
    }
}

fn holds_digits(numeric: &TypeName, digits: i64) -> bool {
    match numeric.modifiers[..] {
        [] => true,
        // A scale would print 1 as 1.00.
        [precision] | [precision, 0] => precision >= digits,
        _ => false,
    }
}

fn modifiers_fit(from: &TypeName, to: &TypeName) -> bool {
    if from.base.starts_with("interval") && from.base.len() != to.base.len() {
        return to.base == "interval";
    }
    match (&from.modifiers[..], &to.modifiers[..]) {
        (from, to) if from == to => true,
        // `character` and `bit` alone mean a length of one, and a longer one pads.
        _ if ["character", "bit"].contains(&from.base.trim_end_matches("[]")) => false,
        (_, []) => true,
        ([], _) => false,
        ([from, from_scale @ ..], [to, to_scale @ ..])
            if to_scale.len() <= 1 && from_scale.len() <= 1 =>
        {
            let from_scale = from_scale.first().copied().unwrap_or(0);
            let to_scale = to_scale.first().copied().unwrap_or(0);
            to_scale >= from_scale && to - to_scale >= from - from_scale
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn wider_types_fit() {
        for (source, target) in [
            ("integer", "integer"),
            ("integer", "bigint"),
            ("smallint", "numeric(5,0)"),
            ("real", "double precision"),
            ("numeric(10,2)", "numeric(12,4)"),
            ("numeric(10,2)", "numeric"),
            ("character varying(20)", "character varying(30)"),
            ("character varying(20)", "character varying"),
            ("character varying(20)", "text"),
            ("character(3)", "character varying(3)"),
            ("timestamp(3) with time zone", "timestamp with time zone"),
            (
                "timestamp(3) without time zone",
                "timestamp(6) without time zone",
            ),
            ("public.mood", "text"),
            ("public.\"a(b)\"", "public.\"a(b)\""),
            ("numeric(10,2)[]", "numeric(12,2)[]"),
        ] {
            assert!(fits(source, target), "{source} -> {target}");
        }
    }

    #[test]
    fn narrower_and_foreign_types_do_not_fit() {
        for (source, target) in [
            ("bigint", "integer"),
            ("numeric", "numeric(10,2)"),
            ("numeric(10,2)", "numeric(11,4)"),
            ("numeric(10,2)", "numeric(10,1)"),
            ("integer", "numeric(10,2)"),
            ("character varying(20)", "character varying(10)"),
            ("text", "character varying(10)"),
            ("character(3)", "character(4)"),
            ("timestamp with time zone", "timestamp(0) with time zone"),
            ("timestamp with time zone", "timestamp without time zone"),
            ("json", "jsonb"),
            ("double precision", "real"),
            ("public.mood", "public.weather"),
        ] {
            assert!(!fits(source, target), "{source} -> {target}");
        }
    }
}
