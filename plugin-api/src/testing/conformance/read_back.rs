//! Reading the target back: equal rows have equal digests, others have not, and keys have names.
//!
//! Every value of every type is compared where it is written (see `values`).

use super::fixture::{Fixture, cases, items, ok};
use crate::{
    Batch, Part, Relation, Role,
    read_back::{Digest, Filter},
    testing::{Cell, relation, stream},
};

cases![
    rows_are_read_back_by_their_keys,
    other_rows_have_other_digests,
    keys_are_named_as_postgresql_reads_them,
    rows_are_put_in_order_without_moving_on,
];

/// A row that was read back.
type Found = (Digest, Vec<Option<String>>);

impl Fixture<'_> {
    /// What a writer that reads finds of `relation`: all, or what is under the keys of `batch`.
    #[track_caller]
    fn read_back(&self, relation: &Relation, batch: Option<&Batch>) -> Vec<Found> {
        let (mut writer, recorder) = self.recorded(Role::Check);
        ok(writer.checkpoint(&stream()));
        let keys = batch.map(|batch| &batch.segments()[0].arena);
        ok(writer.read_back(relation, keys, Filter::all(), true));
        let mut found = recorder.found();
        found.sort();
        found
    }

    #[track_caller]
    fn digests(&self, relation: &Relation, batch: &Batch) -> Vec<Digest> {
        let mut writer = self.another(Role::Check);
        ok(writer.checkpoint(&stream()));
        ok(writer.digests(relation, &batch.segments()[0].arena))
    }

    /// Where the target can be read back: it holds the rows of `batch`, inserts or whole updates,
    /// and no others.
    #[track_caller]
    pub(super) fn expect_read_back(&self, relation: &Relation, batch: &Batch) {
        if !self.capabilities.read_back {
            return;
        }
        let mut expected = self.digests(relation, batch);
        expected.sort();
        for keys in [None, Some(batch)] {
            let found = self.read_back(relation, keys);
            let found: Vec<Digest> = found.into_iter().map(|(digest, _)| digest).collect();
            assert_eq!(found, expected, "read back of {}", relation.source);
        }
    }

    /// Whether the writer can read back; one that can't has to say so.
    #[track_caller]
    fn can_read_back(&self) -> bool {
        if !self.capabilities.read_back {
            let mut writer = self.another(Role::Check);
            let answer = writer.read_back(&items(), None, Filter::all(), false);
            let code = answer.map_err(|error| error.code);
            assert_eq!(code, Err("unsupported".to_owned()));
        }
        self.capabilities.read_back
    }
}

fn rows_are_read_back_by_their_keys(f: &mut Fixture<'_>) {
    if !f.can_read_back() {
        return;
    }
    let items = f.start_items();
    assert_eq!(f.read_back(&items, None), []);
    let all = f
        .next()
        .insert(&items, ["1", "a", "x"])
        .insert(&items, [Cell::Text("2"), Cell::Null, Cell::Text("")])
        .insert(&items, ["3", "c", "z"])
        .build();
    f.write(&all);
    f.expect_read_back(&items, &all);
    let keys = f
        .next()
        .delete(&items, ["3"])
        .delete(&items, ["4"])
        .delete(&items, ["1"])
        .build();
    let names = f.digests(&items, &keys);
    let found = f.read_back(&items, Some(&keys));
    let found: Vec<u64> = found.iter().map(|(digest, _)| digest.key).collect();
    let mut expected = vec![names[0].key, names[2].key];
    expected.sort_unstable();
    assert_eq!(found, expected, "the keys of what is there");
}

fn other_rows_have_other_digests(f: &mut Fixture<'_>) {
    if !f.can_read_back() {
        return;
    }
    let items = f.start_items();
    let stored = f.next().insert(&items, ["1", "a", "x"]).build();
    f.write(&stored);
    let one = f.digests(&items, &stored);
    for other in [
        [Cell::Text("1"), Cell::Text("a"), Cell::Text("y")],
        [Cell::Text("1"), Cell::Text("a"), Cell::Null],
        [Cell::Text("1"), Cell::Text("x"), Cell::Text("a")],
        [Cell::Text("1"), Cell::Text("ax"), Cell::Text("")],
    ] {
        let other = f.next().insert(&items, other).build();
        let other = f.digests(&items, &other);
        assert_eq!(other[0].key, one[0].key);
        assert_ne!(other[0].row, one[0].row);
    }
}

fn keys_are_named_as_postgresql_reads_them(f: &mut Fixture<'_>) {
    if !f.can_read_back() {
        return;
    }
    let text = relation("public.text")
        .column("k", "text")
        .column("v", "text")
        .key(["k"])
        .build();
    let mixed = relation("public.mixed")
        .column("a", "bigint")
        .column("v", "text")
        .column("b", "text")
        .column("c", "uuid")
        .key(["c", "a", "b"])
        .build();
    f.start(&[&text, &mixed]);
    let texts = ["a", "it's", "a:b\\c", "tab\tnew\nline", "ünïcødé ☃"];
    let mut batch = f.next();
    for text_of in texts {
        batch = batch.insert(&text, [text_of, "v"]);
    }
    let batch = batch.build();
    f.write(&batch);
    let mut names: Vec<_> = f.read_back(&text, None).into_iter().collect();
    names.sort_by(|one, two| one.1.cmp(&two.1));
    let names: Vec<_> = names.into_iter().map(|(_, name)| name).collect();
    let mut expected = texts.map(|text| vec![Some(text.to_owned())]);
    expected.sort();
    assert_eq!(names, expected);
    let id = "c4ca4238-a0b9-2382-0dcc-509a6f75849b";
    let batch = f.next().insert(&mixed, ["-7", "v", "a|b", id]).build();
    f.write(&batch);
    let found = f.read_back(&mixed, None);
    assert_eq!(
        found[0].1,
        [id, "-7", "a|b"].map(|text| Some(text.to_owned()))
    );
}

fn rows_are_put_in_order_without_moving_on(f: &mut Fixture<'_>) {
    let items = f.start_items();
    let batch = f
        .next()
        .insert(&items, ["1", "a", "x"])
        .insert(&items, ["2", "b", "x"])
        .build();
    f.write(&batch);
    let order = f
        .next()
        .update(&items, ["1", "A", "x"])
        .update(&items, ["3", "C", "x"])
        .delete(&items, ["2"])
        .delete(&items, ["4"])
        .build();
    // As a repair comes: at the very position that is stored.
    let at = f.position.clone();
    let segments = order.segments().to_vec();
    f.write(&Batch::new(segments, at.clone(), at, Part::Whole));
    f.expect(&items, [["1", "A", "x"], ["3", "C", "x"]]);
    let batch = f.next().insert(&items, ["4", "d", "x"]).build();
    f.write(&batch);
    f.expect(&items, [["1", "A", "x"], ["3", "C", "x"], ["4", "d", "x"]]);
}
