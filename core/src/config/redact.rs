//! Texts that may hold a password, made fit for a message or a log.

/// Replaces the password in every `scheme://user:password@host` and `password=…` of `text` by
/// `***`. Rather hides too much than too little.
#[must_use]
pub fn redact_url(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        out.push_str(&redact_assignments(before));
        // A password may itself hold `@`, `/` or `:`, so the last `@` ends it, up to a blank.
        let word = after.find(char::is_whitespace).unwrap_or(after.len());
        rest = match after[..word].rfind('@') {
            Some(end) => {
                let user = after[..end].split(':').next().unwrap_or_default();
                out.push_str(&redact_assignments(user));
                if user.len() < end {
                    out.push_str(":***");
                }
                &after[end..]
            }
            None => after,
        };
    }
    out.push_str(&redact_assignments(rest));
    out
}

/// Hides what follows `password=` and its like up to a separator, however it is written.
fn redact_assignments(text: &str) -> String {
    // ASCII, so that positions in it are positions in `text`.
    let lower = text.to_ascii_lowercase();
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    while let Some((at, word)) = ["password", "passwd", "secret", "token"]
        .iter()
        .filter_map(|word| Some((from + lower[from..].find(word)?, word)))
        .min()
    {
        let end = at + word.len();
        out.push_str(&text[from..end]);
        from = end;
        let value = text[end..].trim_start_matches(['"', '\'', ' ']);
        if let Some(value) = value.strip_prefix('=') {
            let start = text.len() - value.len();
            let length = value.trim_start().find(['&', '\n', ',', '}']);
            let end = length.map_or(text.len(), |length| {
                start + length + value.len() - value.trim_start().len()
            });
            out.push_str(&text[from..start]);
            out.push_str("***");
            from = end;
        }
    }
    out.push_str(&text[from..]);
    out
}

#[cfg(test)]
mod tests {
    use super::redact_url;

    #[test]
    fn passwords_are_hidden_and_the_rest_stays() {
        for (text, shown) in [
            (
                "postgres://me:pw@db1:5432/shop",
                "postgres://me:***@db1:5432/shop",
            ),
            ("postgres://me@db1/shop", "postgres://me@db1/shop"),
            ("postgres://db1/shop", "postgres://db1/shop"),
            (
                "postgres://me:p@s/s:w@db1/shop",
                "postgres://me:***@db1/shop",
            ),
            ("redis://:pw@cache:6379/0", "redis://:***@cache:6379/0"),
            (
                "postgres://db1/shop?user=me&password=pw&sslmode=require",
                "postgres://db1/shop?user=me&password=***&sslmode=require",
            ),
            ("host=db1 password=pw", "host=db1 password=***"),
            ("db_password = \"pw\"", "db_password =***"),
            (
                "copy a://u:p@h to b://v:q@i",
                "copy a://u:***@h to b://v:***@i",
            ),
            ("passwörd ünd sönst", "passwörd ünd sönst"),
        ] {
            assert_eq!(redact_url(text), shown);
        }
    }
}
