//! The SQL text that changes rows.

use std::fmt::Write as _;

use crate::table::Table;

/// `name` as an identifier.
pub(crate) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// `text` as a string constant.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// What a statement does to one row. A mask has one entry per written column: whether its value
/// is sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Statement {
    /// Parameters: the written columns.
    Insert,
    /// Parameters: the written columns.
    Upsert,
    /// Parameters: the masked columns, then the key. Fails where there is no such row.
    Update(Vec<bool>),
    /// Parameters: the key.
    Delete,
    /// Parameters: the masked columns, then the whole old row. Fails where there is no such row.
    UpdateMatch(Vec<bool>),
    /// Parameters: the whole old row. Fails where there is no such row.
    DeleteMatch,
    /// Parameters: the key. Answers with the row's written columns as text.
    Take,
    /// `COPY` into the table itself.
    Copy,
}

impl Table {
    /// The text of `statement`.
    pub(crate) fn sql(&self, statement: &Statement) -> String {
        let (name, columns) = (&self.name, self.column_list());
        match statement {
            Statement::Insert => self.insert(),
            Statement::Upsert => format!("{}{}", self.insert(), self.on_conflict()),
            Statement::Update(mask) => {
                let (set, next) = self.set(mask);
                guarded(&format!(
                    "UPDATE {name} SET {set} WHERE {}",
                    self.key_equals(next)
                ))
            }
            Statement::Delete => format!("DELETE FROM {name} WHERE {}", self.key_equals(1)),
            Statement::UpdateMatch(mask) => {
                let (set, next) = self.set(mask);
                guarded(&format!(
                    "UPDATE {name} SET {set} WHERE {}",
                    self.matches(next)
                ))
            }
            Statement::DeleteMatch => {
                guarded(&format!("DELETE FROM {name} WHERE {}", self.matches(1)))
            }
            Statement::Take => format!(
                "DELETE FROM {name} WHERE {} RETURNING {}",
                self.key_equals(1),
                join(&self.written, ", ", |column| {
                    let column = self.quoted(column);
                    format!(
                        "CASE WHEN {column} IS DISTINCT FROM NULL THEN format('%s', {column}) END"
                    )
                })
            ),
            Statement::Copy => format!("COPY {name} ({columns}) FROM STDIN"),
        }
    }

    /// The written columns' names.
    pub(crate) fn column_list(&self) -> String {
        join(&self.written, ", ", |column| self.quoted(column))
    }

    /// `OVERRIDING …`, where the target would otherwise number the rows itself.
    pub(crate) fn overriding(&self) -> &'static str {
        if self.overrides_identity {
            " OVERRIDING SYSTEM VALUE"
        } else {
            ""
        }
    }

    fn insert(&self) -> String {
        let values = (1..=self.written.len()).map(|number| format!("${number}"));
        format!(
            "INSERT INTO {} ({}){} VALUES ({})",
            self.name,
            self.column_list(),
            self.overriding(),
            values.collect::<Vec<_>>().join(", ")
        )
    }

    /// What an insert does with a row that is there already.
    pub(crate) fn on_conflict(&self) -> String {
        let key = join(&self.key, ", ", |column| self.quoted(column));
        let others: Vec<_> = self
            .written
            .iter()
            .copied()
            .filter(|column| !self.key.contains(column))
            .collect();
        if others.is_empty() {
            return format!(" ON CONFLICT ({key}) DO NOTHING");
        }
        let set = join(&others, ", ", |column| {
            let column = self.quoted(column);
            format!("{column} = EXCLUDED.{column}")
        });
        format!(" ON CONFLICT ({key}) DO UPDATE SET {set}")
    }

    /// `a = $1, …` for the masked columns, and the number of the next parameter.
    fn set(&self, mask: &[bool]) -> (String, usize) {
        let masked: Vec<_> = (self.written.iter().zip(mask))
            .filter_map(|(&column, &is_sent)| is_sent.then_some(column))
            .collect();
        let mut number = 0;
        let set = join(&masked, ", ", |column| {
            number += 1;
            format!("{} = ${number}", self.quoted(column))
        });
        (set, masked.len() + 1)
    }

    fn key_equals(&self, first: usize) -> String {
        self.same_key(str::to_owned, |place, _| format!("${}", first + place))
    }

    /// One row that equals the parameters from `first` on in all its columns, printed form
    /// included: `1.0` is not `1.00` here, and types without `=` can be told apart too. A composite
    /// value of nulls `IS NULL` and is no null, which `IS DISTINCT FROM` tells.
    fn matches(&self, first: usize) -> String {
        let mut number = first - 1;
        let all = join(&self.written, " AND ", |index| {
            number += 1;
            let column = self.quoted(index);
            // Where `=` is equality of the text, the column need not be printed.
            if self.relation.columns[index].kind.has_one_text_per_value() {
                format!("{column} IS NOT DISTINCT FROM ${number}")
            } else {
                format!(
                    "CASE WHEN {column} IS NOT DISTINCT FROM NULL THEN ${number}::text IS NULL ELSE \
                     format('%s', {column}) COLLATE \"C\" = ${number}::text END"
                )
            }
        });
        let row = if self.is_partitioned {
            "(tableoid, ctid)"
        } else {
            "ctid"
        };
        let columns = row.trim_matches(['(', ')']);
        format!(
            "{row} = (SELECT {columns} FROM {} WHERE {all} LIMIT 1)",
            self.name
        )
    }

    /// The column's name as an identifier.
    pub(crate) fn quoted(&self, column: usize) -> String {
        quote(&self.relation.columns[column].name)
    }
}

/// `change`, failing with [`NO_ROW`](crate::error::NO_ROW) where it changes none: so the
/// statements behind it, `COMMIT` included, can be sent without waiting for its answer.
pub(crate) fn guarded(change: &str) -> String {
    format!("WITH changed AS ({change} RETURNING 1) SELECT 1 / count(*) FROM changed")
}

/// The texts of `columns`, joined.
pub(crate) fn join(
    columns: &[usize],
    separator: &str,
    mut text: impl FnMut(usize) -> String,
) -> String {
    let mut out = String::new();
    for (index, &column) in columns.iter().enumerate() {
        let before = if index == 0 { "" } else { separator };
        let _ = write!(out, "{before}{}", text(column));
    }
    out
}
