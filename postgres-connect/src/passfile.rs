//! The password file, `~/.pgpass` or another: lines of `host:port:database:user:password`.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

/// What a password file answered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// The password of the first line that fits.
    Password(String),
    /// No line fits, or there is no such file.
    Nothing,
    /// The file is there and was not used, because of this.
    Ignored(String),
}

/// Looks `host`, `port`, `database` and `user` up in the file at `path`.
///
/// Like `libpq`, a file that others may read is not used.
pub(crate) fn look_up(path: &Path, wanted: [&str; 4]) -> Found {
    let Ok(metadata) = fs::metadata(path) else {
        return Found::Nothing;
    };
    let ignored = |why: &str| Found::Ignored(format!("password file {} {why}", path.display()));
    if !metadata.is_file() {
        return ignored("is not a plain file, so it was not used");
    }
    if metadata.permissions().mode() & 0o077 != 0 {
        return ignored("can be read by others, so it was not used: chmod 0600 it");
    }
    match fs::read(path) {
        Ok(bytes) => {
            find(&String::from_utf8_lossy(&bytes), wanted).map_or(Found::Nothing, Found::Password)
        }
        Err(error) => ignored(&format!("can't be read: {error}")),
    }
}

/// The password of the first line of `text` whose four fields fit `wanted`.
fn find(text: &str, wanted: [&str; 4]) -> Option<String> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .find_map(|line| {
            let mut rest = line.strip_suffix('\r').unwrap_or(line);
            for want in wanted {
                let (field, after) = field(rest)?;
                if field.raw != "*" && field.text != want {
                    return None;
                }
                rest = after;
            }
            // The password ends at the next colon too; what follows is for a later format.
            Some(unescape(rest))
        })
}

struct Field<'a> {
    raw: &'a str,
    text: String,
}

/// The field that `line` begins with and what follows its colon.
fn field(line: &str) -> Option<(Field<'_>, &str)> {
    let mut escaped = false;
    let end = line.char_indices().find_map(|(at, c)| match c {
        _ if escaped => {
            escaped = false;
            None
        }
        '\\' => {
            escaped = true;
            None
        }
        ':' => Some(at),
        _ => None,
    })?;
    let raw = &line[..end];
    Some((
        Field {
            raw,
            text: unescape(raw),
        },
        &line[end + 1..],
    ))
}

/// Takes the backslashes away, up to the first colon that has none.
fn unescape(raw: &str) -> String {
    let mut text = String::with_capacity(raw.len());
    let mut chars = raw.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => text.extend(chars.next()),
            ':' => break,
            _ => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Found, find, look_up};

    const FILE: &str = "# host:port:db:user:comment\n\
        db1:5432:shop:tahr:first\n\
        *:*:shop:tahr:any\\:where\\\\\n\
        ::1:5432:six:tahr:never\n\
        \\:\\:1:5432:six:tahr:six\n\
        short:line\n\
        \\*:5432:star:tahr:literal\n";

    #[test]
    fn the_first_line_that_fits_wins() {
        assert_eq!(
            find(FILE, ["db1", "5432", "shop", "tahr"]).as_deref(),
            Some("first")
        );
        assert_eq!(
            find(FILE, ["db2", "9", "shop", "tahr"]).as_deref(),
            Some(r"any:where\")
        );
        assert_eq!(
            find(FILE, ["::1", "5432", "six", "tahr"]).as_deref(),
            Some("six")
        );
        assert_eq!(find(FILE, ["db1", "5432", "shop", "other"]), None);
    }

    #[test]
    fn an_escaped_star_is_no_wildcard() {
        assert_eq!(find(FILE, ["x", "5432", "star", "tahr"]), None);
        assert_eq!(
            find(FILE, ["*", "5432", "star", "tahr"]).as_deref(),
            Some("literal")
        );
    }

    #[test]
    fn a_file_that_others_may_read_is_not_used() {
        use std::{fs, os::unix::fs::PermissionsExt};
        let path = std::env::temp_dir().join(format!("tahr-passfile-{}", std::process::id()));
        fs::write(&path, "*:*:*:*:secret\n").unwrap();
        let mut answers = Vec::new();
        for mode in [0o600, 0o640] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            answers.push(look_up(&path, ["h", "1", "d", "u"]));
        }
        fs::remove_file(&path).unwrap();
        assert_eq!(answers[0], Found::Password("secret".to_owned()));
        assert!(matches!(&answers[1], Found::Ignored(why) if why.contains("chmod 0600")));
        assert_eq!(look_up(&path, ["h", "1", "d", "u"]), Found::Nothing);
    }
}
