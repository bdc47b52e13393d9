//! A table of the target as the writer uses it.

use std::sync::Arc;

use tahr_plugin_api::{Relation, Unfit, Value, ValueKind, WriteError};

use crate::{
    catalog::Existing,
    columns::{Wanted, named},
    error::COPY_ANEW,
    names::quote,
    types::Form,
    value::{Counts, Fitted, Misfit, TOO_LONG, fit},
};

/// One relation version and the table that it is written to.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) relation: Arc<Relation>,
    /// As MySQL spells it, without and with quotes.
    pub(crate) name: String,
    pub(crate) quoted: String,
    /// Per column of the relation.
    pub(crate) columns: Vec<TableColumn>,
    /// Positions of the columns that are written: all but those that the target computes itself.
    pub(crate) written: Vec<usize>,
    /// Positions of the columns that name a row; empty for a table without a key.
    pub(crate) key: Vec<usize>,
    /// Whether the key is the table's one unique key, so that `ON DUPLICATE KEY` means just it.
    pub(crate) has_only_key: bool,
    /// Whether changes of different keys may change places.
    pub(crate) is_free: bool,
    /// Whether triggers run, so that the order among tables matters too.
    pub(crate) is_tied: bool,
    /// Whether a replacing copy may take its place by name: nothing hangs on the table itself.
    pub(crate) is_plain: bool,
    /// `INSERT INTO t (a, b) VALUES `, and what makes an upsert of it.
    pub(crate) insert: String,
    pub(crate) upsert: String,
}

/// A column as it is written.
#[derive(Clone, Debug)]
pub(crate) struct TableColumn {
    pub(crate) quoted: String,
    pub(crate) kind: ValueKind,
    pub(crate) form: Form,
    pub(crate) unfit: Unfit,
    pub(crate) is_key: bool,
    /// See [`Wanted::limit`].
    pub(crate) limit: Option<u64>,
    /// Whether `<=>` finds just the equal values.
    pub(crate) compares_exactly: bool,
    /// As MySQL prints its type.
    pub(crate) type_name: String,
}

impl Default for TableColumn {
    fn default() -> Self {
        Self {
            quoted: String::new(),
            kind: ValueKind::Text,
            form: Form::Text,
            unfit: Unfit::Error,
            is_key: false,
            limit: None,
            compares_exactly: true,
            type_name: String::new(),
        }
    }
}

impl Table {
    /// `relation` in the table `name`, which is `existing` and fits.
    pub(crate) fn new(
        relation: &Arc<Relation>,
        name: &str,
        existing: &Existing,
        wanted: &[Wanted],
        unfit: Unfit,
    ) -> Self {
        let mut written = Vec::with_capacity(wanted.len());
        let mut columns = Vec::with_capacity(wanted.len());
        for (index, (column, wanted)) in relation.columns.iter().zip(wanted).enumerate() {
            let found = existing.column(&wanted.name);
            if found.is_some_and(|found| !found.is_generated) {
                written.push(index);
            }
            let form = found.and_then(|found| found.holds.form(column, wanted));
            let form = form.unwrap_or(wanted.mapping.form);
            columns.push(TableColumn {
                quoted: wanted.quoted.clone(),
                kind: column.kind,
                form,
                unfit,
                is_key: wanted.is_key,
                limit: wanted.limit,
                compares_exactly: found.is_none_or(|found| found.holds.compares_exactly(form)),
                type_name: found.map_or_else(String::new, |found| found.type_name.to_uppercase()),
            });
        }
        let key = relation.key();
        let has_key =
            !key.is_empty() && existing.has_key(key.iter().map(|&index| &*wanted[index].name));
        let has_only_key = has_key && existing.unique.len() == 1;
        // Two texts of a float may be one value.
        let is_told_by_text = key.iter().all(|&index| columns[index].form != Form::Float);
        let quoted = quote(name);
        let list = |columns_of: &[usize]| {
            let names = columns_of.iter().map(|&index| &*columns[index].quoted);
            names.collect::<Vec<_>>().join(",")
        };
        let insert = format!("INSERT INTO {quoted} ({}) VALUES ", list(&written));
        let sets: Vec<String> = written
            .iter()
            .filter(|index| !key.contains(index))
            .map(|&index| &*columns[index].quoted)
            .map(|name| format!("{name}=VALUES({name})"))
            .collect();
        let sets = match (sets.is_empty(), key.first()) {
            (true, Some(&index)) => format!("{0}={0}", columns[index].quoted),
            _ => sets.join(","),
        };
        Self {
            relation: Arc::clone(relation),
            name: name.to_owned(),
            quoted,
            written,
            has_only_key,
            is_free: has_only_key && is_told_by_text && !existing.has_triggers,
            is_tied: existing.has_triggers,
            is_plain: !existing.has_triggers && !existing.has_foreign_keys,
            insert,
            upsert: format!(" ON DUPLICATE KEY UPDATE {sets}"),
            columns,
            key,
        }
    }

    /// `value` as column `index` is to hold it.
    pub(crate) fn fit<'v>(
        &self,
        index: usize,
        value: Value<'v>,
        counts: &mut Counts,
    ) -> Result<Fitted<'v>, WriteError> {
        fit(&self.columns[index], value, counts).map_err(|misfit| self.unfit(index, misfit))
    }

    /// The column can't hold a value.
    fn unfit(&self, index: usize, misfit: Misfit) -> WriteError {
        let (column, found) = (&self.relation.columns[index], &self.columns[index]);
        let hint = if misfit == TOO_LONG {
            "leave the table out, or give its source a shorter key: REPLICA IDENTITY USING INDEX"
                .to_owned()
        } else if found.is_key {
            "set unfit = \"text\" in the target's options before the table is made: keys are never \
             altered"
                .to_owned()
        } else {
            format!(
                "keep such values as text: ALTER TABLE {} MODIFY {} LONGTEXT; or set unfit = \"null\" or \
                 \"clamp\" in the target's options, then `tahr reload` (\"text\" helps tables that are made \
                 after it)",
                self.quoted,
                quote(&column.name)
            )
        };
        WriteError::rejected(format!(
            "{} can't hold {misfit} in {}",
            named(column, &self.name),
            found.type_name
        ))
        .hint(hint)
        .table(&self.name)
        .column(&column.name)
    }

    /// A row that an update changes in part is not there.
    pub(crate) fn missing(&self) -> WriteError {
        WriteError::rejected(format!(
            "a row of table {:?} is missing that an update changes in part",
            self.name
        ))
        .hint(format!("the table was changed by others; {COPY_ANEW}"))
        .table(&self.name)
    }

    /// A row is longer than the server takes.
    pub(crate) fn too_long<'v>(
        &self,
        value: impl Fn(usize) -> Value<'v>,
        length: usize,
        limit: usize,
    ) -> WriteError {
        let bytes = |index: usize| match value(index) {
            Value::Text(_, text) => text.len(),
            Value::Bytes(bytes) => bytes.len(),
            _ => 0,
        };
        let longest = self.written.iter().max_by_key(|&&index| bytes(index));
        let error = WriteError::rejected(format!(
            "a row of table {:?} takes {length} bytes as a statement, above the server's \
             max_allowed_packet of {limit}",
            self.name
        ))
        .hint(format!(
            "SET GLOBAL max_allowed_packet = {}; at most 1 GiB; also in the server's own \
             configuration",
            length.next_multiple_of(1 << 20) + (1 << 20)
        ))
        .table(&self.name);
        match longest {
            Some(&index) => error.column(&self.relation.columns[index].name),
            None => error,
        }
    }
}
