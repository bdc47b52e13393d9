//! PostgreSQL's `numeric` as BSON's decimal: IEEE 754-2008 decimal128, 34 digits and an exponent.
//!
//! The exponent keeps the scale: `1.50` is 150 · 10⁻², and prints as `1.50` again. A whole number of
//! more digits fits where all beyond the 34th are zeros.

use crate::types::DIGITS;

const BIAS: i32 = 6176;
/// The greatest exponent of the last digit.
const GREATEST: i32 = 6111;
const NAN: u128 = 0x7C << 120;
const INFINITY: u128 = 0x78 << 120;
const SIGN: u128 = 1 << 127;

/// The decimal for PostgreSQL's text; none where it has too many digits.
pub(crate) fn exact(text: &str) -> Option<[u8; 16]> {
    if let Some(bytes) = plain(text) {
        return Some(bytes);
    }
    match parse(text)? {
        Parsed::Special(bits) => Some(bits.to_le_bytes()),
        Parsed::Number(number) => number.pack(),
    }
}

/// The decimal nearest to PostgreSQL's text; none where that is no number.
pub(crate) fn nearest(text: &str) -> Option<[u8; 16]> {
    match parse(text)? {
        Parsed::Special(bits) => Some(bits.to_le_bytes()),
        Parsed::Number(number) => Some(number.rounded().pack().unwrap_or_else(|| {
            let greatest = 10_u128.pow(34) - 1;
            let sign = if number.is_negative { SIGN } else { 0 };
            let exponent = u128::from((GREATEST + BIAS).unsigned_abs());
            (sign | exponent << 113 | greatest).to_le_bytes()
        })),
    }
}

/// The decimal for text of at most 34 digits, a point among them: nearly all that there is.
fn plain(text: &str) -> Option<[u8; 16]> {
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => (SIGN, rest),
        None => (0, text),
    };
    let (mut number, mut digits, mut point) = (0_u128, 0, None);
    for byte in rest.bytes() {
        match byte {
            b'0'..=b'9' => {
                number = number.wrapping_mul(10) + u128::from(byte - b'0');
                digits += 1;
            }
            b'.' if point.is_none() && digits > 0 => point = Some(digits),
            _ => return None,
        }
    }
    let scale = i32::try_from(digits - point.unwrap_or(digits)).ok()?;
    let exponent = u128::from((BIAS - scale).unsigned_abs());
    ((1..=DIGITS).contains(&digits)).then(|| (sign | exponent << 113 | number).to_le_bytes())
}

enum Parsed {
    Special(u128),
    Number(Number),
}

/// `±digits · 10^exponent`, without leading zeros.
#[derive(Clone)]
struct Number {
    is_negative: bool,
    digits: Vec<u8>,
    exponent: i32,
}

fn parse(text: &str) -> Option<Parsed> {
    match text {
        "NaN" => return Some(Parsed::Special(NAN)),
        "Infinity" => return Some(Parsed::Special(INFINITY)),
        "-Infinity" => return Some(Parsed::Special(INFINITY | SIGN)),
        _ => {}
    }
    let (is_negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    // JSON may have an exponent.
    let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (rest, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() {
        return None;
    }
    let mut digits = Vec::with_capacity(mantissa.len());
    for byte in whole.bytes().chain(fraction.bytes()) {
        if !byte.is_ascii_digit() {
            return None;
        }
        if byte != b'0' || !digits.is_empty() {
            digits.push(byte - b'0');
        }
    }
    Some(Parsed::Number(Number {
        is_negative,
        digits,
        exponent: exponent.checked_sub(i32::try_from(fraction.len()).ok()?)?,
    }))
}

impl Number {
    fn pack(&self) -> Option<[u8; 16]> {
        let (mut digits, mut exponent) = (&self.digits[..], self.exponent);
        // Zeros at the end of a whole number go into the exponent; behind a point they are scale.
        while let Some((0, rest)) = digits.split_last()
            && digits.len() > DIGITS
            && exponent >= 0
        {
            digits = rest;
            exponent += 1;
        }
        if digits.len() > DIGITS || !(-BIAS..=GREATEST).contains(&exponent) {
            return None;
        }
        let number = digits
            .iter()
            .fold(0_u128, |sum, &digit| sum * 10 + u128::from(digit));
        let sign = if self.is_negative { SIGN } else { 0 };
        let biased = u128::from((exponent + BIAS).unsigned_abs());
        Some((sign | biased << 113 | number).to_le_bytes())
    }

    /// With at most 34 digits, and none too small.
    fn rounded(&self) -> Self {
        let too_small = usize::try_from((-BIAS).saturating_sub(self.exponent)).unwrap_or(0);
        let surplus = self.digits.len().saturating_sub(DIGITS).max(too_small);
        let kept = self.digits.len().saturating_sub(surplus);
        let mut number = self.clone();
        number.digits.truncate(kept);
        let surplus_exponent = i32::try_from(surplus).unwrap_or(i32::MAX);
        number.exponent = number.exponent.saturating_add(surplus_exponent);
        if surplus <= self.digits.len() && self.digits.get(kept).is_some_and(|&digit| digit >= 5) {
            number.add_one();
        }
        if number.digits.is_empty() {
            number.exponent = number.exponent.clamp(-BIAS, GREATEST);
        }
        number
    }

    fn add_one(&mut self) {
        for digit in self.digits.iter_mut().rev() {
            if *digit < 9 {
                *digit += 1;
                return;
            }
            *digit = 0;
        }
        self.digits.insert(0, 1);
        if self.digits.len() > DIGITS {
            self.digits.pop();
            self.exponent += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use mongodb::bson::Decimal128;

    use super::*;

    fn printed(bytes: [u8; 16]) -> String {
        Decimal128::from_bytes(bytes).to_string()
    }

    #[test]
    fn numbers_keep_their_scale() {
        for text in [
            "0",
            "0.00",
            "1.50",
            "-1",
            "-12345678.90",
            "0.000001",
            "9007199254740993",
        ] {
            let bytes = exact(text).unwrap();
            assert_eq!(printed(bytes), text);
            assert_eq!(bytes, text.parse::<Decimal128>().unwrap().bytes());
        }
        assert_eq!(printed(exact("NaN").unwrap()), "NaN");
        assert_eq!(printed(exact("-Infinity").unwrap()), "-Infinity");
        let longest = "-9999999999999999999999999999999.999";
        assert_eq!(printed(exact(longest).unwrap()), longest);
    }

    #[test]
    fn zeros_at_the_end_of_a_whole_number_need_no_digits() {
        let text = format!("12{}", "0".repeat(60));
        assert_eq!(
            printed(exact(&text).unwrap()),
            format!("1.2{}E+61", "0".repeat(32))
        );
        assert_eq!(exact(&format!("1{}1", "0".repeat(40))), None);
        assert_eq!(exact(&format!("0.{}", "1".repeat(35))), None);
        assert_eq!(exact(&format!("1.{}", "0".repeat(34))), None);
        // Its scale would be lost.
        assert_eq!(exact(&format!("0.{}", "0".repeat(7000))), None);
    }

    #[test]
    fn the_nearest_decimal_is_rounded() {
        for (text, expected) in [
            (
                format!("0.{}", "6".repeat(40)),
                format!("0.{}7", "6".repeat(33)),
            ),
            (
                "9".repeat(35),
                "1.000000000000000000000000000000000E+35".to_owned(),
            ),
            (
                format!("-1{}4", "0".repeat(33)),
                format!("-1.{}E+34", "0".repeat(33)),
            ),
            ("1.50".to_owned(), "1.50".to_owned()),
        ] {
            assert_eq!(printed(nearest(&text).unwrap()), expected, "{text}");
        }
        let huge = format!("-{}", "7".repeat(7000));
        assert_eq!(
            printed(nearest(&huge).unwrap()),
            format!("-9.{}E+6144", "9".repeat(33))
        );
        let tiny = format!("0.{}7", "0".repeat(7000));
        assert_eq!(printed(nearest(&tiny).unwrap()), "0E-6176");
    }

    #[test]
    fn nonsense_is_no_number() {
        for text in ["", "-", ".", "1.2.3", "abc", "1e", "--1", "+1"] {
            assert_eq!(exact(text), None, "{text:?}");
        }
    }
}
