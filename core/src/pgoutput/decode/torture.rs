//! Whatever the bytes, the decoder answers.

use super::{samples::every_message, *};

/// Splitmix64: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }
}

fn tortured(random: &mut Random, messages: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = messages[random.below(messages.len())].clone();
    match random.below(8) {
        0 => (0..random.below(64)).map(|_| random.next() as u8).collect(),
        1 => {
            let tag = b"BCORYIUDTM"[random.below(10)];
            std::iter::once(tag)
                .chain((0..random.below(64)).map(|_| random.next() as u8))
                .collect()
        }
        2 => {
            bytes.truncate(random.below(bytes.len()));
            bytes
        }
        _ => {
            for _ in 0..=random.below(4) {
                let at = random.below(bytes.len());
                match random.below(4) {
                    0 => bytes[at] ^= 1 << random.below(8),
                    1 => bytes[at] = [0, 0x7f, 0x80, 0xff][random.below(4)],
                    2 => bytes.insert(at, random.next() as u8),
                    _ if bytes.len() > 1 => drop(bytes.remove(at)),
                    _ => {}
                }
            }
            bytes
        }
    }
}

/// Whatever decodes also reads to its end, with as many values as it says.
pub(super) fn read_through(bytes: &[u8]) -> bool {
    let whole = |tuple: Tuple<'_>| assert_eq!(tuple.values().count(), tuple.len());
    match decode(bytes) {
        Ok(Message::Insert { new, .. }) => whole(new),
        Ok(Message::Update { old, new, .. }) => {
            whole(new);
            old.into_iter().for_each(|old| whole(old.tuple));
        }
        Ok(Message::Delete { old, .. }) => whole(old.tuple),
        Ok(_) => {}
        Err(error) => {
            assert!(error.read.offset <= bytes.len());
            return false;
        }
    }
    true
}

#[test]
fn no_bytes_make_it_panic() {
    let messages = every_message();
    let mut decoded = 0;
    for seed in 0..200_000 {
        let bytes = tortured(&mut Random(seed), &messages);
        let result = std::panic::catch_unwind(|| read_through(&bytes));
        decoded += u32::from(result.unwrap_or_else(|_| panic!("seed {seed}: {bytes:02x?}")));
    }
    // Both sides must have been met, else this tests less than it says.
    assert!((20_000..180_000).contains(&decoded), "{decoded} decoded");
}
