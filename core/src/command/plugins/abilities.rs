//! What a plugin's targets can do, in words.

use tahr_plugin_api::Capabilities;

/// One line for each.
pub(super) fn lines(can: &Capabilities) -> Vec<String> {
    let either = |is: bool, yes: &str, no: &str| if is { yes } else { no }.to_owned();
    let mut lines = vec![
        either(
            can.transactions,
            "a source transaction arrives whole, however large",
            "no transactions: a large source transaction arrives in parts",
        ),
        either(
            can.partial_update,
            "updates single columns of a row",
            "always writes whole rows: large values that an update left alone must be sent too \
             (REPLICA IDENTITY FULL)",
        ),
        either(
            can.keyless,
            "takes tables without a key",
            "takes only tables with a key",
        ),
        either(
            can.transactional_ddl,
            "creates and alters tables inside a transaction",
            "creates and alters tables outside of transactions",
        ),
        match can.loaders {
            0 | 1 => "copies a table with one writer".to_owned(),
            loaders => format!("copies a table with up to {loaders} writers side by side"),
        },
    ];
    if let Some(rows) = can.max_transaction_rows {
        lines.push(format!("takes up to {rows} rows in one transaction"));
    }
    if can.read_back {
        lines.push("can be compared with the source".to_owned());
    }
    if can.refills {
        lines.push("is a cache: emptied, it is filled again (on_gap = \"resync\")".to_owned());
    }
    lines
}
