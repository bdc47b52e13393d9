//! What the writer knows of a relation: its keys, and the columns that it stores.

use std::sync::Arc;

use tahr_plugin_api::{Batch, Change, Relation, Row, Value, WriteError};

use crate::{
    checkpoint,
    key::{KeyTemplate, TableKey},
    options::{Format, Options},
    types,
};

/// A relation as Redis is to hold it.
#[derive(Debug)]
pub(crate) struct Table {
    /// The relation.
    pub(crate) relation: Arc<Relation>,
    /// Its keys.
    pub(crate) key: TableKey,
    /// Positions of the columns that are stored: all, or the one of format `string`.
    pub(crate) stored: Vec<usize>,
    /// The names of all columns as a document holds them: `"name":`.
    pub(crate) labels: Vec<Vec<u8>>,
}

impl Table {
    /// Checks that the relation fits the options.
    pub(crate) fn new(
        relation: &Arc<Relation>,
        options: &Options,
        template: &KeyTemplate,
    ) -> Result<Self, WriteError> {
        let key = TableKey::new(template, relation)?;
        let prefix = key.prefix();
        if prefix.starts_with(checkpoint::PREFIX) || checkpoint::PREFIX.starts_with(prefix) {
            return Err(WriteError::rejected(format!(
                "the keys of table {} begin as tahr's own do: {prefix:?}",
                relation.source
            ))
            .hint("key = \"data:{table}:{pk}\"")
            .table(relation.source.to_string()));
        }
        let stored = match (options.format, &options.value) {
            (Format::String, Some(name)) => {
                let column = relation.position_of(name).ok_or_else(|| {
                    WriteError::rejected(format!(
                        "table {} has no column {name:?}, which option \"value\" names",
                        relation.source
                    ))
                    .table(relation.source.to_string())
                    .column(name.clone())
                })?;
                vec![column]
            }
            _ => (0..relation.columns.len()).collect(),
        };
        let label = |name: &str| {
            let mut label = Vec::new();
            types::json_text(name, &mut label);
            label.push(b':');
            label
        };
        Ok(Self {
            relation: Arc::clone(relation),
            key,
            stored,
            labels: relation.columns.iter().map(|c| label(&c.name)).collect(),
        })
    }

    fn is_of(&self, relation: &Arc<Relation>) -> bool {
        Arc::ptr_eq(&self.relation, relation)
            || (self.relation.version == relation.version
                && self.relation.source == relation.source
                && self.relation.columns.len() == relation.columns.len())
    }
}

/// The tables met so far.
pub(crate) struct Tables {
    options: Options,
    template: KeyTemplate,
    known: Vec<Table>,
}

impl Tables {
    /// Knows none yet.
    pub(crate) fn new(options: &Options) -> Result<Self, WriteError> {
        Ok(Self {
            options: options.clone(),
            template: KeyTemplate::parse(&options.key, options.separator)?,
            known: Vec::new(),
        })
    }

    /// The number of a relation's table; a new version of it takes the place of the old one.
    pub(crate) fn number(&mut self, relation: &Arc<Relation>) -> Result<usize, WriteError> {
        if let Some(known) = self.known.iter().position(|table| table.is_of(relation)) {
            return Ok(known);
        }
        let table = Table::new(relation, &self.options, &self.template)?;
        let is_older = |table: &Table| table.relation.source == relation.source;
        if let Some(older) = self.known.iter().position(is_older) {
            self.known[older] = table;
            return Ok(older);
        }
        self.known.push(table);
        Ok(self.known.len() - 1)
    }

    /// What the keys of a relation begin with; it becomes none of those met.
    pub(crate) fn prefix(&self, relation: &Relation) -> Result<String, WriteError> {
        let table = Table::new(&Arc::new(relation.clone()), &self.options, &self.template)?;
        Ok(table.key.prefix().to_owned())
    }

    /// All tables, by number.
    pub(crate) fn all(&self) -> &[Table] {
        &self.known
    }
}

/// A change with the keys of its rows, as places in [`Steps::keys`].
pub(crate) struct Step<'a> {
    /// The change.
    pub(crate) change: Change<'a>,
    /// The number of its table.
    pub(crate) table: usize,
    old: Option<(usize, usize)>,
    new: Option<(usize, usize)>,
}

/// The changes of a batch with their keys.
#[derive(Default)]
pub(crate) struct Steps<'a> {
    keys: Vec<u8>,
    /// In the batch's order, so a step's place is the change's index.
    pub(crate) list: Vec<Step<'a>>,
}

impl<'a> Steps<'a> {
    /// Renders the keys of `batch`.
    pub(crate) fn new(batch: &'a Batch, tables: &mut Tables) -> Result<Self, WriteError> {
        let mut steps = Self::default();
        let mut last: Option<(&Arc<Relation>, usize)> = None;
        for (index, change) in batch.changes().enumerate() {
            let relation = change.relation();
            let number = match last {
                Some((known, number)) if Arc::ptr_eq(known, relation) => number,
                _ => tables.number(relation)?,
            };
            last = Some((relation, number));
            let table = &tables.all()[number];
            let (old_row, new_row) = (change.old_row(), change.new_row());
            let blame = |column: usize| no_key(table, column, index);
            // The columns that an update left unchanged are in the old row, where that is sent.
            let old = old_row
                .map(|row| steps.render(table, |column| row.value(column)))
                .transpose()
                .map_err(blame)?;
            let new = new_row
                .map(|row| steps.render(table, |column| value(row, old_row, column)))
                .transpose()
                .map_err(blame)?;
            steps.list.push(Step {
                change,
                table: number,
                old,
                new,
            });
        }
        Ok(steps)
    }

    fn render<'b>(
        &mut self,
        table: &Table,
        value: impl Fn(usize) -> Value<'b>,
    ) -> Result<(usize, usize), usize> {
        let start = self.keys.len();
        table.key.render(value, &mut self.keys)?;
        Ok((start, self.keys.len()))
    }

    /// The key of the row before `step`, where that was sent.
    pub(crate) fn old_key(&self, step: &Step<'a>) -> Option<&[u8]> {
        step.old.map(|(start, end)| &self.keys[start..end])
    }

    /// The key of the row after `step`.
    pub(crate) fn new_key(&self, step: &Step<'a>) -> Option<&[u8]> {
        step.new.map(|(start, end)| &self.keys[start..end])
    }
}

/// The value of a new row; from the old row where the update left it unchanged and the source
/// sent that whole.
pub(crate) fn value<'a>(new: Row<'a>, old: Option<Row<'a>>, column: usize) -> Value<'a> {
    match (new.value(column), old) {
        (Value::Unchanged, Some(old)) if !old.is_key_only() || old.value(column) != Value::Null => {
            old.value(column)
        }
        (value, _) => value,
    }
}

fn no_key(table: &Table, column: usize, change: usize) -> WriteError {
    let name = &table.relation.columns[column].name;
    WriteError::rejected(format!(
        "a row of table {} has no value in column {name:?}, which its key is made of",
        table.relation.source
    ))
    .hint("let `key` name columns that are NOT NULL")
    .table(table.relation.source.to_string())
    .column(name.clone())
    .change(change)
}
