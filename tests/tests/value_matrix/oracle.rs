//! Oracle (the stand-in for its client library), with text for types that can't hold every value, by
//! the type of each column.
//!
//! Which of its text types a column has is not told apart, nor BLOB from RAW, since keys have other
//! ones: `text`, `bytes`.

use std::fmt::Write as _;

use futures_util::future::{BoxFuture, ready};
use oracle::sql_type::OracleType;
use tahr_tests::OracleStandIn;

use super::{
    judge::{Cells, Judge, Table},
    postgres::select,
};

pub(crate) struct Oracle(OracleStandIn);

impl Oracle {
    pub(crate) fn new() -> Self {
        Self(OracleStandIn::new())
    }

    fn rows(&self, table: &Table) -> oracle::Result<Vec<Cells>> {
        let session = self.0.connect();
        let mut rows = Vec::new();
        for row in session.query(&select(table), &[])? {
            let row = row?;
            let types = row
                .column_info()
                .iter()
                .map(oracle::ColumnInfo::oracle_type);
            let cells = types.zip(row.sql_values());
            rows.push(
                cells
                    .map(|(kind, value)| spell(kind, value))
                    .collect::<oracle::Result<_>>()?,
            );
        }
        Ok(rows)
    }
}

impl Judge for Oracle {
    fn name(&self) -> &'static str {
        "oracle"
    }

    fn config(&self) -> String {
        format!(
            "plugin = 'oracle'\noptions = {{ connect = '{}', user = '{}', password = '{}', \
             client_dir = '{}', unfit = 'text' }}",
            self.0.connect_string(),
            self.0.user(),
            self.0.password(),
            OracleStandIn::client_dir().display()
        )
    }

    fn takes_empty_keys(&self) -> bool {
        false
    }

    fn read<'a>(&'a self, table: &'a Table) -> BoxFuture<'a, Result<Vec<Cells>, String>> {
        Box::pin(ready(self.rows(table).map_err(|error| error.to_string())))
    }

    fn expected(&self, base: &str, text: Option<&str>) -> Option<String> {
        // Empty text is NULL.
        let text = text.filter(|text| !text.is_empty())?;
        Some(match base {
            "boolean" => format!("NUMBER {}", if text == "t" { 1 } else { 0 }),
            "smallint" | "integer" | "bigint" | "oid" | "xid" | "xid8" => format!("NUMBER {text}"),
            // -0 becomes 0.
            "real" => float(text.parse::<f32>().expect("a real") + 0.0),
            "double precision" => double(text.parse::<f64>().expect("a double") + 0.0),
            "bytea" if text == "\\x" => return None,
            "bytea" => format!("bytes {text}"),
            _ => format!("text {text}"),
        })
    }
}

fn spell(kind: &OracleType, value: &oracle::SqlValue<'_>) -> oracle::Result<Option<String>> {
    if value.is_null()? {
        return Ok(None);
    }
    Ok(Some(match kind {
        OracleType::Number(..) => format!("NUMBER {}", value.get::<String>()?),
        OracleType::BinaryFloat => float(value.get()?),
        OracleType::BinaryDouble => double(value.get()?),
        OracleType::BLOB | OracleType::Raw(_) => {
            let bytes: Vec<u8> = value.get()?;
            bytes.iter().fold("bytes \\x".to_owned(), |mut hex, byte| {
                let _infallible = write!(hex, "{byte:02x}");
                hex
            })
        }
        OracleType::CLOB | OracleType::Varchar2(_) => format!("text {}", value.get::<String>()?),
        other => format!("{other} {}", value.get::<String>()?),
    }))
}

fn float(number: f32) -> String {
    format!("BINARY_FLOAT {number:?}")
}

fn double(number: f64) -> String {
    format!("BINARY_DOUBLE {number:?}")
}
