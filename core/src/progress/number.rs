//! Numbers and lengths of time as people read them at a glance.

/// A count in at most five characters: `999`, `12.3k`, `1.2M`.
pub(super) fn count(count: u64) -> String {
    float(count as f64)
}

/// The same for a rate.
pub(super) fn float(count: f64) -> String {
    const UNITS: [&str; 5] = ["", "k", "M", "G", "T"];
    let mut value = count.max(0.0).round();
    let mut unit = 0;
    // What would be rounded up to 1000 belongs to the next unit.
    while value >= 999.5 && unit < UNITS.len() - 1 {
        value /= 1000.0;
        unit += 1;
    }
    let decimals = usize::from(unit > 0 && value < 99.95);
    format!("{value:.decimals$}{}", UNITS[unit])
}

/// A count with its thousands apart: `1,234,567`.
pub(crate) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A length of time in its largest unit or two: `8 s`, `2 min 5 s`, `3 h 10 min`.
pub(crate) fn seconds(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..600 => format!("{} min {} s", seconds / 60, seconds % 60),
        600..3600 => format!("{} min", seconds / 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// A lag in seconds: finer the shorter it is.
pub(crate) fn lag(seconds: f64) -> String {
    match seconds {
        ..1.0 => format!("{:.0} ms", seconds * 1000.0),
        ..60.0 => format!("{seconds:.1} s"),
        _ => self::seconds(seconds as u64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_fit_into_five_characters() {
        for (number, expected) in [
            (0, "0"),
            (999, "999"),
            (1000, "1.0k"),
            (99_940, "99.9k"),
            (99_960, "100k"),
            (999_499, "999k"),
            (999_500, "1.0M"),
            (1_234_567, "1.2M"),
            (u64::MAX, "18446744T"),
        ] {
            assert_eq!(count(number), expected, "{number}");
        }
    }

    #[test]
    fn thousands_are_set_apart() {
        for (number, expected) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(grouped(number), expected);
        }
    }

    #[test]
    fn times_are_in_the_units_people_use() {
        assert_eq!(
            [seconds(8), seconds(125), seconds(3000)],
            ["8 s", "2 min 5 s", "50 min"]
        );
        assert_eq!([seconds(11_400), seconds(200_000)], ["3 h 10 min", "2 d"]);
        assert_eq!(
            [lag(0.012), lag(3.25), lag(61.0)],
            ["12 ms", "3.2 s", "1 min 1 s"]
        );
    }
}
