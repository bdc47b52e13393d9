//! Oracle's NUMBER: exact decimals of up to 40 digits.
//!
//! Its bytes are Oracle's own: an exponent to the base of 100, then digits to the base of 100, with
//! all of a negative number turned around. So they sort as the numbers do, which lets SQLite compare
//! and index them as blobs.

use std::cmp::Ordering;

/// Digits of the base of 100 that Oracle keeps.
const PAIRS: usize = 20;

/// A number in canonical form: `0.d₁d₂d₃… × 10^exponent`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Number {
    is_negative: bool,
    /// Decimal digits without leading or trailing zeros; none is zero.
    digits: Vec<u8>,
    exponent: i32,
}

impl Number {
    pub(crate) fn zero() -> Self {
        Self::canonical(false, Vec::new(), 0)
    }

    fn canonical(is_negative: bool, mut digits: Vec<u8>, mut exponent: i32) -> Self {
        let leading = digits.iter().take_while(|digit| **digit == 0).count();
        digits.drain(..leading);
        exponent -= i32::try_from(leading).unwrap_or(i32::MAX);
        while digits.last() == Some(&0) {
            digits.pop();
        }
        if digits.is_empty() {
            return Self {
                is_negative: false,
                digits,
                exponent: 0,
            };
        }
        Self {
            is_negative,
            digits,
            exponent,
        }
    }

    /// Reads `[+-]digits[.digits][e[+-]digits]`; none if it is anything else, or too large.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (is_negative, text) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let (mantissa, exponent) = match text.find(['e', 'E']) {
            Some(at) => (&text[..at], text[at + 1..].parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        if whole.is_empty() && part.is_empty() {
            return None;
        }
        let mut digits = Vec::with_capacity(whole.len() + part.len());
        for byte in whole.bytes().chain(part.bytes()) {
            digits.push(byte.is_ascii_digit().then(|| byte - b'0')?);
        }
        let exponent = exponent.checked_add(i32::try_from(whole.len()).ok()?)?;
        let number = Self::canonical(is_negative, digits, exponent).rounded_to_limit();
        (number.exponent <= 126).then_some(number)
    }

    /// Rounds to the 40 digits, in pairs, that Oracle keeps.
    fn rounded_to_limit(self) -> Self {
        if self.exponent < -129 {
            return Self::zero();
        }
        let kept = if self.exponent.rem_euclid(2) == 0 {
            PAIRS * 2
        } else {
            PAIRS * 2 - 1
        };
        self.keep_digits(i32::try_from(kept).unwrap_or(0))
    }

    fn keep_digits(mut self, kept: i32) -> Self {
        if kept < 0 {
            return Self::zero();
        }
        let kept = usize::try_from(kept).unwrap_or(0);
        if kept >= self.digits.len() {
            return self;
        }
        let is_up = self.digits[kept] >= 5;
        self.digits.truncate(kept);
        if is_up {
            let mut at = kept;
            loop {
                if at == 0 {
                    self.digits.insert(0, 1);
                    self.exponent += 1;
                    break;
                }
                at -= 1;
                if self.digits[at] < 9 {
                    self.digits[at] += 1;
                    break;
                }
                self.digits[at] = 0;
            }
        }
        Self::canonical(self.is_negative, self.digits, self.exponent)
    }

    /// Rounds half away from zero to so many places after the point.
    pub(crate) fn round(self, scale: i32) -> Self {
        let kept = self.exponent + scale;
        self.keep_digits(kept)
    }

    /// Whether it is below 10^`places`.
    pub(crate) fn fits(&self, places: i32) -> bool {
        self.digits.is_empty() || self.exponent <= places
    }

    /// From Oracle's bytes without the length.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (&first, mantissa) = bytes.split_first()?;
        if mantissa.is_empty() {
            return (first == 0x80).then(Self::zero);
        }
        let is_negative = first & 0x80 == 0;
        let exponent = if is_negative { !first } else { first };
        let mut digits = Vec::with_capacity(mantissa.len() * 2);
        for &byte in mantissa {
            if is_negative && byte == 102 {
                break;
            }
            let pair = if is_negative {
                101_u8.checked_sub(byte)?
            } else {
                byte.checked_sub(1)?
            };
            // ODPI-C writes a pair of 100 for nothing, but reads it: as do we.
            digits.extend([pair / 10, pair % 10]);
        }
        let exponent = (i32::from(exponent) - 193) * 2 + 2;
        Some(Self::canonical(is_negative, digits, exponent))
    }

    /// Oracle's bytes without the length, in canonical form: equal numbers have equal bytes.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        if self.digits.is_empty() {
            return vec![0x80];
        }
        let mut digits = self.digits.clone();
        let mut exponent = self.exponent;
        if exponent.rem_euclid(2) == 1 {
            digits.insert(0, 0);
            exponent += 1;
        }
        if digits.len() % 2 == 1 {
            digits.push(0);
        }
        let base = u8::try_from((exponent - 2) / 2 + 193).unwrap_or(0xff);
        let mut bytes = Vec::with_capacity(22);
        bytes.push(if self.is_negative { !base } else { base });
        for pair in digits.chunks(2).take(PAIRS) {
            let pair = pair[0] * 10 + pair[1];
            bytes.push(if self.is_negative {
                101 - pair
            } else {
                pair + 1
            });
        }
        if self.is_negative && bytes.len() <= PAIRS {
            bytes.push(102);
        }
        bytes
    }

    pub(crate) fn from_f64(value: f64) -> Option<Self> {
        value
            .is_finite()
            .then(|| Self::parse(&format!("{value:e}")))?
    }

    pub(crate) fn to_f64(&self) -> f64 {
        self.to_string().parse().unwrap_or(f64::NAN)
    }

    /// The integer nearest to zero, if it is one of 128 bits.
    pub(crate) fn to_i128(&self) -> Option<i128> {
        let whole = self.to_string();
        let whole = whole
            .split_once('.')
            .map_or(whole.as_str(), |(whole, _)| whole);
        match whole {
            "" | "-" => Some(0),
            _ => whole.parse().ok(),
        }
    }

    pub(crate) fn negate(mut self) -> Self {
        self.is_negative = !self.is_negative && !self.digits.is_empty();
        self
    }

    /// The digits as an integer and the power of ten of its last one.
    fn parts(&self) -> (i32, &[u8]) {
        let length = i32::try_from(self.digits.len()).unwrap_or(i32::MAX);
        (self.exponent - length, &self.digits)
    }

    pub(crate) fn add(&self, other: &Self) -> Self {
        let (low, high) = (
            self.parts().0.min(other.parts().0),
            self.exponent.max(other.exponent),
        );
        // A digit more on the left for the carry.
        let length = usize::try_from(high - low).unwrap_or(0) + 1;
        let spread = |number: &Self| {
            let mut digits = vec![0_i32; length];
            let start = usize::try_from(high - number.exponent).unwrap_or(0) + 1;
            for (place, &digit) in digits[start.min(length)..].iter_mut().zip(&number.digits) {
                *place = if number.is_negative {
                    -i32::from(digit)
                } else {
                    i32::from(digit)
                };
            }
            digits
        };
        let mut sum: Vec<i32> = spread(self)
            .iter()
            .zip(spread(other))
            .map(|(a, b)| a + b)
            .collect();
        let is_negative = sum
            .iter()
            .find(|digit| **digit != 0)
            .is_some_and(|digit| *digit < 0);
        if is_negative {
            sum.iter_mut().for_each(|digit| *digit = -*digit);
        }
        for at in (1..length).rev() {
            let carry = sum[at].div_euclid(10);
            sum[at] -= carry * 10;
            sum[at - 1] += carry;
        }
        let digits = sum
            .iter()
            .map(|&digit| u8::try_from(digit).unwrap_or(0))
            .collect();
        Self::canonical(is_negative, digits, high + 1).rounded_to_limit()
    }

    pub(crate) fn multiply(&self, other: &Self) -> Self {
        let mut product = vec![0_u32; self.digits.len() + other.digits.len()];
        for (i, &a) in self.digits.iter().enumerate() {
            for (j, &b) in other.digits.iter().enumerate() {
                product[i + j + 1] += u32::from(a) * u32::from(b);
            }
        }
        for at in (1..product.len()).rev() {
            let carry = product[at] / 10;
            product[at] %= 10;
            product[at - 1] += carry;
        }
        let digits = product
            .iter()
            .map(|&digit| u8::try_from(digit).unwrap_or(0))
            .collect();
        let is_negative = self.is_negative != other.is_negative;
        Self::canonical(is_negative, digits, self.exponent + other.exponent).rounded_to_limit()
    }
}

impl From<i64> for Number {
    fn from(value: i64) -> Self {
        Self::parse(&value.to_string()).unwrap_or_else(Self::zero)
    }
}

impl From<u64> for Number {
    fn from(value: u64) -> Self {
        Self::parse(&value.to_string()).unwrap_or_else(Self::zero)
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        self.to_bytes().cmp(&other.to_bytes())
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// As TO_CHAR writes it: no exponent up to 40 places, no zero before the point.
impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.digits.is_empty() {
            return f.write_str("0");
        }
        let mut text = String::from(if self.is_negative { "-" } else { "" });
        let digit = |&digit: &u8| char::from(b'0' + digit);
        let point = usize::try_from(self.exponent.max(0)).unwrap_or(0);
        text.extend(self.digits.iter().take(point).map(digit));
        if self.digits.len() < point {
            text.extend(std::iter::repeat_n('0', point - self.digits.len()));
        }
        if self.digits.len() > point {
            text.push('.');
            let zeros = usize::try_from(-self.exponent.min(0)).unwrap_or(0);
            text.extend(std::iter::repeat_n('0', zeros));
            text.extend(self.digits.iter().skip(point).map(digit));
        }
        f.write_str(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Number {
        Number::parse(text).unwrap()
    }

    #[test]
    fn bytes_are_those_of_oracle_and_sort_as_the_numbers() {
        assert_eq!(number("0").to_bytes(), [0x80]);
        assert_eq!(number("1").to_bytes(), [193, 2]);
        assert_eq!(number("-1").to_bytes(), [62, 100, 102]);
        assert_eq!(number("123.45").to_bytes(), [194, 2, 24, 46]);
        let sorted = [
            "-1e20", "-100", "-99.5", "-1", "-0.001", "0", "1e-9", "0.5", "1", "9", "10", "1e125",
        ];
        let bytes: Vec<_> = sorted.iter().map(|text| number(text).to_bytes()).collect();
        assert!(bytes.is_sorted());
        for text in sorted {
            assert_eq!(
                Number::from_bytes(&number(text).to_bytes()).unwrap(),
                number(text)
            );
        }
    }

    #[test]
    fn text_is_that_of_to_char() {
        for (text, shown) in [
            ("007.50", "7.5"),
            ("-0.25", "-.25"),
            ("1e3", "1000"),
            ("0.00", "0"),
            ("-0", "0"),
        ] {
            assert_eq!(number(text).to_string(), shown);
        }
        assert!(Number::parse("1.2.3").is_none() && Number::parse("abc").is_none());
    }

    #[test]
    fn arithmetic_is_exact() {
        assert_eq!(
            number("99999999999999999999.5").add(&number("0.5")),
            number("1e20")
        );
        assert_eq!(number("1").add(&number("-1")), Number::zero());
        assert_eq!(number("-2.5").add(&number("1")), number("-1.5"));
        assert_eq!(number("-12.5").multiply(&number("8")), number("-100"));
    }

    #[test]
    fn rounding_is_half_away_from_zero() {
        assert_eq!(number("9.995").round(2), number("10"));
        assert_eq!(number("-1.25").round(1), number("-1.3"));
        assert_eq!(number("149").round(-2), number("100"));
        assert_eq!(number("0.04").round(1), Number::zero());
    }
}
