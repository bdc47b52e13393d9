//! MySQL (MariaDB), with text for types that can't hold every value, and with NULL for such values.

use futures_util::future::BoxFuture;
use tahr_tests::MariaDatabase;

use super::judge::{Cells, Judge, Table};

pub(crate) struct Mysql {
    database: MariaDatabase,
    unfit: &'static str,
}

impl Mysql {
    /// Values that don't fit are in text columns.
    pub(crate) fn text(database: MariaDatabase) -> Self {
        let unfit = "text";
        Self { database, unfit }
    }

    /// Values that don't fit are NULL.
    pub(crate) fn null(database: MariaDatabase) -> Self {
        let unfit = "null";
        Self { database, unfit }
    }
}

impl Judge for Mysql {
    fn name(&self) -> &'static str {
        match self.unfit {
            "text" => "mysql",
            _ => "mysql_null",
        }
    }

    fn config(&self) -> String {
        format!(
            "plugin = 'mysql'\noptions = {{ url = '{}', unfit = '{}' }}",
            self.database.url(),
            self.unfit
        )
    }

    fn read<'a>(&'a self, table: &'a Table) -> BoxFuture<'a, Result<Vec<Cells>, String>> {
        Box::pin(async move {
            let columns: Vec<String> = (table.columns.iter())
                .map(|column| format!("`{}`", column.name))
                .collect();
            let query = format!("SELECT {} FROM `{}`", columns.join(", "), table.name);
            let mut rows = self.database.try_query(&query).await?;
            for (index, column) in table.columns.iter().enumerate() {
                if self.unfit != "text" && is_float(&column.base) {
                    for cell in rows.iter_mut().filter_map(|row| row[index].as_mut()) {
                        *cell = double(cell.parse().map_err(|_| format!("no float: {cell}"))?);
                    }
                }
            }
            Ok(rows)
        })
    }

    fn expected(&self, base: &str, text: Option<&str>) -> Option<String> {
        let text = text?;
        let is_array = base.ends_with(']');
        let is = |start: &str| base.starts_with(start) && !is_array;
        if base == "boolean" {
            return Some(if text == "t" { "1" } else { "0" }.to_owned());
        }
        if is("time(") || base == "time without time zone" {
            return Some(micros(text));
        }
        if self.unfit == "text" {
            return Some(text.to_owned());
        }
        if is_float(base) {
            let number: f64 = text.parse().expect("a float");
            return number.is_finite().then(|| double(number + 0.0));
        }
        match base {
            // Up to 65 digits, of which 30 are behind the point.
            "numeric(10,2)" | "numeric(38,0)" | "numeric(3,-2)" => {
                (text != "NaN").then(|| text.to_owned())
            }
            "date" => is_in_calendar(text).then(|| text.to_owned()),
            _ if is("timestamp") => {
                let text = text.trim_end_matches("+00");
                is_in_calendar(text).then(|| micros(text))
            }
            _ => Some(text.to_owned()),
        }
    }
}

fn is_float(base: &str) -> bool {
    matches!(base, "real" | "double precision")
}

fn double(number: f64) -> String {
    format!("double {:016x} {number:?}", number.to_bits())
}

/// A date or time of the years 1000 to 9999.
fn is_in_calendar(text: &str) -> bool {
    let year = text.split('-').next().unwrap_or_default();
    !text.ends_with("BC") && year.len() == 4 && year >= "1000"
}

/// With six digits of a second.
fn micros(text: &str) -> String {
    let (seconds, part) = text.split_once('.').unwrap_or((text, ""));
    format!("{seconds}.{part:0<6}")
}
