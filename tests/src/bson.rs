//! What MongoDB holds, in PostgreSQL's words.

use mongodb::bson::Bson;
use tahr_plugin_api::ValueKind;

/// What PostgreSQL would print for a value, none for null: an array's literal where `kind` says so,
/// `jsonb` for documents and other arrays.
pub fn bson_text(value: &Bson, kind: ValueKind) -> Option<String> {
    Some(match value {
        Bson::Null => return None,
        Bson::Array(items) if kind == ValueKind::Array => literal(items),
        Bson::Boolean(value) if kind == ValueKind::Json => value.to_string(),
        Bson::Boolean(value) => if *value { "t" } else { "f" }.to_owned(),
        Bson::String(text) if kind == ValueKind::Json => json(&Bson::String(text.clone())),
        Bson::String(text) => text.clone(),
        Bson::Binary(binary) => {
            let digits: String = binary
                .bytes
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            if binary.subtype == mongodb::bson::spec::BinarySubtype::Uuid && digits.len() == 32 {
                let parts = [
                    &digits[..8],
                    &digits[8..12],
                    &digits[12..16],
                    &digits[16..20],
                ];
                format!("{}-{}", parts.join("-"), &digits[20..])
            } else {
                format!("\\x{digits}")
            }
        }
        other => json(other),
    })
}

/// As PostgreSQL writes `jsonb`.
fn json(value: &Bson) -> String {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    match value {
        Bson::Null => "null".to_owned(),
        Bson::Boolean(value) => value.to_string(),
        Bson::Int32(number) => number.to_string(),
        Bson::Int64(number) => number.to_string(),
        Bson::Double(number) => float(*number),
        Bson::Decimal128(number) => plain(&number.to_string()),
        Bson::String(text) => quoted(text),
        Bson::Array(items) => {
            let items: Vec<String> = items.iter().map(json).collect();
            format!("[{}]", items.join(", "))
        }
        Bson::Document(document) => {
            let member =
                |(name, value): (&String, &Bson)| format!("{}: {}", quoted(name), json(value));
            let members: Vec<String> = document.iter().map(member).collect();
            format!("{{{}}}", members.join(", "))
        }
        other => format!("{other:?}"),
    }
}

/// As PostgreSQL writes an array.
fn literal(items: &[Bson]) -> String {
    let item = |item: &Bson| {
        if let Bson::Array(items) = item {
            return literal(items);
        }
        let Some(text) = bson_text(item, ValueKind::Other) else {
            return "NULL".to_owned();
        };
        let needs_quotes = text.is_empty()
            || text.eq_ignore_ascii_case("NULL")
            || text.contains(['{', '}', ',', '"', '\\', ' ', '\t', '\n']);
        if needs_quotes {
            format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
        } else {
            text
        }
    };
    let items: Vec<String> = items.iter().map(item).collect();
    format!("{{{}}}", items.join(","))
}

/// PostgreSQL writes an exponent from 1e15 on and below 1e-4, always with a sign and two digits.
fn float(number: f64) -> String {
    if number.is_infinite() {
        return if number > 0.0 {
            "Infinity"
        } else {
            "-Infinity"
        }
        .to_owned();
    }
    if number.is_nan() || number == 0.0 || (1e-4..1e15).contains(&number.abs()) {
        return number.to_string();
    }
    let text = format!("{number:e}");
    let (digits, exponent) = text.split_once('e').expect("an exponent");
    let exponent: i32 = exponent.parse().expect("a number");
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

/// A decimal without an exponent, as PostgreSQL writes `numeric`.
fn plain(text: &str) -> String {
    let Some((mantissa, exponent)) = text.split_once('E') else {
        return text.to_owned();
    };
    let exponent: i32 = exponent.parse().expect("an exponent");
    let (sign, mantissa) = mantissa
        .strip_prefix('-')
        .map_or(("", mantissa), |rest| ("-", rest));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut digits = format!("{whole}{fraction}");
    // Where the point is, counted from the beginning.
    let mut point = i32::try_from(whole.len()).expect("a short number") + exponent;
    while point <= 0 {
        digits.insert(0, '0');
        point += 1;
    }
    let point = usize::try_from(point).expect("a place");
    while digits.len() < point {
        digits.push('0');
    }
    if digits.len() == point {
        format!("{sign}{digits}")
    } else {
        format!("{sign}{}.{}", &digits[..point], &digits[point..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_written_without_an_exponent() {
        for (text, expected) in [
            ("1.50", "1.50"),
            ("1E-7", "0.0000001"),
            ("-1.25E-9", "-0.00000000125"),
            ("1.2E+5", "120000"),
            ("1E+3", "1000"),
            ("0E-10", "0.0000000000"),
        ] {
            assert_eq!(plain(text), expected);
        }
    }
}
