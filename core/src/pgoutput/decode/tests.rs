//! Each message and each kind of damage, once.

use tahr_plugin_api::{Lsn, ReplicaIdentity};

use super::{
    super::message::TupleValue,
    samples::{self, Bytes, KEY, ROW, every_message},
    *,
};

fn problem(bytes: &[u8]) -> (&'static str, &'static str, usize, Problem) {
    let DecodeError { message, read } = decode(bytes).unwrap_err();
    (message, read.what, read.offset, read.problem)
}

#[test]
fn begin_and_commit_carry_their_lsns() {
    let expected = Message::Begin {
        commit_lsn: Lsn(0x16_B374_D848),
        commit_time_micros: 777_000_000,
        xid: 4711,
    };
    assert_eq!(decode(&samples::begin()), Ok(expected));
    let expected = Message::Commit {
        flags: 0,
        commit_lsn: Lsn(0x10),
        end_lsn: Lsn(0x20),
        commit_time_micros: 5,
    };
    assert_eq!(decode(&samples::commit()), Ok(expected));
}

#[test]
fn origins_and_types_carry_their_names() {
    let expected = Message::Origin {
        commit_lsn: Lsn(9),
        name: "elsewhere",
    };
    assert_eq!(decode(&samples::origin()), Ok(expected));
    let expected = Message::Type {
        oid: 16500,
        schema: "public",
        name: "mood",
    };
    assert_eq!(decode(&samples::type_name()), Ok(expected));
}

#[test]
fn a_relation_carries_its_columns_and_identity() {
    let column = |in_key, name, type_oid, type_modifier| RelationColumn {
        in_key,
        name,
        type_oid,
        type_modifier,
    };
    let expected = RelationMessage {
        oid: 16384,
        schema: "shöp",
        table: "items",
        replica_identity: ReplicaIdentity::Default,
        columns: vec![
            column(true, "id", 23, -1),
            column(false, "price", 1700, 655_366),
        ],
    };
    assert_eq!(
        decode(&samples::relation()),
        Ok(Message::Relation(expected))
    );

    let identities = [
        (b'n', ReplicaIdentity::Nothing),
        (b'f', ReplicaIdentity::Full),
        (b'i', ReplicaIdentity::Index),
    ];
    for (byte, expected) in identities {
        let bytes = Bytes::new(b'R').u32(1).name("").name("t").u8(byte).i16(0).0;
        let Ok(Message::Relation(relation)) = decode(&bytes) else {
            panic!("{}", byte as char)
        };
        assert_eq!(relation.replica_identity, expected);
        assert_eq!(relation.schema, "");
    }
}

#[test]
fn an_insert_tells_null_unchanged_and_empty_apart() {
    let bytes = samples::insert();
    let Ok(Message::Insert { relation, new }) = decode(&bytes) else {
        panic!()
    };
    assert_eq!((relation, new.len(), new.is_empty()), (16384, 4, false));
    assert_eq!(new.values().len(), 4);
    assert_eq!(new.values().collect::<Vec<_>>(), ROW);
    assert_eq!(new.byte_len(), bytes.len() - 8);

    let bytes = Bytes::new(b'I').u32(1).tuple(b'N', &[]).0;
    let Ok(Message::Insert { new, .. }) = decode(&bytes) else {
        panic!()
    };
    assert!(new.is_empty() && new.values().next().is_none());
}

#[test]
fn an_update_carries_the_old_row_as_far_as_it_was_sent() {
    for (tag, kind) in [
        (None, None),
        (Some(b'K'), Some(OldTupleKind::Key)),
        (Some(b'O'), Some(OldTupleKind::Full)),
    ] {
        let bytes = samples::update(tag);
        let Ok(Message::Update {
            relation: 16384,
            old,
            new,
        }) = decode(&bytes)
        else {
            panic!()
        };
        assert_eq!(old.map(|old| old.kind), kind);
        assert!(old.is_none_or(|old| old.tuple.values().eq(KEY)));
        assert!(new.values().eq(ROW));
    }
}

#[test]
fn a_delete_carries_the_key_or_the_whole_row() {
    for (tag, kind) in [(b'K', OldTupleKind::Key), (b'O', OldTupleKind::Full)] {
        let bytes = samples::delete(tag);
        let Ok(Message::Delete {
            relation: 16384,
            old,
        }) = decode(&bytes)
        else {
            panic!()
        };
        assert_eq!(old.kind, kind);
        assert!(old.tuple.into_iter().eq(KEY));
    }
}

#[test]
fn a_truncate_carries_its_tables_and_flags() {
    let expected = Message::Truncate {
        cascade: false,
        restart_identity: true,
        relations: vec![16384, 16400],
    };
    assert_eq!(decode(&samples::truncate()), Ok(expected));
    let bytes = Bytes::new(b'T').i32(0).u8(0b01).0;
    let expected = Message::Truncate {
        cascade: true,
        restart_identity: false,
        relations: Vec::new(),
    };
    assert_eq!(decode(&bytes), Ok(expected));
}

#[test]
fn a_logical_message_carries_any_bytes() {
    let expected = LogicalMessage {
        transactional: true,
        lsn: Lsn(0x30),
        prefix: "tahr",
        content: &[0, 1, 2],
    };
    assert_eq!(decode(&samples::logical()), Ok(Message::Logical(expected)));
}

/// Sent by PostgreSQL 15 for tables with an enum, an unchanged TOAST value and quoted names.
#[test]
fn messages_of_a_real_server_are_read() {
    let bytes = |hex: &str| -> Vec<u8> {
        (0..hex.len())
            .step_by(2)
            .map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap())
            .collect()
    };

    let relation = bytes(concat!(
        "520000400ec39c0046756c6c202278006600020169640000000017ffffffff",
        "01620000000019ffffffff"
    ));
    let Ok(Message::Relation(relation)) = decode(&relation) else {
        panic!()
    };
    assert_eq!(
        (relation.oid, relation.schema, relation.table),
        (16398, "Ü", "Full \"x")
    );
    assert_eq!(relation.replica_identity, ReplicaIdentity::Full);
    assert!(relation.columns.iter().all(|column| column.in_key));

    let moved = bytes(concat!(
        "55000040074b00047400000001316e6e6e",
        "4e00047400000001337574000000026f6b7400000004332e3030"
    ));
    let Ok(Message::Update {
        relation: 16391,
        old: Some(old),
        new,
    }) = decode(&moved)
    else {
        panic!()
    };
    assert_eq!(old.kind, OldTupleKind::Key);
    let null = TupleValue::Null;
    assert!(
        old.tuple
            .values()
            .eq([TupleValue::Text(b"1"), null, null, null])
    );
    assert!(new.values().eq([
        TupleValue::Text(b"3"),
        TupleValue::Unchanged,
        TupleValue::Text(b"ok"),
        TupleValue::Text(b"3.00"),
    ]));

    let commit = bytes("43000000000001533ae80000000001533b30000303e37a78a36e");
    let Ok(Message::Commit {
        commit_lsn,
        end_lsn,
        ..
    }) = decode(&commit)
    else {
        panic!()
    };
    assert_eq!(
        (commit_lsn.to_string(), end_lsn.to_string()),
        ("0/1533AE8".into(), "0/1533B30".into())
    );
    let truncate = bytes("5400000002030000401300004007");
    let expected = Message::Truncate {
        cascade: true,
        restart_identity: true,
        relations: vec![16403, 16391],
    };
    assert_eq!(decode(&truncate), Ok(expected));
    let logical = bytes("4d0100000000015337d874616872000000000568656c6c6f");
    let Ok(Message::Logical(logical)) = decode(&logical) else {
        panic!()
    };
    assert_eq!(
        (logical.transactional, logical.content),
        (true, &b"hello"[..])
    );
}

#[test]
fn every_truncation_of_every_message_is_an_error() {
    for bytes in every_message() {
        assert!(decode(&bytes).is_ok());
        for end in 0..bytes.len() {
            assert!(decode(&bytes[..end]).is_err(), "{end} of {bytes:?}");
        }
    }
}

#[test]
fn bytes_after_the_end_are_an_error() {
    for mut bytes in every_message() {
        let end = bytes.len();
        bytes.push(0);
        let DecodeError { read, .. } = decode(&bytes).unwrap_err();
        assert_eq!(
            (read.offset, read.problem),
            (end, Problem::Trailing { left: 1 })
        );
    }
}

#[test]
fn errors_say_the_message_what_was_read_and_where() {
    assert_eq!(
        problem(b""),
        (
            "unknown",
            "message type",
            0,
            Problem::Truncated { wanted: 1, left: 0 }
        )
    );
    assert_eq!(
        problem(b"S"),
        ("unknown", "message type", 0, Problem::Unknown(b'S'))
    );
    let bytes = Bytes::new(b'I').u32(1).u8(b'O').i16(0).0;
    assert_eq!(
        problem(&bytes),
        ("insert", "new tuple tag", 5, Problem::Unknown(b'O'))
    );
    let bytes = Bytes::new(b'U').u32(1).u8(b'X').0;
    assert_eq!(
        problem(&bytes),
        ("update", "old tuple tag", 5, Problem::Unknown(b'X'))
    );
    let bytes = Bytes::new(b'D').u32(1).u8(b'K').i16(-1).0;
    assert_eq!(
        problem(&bytes),
        ("delete", "column count", 6, Problem::Negative)
    );
    let bytes = Bytes::new(b'D').u32(1).u8(b'K').i16(1).u8(b'?').0;
    assert_eq!(
        problem(&bytes),
        ("delete", "value tag", 8, Problem::Unknown(b'?'))
    );
    let bytes = Bytes::new(b'I').u32(1).u8(b'N').i16(1).u8(b't').i32(-1).0;
    assert_eq!(
        problem(&bytes),
        ("insert", "value length", 9, Problem::Negative)
    );
    let bytes = Bytes::new(b'R').u32(1).name("").name("t").u8(b'x').i16(0).0;
    assert_eq!(
        problem(&bytes),
        ("relation", "replica identity", 8, Problem::Unknown(b'x'))
    );
    let bytes = Bytes::new(b'T').i32(i32::MAX).u8(0).u32(1).0;
    assert_eq!(
        problem(&bytes),
        (
            "truncate",
            "relation OID",
            10,
            Problem::Truncated { wanted: 4, left: 0 }
        )
    );
    let bytes = Bytes::new(b'Y').u32(1).raw(b"\xff\0t\0").0;
    assert_eq!(
        problem(&bytes),
        ("type", "schema name", 5, Problem::NotUtf8)
    );
}

#[test]
fn neither_errors_nor_debug_output_hold_row_contents() {
    let row = [TupleValue::Text(b"secret"), TupleValue::Binary(b"secret")];
    let mut bytes = Bytes::new(b'I').u32(1).tuple(b'N', &row).0;
    let message = format!("{:?}", decode(&bytes).unwrap());
    assert!(message.contains("Tuple(2 columns, 22 bytes)"), "{message}");
    assert_eq!(format!("{:?}", row[0]), "Text(6 bytes)");
    bytes.pop();
    let error = decode(&bytes).unwrap_err();
    assert_eq!(
        error.to_string(),
        "malformed pgoutput message (insert): value at byte 24 takes 6 bytes, 5 are left"
    );
    assert!(!format!("{error:?}").contains("secret"));
}
