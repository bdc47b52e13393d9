//! What the database's own catalog says of a table.

use tahr_plugin_api::WriteError;

use crate::{
    error::failed,
    number::Bounds,
    session::{Error, Session},
    statements,
};

/// A table as it is in the schema.
#[derive(Clone, Debug, Default)]
pub(crate) struct Existing {
    pub(crate) columns: Vec<ExistingColumn>,
    /// Names of the columns of every unique index, sorted.
    pub(crate) unique_keys: Vec<Vec<String>>,
    /// Whether enforced foreign keys tie it to other tables.
    pub(crate) has_foreign_keys: bool,
}

/// A column as it is in the schema.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ExistingColumn {
    pub(crate) name: String,
    /// As the catalog spells it: `VARCHAR2`, `NUMBER`, `TIMESTAMP(6) WITH TIME ZONE`.
    pub(crate) data_type: String,
    /// Bytes that a value may have.
    pub(crate) bytes: u32,
    /// Characters that a value may have, where the column was declared so.
    pub(crate) characters: Option<u32>,
    /// A number's; none: as many digits as there are.
    pub(crate) bounds: Option<Bounds>,
    pub(crate) is_nullable: bool,
    pub(crate) has_default: bool,
    pub(crate) is_virtual: bool,
}

impl ExistingColumn {
    /// Its type as one declares it.
    pub(crate) fn declared(&self) -> String {
        let name = &self.data_type;
        match (&**name, self.characters, self.bounds) {
            ("NUMBER", _, Some(bounds)) => bounds.declared(),
            ("VARCHAR2" | "CHAR", Some(characters), _) => format!("{name}({characters} CHAR)"),
            ("NVARCHAR2" | "NCHAR", Some(characters), _) => format!("{name}({characters})"),
            ("VARCHAR2" | "CHAR", None, _) => format!("{name}({} BYTE)", self.bytes),
            ("RAW", ..) => format!("RAW({})", self.bytes),
            _ => name.clone(),
        }
    }
}

impl Existing {
    /// The table `name`, if there is one.
    pub(crate) fn find(session: &Session, name: &str) -> Result<Option<Self>, WriteError> {
        let failed = |error: Error| failed("read the catalog", &error);
        let schema = &*session.schema;
        let rows = session
            .query(statements::COLUMNS, &[schema, name])
            .map_err(failed)?;
        if rows.is_empty() {
            return Ok(None);
        }
        let columns = rows.into_iter().map(column).collect();
        let rows = session
            .query(statements::UNIQUE_KEYS, &[schema, name])
            .map_err(failed)?;
        let count = session
            .query(statements::FOREIGN_KEYS, &[schema, name, schema, name])
            .map_err(failed)?;
        Ok(Some(Self {
            columns,
            unique_keys: keys(rows),
            has_foreign_keys: single(&count) != Some("0"),
        }))
    }

    /// The column `name`.
    pub(crate) fn column(&self, name: &str) -> Option<&ExistingColumn> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// Whether exactly `columns` are a unique key.
    pub(crate) fn has_key<'a>(&self, columns: impl IntoIterator<Item = &'a str>) -> bool {
        let mut columns: Vec<&str> = columns.into_iter().collect();
        columns.sort_unstable();
        self.unique_keys.iter().any(|key| *key == columns)
    }
}

/// The one value of a query's one row.
pub(crate) fn single(rows: &[Vec<Option<String>>]) -> Option<&str> {
    rows.first()?.first()?.as_deref()
}

/// A row of [`statements::COLUMNS`].
fn column(row: Vec<Option<String>>) -> ExistingColumn {
    let mut values = row.into_iter();
    let mut next = || values.next().flatten();
    let (name, data_type) = (next(), next());
    let mut number = || next().and_then(|text| text.parse::<i32>().ok());
    let (bytes, characters) = (number(), number());
    let is_in_characters = next().as_deref() == Some("C");
    let mut number = || next().and_then(|text| text.parse::<i32>().ok());
    let (precision, scale) = (number(), number());
    let is_nullable = next().as_deref() == Some("Y");
    let has_default = next().is_some();
    let is_virtual = next().as_deref() == Some("YES");
    let unsigned = |number: Option<i32>| number.and_then(|number| u32::try_from(number).ok());
    let bounds = match (precision, scale) {
        (None, None) => None,
        // `INTEGER` is NUMBER(*,0).
        (precision, scale) => Some(Bounds {
            precision: precision.unwrap_or(38),
            scale: scale.unwrap_or(0),
        }),
    };
    ExistingColumn {
        name: name.unwrap_or_default(),
        data_type: data_type.unwrap_or_default(),
        bytes: unsigned(bytes).unwrap_or(0),
        characters: unsigned(characters).filter(|_| is_in_characters),
        bounds,
        is_nullable,
        has_default,
        is_virtual,
    }
}

/// Rows of [`statements::UNIQUE_KEYS`], by index.
fn keys(rows: Vec<Vec<Option<String>>>) -> Vec<Vec<String>> {
    let mut keys: Vec<(String, Vec<String>)> = Vec::new();
    for row in rows {
        let mut values = row.into_iter().flatten();
        let (Some(index), Some(column)) = (values.next(), values.next()) else {
            continue;
        };
        match keys.last_mut() {
            Some((known, columns)) if *known == index => columns.push(column),
            _ => keys.push((index, vec![column])),
        }
    }
    let sorted = |(_, mut columns): (_, Vec<String>)| {
        columns.sort_unstable();
        columns
    };
    keys.into_iter().map(sorted).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row<const N: usize>(values: [&str; N]) -> Vec<Option<String>> {
        let value = |value: &str| (!value.is_empty()).then(|| value.to_owned());
        values.map(value).to_vec()
    }

    #[test]
    fn columns_are_declared_as_they_were() {
        for (values, expected) in [
            (
                ["a", "NUMBER", "22", "0", "", "10", "2", "Y", "", "NO"],
                "NUMBER(10,2)",
            ),
            (
                ["a", "NUMBER", "22", "0", "", "", "0", "Y", "", "NO"],
                "NUMBER(38)",
            ),
            (
                ["a", "NUMBER", "22", "0", "", "", "", "Y", "", "NO"],
                "NUMBER",
            ),
            (
                ["a", "VARCHAR2", "80", "20", "C", "", "", "N", "", "NO"],
                "VARCHAR2(20 CHAR)",
            ),
            (
                ["a", "VARCHAR2", "20", "20", "B", "", "", "N", "4", "NO"],
                "VARCHAR2(20 BYTE)",
            ),
            (
                ["a", "NVARCHAR2", "40", "20", "C", "", "", "N", "4", "NO"],
                "NVARCHAR2(20)",
            ),
            (
                ["a", "RAW", "16", "0", "", "", "", "N", "", "YES"],
                "RAW(16)",
            ),
            (
                ["a", "CLOB", "4000", "0", "", "", "", "N", "", "NO"],
                "CLOB",
            ),
        ] {
            assert_eq!(column(row(values)).declared(), expected);
        }
    }

    #[test]
    fn keys_are_told_apart_by_index() {
        let rows = [["K1", "b"], ["K1", "a"], ["K2", "a"]].map(row).to_vec();
        let existing = Existing {
            unique_keys: keys(rows),
            ..Existing::default()
        };
        assert_eq!(existing.unique_keys, [vec!["a", "b"], vec!["a"]]);
        assert!(existing.has_key(["b", "a"]) && !existing.has_key(["b"]));
    }
}
