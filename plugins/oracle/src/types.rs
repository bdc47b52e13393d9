//! What each column of a source becomes in Oracle: one function, asked when tables are made, checked
//! and written, and by the documentation.
//!
//! Text of any length is a CLOB; a VARCHAR2 is what surely holds every value of its type, and what
//! stands in a key, since no index takes a CLOB. Numbers have 38 digits, so a `numeric` without
//! bounds is text. Dates are held by their names: those that Oracle's calendar has.

use tahr_plugin_api::{Column, Unfit, ValueKind};

use crate::number::Bounds;

/// Bytes that all columns of an index may have together, in blocks of 8 kB, less a reserve.
const KEY_BYTES: u32 = 6000;

/// A character's most bytes.
const CHARACTER: u32 = 4;

/// The most bytes of a VARCHAR2.
const VARCHAR2: u32 = 4000;

/// The most bytes of a RAW.
const RAW: u32 = 2000;

/// The form in which a column's values are bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// PostgreSQL's text.
    Text,
    /// 1 or 0, as a NUMBER.
    Bool,
    /// A NUMBER.
    Number,
    /// A BINARY_FLOAT.
    Float,
    /// A BINARY_DOUBLE.
    Double,
    /// A RAW.
    Bytes,
    /// A DATE at midnight.
    Date,
    /// A TIMESTAMP: a reading of calendar and clock, or an instant's in UTC.
    Timestamp,
    /// A TIMESTAMP WITH TIME ZONE, in UTC.
    TimestampTz,
}

/// How much a column takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    /// Whatever the source has.
    None,
    /// So many characters.
    Characters(u32),
    /// So many bytes.
    Bytes(u32),
    /// Numbers with no more digits; without bounds, as many as a NUMBER has.
    Number(Option<Bounds>),
}

/// A column's type in the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Type {
    /// As one would declare it.
    pub(crate) declared: String,
    pub(crate) form: Form,
    /// What values of the source have to be measured against; none where all of them fit.
    pub(crate) limit: Limit,
    /// Whether it is a CLOB or BLOB.
    pub(crate) is_lob: bool,
}

impl Type {
    fn plain(declared: impl Into<String>, form: Form) -> Self {
        Self {
            declared: declared.into(),
            form,
            limit: Limit::None,
            is_lob: false,
        }
    }

    /// A text that surely has no more characters, all of them of one byte.
    fn short(characters: u32) -> Self {
        Self::plain(format!("VARCHAR2({characters} BYTE)"), Form::Text)
    }

    fn clob() -> Self {
        Self {
            is_lob: true,
            ..Self::plain("CLOB", Form::Text)
        }
    }

    fn limited(self, limit: Limit) -> Self {
        Self { limit, ..self }
    }

    /// Whether its values can be empty.
    pub(crate) fn form_takes_text(&self) -> bool {
        matches!(self.form, Form::Text | Form::Bytes)
    }
}

/// The precision and scale that a `numeric` declares.
pub(crate) fn numeric_bounds(column: &Column) -> Option<Bounds> {
    const HEADER: i32 = 4;
    let bounds = column.type_modifier - HEADER;
    (column.kind == ValueKind::Decimal && bounds >= 0).then(|| Bounds {
        precision: (bounds >> 16) & 0xffff,
        // Eleven bits and a sign, since PostgreSQL 15.
        scale: ((bounds & 0x7ff) ^ 1024) - 1024,
    })
}

/// The characters that a `character varying(n)`, `character(n)`, `bit(n)` … declares.
fn declared_length(column: &Column) -> Option<u32> {
    let header = match column.type_oid {
        oid::BIT | oid::VARBIT => 0,
        oid::BPCHAR | oid::VARCHAR => 4,
        _ => return None,
    };
    u32::try_from(column.type_modifier - header)
        .ok()
        .filter(|length| *length > 0)
}

pub(crate) mod oid {
    //! Of types in PostgreSQL's `pg_type`.

    pub(super) const CHAR: u32 = 18;
    pub(super) const NAME: u32 = 19;
    pub(super) const INT2: u32 = 21;
    pub(super) const INT4: u32 = 23;
    pub(super) const OID: u32 = 26;
    pub(super) const FLOAT4: u32 = 700;
    pub(super) const BPCHAR: u32 = 1042;
    pub(super) const VARCHAR: u32 = 1043;
    pub(super) const BIT: u32 = 1560;
    pub(crate) const VARBIT: u32 = 1562;
}

/// The type that a column gets in a table that tahr makes. `share`: bytes that it may have in the
/// key, where it belongs to it.
pub(crate) fn made(column: &Column, share: Option<u32>, unfit: Unfit) -> Type {
    let made = match unfit {
        Unfit::Text => as_text(column),
        _ => None,
    };
    let made = made.unwrap_or_else(|| natural(column));
    match share {
        Some(share) => in_key(made, share),
        None => made,
    }
}

/// What each column of a key of so many columns may have.
pub(crate) fn key_share(columns: usize) -> u32 {
    KEY_BYTES / u32::try_from(columns.max(1)).unwrap_or(KEY_BYTES)
}

fn natural(column: &Column) -> Type {
    match column.kind {
        ValueKind::Bool => Type::plain("NUMBER(1)", Form::Bool),
        ValueKind::Int => {
            let digits = match column.type_oid {
                oid::INT2 => 5,
                oid::INT4 | oid::OID => 10,
                _ => 19,
            };
            Type::plain(format!("NUMBER({digits})"), Form::Number)
        }
        ValueKind::Float if column.type_oid == oid::FLOAT4 => {
            Type::plain("BINARY_FLOAT", Form::Float)
        }
        ValueKind::Float => Type::plain("BINARY_DOUBLE", Form::Double),
        ValueKind::Decimal => match numeric_bounds(column) {
            Some(bounds) if bounds.are_oracles() => Type::plain(bounds.declared(), Form::Number),
            Some(bounds) => Type::short(bounds.text_length()),
            None => Type::short(VARCHAR2).limited(Limit::Bytes(VARCHAR2)),
        },
        ValueKind::Text => match (column.type_oid, declared_length(column)) {
            (oid::CHAR, _) => Type::short(4),
            (oid::NAME, _) => Type::short(63),
            (_, Some(length)) if length * CHARACTER <= VARCHAR2 => {
                Type::plain(format!("VARCHAR2({length} CHAR)"), Form::Text)
            }
            _ => Type::clob(),
        },
        ValueKind::Bytes => Type {
            is_lob: true,
            ..Type::plain("BLOB", Form::Bytes)
        },
        ValueKind::Date => Type::plain("DATE", Form::Date),
        ValueKind::Timestamp => Type::plain("TIMESTAMP(6)", Form::Timestamp),
        ValueKind::TimestampTz => Type::plain("TIMESTAMP(6) WITH TIME ZONE", Form::TimestampTz),
        ValueKind::Time => Type::short(15),
        ValueKind::TimeTz => Type::short(24),
        ValueKind::Interval => Type::short(100),
        ValueKind::Uuid => Type::short(36),
        _ => other(column),
    }
}

/// Types that have no kind of their own: those whose text has an end are short.
fn other(column: &Column) -> Type {
    match column.type_oid {
        // xid, xid8
        28 => Type::plain("NUMBER(10)", Form::Number),
        5069 => Type::plain("NUMBER(20)", Form::Number),
        // inet, cidr
        869 | 650 => Type::short(49),
        // macaddr, macaddr8
        829 | 774 => Type::short(23),
        // tid, pg_lsn
        27 | 3220 => Type::short(20),
        // money
        790 => Type::plain("VARCHAR2(64 CHAR)", Form::Text),
        // point, line, lseg, box, circle
        600 | 628 | 601 | 603 | 718 => Type::short(120),
        // int4range, int8range, daterange, tsrange, tstzrange
        3904 | 3926 | 3912 | 3908 | 3910 => Type::short(120),
        oid::BIT | oid::VARBIT => match declared_length(column) {
            Some(length) if length <= VARCHAR2 => Type::short(length),
            _ => Type::clob(),
        },
        _ => Type::clob(),
    }
}

/// Under `unfit = "text"`: what takes every value of a type of which Oracle's own takes not all.
fn as_text(column: &Column) -> Option<Type> {
    match column.kind {
        ValueKind::Decimal => Some(match numeric_bounds(column) {
            Some(bounds) => Type::short(bounds.text_length()),
            None => Type::clob(),
        }),
        ValueKind::Date | ValueKind::Timestamp | ValueKind::TimestampTz => Some(Type::short(40)),
        _ => None,
    }
}

/// The type for a column of a key: no LOB, no time zone, no more bytes than its share.
fn in_key(natural: Type, share: u32) -> Type {
    let Type {
        declared,
        form,
        is_lob,
        ..
    } = &natural;
    match form {
        Form::Bytes => {
            let bytes = share.min(RAW);
            Type::plain(format!("RAW({bytes})"), Form::Bytes).limited(Limit::Bytes(bytes))
        }
        // ORA-02329: no zone in a key. Instants are unique without, since all are in UTC.
        Form::TimestampTz => Type::plain("TIMESTAMP(6)", Form::Timestamp),
        Form::Text => {
            let most = (share / CHARACTER).min(VARCHAR2 / CHARACTER);
            let characters = declared
                .strip_prefix("VARCHAR2(")
                .and_then(|rest| rest.split(' ').next()?.parse::<u32>().ok());
            let is_narrow = characters.is_some_and(|characters| characters <= most);
            if is_narrow && !is_lob {
                return natural;
            }
            let declared = format!("VARCHAR2({most} CHAR)");
            Type::plain(declared, Form::Text).limited(Limit::Characters(most))
        }
        _ => natural,
    }
}

#[cfg(test)]
mod tests {
    use tahr_plugin_api::{Rule, RuleTable, testing::relation};

    use super::*;

    fn declared(type_name: &str, share: Option<u32>, unfit: Unfit) -> String {
        let relation = relation("t").column("c", type_name).build();
        made(&relation.columns[0], share, unfit).declared
    }

    #[test]
    fn every_type_has_a_home() {
        for (type_name, expected) in [
            ("boolean", "NUMBER(1)"),
            ("smallint", "NUMBER(5)"),
            ("bigint", "NUMBER(19)"),
            ("oid", "NUMBER(10)"),
            ("xid8", "NUMBER(20)"),
            ("real", "BINARY_FLOAT"),
            ("double precision", "BINARY_DOUBLE"),
            ("numeric(10,2)", "NUMBER(10,2)"),
            ("numeric(39,2)", "VARCHAR2(42 BYTE)"),
            ("numeric", "VARCHAR2(4000 BYTE)"),
            ("character varying(20)", "VARCHAR2(20 CHAR)"),
            ("character varying(1001)", "CLOB"),
            ("text", "CLOB"),
            ("bytea", "BLOB"),
            ("date", "DATE"),
            ("timestamp with time zone", "TIMESTAMP(6) WITH TIME ZONE"),
            ("time with time zone", "VARCHAR2(24 BYTE)"),
            ("uuid", "VARCHAR2(36 BYTE)"),
            ("bit varying(8)", "VARCHAR2(8 BYTE)"),
            ("integer[]", "CLOB"),
        ] {
            assert_eq!(
                declared(type_name, None, Unfit::Error),
                expected,
                "{type_name}"
            );
        }
    }

    #[test]
    fn a_key_holds_no_lob_and_no_zone() {
        for (type_name, share, expected) in [
            ("text", key_share(1), "VARCHAR2(1000 CHAR)"),
            ("text", key_share(2), "VARCHAR2(750 CHAR)"),
            ("bytea", key_share(1), "RAW(2000)"),
            ("numeric", key_share(3), "VARCHAR2(500 CHAR)"),
            ("uuid", key_share(4), "VARCHAR2(36 BYTE)"),
            ("character varying(900)", key_share(2), "VARCHAR2(750 CHAR)"),
            ("timestamp with time zone", key_share(1), "TIMESTAMP(6)"),
        ] {
            let found = declared(type_name, Some(share), Unfit::Error);
            assert_eq!(found, expected, "{type_name}, {share}");
        }
    }

    #[test]
    fn as_text_every_value_fits() {
        for (type_name, expected) in [
            ("numeric(10,2)", "VARCHAR2(13 BYTE)"),
            ("numeric", "CLOB"),
            ("date", "VARCHAR2(40 BYTE)"),
            ("bigint", "NUMBER(19)"),
        ] {
            assert_eq!(
                declared(type_name, None, Unfit::Text),
                expected,
                "{type_name}"
            );
        }
    }

    /// What no server here can tell us: only types that Oracle has are emitted.
    #[test]
    fn only_oracles_types_are_declared() {
        const KNOWN: [&str; 10] = [
            "NUMBER(",
            "VARCHAR2(",
            "RAW(",
            "BINARY_FLOAT",
            "BINARY_DOUBLE",
            "CLOB",
            "BLOB",
            "DATE",
            "TIMESTAMP(6)",
            "TIMESTAMP(6) WITH TIME ZONE",
        ];
        RuleTable::of("every type", |column| {
            for unfit in [Unfit::Error, Unfit::Text] {
                for share in [None, Some(key_share(1)), Some(key_share(32))] {
                    let declared = made(column, share, unfit).declared;
                    let is_known = KNOWN.iter().any(|known| match known.strip_suffix('(') {
                        Some(_) => declared.starts_with(known) && declared.ends_with(')'),
                        None => declared == *known,
                    });
                    assert!(is_known, "{} is {declared}", column.type_name);
                }
            }
            Rule::default()
        });
    }
}
