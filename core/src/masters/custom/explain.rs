//! What went wrong in Lua, in one line that names the file's line.

use mlua::Error;

use super::machine::MEMORY;

/// What `error` says, with the line of the file `name` that led to it. `line` is the one that was
/// last seen running, for errors that know none.
pub(super) fn explain(error: &Error, name: &str, line: Option<u32>) -> String {
    match error {
        Error::CallbackError { traceback, cause } => {
            placed(&without_traceback(&text_of(cause)).0, traceback, name, line)
        }
        Error::MemoryError(_) => {
            let message = format!("takes more than {} MiB of memory", MEMORY >> 20);
            placed(&message, "", name, line)
        }
        other => {
            let (message, traceback) = without_traceback(&text_of(other));
            placed(&message, &traceback, name, line)
        }
    }
}

/// An error's own words; mlua puts its kind in front.
fn text_of(error: &Error) -> String {
    match error {
        Error::RuntimeError(text) | Error::MemoryError(text) => text.clone(),
        Error::SyntaxError { message, .. } => message.clone(),
        Error::CallbackError { cause, .. } => text_of(cause),
        other => other.to_string(),
    }
}

fn without_traceback(text: &str) -> (String, String) {
    let (message, traceback) = text.split_once("\nstack traceback:").unwrap_or((text, ""));
    (message.trim().to_owned(), traceback.to_owned())
}

/// The message with `name:line: ` in front: its own, that of the innermost call from the file, or
/// the one that was last seen.
fn placed(message: &str, traceback: &str, name: &str, line: Option<u32>) -> String {
    if place_in(message, name).is_some() {
        return message.to_owned();
    }
    // The prelude's own lines tell nobody anything.
    let message = message.strip_prefix("tahr:").map_or(message, |rest| {
        let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        rest.strip_prefix(": ").unwrap_or(message)
    });
    let mut places = traceback
        .lines()
        .filter_map(|line| place_in(line.trim(), name));
    match (places.next(), line) {
        (Some(place), _) => format!("{place} {message}"),
        (None, Some(line)) => format!("{name}:{line}: {message}"),
        (None, None) => format!("{name}: {message}"),
    }
}

/// The `name:line:` that the text begins with.
fn place_in<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let rest = text.strip_prefix(name)?.strip_prefix(':')?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let is_place = digits > 0 && rest[digits..].starts_with(':');
    is_place.then(|| &text[..name.len() + digits + 2])
}
