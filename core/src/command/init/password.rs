//! A URL without its password.

/// Stands for a password until dollars are escaped; no URL holds it.
pub(super) const HIDDEN: &str = "\0";

/// `url` with its password, wherever it stands, replaced by [`HIDDEN`]; and whether it had one that
/// was no variable.
pub(super) fn hide_password(url: &str) -> (String, bool) {
    let is_secret = |text: &str| !text.is_empty() && !text.contains("${");
    let (place, parameters) = match url.split_once('?') {
        Some((place, parameters)) => (place, Some(parameters)),
        None => (url, None),
    };
    let mut had_one = false;
    let mut out = place.to_owned();
    if let Some((scheme, rest)) = place.split_once("://") {
        // A variable's name holds neither `/` nor `@`.
        let end = rest.find('/').unwrap_or(rest.len());
        if let Some((credentials, address)) = rest[..end].rsplit_once('@')
            && let Some((user, password)) = credentials.split_once(':')
            && is_secret(password)
        {
            had_one = true;
            out = format!("{scheme}://{user}:{HIDDEN}@{address}{}", &rest[end..]);
        }
    }
    if let Some(parameters) = parameters {
        let hidden = parameters
            .split('&')
            .map(|pair| match pair.split_once('=') {
                Some(("password", password)) if is_secret(password) => {
                    had_one = true;
                    format!("password={HIDDEN}")
                }
                _ => pair.to_owned(),
            });
        let hidden: Vec<_> = hidden.collect();
        out = format!("{out}?{}", hidden.join("&"));
    }
    (out, had_one)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_leave_the_url_and_variables_stay() {
        for (url, hidden, had_one) in [
            (
                "postgres://me:p$w@h:1/db?a=b",
                "postgres://me:\0@h:1/db?a=b",
                true,
            ),
            (
                "postgres://h/db?user=me&password=x",
                "postgres://h/db?user=me&password=\0",
                true,
            ),
            ("postgres://me:${X}@h/db", "postgres://me:${X}@h/db", false),
            ("postgres://me@h/db", "postgres://me@h/db", false),
            ("postgres:///db", "postgres:///db", false),
        ] {
            assert_eq!(hide_password(url), (hidden.to_owned(), had_one));
        }
    }
}
