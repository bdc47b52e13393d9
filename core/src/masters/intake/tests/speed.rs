//! How many rows an intake packs in a second.

use std::time::Instant;

use super::*;

/// An arena of 8192 changes of six columns.
fn arena(version: u32) -> Arena {
    let mut writing = Writing::default();
    for n in 0..64 {
        add(&mut writing, n + 1, |writing| {
            for id in 0..128 {
                let id = (n * 128 + id).to_string();
                let row = [
                    T(&id),
                    T("north"),
                    T("2026-01-31 12:00:00.123456+00"),
                    T("19.95"),
                    V::Null,
                    T("a few words that somebody wrote"),
                ];
                writing.insert(version, &row);
            }
        });
    }
    writing.builder.finish()
}

#[test]
#[ignore = "it measures, and can't fail"]
fn rows_in_a_second() {
    let columns = ["id", "shop", "at", "price", "gone", "note"];
    let relation = relation(OIDS[0], ("public", "t"), &columns, &["id"]);
    let mut member = Member::new(0);
    let table = Table {
        relation: relation.clone(),
        ..Table::default()
    };
    let members = [("one".to_owned(), vec![table])];
    member.tables = Arc::new(Tables::agree(&members).unwrap());
    let arena = arena(member.version(relation));
    let (setup, _seen) = member.setup();
    let mut gatherer = Gatherer::new(&setup);
    let begun = Instant::now();
    let mut rows = 0;
    while begun.elapsed() < Duration::from_secs(3) {
        let taken = gatherer.take(&arena, (0, 0));
        let transactions = gatherer.finish(taken.transactions);
        rows += transactions.iter().map(|t| t.changes.len()).sum::<usize>();
    }
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let rate = rows as f64 / begun.elapsed().as_secs_f64();
    tracing::info!(rate, "rows in a second");
    assert!(rate > 0.0);
    let shown = std::fmt::format(format_args!("{rate:.0} rows/s\n"));
    std::io::Write::write_all(&mut std::io::stderr(), shown.as_bytes()).unwrap();
}
