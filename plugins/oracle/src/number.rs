//! How many digits a number has, and a NUMBER takes.

/// A precision and a scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// Digits in all.
    pub(crate) precision: i32,
    /// Digits behind the point; negative: zeros before it.
    pub(crate) scale: i32,
}

/// The digits that a NUMBER keeps whatever their place.
const DIGITS: i32 = 38;

impl Bounds {
    /// Whether Oracle can declare them.
    pub(crate) fn are_oracles(self) -> bool {
        (1..=DIGITS).contains(&self.precision) && (-84..=127).contains(&self.scale)
    }

    /// As one declares them.
    pub(crate) fn declared(self) -> String {
        match self {
            Self {
                precision,
                scale: 0,
            } => format!("NUMBER({precision})"),
            Self { precision, scale } => format!("NUMBER({precision},{scale})"),
        }
    }

    /// The characters that a number needs as PostgreSQL prints it: sign, zero and point, too.
    pub(crate) fn text_length(self) -> u32 {
        let digits = self
            .precision
            .max(self.scale)
            .max(self.precision - self.scale);
        (u32::try_from(digits).unwrap_or(0) + 3).max("-Infinity".len() as u32)
    }

    /// Whether every number within `other` is within them.
    pub(crate) fn hold(self, other: Self) -> bool {
        self.scale >= other.scale && self.precision - self.scale >= other.precision - other.scale
    }
}

/// Whether `text`, as PostgreSQL prints numbers, is a number that a NUMBER with these bounds (or
/// without any) holds exactly.
pub(crate) fn fits(text: &str, bounds: Option<Bounds>) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_number(whole) || !is_number(fraction) {
        return false;
    }
    let whole = whole.trim_start_matches('0');
    let fraction = fraction.trim_end_matches('0');
    let len = |text: &str| i32::try_from(text.len()).unwrap_or(i32::MAX);
    // Places of the first and of the last digit that is not zero, counted from the point.
    let high = match (whole, fraction) {
        ("", "") => return true,
        ("", fraction) => len(fraction.trim_start_matches('0')) - len(fraction),
        (whole, _) => len(whole),
    };
    let low = match (whole, fraction) {
        (whole, "") => len(whole.trim_end_matches('0')) - len(whole),
        (_, fraction) => len(fraction),
    };
    match bounds {
        Some(Bounds { precision, scale }) => high <= precision - scale && low <= scale,
        None => high + low <= DIGITS && (-129..=126).contains(&high),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(precision: i32, scale: i32) -> Bounds {
        Bounds { precision, scale }
    }

    #[test]
    fn numbers_are_measured_by_their_digits() {
        for (text, precision, scale, expected) in [
            ("0", 1, 0, true),
            ("0.00", 1, 0, true),
            ("-12345678.90", 10, 2, true),
            ("99999999.99", 10, 2, true),
            ("100000000", 10, 2, false),
            ("1.001", 10, 2, false),
            ("1.000", 10, 2, true),
            ("0.00123", 3, 5, true),
            ("0.0123", 3, 5, false),
            ("12000", 2, -3, true),
            ("12500", 2, -3, false),
            ("NaN", 10, 2, false),
            ("", 10, 2, false),
        ] {
            let found = fits(text, Some(bounds(precision, scale)));
            assert_eq!(found, expected, "{text} in NUMBER({precision},{scale})");
        }
    }

    #[test]
    fn a_number_without_bounds_has_38_digits() {
        assert!(fits(&"9".repeat(38), None) && !fits(&"9".repeat(39), None));
        assert!(fits(&format!("{}000", "9".repeat(38)), None));
        assert!(fits(
            &format!("0.{}{}", "0".repeat(80), "9".repeat(38)),
            None
        ));
        assert!(!fits(&format!("1{}", "0".repeat(126)), None));
        assert!(!fits("Infinity", None));
    }

    #[test]
    fn wider_bounds_hold_narrower_ones() {
        assert!(bounds(12, 2).hold(bounds(10, 2)) && bounds(12, 4).hold(bounds(10, 2)));
        assert!(!bounds(10, 4).hold(bounds(10, 2)) && !bounds(12, 1).hold(bounds(10, 2)));
        assert_eq!(bounds(3, 5).text_length(), 9);
        assert_eq!(bounds(10, 2).text_length(), 13);
    }
}
