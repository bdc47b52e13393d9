//! A connection to the database: the only place that names the driver's types.
//!
//! Rows are sent as array binds: one round trip for many rows, each with its own count and its own
//! error. Every parameter has an explicit type, so that the same statement is always the same to the
//! server, and buffers as wide as the widest value among the rows.

use std::sync::Arc;

use oracle::{
    Connection, ErrorKind,
    sql_type::{OracleType, Timestamp},
};

use crate::{moment::Moment, names::Names, types::Form, values::Bind};

/// The driver's error.
pub(crate) type Error = oracle::Error;

/// The most rows of one round trip.
const ROWS: usize = 1000;

/// The most bytes of one round trip, but for a single row.
const BYTES: usize = 8 << 20;

/// Longer values than this are sent one by one as the server asks for them, and take no room in the
/// array.
const IN_ARRAY: usize = 32_767;

/// The type under which a parameter is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    As(Form),
    /// A LOB of its own; text or bytes.
    Lob(Form),
}

/// A row that the server refused.
#[derive(Clone, Debug)]
pub(crate) struct RowError {
    /// Its index among the rows sent.
    pub(crate) row: usize,
    pub(crate) code: i32,
    pub(crate) message: String,
}

/// What became of rows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Done {
    /// Per row, how many rows of the table it touched.
    pub(crate) counts: Vec<u64>,
    /// The rows that were refused, in order. What follows the first other than a duplicate may not
    /// have been sent.
    pub(crate) errors: Vec<RowError>,
}

/// ORA-00001: a row with the key is there already.
pub(crate) const DUPLICATE: i32 = 1;

/// An open connection. Dropping it ends its transaction without its changes.
pub(crate) struct Session {
    connection: Arc<Connection>,
    /// How the server takes names.
    pub(crate) names: Names,
    /// The schema that holds the tables.
    pub(crate) schema: String,
}

impl Session {
    pub(crate) fn new(connection: Connection, names: Names, schema: String) -> Self {
        Self {
            connection: Arc::new(connection),
            names,
            schema,
        }
    }

    /// A handle that can interrupt what runs.
    pub(crate) fn interrupt(&self) -> Interrupt {
        Interrupt(Arc::clone(&self.connection))
    }

    pub(crate) fn commit(&self) -> Result<(), Error> {
        self.connection.commit()
    }

    pub(crate) fn roll_back(&self) -> Result<(), Error> {
        self.connection.rollback()
    }

    /// Whether the server answers.
    pub(crate) fn is_alive(&self) -> bool {
        self.connection.ping().is_ok()
    }

    /// Runs a statement without parameters. One that defines something commits.
    pub(crate) fn execute(&self, sql: &str) -> Result<u64, Error> {
        self.connection.execute(sql, &[])?.row_count()
    }

    /// The rows of a query, as text.
    pub(crate) fn query(
        &self,
        sql: &str,
        parameters: &[&str],
    ) -> Result<Vec<Vec<Option<String>>>, Error> {
        query(&self.connection, sql, parameters)
    }

    /// Runs a statement once for each row of `values`, which are rows of as many values as there are
    /// `types`.
    pub(crate) fn run(
        &self,
        sql: &str,
        types: &[Sent],
        values: &[Bind<'_>],
    ) -> Result<Done, Error> {
        let mut done = Done::default();
        let mut left = values;
        while !left.is_empty() {
            let (rows, widths) = piece(types.len(), left);
            let (now, later) = left.split_at(rows * types.len());
            left = later;
            let first = done.counts.len();
            let sent = self.run_piece(sql, types, &widths, now)?;
            done.counts.extend(sent.counts);
            let errors = sent.errors.into_iter();
            done.errors.extend(errors.map(|error| RowError {
                row: first + error.row,
                ..error
            }));
            if done.errors.iter().any(|error| error.code != DUPLICATE) {
                break;
            }
        }
        Ok(done)
    }

    fn run_piece(
        &self,
        sql: &str,
        types: &[Sent],
        widths: &[usize],
        values: &[Bind<'_>],
    ) -> Result<Done, Error> {
        let rows = values.len() / types.len();
        let mut batch = (self.connection.batch(sql, rows))
            .with_batch_errors()
            .with_row_counts()
            .build()?;
        for ((&sent, &width), number) in types.iter().zip(widths).zip(1_usize..) {
            batch.set_type(number, &driver_type(sent, width))?;
        }
        for row in values.chunks_exact(types.len()) {
            for ((value, &sent), number) in row.iter().zip(types).zip(1_usize..) {
                match *value {
                    // Every value is null until it is set.
                    Bind::Null => {}
                    Bind::Text(text) => batch.set(number, &text)?,
                    Bind::Float(float) => batch.set(number, &float)?,
                    Bind::Double(double) => batch.set(number, &double)?,
                    Bind::Bytes(bytes) => batch.set(number, &bytes)?,
                    Bind::Moment(moment) => {
                        let at = timestamp(moment)?;
                        if sent == Sent::As(Form::TimestampTz) {
                            batch.set(number, &at.and_tz_offset(0)?)?;
                        } else {
                            batch.set(number, &at)?;
                        }
                    }
                }
            }
            batch.append_row(&[])?;
        }
        let errors = match batch.execute() {
            Ok(()) => Vec::new(),
            Err(error) if error.kind() == ErrorKind::BatchErrors => {
                let errors = error.batch_errors().into_iter().flatten();
                let error = |error: &oracle::DbError| RowError {
                    row: error.offset() as usize,
                    code: error.code(),
                    message: error.message().to_owned(),
                };
                errors.map(error).collect()
            }
            Err(error) => return Err(error),
        };
        let counts = batch.row_counts()?;
        Ok(Done { counts, errors })
    }
}

/// Ends the statement that a session waits for.
pub(crate) struct Interrupt(Arc<Connection>);

impl Interrupt {
    pub(crate) fn interrupt(&self) {
        // The connection may have ended by itself.
        let _ = self.0.break_execution();
    }
}

/// As [`Session::query`], before there is a session.
pub(crate) fn query(
    connection: &Connection,
    sql: &str,
    parameters: &[&str],
) -> Result<Vec<Vec<Option<String>>>, Error> {
    let mut statement = connection.statement(sql).fetch_array_size(200).build()?;
    for (parameter, number) in parameters.iter().zip(1_usize..) {
        // As VARCHAR2: the driver's own choice would be the national character set.
        let width = OracleType::Varchar2(characters(parameter.len()));
        statement.bind(number, &(parameter, &width))?;
    }
    let mut rows = Vec::new();
    for row in statement.query(&[])? {
        let row = row?;
        let values = row.sql_values().iter().map(oracle::SqlValue::get);
        rows.push(values.collect::<Result<_, Error>>()?);
    }
    Ok(rows)
}

/// How many of the rows go together, and the widest value of each column among them.
fn piece(columns: usize, values: &[Bind<'_>]) -> (usize, Vec<usize>) {
    let mut widths = vec![0; columns];
    let (mut rows, mut long) = (0, 0);
    for row in values.chunks_exact(columns).take(ROWS) {
        let mut wider = widths.clone();
        let mut longer = long;
        for (value, width) in row.iter().zip(&mut wider) {
            let len = match value {
                Bind::Text(text) => text.len(),
                Bind::Bytes(bytes) => bytes.len(),
                _ => 0,
            };
            *width = len.max(*width);
            longer += if len > IN_ARRAY { len } else { 0 };
        }
        let in_array = wider.iter().filter(|width| **width <= IN_ARRAY);
        let bytes = in_array.sum::<usize>() * (rows + 1) + longer;
        if rows > 0 && bytes > BYTES {
            break;
        }
        (rows, widths, long) = (rows + 1, wider, longer);
    }
    (rows, widths)
}

/// The driver counts characters of four bytes each.
fn characters(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(4).max(1)).unwrap_or(u32::MAX)
}

fn driver_type(sent: Sent, width: usize) -> OracleType {
    match sent {
        Sent::Lob(Form::Bytes) => OracleType::BLOB,
        Sent::Lob(_) => OracleType::CLOB,
        Sent::As(form) => match form {
            Form::Text => OracleType::Varchar2(characters(width)),
            Form::Bool | Form::Number => OracleType::Number(0, 0),
            Form::Float => OracleType::BinaryFloat,
            Form::Double => OracleType::BinaryDouble,
            Form::Bytes => OracleType::Raw(u32::try_from(width.max(1)).unwrap_or(u32::MAX)),
            Form::Date => OracleType::Date,
            Form::Timestamp => OracleType::Timestamp(6),
            Form::TimestampTz => OracleType::TimestampTZ(6),
        },
    }
}

fn timestamp(moment: Moment) -> Result<Timestamp, Error> {
    let seconds = moment.micros / 1_000_000;
    let part = |number: i64| u32::try_from(number).unwrap_or(0);
    Timestamp::new(
        moment.year,
        u32::from(moment.month),
        u32::from(moment.day),
        part(seconds / 3600),
        part(seconds / 60 % 60),
        part(seconds % 60),
        part(moment.micros % 1_000_000 * 1000),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_go_together_as_long_as_they_are_not_too_much() {
        let short = vec![Bind::Text("abc"); 3000];
        assert_eq!(piece(2, &short), (ROWS, vec![3, 3]));
        assert_eq!(piece(2, &short[..10]), (5, vec![3, 3]));
        let wide = "x".repeat(20_000);
        let (rows, widths) = piece(1, &vec![Bind::Text(&wide); 3000]);
        assert_eq!((rows, widths), (BYTES / 20_000, vec![20_000]));
        let long = "x".repeat(3 << 20);
        let mut values = vec![Bind::Null; 100];
        values[1] = Bind::Text(&long);
        values[3] = Bind::Text(&long);
        values[5] = Bind::Text(&long);
        assert_eq!(piece(2, &values).0, 2, "long values count once");
        assert_eq!(
            piece(2, &[Bind::Null, Bind::Text(&"x".repeat(9 << 20))]).0,
            1
        );
    }
}
