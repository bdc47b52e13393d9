//! Lines of a copy that nobody meant.

use std::sync::Arc;

use tahr_plugin_api::{
    Lsn, Value, ValueKind,
    abi::Arena,
    testing::{fuzz, relation},
};

use super::{CopyDecoder, Limits};

#[test]
fn no_line_of_a_copy_makes_the_decoder_panic_and_each_that_is_taken_is_a_whole_row() {
    let table = relation("public.t")
        .column("id", "integer")
        .column("v", "text")
        .column("data", "bytea")
        .key(["id"])
        .build();
    let samples = [
        &b"1\ttext\t\\\\x00ff\n"[..],
        b"\\N\t\\N\t\\N\n",
        b"2\ta\\tb\\nc\\\\d\\x41\\101\t\\\\x\n",
        b"3\t\xc3\xa4\t\\\\x1\n",
        b"4\t\xff\xfe\tno bytes\n",
    ];
    let samples = samples.map(<[u8]>::to_vec);
    fuzz("copied rows", &samples, |line| {
        let mut decoder = CopyDecoder::new(Arc::clone(&table), Lsn(7), Limits::default());
        match decoder.row(line) {
            Ok(full) => assert!(full.is_none(), "a row is no full arena"),
            Err(_) => return false,
        }
        let Some(arena) = decoder.finish() else {
            return false;
        };
        assert_eq!((arena.changes().len(), arena.values().len()), (1, 3));
        (0..3).for_each(|index| look_at(&arena, index));
        true
    });
}

fn look_at(arena: &Arena, index: usize) {
    match arena.value(index, ValueKind::Text) {
        Value::Text(_, text) => assert!(std::str::from_utf8(text.as_bytes()).is_ok()),
        other => drop(format!("{other:?}")),
    }
}
