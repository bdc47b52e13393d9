//! Numbers, bits, and identifiers that are numbers.

use tahr_tests::Random;

use super::{Type, corner_or, float, integer, one_of, quoted};

pub(super) fn types() -> Vec<Type> {
    vec![
        Type::new("boolean", |random| {
            one_of(random, &["true", "false"]).to_owned()
        }),
        Type::new("smallint", |random| bounded(random, 15)),
        Type::new("integer", |random| bounded(random, 31)),
        Type::new("bigint", |random| bounded(random, 63)),
        Type::new("oid", |random| unsigned(random, 32)),
        Type::new("xid", |random| unsigned(random, 32)),
        Type::new("cid", |random| unsigned(random, 32)),
        Type::new("xid8", |random| unsigned(random, 64)),
        Type::new("tid", |random| {
            let (block, line) = (random.below(1 << 32), random.below(1 << 16));
            quoted(&format!("({block},{line})"))
        }),
        Type::new("pg_lsn", |random| {
            let lsn = random.next_u64() >> random.below(64);
            quoted(&format!("{:X}/{:X}", lsn >> 32, lsn & 0xffff_ffff))
        }),
        Type::new("real", |random| {
            corner_or(
                random,
                &[
                    "NaN",
                    "Infinity",
                    "-Infinity",
                    "-0",
                    "1e-45",
                    "3.4028235e38",
                    "0.1",
                    "16777217",
                ],
                |random| loop {
                    let number = f32::from_bits(random.next_u64() as u32);
                    if number.is_finite() {
                        break quoted(&format!("{number:e}"));
                    }
                },
            )
        }),
        Type::new("double precision", |random| {
            let corners = [
                "NaN",
                "Infinity",
                "-Infinity",
                "-0",
                "5e-324",
                "1.7976931348623157e308",
                "0.1",
                "9007199254740993",
                "1e15",
                "1e16",
            ];
            corner_or(random, &corners, |random| quoted(&float(random)))
        }),
        Type::new("numeric", numeric),
        Type::new("numeric(10,2)", |random| scaled(random, 10, 2)),
        Type::new("numeric(38,0)", |random| scaled(random, 38, 0)),
        Type::new("numeric(100,50)", |random| scaled(random, 100, 50)),
        Type::new("numeric(3,-2)", |random| scaled(random, 4, 0)),
        Type::new("money", |random| {
            let corners = ["-92233720368547758.08", "92233720368547758.07", "0"];
            corner_or(random, &corners, |random| {
                let cents = integer(random, 63);
                format!("({cents}::numeric / 100)")
            })
        }),
        Type::new("bit(5)", |random| bits(random, 5)),
        Type::new("bit(64)", |random| bits(random, 64)),
        Type::new("bit varying", |random| {
            let length = random.below(100);
            bits(random, length)
        }),
        Type::new("bit varying(9)", |random| {
            let length = random.below(10);
            bits(random, length)
        }),
        Type::new("uuid", |random| {
            let corners = [
                "00000000-0000-0000-0000-000000000000",
                "ffffffff-ffff-ffff-ffff-ffffffffffff",
            ];
            corner_or(random, &corners, |random| {
                quoted(&format!(
                    "{:016x}{:016x}",
                    random.next_u64(),
                    random.next_u64()
                ))
            })
        }),
    ]
}

/// Signed, its bounds among the values.
fn bounded(random: &mut Random, bits: u32) -> String {
    let number = match random.below(4) {
        0 => -(1_i128 << bits),
        1 => (1_i128 << bits) - 1,
        _ => integer(random, u64::from(bits)),
    };
    // A minus binds looser than a cast.
    format!("({number})")
}

fn unsigned(random: &mut Random, bits: u32) -> String {
    let number = match random.below(4) {
        0 => (1_u128 << bits) - 1,
        _ => u128::from(random.next_u64()) >> (64 - bits) >> random.below(u64::from(bits)),
    };
    quoted(&number.to_string())
}

fn digits(random: &mut Random, most: u64) -> String {
    (0..random.below(most + 1))
        .map(|_| char::from(b'0' + u8::try_from(random.below(10)).unwrap_or_default()))
        .collect()
}

fn numeric(random: &mut Random) -> String {
    let corners = [
        "NaN",
        "Infinity",
        "-Infinity",
        "0",
        "0.000",
        "1.500",
        "-0.0000000000000000000001",
        "1e-400",
        "1e400",
        "123456789012345",
        "1234567890123456",
        "9007199254740993",
        "9999999999999999999999999999999999",
        "12345678901234567890123456789012345.5",
        "79228162514264337593543950336",
        "0.100000000000000000000000000000",
    ];
    corner_or(random, &corners, |random| {
        let most = if random.one_in(10) { 2000 } else { 30 };
        let sign = if random.one_in(2) { "-" } else { "" };
        let (whole, part) = (digits(random, most), digits(random, most));
        quoted(&format!("{sign}0{whole}.{part}"))
    })
}

fn scaled(random: &mut Random, precision: u64, scale: u64) -> String {
    if random.one_in(8) {
        return quoted("NaN");
    }
    let sign = if random.one_in(2) { "-" } else { "" };
    let whole = digits(random, precision - scale);
    let part = digits(random, scale);
    quoted(&format!("{sign}0{whole}.{part}"))
}

fn bits(random: &mut Random, length: u64) -> String {
    let bits: String = (0..length)
        .map(|_| if random.one_in(2) { '1' } else { '0' })
        .collect();
    format!("B'{bits}'")
}
