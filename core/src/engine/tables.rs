//! Which tables a person means by the names that they give.

use std::collections::BTreeSet;

use tahr_plugin_api::{TableName, did_you_mean};

use crate::{
    Error,
    config::{TablePattern, parse_table_name},
};

/// Those of `tables` that `texts` name: in full, by the table's name alone where only one schema has
/// it, or by a pattern as in the config. `owner` is who has the tables, such as `lane s/t`.
///
/// # Errors
///
/// A text fits none of them, or is the name of several.
pub(super) fn choose(
    owner: &str,
    tables: &BTreeSet<TableName>,
    texts: &[String],
) -> Result<BTreeSet<String>, Error> {
    let mut chosen = BTreeSet::new();
    for text in texts {
        let fitting = fitting(owner, tables, text)?;
        if fitting.is_empty() {
            return Err(lacks(owner, tables, text));
        }
        chosen.extend(fitting.into_iter().map(ToString::to_string));
    }
    Ok(chosen)
}

fn fitting<'t>(
    owner: &str,
    tables: &'t BTreeSet<TableName>,
    text: &str,
) -> Result<Vec<&'t TableName>, Error> {
    let pattern = TablePattern::parse(text)
        .map_err(|fault| Error::usage(format!("table \"{text}\": {fault}")))?;
    if pattern.excludes() {
        return Err(
            Error::usage(format!("table \"{text}\" excludes instead of naming"))
                .hint("name the tables that are meant"),
        );
    }
    let Ok((None, name)) = parse_table_name(text) else {
        let fits = |table: &&TableName| pattern.matches(table);
        return Ok(tables.iter().filter(fits).collect());
    };
    let found: Vec<_> = tables.iter().filter(|table| table.table == name).collect();
    match found.len() {
        0 | 1 => Ok(found),
        several => Err(Error::usage(format!(
            "{owner} has {several} tables \"{text}\": {}",
            list(found.into_iter())
        ))
        .hint("name the schema too")),
    }
}

fn lacks(owner: &str, tables: &BTreeSet<TableName>, text: &str) -> Error {
    let known: Vec<String> = tables.iter().map(ToString::to_string).collect();
    let full = match text.contains('.') {
        true => text.to_owned(),
        false => format!("public.{text}"),
    };
    let near = did_you_mean(&full, known.iter().map(String::as_str));
    let error = Error::usage(format!("{owner} has no table \"{text}\""));
    error.hint(near.unwrap_or_else(|| match known.is_empty() {
        true => "its sync selects none".to_owned(),
        false => format!("there is: {}", list(tables.iter())),
    }))
}

fn list<'t>(tables: impl Iterator<Item = &'t TableName>) -> String {
    let names: Vec<_> = tables.map(ToString::to_string).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(texts: &[&str]) -> Result<Vec<String>, Error> {
        let public = ["orders", "order_lines", "customers"].map(|name| ("public", name));
        let others = [("sales", "items"), ("sales", "orders")];
        let tables = public.into_iter().chain(others);
        let tables = tables.map(|(schema, table)| TableName::new(schema, table));
        let texts: Vec<String> = texts.iter().map(|&text| text.to_owned()).collect();
        choose("lane s/t", &tables.collect(), &texts).map(|chosen| chosen.into_iter().collect())
    }

    #[test]
    fn tables_are_named_in_full_in_short_or_by_a_pattern() {
        assert_eq!(chosen(&["public.orders"]).unwrap(), ["public.orders"]);
        assert_eq!(chosen(&["customers"]).unwrap(), ["public.customers"]);
        assert_eq!(chosen(&["items"]).unwrap(), ["sales.items"]);
        assert_eq!(chosen(&["\"items\""]).unwrap(), ["sales.items"]);
        assert_eq!(
            chosen(&["public.order*", "public.orders", "order*"]).unwrap(),
            ["public.order_lines", "public.orders"]
        );
    }

    #[test]
    fn a_short_name_of_several_tables_is_refused_and_they_are_named() {
        let error = chosen(&["orders"]).unwrap_err();
        assert_eq!(
            error.message(),
            "lane s/t has 2 tables \"orders\": public.orders, sales.orders"
        );
        assert_eq!(error.hint_text(), Some("name the schema too"));
    }

    #[test]
    fn what_is_not_there_is_named_with_the_nearest() {
        for (text, hint) in [
            ("order", "did you mean \"public.orders\"?"),
            ("x.y", "there is: public.customers"),
        ] {
            let error = chosen(&[text]).unwrap_err();
            assert!(error.message().contains(&format!("no table \"{text}\"")));
            assert!(
                error.hint_text().is_some_and(|has| has.contains(hint)),
                "{error:?}"
            );
        }
        chosen(&["!orders"]).unwrap_err();
    }
}
