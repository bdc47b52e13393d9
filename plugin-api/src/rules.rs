//! Rules: what each PostgreSQL type becomes in a target, and what becomes of values that the
//! target's type can't hold.
//!
//! A writer has one function from a source column to its [`Rule`], and asks it wherever it creates a
//! column, checks one or binds a value. [`Writer::rules`](crate::Writer::rules) asks the same
//! function about [every type](source_types); what it answers is what `tahr plugins describe` and
//! the documentation show. So the documentation can't say anything else than what the code does.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Column, ValueKind};

/// What becomes of a value that the target's type can't hold, such as `infinity` in a type for
/// dates that has none. An option of writers, under the key `unfit`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unfit {
    /// The lane parks, and names table, column, type and rule. Nothing is lost.
    #[default]
    Error,
    /// NULL is stored, counted as `values_set_null`.
    Null,
    /// The nearest value that fits is stored, counted as `values_clamped`; NULL where none is
    /// nearest, as for NaN, counted as `values_set_null`.
    Clamp,
    /// Columns whose type has such values are created as text and hold PostgreSQL's text. Nothing is
    /// lost.
    Text,
}

/// How a target holds the values of one PostgreSQL type.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rule {
    /// The target's type, as one would declare it: `DECIMAL(10,2)`.
    pub target: String,
    /// How a value looks there, where that isn't plain: `0 or 1`; else empty.
    pub form: String,
    /// Which values it can't hold ([`Unfit`] decides about them) or alters; empty where every value
    /// arrives exactly.
    pub except: String,
}

impl Rule {
    /// Every value arrives exactly, in the target's type `target`.
    pub fn exact(target: impl Into<String>) -> Self {
        Self {
            target: target.into(),
            ..Self::default()
        }
    }

    /// Says how values look.
    #[must_use]
    pub fn form(mut self, form: impl Into<String>) -> Self {
        self.form = form.into();
        self
    }

    /// Says which values it can't hold, or alters.
    #[must_use]
    pub fn except(mut self, except: impl Into<String>) -> Self {
        self.except = except.into();
        self
    }
}

/// The rules of a target under one setting of its options.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleTable {
    /// The setting, such as `format = "json"`; empty where there is one table only.
    pub setting: String,
    /// For each of the [source types](source_types), in their order.
    pub rules: Vec<(String, Rule)>,
}

impl RuleTable {
    /// Asks `rule` about every source type.
    pub fn of(setting: impl Into<String>, rule: impl Fn(&Column) -> Rule) -> Self {
        let rule = |column: Column| (column.type_name.clone(), rule(&column));
        Self {
            setting: setting.into(),
            rules: source_types().map(rule).collect(),
        }
    }

    /// The table as people read it: the types of one rule together, in the order of their first; the
    /// rule that most types have comes last. Where every type is kept as itself, the target reads
    /// "the same type".
    #[must_use]
    pub fn groups(&self) -> Vec<(Vec<&str>, Rule)> {
        let is_same = self.rules.iter().all(|(name, rule)| rule.target == *name);
        let mut groups: Vec<(Vec<&str>, Rule)> = Vec::new();
        for (name, rule) in &self.rules {
            let mut rule = rule.clone();
            if is_same {
                "the same type".clone_into(&mut rule.target);
            }
            match groups.iter_mut().find(|(_, known)| *known == rule) {
                Some((names, _)) => names.push(name),
                None => groups.push((vec![name], rule)),
            }
        }
        let most = groups.iter().map(|(names, _)| names.len()).max();
        if let Some(place) = groups
            .iter()
            .position(|(names, _)| Some(names.len()) == most)
        {
            let largest = groups.remove(place);
            groups.push(largest);
        }
        groups
    }
}

/// A column of each of PostgreSQL's own types, and of each sort that users make: an enum (`mood`),
/// a composite type (`pair`), and extensions' `citext` and `hstore`. A domain is the type under it.
pub fn source_types() -> impl Iterator<Item = Column> {
    TYPES.iter().map(|&(type_name, type_oid, type_modifier)| {
        let kind = match type_name {
            "citext" | "mood" => ValueKind::Text,
            _ => ValueKind::of_type(type_oid),
        };
        Column {
            name: "value".to_owned(),
            kind,
            type_name: type_name.to_owned(),
            type_oid,
            type_modifier,
            ..Column::default()
        }
    })
}

/// A modifier counts from 4 where the type has a header of that length.
const HEADER: i32 = 4;

/// Name, OID (0: differs from database to database) and modifier.
const TYPES: &[(&str, u32, i32)] = &[
    ("boolean", 16, -1),
    ("smallint", 21, -1),
    ("integer", 23, -1),
    ("bigint", 20, -1),
    ("oid", 26, -1),
    ("real", 700, -1),
    ("double precision", 701, -1),
    ("numeric", 1700, -1),
    ("numeric(10,2)", 1700, (10 << 16 | 2) + HEADER),
    ("numeric(100,50)", 1700, (100 << 16 | 50) + HEADER),
    ("money", 790, -1),
    ("text", 25, -1),
    ("character varying", 1043, -1),
    ("character varying(20)", 1043, 20 + HEADER),
    ("character(20)", 1042, 20 + HEADER),
    ("\"char\"", 18, -1),
    ("name", 19, -1),
    ("citext", 0, -1),
    ("mood", 0, -1),
    ("bytea", 17, -1),
    ("date", 1082, -1),
    ("time without time zone", 1083, -1),
    ("time with time zone", 1266, -1),
    ("timestamp without time zone", 1114, -1),
    ("timestamp with time zone", 1184, -1),
    ("interval", 1186, -1),
    ("uuid", 2950, -1),
    ("json", 114, -1),
    ("jsonb", 3802, -1),
    ("jsonpath", 4072, -1),
    ("xml", 142, -1),
    ("hstore", 0, -1),
    ("pair", 0, -1),
    ("integer[]", 1007, -1),
    ("text[]", 1009, -1),
    ("int4range", 3904, -1),
    ("numrange", 3906, -1),
    ("tstzrange", 3910, -1),
    ("int4multirange", 4451, -1),
    ("bit(8)", 1560, 8),
    ("bit varying", 1562, -1),
    ("inet", 869, -1),
    ("cidr", 650, -1),
    ("macaddr", 829, -1),
    ("macaddr8", 774, -1),
    ("point", 600, -1),
    ("line", 628, -1),
    ("lseg", 601, -1),
    ("box", 603, -1),
    ("path", 602, -1),
    ("polygon", 604, -1),
    ("circle", 718, -1),
    ("tsvector", 3614, -1),
    ("tsquery", 3615, -1),
    ("pg_lsn", 3220, -1),
    ("xid", 28, -1),
    ("xid8", 5069, -1),
    ("tid", 27, -1),
    ("pg_snapshot", 5038, -1),
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_kind_of_value_has_a_type() {
        let kinds: HashSet<ValueKind> = source_types().map(|column| column.kind).collect();
        assert_eq!(kinds.len(), 16);
    }

    #[test]
    fn a_table_asks_about_every_type() {
        let table = RuleTable::of("", |column| Rule::exact(&column.type_name));
        assert_eq!(table.rules.len(), TYPES.len());
        assert!(table.rules.iter().all(|(name, rule)| *name == rule.target));
    }

    #[test]
    fn types_of_one_rule_are_a_group_and_the_largest_comes_last() {
        let table = RuleTable::of("", |column| match column.kind {
            ValueKind::Int | ValueKind::Decimal => Rule::exact("INT"),
            ValueKind::Float => Rule::exact("REAL"),
            _ => Rule::exact("text"),
        });
        let groups = table.groups();
        let targets: Vec<&str> = groups.iter().map(|(_, rule)| &*rule.target).collect();
        assert_eq!(targets, ["INT", "REAL", "text"]);
        assert_eq!(groups[0].0[3..5], ["oid", "numeric"]);
    }

    #[test]
    fn a_target_with_the_sources_own_types_says_so() {
        let table = RuleTable::of("", |column| Rule::exact(&column.type_name));
        let groups = table.groups();
        assert_eq!((groups.len(), &*groups[0].1.target), (1, "the same type"));
    }

    #[test]
    fn settings_are_words() {
        let unfit: Unfit = serde_json::from_str("\"clamp\"").unwrap();
        assert_eq!(unfit, Unfit::Clamp);
    }
}
