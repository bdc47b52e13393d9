//! Reading dates and times from text, digit by digit.

/// What is left of a text. Reads that fail may have moved; whoever gets `None` gives up.
#[derive(Clone, Copy)]
pub(super) struct Scanner<'a>(&'a [u8]);

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self(text.as_bytes())
    }

    pub(super) fn is_done(self) -> bool {
        self.0.is_empty()
    }

    /// Takes `byte` if it is next.
    pub(super) fn take(&mut self, byte: u8) -> bool {
        match self.0.split_first() {
            Some((&first, rest)) if first == byte => {
                self.0 = rest;
                true
            }
            _ => false,
        }
    }

    /// Takes `byte`, which must be next.
    pub(super) fn expect(&mut self, byte: u8) -> Option<()> {
        self.take(byte).then_some(())
    }

    /// Takes `+` or `-`, one of which must be next; true for `-`.
    pub(super) fn sign(&mut self) -> Option<bool> {
        if self.take(b'-') {
            Some(true)
        } else {
            self.expect(b'+').map(|()| false)
        }
    }

    /// Two digits, neither more nor less can be meant.
    pub(super) fn two(&mut self) -> Option<i64> {
        let (&[tens, ones], rest) = self.0.split_first_chunk()?;
        if !tens.is_ascii_digit() || !ones.is_ascii_digit() {
            return None;
        }
        self.0 = rest;
        Some(i64::from(tens - b'0') * 10 + i64::from(ones - b'0'))
    }

    /// A run of digits, with how many they are; at most 18, so that it fits.
    pub(super) fn digits(&mut self) -> Option<(i64, usize)> {
        let count = self
            .0
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        if !(1..=18).contains(&count) {
            return None;
        }
        let (digits, rest) = self.0.split_at(count);
        self.0 = rest;
        Some((
            digits
                .iter()
                .fold(0, |number, digit| number * 10 + i64::from(digit - b'0')),
            count,
        ))
    }

    /// A run of letters.
    pub(super) fn word(&mut self) -> &'a [u8] {
        let count = self
            .0
            .iter()
            .take_while(|byte| byte.is_ascii_alphabetic())
            .count();
        let (word, rest) = self.0.split_at(count);
        self.0 = rest;
        word
    }

    /// Minutes and seconds, `:MM:SS` with up to six decimals, in microseconds.
    pub(super) fn minutes_and_seconds(&mut self) -> Option<i64> {
        self.expect(b':')?;
        let minutes = self.two().filter(|&minutes| minutes < 60)?;
        self.expect(b':')?;
        let seconds = self.two().filter(|&seconds| seconds < 60)?;
        let mut micros = (minutes * 60 + seconds) * 1_000_000;
        if self.take(b'.') {
            let (fraction, count) = self.digits()?;
            micros += fraction * 10_i64.pow(6_usize.checked_sub(count)? as u32);
        }
        Some(micros)
    }

    /// An offset from UTC, `+05:30`, in seconds east.
    pub(super) fn offset(&mut self) -> Option<i32> {
        let west = self.sign()?;
        // PostgreSQL's own limit.
        let hours = self.two().filter(|&hours| hours < 16)?;
        let mut seconds = hours * 3600;
        for unit in [60, 1] {
            if !self.take(b':') {
                break;
            }
            seconds += unit * self.two().filter(|&part| part < 60)?;
        }
        i32::try_from(if west { -seconds } else { seconds }).ok()
    }
}
