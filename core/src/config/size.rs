//! Sizes as people write them: `64MiB`, `4 kB`, `1000000`.

/// Bytes of a size: a whole number and a unit in any case (`B`, `KiB` to `TiB` by 1024, `kB` to
/// `TB` by 1000), or a number of bytes. `None` if it is no size, or one that doesn't fit.
pub(super) fn parse(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        "tib" => 1 << 40,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, bytes) in [
            ("0", Some(0)),
            ("1048576", Some(1 << 20)),
            ("64MiB", Some(64 << 20)),
            ("64 mib", Some(64 << 20)),
            ("4kB", Some(4_000)),
            ("2GB", Some(2_000_000_000)),
            ("7B", Some(7)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("99999999TiB", None),
            ("64M", None),
            ("MiB", None),
            ("-1", None),
            ("1.5GiB", None),
            ("", None),
        ] {
            assert_eq!(parse(text), bytes, "{text:?}");
        }
    }
}
