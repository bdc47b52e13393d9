//! Keys of rows: the template of the config, and what it means for one table.
//!
//! Different rows never share a key, and the keys of a table are told from all others by their
//! constant prefix alone: values and names are escaped, and every placeholder ends where the key
//! ends or at a separator, so keys can be read back part by part.

use tahr_plugin_api::{Relation, ReplicaIdentity, Value, WriteError};

use crate::types;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(String),
    Schema,
    Table,
    PrimaryKey,
    Column(String),
}

/// The option `key`, understood.
#[derive(Clone, Debug)]
pub(crate) struct KeyTemplate {
    text: String,
    parts: Vec<Part>,
    separator: u8,
}

impl KeyTemplate {
    /// Reads a template.
    pub(crate) fn parse(text: &str, separator: char) -> Result<Self, WriteError> {
        let error = |what: &str| {
            WriteError::options(format!("option \"key\": {what}"))
                .hint(format!("key = \"{{table}}{separator}{{pk}}\""))
        };
        let mut parts = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let literal = rest.find(['{', '}']).unwrap_or(rest.len());
            if literal > 0 {
                parts.push(Part::Literal(rest[..literal].to_owned()));
                rest = &rest[literal..];
                continue;
            }
            let name = rest.strip_prefix('{').and_then(|rest| rest.split_once('}'));
            let (name, tail) = name.ok_or_else(|| error("a brace has no partner"))?;
            parts.push(match name {
                "" => return Err(error("a placeholder has no name")),
                "schema" => Part::Schema,
                "table" => Part::Table,
                "pk" => Part::PrimaryKey,
                column => Part::Column(column.to_owned()),
            });
            rest = tail;
        }
        let is_value = |part: &Part| matches!(part, Part::PrimaryKey | Part::Column(_));
        let first = parts.iter().position(is_value);
        let first = first.ok_or_else(|| error("it names no row"))?;
        let closes = |part: &Part| matches!(part, Part::Literal(text) if text.ends_with(separator));
        if first == 0 || !closes(&parts[first - 1]) {
            return Err(error(
                "a constant prefix that ends in the separator must come before the first value, \
                 so that a table's keys can be found",
            ));
        }
        let opens =
            |part: &Part| matches!(part, Part::Literal(text) if text.starts_with(separator));
        let is_loose = |pair: &[Part]| !matches!(pair[0], Part::Literal(_)) && !opens(&pair[1]);
        if parts.windows(2).any(is_loose) {
            return Err(error(
                "a separator must follow each placeholder, so that different rows have different keys",
            ));
        }
        if text.contains('\\') {
            return Err(error("`\\` is what escapes a separator inside a value"));
        }
        Ok(Self {
            text: text.to_owned(),
            parts,
            separator: separator as u8,
        })
    }
}

#[derive(Clone, Debug)]
enum Piece {
    Literal(String),
    Column(usize),
}

/// The keys of one table.
#[derive(Clone, Debug)]
pub(crate) struct TableKey {
    prefix: String,
    pieces: Vec<Piece>,
    separator: u8,
}

impl TableKey {
    /// What `template` means for `relation`; rejected where it would not name each row.
    pub(crate) fn new(template: &KeyTemplate, relation: &Relation) -> Result<Self, WriteError> {
        let table = relation.source.to_string();
        let mut prefix = String::new();
        let (mut pieces, mut columns) = (Vec::new(), Vec::new());
        for part in &template.parts {
            let constant = match part {
                Part::Literal(text) => text.clone(),
                Part::Schema => template.escaped(&relation.target.schema),
                Part::Table => template.escaped(&relation.target.table),
                Part::PrimaryKey => {
                    let key = relation.key();
                    if key.is_empty() {
                        return Err(keyless(relation));
                    }
                    for (n, &column) in key.iter().enumerate() {
                        if n > 0 {
                            let separator = char::from(template.separator);
                            pieces.push(Piece::Literal(separator.to_string()));
                        }
                        pieces.push(Piece::Column(column));
                        columns.push(column);
                    }
                    continue;
                }
                Part::Column(name) => {
                    let column = relation.position_of(name).ok_or_else(|| {
                        WriteError::rejected(format!(
                            "table {table} has no column {name:?}, which the key {:?} names",
                            template.text
                        ))
                        .table(table.clone())
                        .column(name.clone())
                    })?;
                    pieces.push(Piece::Column(column));
                    columns.push(column);
                    continue;
                }
            };
            if pieces.is_empty() {
                prefix.push_str(&constant);
            } else {
                pieces.push(Piece::Literal(constant));
            }
        }
        names_each_row(template, relation, &columns)?;
        Ok(Self {
            prefix,
            pieces,
            separator: template.separator,
        })
    }

    /// What every key of the table begins with, and no key of another table.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// What the table maps to: all keys of its prefix, so that two tables of one prefix are found.
    pub(crate) fn object(&self) -> String {
        format!("{}*", self.prefix)
    }

    /// Appends the key of a row to `out`; the columns whose value is missing are an error, given
    /// by position.
    pub(crate) fn render<'a>(
        &self,
        value: impl Fn(usize) -> Value<'a>,
        out: &mut Vec<u8>,
    ) -> Result<(), usize> {
        out.extend_from_slice(self.prefix.as_bytes());
        for piece in &self.pieces {
            match piece {
                Piece::Literal(text) => out.extend_from_slice(text.as_bytes()),
                Piece::Column(column) => match value(*column) {
                    Value::Bytes(bytes) => {
                        let text = format!("\\x{}", types::hex(bytes));
                        escape(text.as_bytes(), self.separator, out);
                    }
                    value => {
                        let text = types::raw(value).ok_or(*column)?;
                        escape(text, self.separator, out);
                    }
                },
            }
        }
        Ok(())
    }
}

impl TableKey {
    /// The values that a key was made of, by position of their columns; none where it is no key of
    /// this table.
    pub(crate) fn parse(&self, key: &[u8]) -> Option<Vec<(usize, Vec<u8>)>> {
        let mut rest = key.strip_prefix(self.prefix.as_bytes())?;
        let mut values = Vec::new();
        for piece in &self.pieces {
            match piece {
                Piece::Literal(text) => rest = rest.strip_prefix(text.as_bytes())?,
                Piece::Column(column) => {
                    let mut value = Vec::new();
                    loop {
                        rest = match rest {
                            [b'\\', escaped, rest @ ..] => {
                                value.push(*escaped);
                                rest
                            }
                            [byte, tail @ ..] if *byte != self.separator => {
                                value.push(*byte);
                                tail
                            }
                            _ => break,
                        };
                    }
                    values.push((*column, value));
                }
            }
        }
        rest.is_empty().then_some(values)
    }
}

impl KeyTemplate {
    fn escaped(&self, name: &str) -> String {
        let mut out = Vec::new();
        escape(name.as_bytes(), self.separator, &mut out);
        String::from_utf8_lossy(&out).into_owned()
    }
}

/// Appends `text` with separators and backslashes escaped.
pub(crate) fn escape(text: &[u8], separator: u8, out: &mut Vec<u8>) {
    for piece in text.split_inclusive(|&byte| byte == separator || byte == b'\\') {
        match piece.split_last() {
            Some((&last, head)) if last == separator || last == b'\\' => {
                out.extend_from_slice(head);
                out.extend_from_slice(&[b'\\', last]);
            }
            _ => out.extend_from_slice(piece),
        }
    }
}

fn keyless(relation: &Relation) -> WriteError {
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let source = &relation.source;
    WriteError::rejected(format!(
        "table {source} has no primary key, or a deferrable one, so its rows have no key in redis"
    ))
    // PostgreSQL gives a table no second one.
    .hint(format!(
        "it needs a primary key that is not deferrable: ALTER TABLE {}.{} ADD PRIMARY KEY (…), behind \
         DROP CONSTRAINT …, where it has a deferrable one; or leave it out: tables = [\"!{source}\"]",
        quoted(&source.schema),
        quoted(&source.table)
    ))
    .table(relation.source.to_string())
}

/// Updates and deletes bring the identity columns of the old row alone, so the key must be made of
/// them; and rows must differ in it.
fn names_each_row(
    template: &KeyTemplate,
    relation: &Relation,
    columns: &[usize],
) -> Result<(), WriteError> {
    let reason = if relation.replica_identity == ReplicaIdentity::Nothing {
        Some(
            "the table has REPLICA IDENTITY NOTHING, so updates and deletes name no row".to_owned(),
        )
    } else if let Some(&column) = columns.iter().find(|&&column| {
        relation.replica_identity != ReplicaIdentity::Full && !relation.key().contains(&column)
    }) {
        Some(format!(
            "deletes don't bring column {:?}",
            relation.columns[column].name
        ))
    } else {
        let holds = |key: &[usize]| !key.is_empty() && key.iter().all(|c| columns.contains(c));
        let is_unique = holds(&relation.key()) || relation.unique_keys.iter().any(|k| holds(k));
        (!is_unique).then(|| "two rows could have the same key".to_owned())
    };
    reason.map_or(Ok(()), |reason| {
        Err(WriteError::rejected(format!(
            "key {:?} doesn't name the rows of table {}: {reason}",
            template.text, relation.source
        ))
        .hint("key = \"{table}:{pk}\"")
        .table(relation.source.to_string()))
    })
}

#[cfg(test)]
mod tests;
