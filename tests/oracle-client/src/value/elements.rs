//! What formats of dates and timestamps are made of.

use crate::error::{OraError, Result};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Element {
    Year {
        is_signed: bool,
    },
    ShortYear,
    Month,
    MonthName,
    Day,
    Hour24,
    Hour12,
    Meridian,
    Era,
    Minute,
    Second,
    /// Digits, or as many as there are.
    Fraction(Option<u8>),
    Point,
    ZoneHour,
    ZoneMinute,
    Zone,
    Punctuation(char),
    Text(String),
}

/// The elements of a format.
pub(super) fn elements(format: &str) -> Result<Vec<Element>> {
    // Longer names before those that they begin with.
    const NAMES: [(&str, Element); 22] = [
        ("SYYYY", Element::Year { is_signed: true }),
        ("YYYY", Element::Year { is_signed: false }),
        ("RRRR", Element::Year { is_signed: false }),
        ("RR", Element::ShortYear),
        ("YY", Element::ShortYear),
        ("MON", Element::MonthName),
        ("MM", Element::Month),
        ("MI", Element::Minute),
        ("DD", Element::Day),
        ("HH24", Element::Hour24),
        ("HH12", Element::Hour12),
        ("HH", Element::Hour12),
        ("SS", Element::Second),
        ("FF", Element::Fraction(None)),
        ("TZH", Element::ZoneHour),
        ("TZM", Element::ZoneMinute),
        ("TZR", Element::Zone),
        ("AM", Element::Meridian),
        ("PM", Element::Meridian),
        ("AD", Element::Era),
        ("BC", Element::Era),
        ("X", Element::Point),
    ];
    let upper = format.to_ascii_uppercase();
    let mut rest = upper.as_str().trim_start_matches("FX");
    let mut found = Vec::new();
    while let Some(first) = rest.chars().next() {
        if let Some((name, element)) = NAMES.iter().find(|(name, _)| rest.starts_with(name)) {
            rest = &rest[name.len()..];
            let digits = rest.bytes().next().filter(u8::is_ascii_digit);
            found.push(match (element, digits) {
                (Element::Fraction(_), Some(digit)) => {
                    rest = &rest[1..];
                    Element::Fraction(Some(digit - b'0'))
                }
                (element, _) => element.clone(),
            });
        } else if first == '"' {
            let start = format.len() - rest.len() + 1;
            let length = format[start..].find('"').ok_or_else(unrecognized)?;
            found.push(Element::Text(format[start..start + length].to_owned()));
            rest = &rest[length + 2..];
        } else if first.is_alphanumeric() {
            return Err(unrecognized());
        } else {
            found.push(Element::Punctuation(first));
            rest = &rest[first.len_utf8()..];
        }
    }
    Ok(found)
}

pub(super) fn unrecognized() -> OraError {
    OraError::new(1821, "date format not recognized")
}
