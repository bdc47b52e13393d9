//! What goes on between the writer and a real server: packets, locks, failures, checkpoints.

mod subject;

use std::time::Duration;

use serde_json::json;
use subject::fixture::{Fixture, items, own};
use tahr_mysql::MysqlWriter;
use tahr_plugin_api::{
    ErrorKind, Lsn, Part, Position, Role, Written,
    testing::{BatchBuilder, Cell, open, relation, stream},
};

#[test]
fn statements_keep_below_what_the_server_takes_and_a_longer_row_is_refused() {
    let (_server, mut f) = own(&[("max-allowed-packet", "1M")]);
    let items = items();
    f.writer.prepare(&items).unwrap();
    let long = "x'\\".repeat(80_000);
    let mut batch = f.next();
    for id in 0..40 {
        let id = id.to_string();
        batch = batch.insert(&items, [id.as_str(), "short", "short"]);
        batch = batch.insert(&items, [&format!("1{id}000"), "long", &long]);
    }
    f.write(&batch.build());
    let sums = "SELECT COUNT(*), SUM(LENGTH(notes)) FROM items";
    assert_eq!(f.lines(sums), [format!("80|{}", 40 * (240_000 + 5))]);
    // As single statements, too.
    let start = f.next();
    let batch = start
        .update(
            &items,
            [Cell::Text("1"), Cell::Unchanged, Cell::Text(&long)],
        )
        .update(
            &items,
            [Cell::Text("2"), Cell::Text(&long), Cell::Unchanged],
        )
        .build();
    f.write(&batch);
    // One that fits by itself only, behind others.
    let (less, more) = ("l".repeat(400_000), "m".repeat(700_000));
    let mut batch = f.next();
    for id in ["1", "2", "3"] {
        batch = batch.insert(&items, [&format!("7{id}"), "less", &less]);
        batch = batch.insert(&items, [&format!("8{id}"), "more", &more]);
        batch = batch.update(&items, [Cell::Text(id), Cell::Text(&less), Cell::Unchanged]);
        batch = batch.update(&items, [Cell::Text(id), Cell::Text(&more), Cell::Unchanged]);
    }
    f.write(&batch.build());
    let lengths = "SELECT name, LENGTH(notes) FROM items WHERE id BETWEEN 70 AND 90 ORDER BY id";
    let expected = ["less|400000"; 3].into_iter().chain(["more|700000"; 3]);
    assert_eq!(f.lines(lengths), expected.collect::<Vec<_>>());
    let lengths = "SELECT LENGTH(name) FROM items WHERE id BETWEEN 1 AND 3";
    assert_eq!(f.lines(lengths), ["700000"; 3]);
    let log = relation("public.log").column("line", "text").full().build();
    f.writer.prepare(&log).unwrap();
    let batch = f
        .next()
        .insert(&log, [less.as_str()])
        .insert(&log, [more.as_str()])
        .update_full(&log, [less.as_str()], ["was less"])
        .delete_full(&log, [more.as_str()])
        .build();
    f.write(&batch);
    assert_eq!(f.lines("SELECT line FROM log"), ["was less"]);
    let huge = "y".repeat(1_200_000);
    let batch = f.next().insert(&items, ["5000", "a", &huge]).build();
    let error = f.rejected(&batch);
    assert_eq!(error.change, Some(0));
    assert_eq!(error.table.as_deref(), Some("items"));
    assert_eq!(error.column.as_deref(), Some("notes"));
    assert!(error.message.contains("max_allowed_packet"), "{error}");
    assert!(error.hint.contains("SET GLOBAL max_allowed_packet"));
}

#[test]
fn a_deadlock_is_transient_and_the_whole_transaction_is_repeated() {
    let mut f = Fixture::new();
    let items = items();
    f.writer.prepare(&items).unwrap();
    let batch = f
        .next()
        .insert(&items, ["1", "a", ""])
        .insert(&items, ["2", "b", ""])
        .build();
    f.write(&batch);
    // The writer holds row 1 from the first part on, another session row 2; each wants the other's.
    let first = f.next().update(&items, ["1", "aa", ""]).part(Part::First);
    assert_eq!(f.writer.write(&first), Ok(Written::Accepted));
    // Of two the server ends the one that has done less.
    let rows: Vec<String> = (100..1100)
        .map(|id| format!("({id}, 'more', '')"))
        .collect();
    let rows = rows.join(",");
    let url = f.database.database().url().to_owned();
    let other = std::thread::spawn(move || {
        use mysql_async::prelude::Queryable as _;
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let mut session = mysql_async::Conn::from_url(url).await.unwrap();
            let sql = format!(
                "START TRANSACTION; UPDATE items SET name = 'other' WHERE id = 2; \
                 INSERT INTO items VALUES {rows}; \
                 UPDATE items SET name = 'other' WHERE id = 1; COMMIT"
            );
            session.query_drop(sql).await
        })
    });
    let waits = "SELECT COUNT(*) FROM information_schema.INNODB_TRX \
                 WHERE trx_state = 'LOCK WAIT' AND trx_query LIKE '%items SET name = ''other''%'";
    f.database.block_on(tahr_tests::eventually(
        Duration::from_secs(10),
        "the other session waits for row 1",
        async || match f.database.database().value(waits).await.as_str() {
            "0" => Err("nobody waits".to_owned()),
            _ => Ok(()),
        },
    ));
    let last = BatchBuilder::after(first.position()).update(&items, ["2", "bb", ""]);
    let last = last.part(Part::Last);
    let error = f.writer.write(&last).unwrap_err();
    assert!(error.is_transient() && error.code == "1213", "{error}");
    f.reset();
    other.join().unwrap().expect("the other session goes on");
    assert_eq!(f.writer.write(&first), Ok(Written::Accepted));
    f.write(&last);
    let names = f.lines("SELECT name FROM items WHERE id < 3 ORDER BY id");
    assert_eq!(names, ["aa", "bb"]);
}

#[test]
fn a_lock_of_others_is_waited_for_and_said() {
    let mut f = Fixture::with("", |options| options["lock_timeout"] = json!("1s"));
    let items = items();
    f.writer.prepare(&items).unwrap();
    let batch = f.next().insert(&items, ["1", "a", ""]).build();
    f.write(&batch);
    let mut session = f.database.block_on(f.database.database().connect());
    f.database.block_on(async {
        use mysql_async::prelude::Queryable as _;
        let sql = "START TRANSACTION; UPDATE items SET name = 'b'";
        session.query_drop(sql).await.unwrap();
    });
    let batch = f.next().update(&items, ["1", "c", ""]).build();
    let error = f.writer.write(&batch).unwrap_err();
    assert!(error.is_transient() && error.code == "1205", "{error}");
    assert!(error.hint.contains("lock_timeout"));
    f.database.block_on(session.disconnect()).unwrap();
    f.reset();
    f.write(&batch);
    assert_eq!(f.lines("SELECT name FROM items"), ["c"]);
}

#[test]
fn a_server_killed_in_the_middle_of_a_batch_holds_it_once_in_the_end() {
    let (mut server, mut f) = own(&[]);
    let items = items();
    f.writer.prepare(&items).unwrap();
    let log = relation("public.log").column("line", "text").full().build();
    f.writer.prepare(&log).unwrap();
    let first = f
        .next()
        .insert(&items, ["1", "a", ""])
        .insert(&log, ["first"])
        .part(Part::First);
    let last = BatchBuilder::after(first.position())
        .insert(&log, ["last"])
        .part(Part::Last);
    assert_eq!(f.writer.write(&first), Ok(Written::Accepted));
    server.kill();
    let error = f.writer.write(&last).unwrap_err();
    assert!(error.is_transient(), "{error}");
    let error = f.writer.reset().unwrap_err();
    assert!(error.is_transient(), "{error}");
    server.start();
    f.reset();
    assert_eq!(f.writer.write(&first), Ok(Written::Accepted));
    f.write(&last);
    assert_eq!(
        f.lines("SELECT line FROM log ORDER BY line"),
        ["first", "last"]
    );
    // The answer of a commit may be lost, too: the checkpoint tells.
    server.restart();
    let batch = f.next().insert(&log, ["after"]).build();
    let error = f.writer.write(&batch).unwrap_err();
    assert!(error.is_transient(), "{error}");
    f.reset();
    f.write(&batch);
    assert_eq!(f.lines("SELECT COUNT(*) FROM log"), ["3"]);
}

#[test]
fn targets_that_cannot_be_used_are_told_apart() {
    let f = Fixture::new();
    let user = format!(
        "u{}",
        f.database.database().name().trim_start_matches("tahr_")
    );
    let user = &user[..user.len().min(32)];
    f.database
        .execute(&format!("CREATE USER {user}@'%' IDENTIFIED BY 'right'"));
    let attempt = |url: &str| {
        let options = json!({ "url": url, "connect_timeout": "5s" });
        open::<MysqlWriter>(&options, Role::Stream)
            .map(drop)
            .unwrap_err()
    };
    let database = f.database.database();
    let error = attempt(&database.url_as(&format!("{user}:wrong-secret")));
    assert_eq!(
        (error.kind, error.code.as_str()),
        (ErrorKind::Rejected, "1045")
    );
    assert!(
        error.hint.contains("password") && !error.message.contains("secret"),
        "{error}"
    );
    let error = attempt(&database.url_as(&format!("{user}:right")));
    assert_eq!(
        (error.kind, error.code.as_str()),
        (ErrorKind::Rejected, "1044")
    );
    assert!(error.hint.contains("GRANT"), "{}", error.hint);
    f.database.execute(&format!("DROP USER {user}@'%'"));
    let error = attempt(&database.url().replace("/tahr_", "/absent_"));
    assert_eq!(
        (error.kind, error.code.as_str()),
        (ErrorKind::Rejected, "1049")
    );
    for url in [
        "mysql://127.0.0.1:3306",
        "postgres://a:secret@b/c",
        "mysql://a@b/c?ssl=1",
    ] {
        let error = attempt(url);
        assert_eq!(error.kind, ErrorKind::Rejected, "{url}: {error}");
        assert!(error.hint.contains("mysql://") && !error.message.contains("secret"));
    }
    let error = attempt("mysql://root@127.0.0.1:1/none");
    assert!(error.is_transient(), "{error}");
}

#[test]
fn a_second_engine_is_noticed_by_the_checkpoint_it_moved() {
    let mut f = Fixture::new();
    let items = items();
    f.writer.prepare(&items).unwrap();
    let [mut second, mut third] = [(), ()].map(|()| {
        let (mut writer, ..) = open::<MysqlWriter>(&f.options, Role::Stream).unwrap();
        writer.checkpoint(&stream()).unwrap();
        writer
    });
    let batch = f.next().insert(&items, ["1", "a", ""]).build();
    f.write(&batch);
    let theirs = BatchBuilder::after(&Position::at(Lsn(0x100)));
    let theirs = theirs.insert(&items, ["1", "theirs", ""]).build();
    let moved = Written::Moved(Some(f.position.clone()));
    assert_eq!(second.write(&theirs), Ok(moved.clone()));
    assert_eq!(third.flush(&Position::at(Lsn(0x200))), Ok(moved));
    assert_eq!(f.lines("SELECT name FROM items"), ["a"]);
}

#[test]
fn a_blocked_call_ends_when_it_is_cancelled_and_its_transaction_with_it() {
    let mut f = Fixture::new();
    let items = items();
    f.writer.prepare(&items).unwrap();
    let batch = f.next().insert(&items, ["1", "a", ""]).build();
    f.write(&batch);
    let mut session = f.database.block_on(f.database.database().connect());
    f.database.block_on(async {
        use mysql_async::prelude::Queryable as _;
        let sql = "START TRANSACTION; UPDATE items SET name = 'b'";
        session.query_drop(sql).await.unwrap();
    });
    let canceller = f.canceller.clone();
    let cancelling = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        canceller.cancel();
    });
    let batch = f.next().update(&items, ["1", "c", ""]).build();
    let error = f.writer.write(&batch).unwrap_err();
    assert!(error.is_transient(), "{error}");
    cancelling.join().unwrap();
    f.database.block_on(session.disconnect()).unwrap();
    f.reset();
    f.write(&batch);
    assert_eq!(f.lines("SELECT name FROM items"), ["c"]);
}
