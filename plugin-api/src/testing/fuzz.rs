//! Bytes that nobody meant: a decoder is given arbitrary ones and changed copies of valid ones.
//!
//! No coverage is measured; inputs that were taken are changed again, which leads far enough into
//! decoders of a few hundred lines. A run lasts a second, or as long as `TAHR_FUZZ_SECONDS` says. It
//! begins at the same seed each time, or at the clock's in a longer run; the seed is printed, and
//! `TAHR_TEST_SEED` takes it back.

use std::{
    fmt::Write as _,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// An input that takes longer is a fault: somebody can stop an engine with it.
const PATIENCE: Duration = Duration::from_secs(5);
/// So often it is tried again before it is called slow.
const TRIES: usize = 3;
/// The longest input.
const LONGEST: usize = 1 << 14;
/// So many inputs are changed again.
const KEPT: usize = 500;

/// Numbers that look random, from a seed (SplitMix64).
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Dice that fall as `seed` says.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number.
    pub const fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`, which is 1 at least.
    pub fn below(&mut self, limit: usize) -> usize {
        let limit = limit.max(1) as u64;
        usize::try_from(self.number() % limit).unwrap_or(0)
    }

    fn byte(&mut self) -> u8 {
        self.number().to_le_bytes()[0]
    }
}

/// Gives `decode` one input after the other: `samples`, changed copies of them, and arbitrary bytes. It
/// says whether it took the input for valid, and panics where something is wrong.
///
/// # Panics
///
/// `decode` did, or took seconds; the seed and the input are printed.
#[expect(clippy::print_stderr, reason = "what a person needs to repeat it")]
pub fn fuzz(name: &str, samples: &[Vec<u8>], mut decode: impl FnMut(&[u8]) -> bool) {
    let number = |name: &str| -> Option<u64> {
        let text = std::env::var(name).ok()?;
        Some(
            text.parse()
                .unwrap_or_else(|_| panic!("{name} is a number")),
        )
    };
    let seconds = number("TAHR_FUZZ_SECONDS");
    let clock = || {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        now.map_or(0, |now| u64::from(now.subsec_nanos()) ^ now.as_secs())
    };
    let seed = number("TAHR_TEST_SEED").unwrap_or_else(|| seconds.map_or(1, |_| clock()));
    let end = Instant::now() + Duration::from_secs(seconds.unwrap_or(1));
    eprintln!("{name}: to repeat: TAHR_TEST_SEED={seed}");
    let mut dice = Dice::new(seed);
    let mut kept = samples.to_vec();
    let (mut tried, mut taken) = (0_u64, 0_u64);
    let mut index = 0;
    while Instant::now() < end || index < samples.len() {
        let input = match samples.get(index) {
            Some(sample) => sample.clone(),
            None => changed(&mut dice, &kept),
        };
        index += 1;
        tried += 1;
        let mut timed = || {
            let start = Instant::now();
            let is_taken = catch_unwind(AssertUnwindSafe(|| decode(&input)));
            (is_taken, start.elapsed() > PATIENCE)
        };
        let (mut is_taken, mut is_slow) = timed();
        // A machine that stood still is no fault of the decoder.
        for _ in 0..TRIES {
            if is_slow && is_taken.is_ok() {
                (is_taken, is_slow) = timed();
            }
        }
        match is_taken {
            Ok(false) if !is_slow => {}
            Ok(true) if !is_slow => {
                taken += 1;
                if index > samples.len() {
                    keep(&mut dice, &mut kept, samples.len(), input);
                }
            }
            outcome => {
                let text = String::from_utf8_lossy(&input);
                eprintln!(
                    "{name}: input {tried} of seed {seed}: {}\n{text:?}",
                    hex(&input)
                );
                match outcome {
                    Err(panic) => resume_unwind(panic),
                    Ok(_) => panic!("{name}: an input takes more than {PATIENCE:?}"),
                }
            }
        }
    }
    eprintln!("{name}: {tried} inputs, {taken} of them valid");
}

/// Keeps an input that was taken, in the place of another one where there are enough; never of one of
/// the first.
fn keep(dice: &mut Dice, kept: &mut Vec<Vec<u8>>, first: usize, input: Vec<u8>) {
    if kept.len() < first + KEPT {
        kept.push(input);
    } else {
        let place = first + dice.below(KEPT);
        kept[place] = input;
    }
}

/// Arbitrary bytes now and then, else one of `kept` with some changes.
fn changed(dice: &mut Dice, kept: &[Vec<u8>]) -> Vec<u8> {
    if kept.is_empty() || dice.below(50) == 0 {
        let len = dice.below(64);
        return (0..len).map(|_| dice.byte()).collect();
    }
    let mut bytes = kept[dice.below(kept.len())].clone();
    for _ in 0..=dice.below(4) {
        change(dice, &mut bytes, kept);
    }
    bytes.truncate(LONGEST);
    bytes
}

fn change(dice: &mut Dice, bytes: &mut Vec<u8>, kept: &[Vec<u8>]) {
    let at = dice.below(bytes.len());
    let to = (at + 1 + dice.below(16)).min(bytes.len());
    match dice.below(10) {
        0 if !bytes.is_empty() => bytes[at] ^= 1 << dice.below(8),
        1 if !bytes.is_empty() => bytes[at] = dice.byte(),
        2 => bytes.truncate(at),
        3 if !bytes.is_empty() => drop(bytes.drain(at..to)),
        4 if !bytes.is_empty() => {
            let again = bytes[at..to].to_vec();
            let place = dice.below(bytes.len() + 1);
            bytes.splice(place..place, again);
        }
        5 => {
            let other = &kept[dice.below(kept.len())];
            let from = dice.below(other.len());
            let until = (from + 1 + dice.below(64)).min(other.len());
            let piece = other.get(from..until).unwrap_or_default().to_vec();
            let end = if dice.below(2) == 0 { to } else { at };
            bytes.splice(at.min(end)..end.min(bytes.len()), piece);
        }
        6 => number_at(dice, bytes, at),
        7 => {
            let piece = TEXTS[dice.below(TEXTS.len())].as_bytes();
            bytes.splice(at..at, piece.iter().copied());
        }
        8 if !bytes.is_empty() => {
            bytes[at] = b"0123456789-+.:,;{}[]()\"'\\ \n\tTZBCeE="[dice.below(35)];
        }
        _ => {
            let len = dice.below(8);
            let piece: Vec<u8> = (0..len).map(|_| dice.byte()).collect();
            bytes.splice(at..at, piece);
        }
    }
}

/// Writes a number at which counts and lengths tend to go wrong.
fn number_at(dice: &mut Dice, bytes: &mut [u8], at: usize) {
    const EDGES: [u64; 12] = [
        0,
        1,
        0x7f,
        0x80,
        0xff,
        0x7fff,
        0xffff,
        0x7fff_ffff,
        0x8000_0000,
        0xffff_ffff,
        u64::MAX / 2,
        u64::MAX,
    ];
    let edge = EDGES[dice.below(EDGES.len())];
    let width = [1, 2, 4, 8][dice.below(4)];
    let number = match dice.below(2) {
        0 => edge.to_le_bytes()[..width].to_vec(),
        _ => edge.to_be_bytes()[8 - width..].to_vec(),
    };
    for (place, byte) in bytes[at..].iter_mut().zip(number) {
        *place = byte;
    }
}

/// Pieces that mean something to one decoder or another.
const TEXTS: [&str; 24] = [
    "NULL",
    "infinity",
    "-infinity",
    "NaN",
    "24:00:00",
    " BC",
    "+15:59:59",
    "\\x",
    "{}",
    "{{",
    "}}",
    "\"",
    "\\\"",
    "[1:1]=",
    "999999999999999999999999",
    "0.",
    "e308",
    "-0",
    "1 mon",
    "\u{1F40F}",
    "\0",
    "\r\n",
    "[[",
    "= \"",
];

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_that_a_few_changes_lead_to_is_found() {
        let samples = [b"length 7: abcdefg".to_vec()];
        let found = catch_unwind(|| {
            fuzz("a faulty decoder", &samples, |bytes| {
                let Some(rest) = bytes.strip_prefix(b"length ") else {
                    return false;
                };
                assert!(!rest.starts_with(b"9"), "it trusts the length");
                true
            });
        });
        assert!(found.is_err());
    }
}
