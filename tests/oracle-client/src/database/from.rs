//! FROM clauses as SQLite's SQL: tables, views of the dictionary, queries.

use super::scope::{Source, Visible};
use super::translate::Translator;
use super::views;
use crate::error::Result;
use crate::sql::tree::{Join, Relation, Source as TreeSource};

impl Translator<'_> {
    /// The FROM clause, its sources, and the conditions of its joins.
    pub(super) fn from(
        &mut self,
        sources: &[TreeSource],
    ) -> Result<(String, Vec<Source>, Vec<String>)> {
        let (mut sql, mut all) = (String::from(" FROM "), Vec::new());
        for (at, source) in sources.iter().enumerate() {
            let (text, visible) = self.source(source)?;
            all.push(visible);
            match &source.join {
                None => sql.push_str(&format!("{}{text}", if at == 0 { "" } else { ", " })),
                Some((join, on)) => {
                    self.scopes.enter(all);
                    let on = self.condition(on);
                    all = self.scopes.leave();
                    let word = if *join == Join::Left {
                        "LEFT JOIN"
                    } else {
                        "JOIN"
                    };
                    sql.push_str(&format!(" {word} {text} ON {}", on?));
                }
            }
        }
        Ok((sql, all, Vec::new()))
    }

    /// One source of a FROM clause, or of MERGE.
    pub(crate) fn source(&mut self, source: &TreeSource) -> Result<(String, Source)> {
        self.count += 1;
        let alias = format!("s{}", self.count);
        match &source.table {
            Relation::Query(query) => {
                let query = self.query(query)?;
                let columns = query
                    .columns
                    .into_iter()
                    .enumerate()
                    .map(|(at, column)| Visible {
                        name: column.name,
                        data_type: column.data_type,
                        not_null: column.not_null,
                        sql: format!("{alias}.o{at}"),
                    });
                let columns = columns.collect();
                Ok((
                    format!("({}) AS {alias}", query.sql),
                    Source {
                        name: source.alias.clone(),
                        columns,
                        row_id: None,
                    },
                ))
            }
            Relation::Table(name) => {
                let is_own = name.schema.as_ref().is_none_or(|schema| schema == "SYS");
                let table = self.catalog.table(self.connection, name);
                if let (Err(_), true, Some(view)) =
                    (&table, is_own, views::find(&name.name, self.version))
                {
                    let names: Vec<String> =
                        (0..view.columns.len()).map(|at| format!("o{at}")).collect();
                    let columns = view
                        .columns
                        .iter()
                        .enumerate()
                        .map(|(at, (name, data_type))| Visible {
                            name: (*name).to_owned(),
                            data_type: *data_type,
                            not_null: false,
                            sql: format!("{alias}.o{at}"),
                        });
                    let visible = Source {
                        name: Some(source.alias.clone().unwrap_or_else(|| name.name.clone())),
                        columns: columns.collect(),
                        row_id: None,
                    };
                    let sql = format!(
                        "(WITH v({}) AS ({}) SELECT * FROM v) AS {alias}",
                        names.join(", "),
                        view.sql
                    );
                    return Ok((sql, visible));
                }
                let table = table?;
                let visible = Source::table(&table, source.alias.as_ref(), &alias);
                Ok((format!("{} AS {alias}", table.sqlite()), visible))
            }
        }
    }
}
