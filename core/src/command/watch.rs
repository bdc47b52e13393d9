//! `tahr status --watch`.
//!
//! On a terminal it is drawn over itself, cut to what fits; into a pipe goes one block after the
//! other, each with the time above and an empty line between; as JSON, one object a line.

use std::{
    io::{self, IsTerminal as _, Write as _},
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use super::{
    Output,
    runtime::runtime,
    status::{lines, report},
};
use crate::{Error, Faults};

/// Where the terminal doesn't tell how large it is.
const SIZE: (usize, usize) = (100, 50);

/// Shows what the engine is doing `every` so often, until Ctrl-C, which is no error, or the engine's
/// end, which is one.
pub(super) fn watch(
    state_dir: &Path,
    every: Duration,
    json: bool,
    output: &mut Output,
) -> Result<(), Faults> {
    runtime()?.block_on(async {
        let mut interrupt = std::pin::pin!(tokio::signal::ctrl_c());
        let is_drawn = !json && io::stdout().is_terminal();
        let mut is_first = true;
        while !output.is_closed() {
            let report = match report(state_dir) {
                Ok(report) => report,
                Err(faults) if is_first => return Err(faults),
                Err(faults) => return Err(ended(state_dir, faults)),
            };
            if json {
                output.json(&report, false)?;
            } else if is_drawn {
                draw(&lines(&report));
            } else {
                if !is_first {
                    output.line("");
                }
                output.line(stamp(SystemTime::now()));
                lines(&report).iter().for_each(|line| output.line(line));
            }
            is_first = false;
            tokio::select! {
                _ = &mut interrupt => break,
                () = tokio::time::sleep(every) => {}
            }
        }
        Ok(())
    })
}

/// Why there is no answer any more. An engine that ends closes its socket at any moment.
fn ended(state_dir: &Path, faults: Faults) -> Faults {
    std::thread::sleep(Duration::from_millis(100));
    match report(state_dir) {
        Ok(_) => faults,
        Err(again) if again.exit_code() == crate::exit_code::NO_ENGINE => {
            Error::no_engine("the engine has ended").into()
        }
        Err(again) => again,
    }
}

/// Draws the lines over what was there before, as far as the terminal has room.
fn draw(lines: &[String]) {
    let (columns, rows) = size(io::stdout());
    let mut text = String::from("\x1b[H");
    for (index, line) in lines.iter().take(rows.saturating_sub(1)).enumerate() {
        if index > 0 {
            text.push_str("\r\n");
        }
        text.extend(
            line.chars()
                .filter(|letter| !letter.is_control())
                .take(columns),
        );
        text.push_str("\x1b[K");
    }
    text.push_str("\x1b[J\r\n");
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// The columns of stderr's terminal, less the last one, where some wrap.
pub(super) fn width() -> usize {
    size(io::stderr()).0.saturating_sub(1)
}

fn size(terminal: impl std::os::fd::AsFd) -> (usize, usize) {
    match rustix::termios::tcgetwinsize(terminal) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => (size.ws_col.into(), size.ws_row.into()),
        _ => SIZE,
    }
}

/// A moment as `2024-02-29 12:00:00 UTC`.
fn stamp(moment: SystemTime) -> String {
    let seconds = moment
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let (days, time) = (seconds / 86_400, seconds % 86_400);
    // Years that begin in March end with the leap day; eras of 400 of them repeat.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    format!(
        "{:04}-{month:02}-{day:02} {:02}:{:02}:{:02} UTC",
        era * 400 + year + next,
        time / 3600,
        time / 60 % 60,
        time % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_stamped_as_the_calendar_has_them() {
        for (seconds, expected) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_400, "2000-02-29 00:00:00 UTC"),
            (1_709_251_199, "2024-02-29 23:59:59 UTC"),
            (1_709_251_200, "2024-03-01 00:00:00 UTC"),
            (1_735_689_599, "2024-12-31 23:59:59 UTC"),
            (4_107_542_400, "2100-03-01 00:00:00 UTC"),
        ] {
            let moment = UNIX_EPOCH + Duration::from_secs(seconds);
            assert_eq!(stamp(moment), expected);
        }
    }
}
