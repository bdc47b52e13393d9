//! Logs: text for people or JSON lines for machines, and which of them are shown.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::{EnvFilter, fmt::MakeWriter, util::SubscriberInitExt as _};

use crate::error::Error;

/// The environment variable that replaces `-v` and `-q` by a filter such as `tahr::lane=debug`.
const FILTER_VARIABLE: &str = "TAHR_LOG";

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// One readable line each.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// Starts logging to stderr for the whole process.
///
/// `verbosity` is the number of `-v` less the number of `-q`: 0 shows what an operator needs, 1
/// adds what a developer of tahr needs, 2 what its libraries say.
///
/// # Errors
///
/// `TAHR_LOG` is not a filter, or logging was started before.
pub fn start(format: LogFormat, verbosity: i8) -> Result<(), Error> {
    start_on(format, verbosity, io::stderr)
}

/// Like [`start`], but to `writer`: for a display that must not be torn by log lines.
///
/// # Errors
///
/// As [`start`].
pub fn start_on<W>(format: LogFormat, verbosity: i8, writer: W) -> Result<(), Error>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = filter(verbosity, std::env::var(FILTER_VARIABLE).ok().as_deref())?;
    subscriber(format, filter, writer)
        .try_init()
        .map_err(|error| Error::failed("logging is already started").caused_by(error))
}

fn subscriber<W>(
    format: LogFormat,
    filter: EnvFilter,
    writer: W,
) -> Box<dyn tracing::Subscriber + Send + Sync>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer);
    match format {
        LogFormat::Text => {
            let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            Box::new(
                builder
                    .compact()
                    .with_target(false)
                    .with_ansi(colour)
                    .finish(),
            )
        }
        LogFormat::Json => Box::new(builder.json().flatten_event(true).finish()),
    }
}

fn filter(verbosity: i8, variable: Option<&str>) -> Result<EnvFilter, Error> {
    let directives = directives(verbosity, variable);
    EnvFilter::try_new(&directives).map_err(|error| {
        Error::usage(format!("{FILTER_VARIABLE} is not a log filter"))
            .caused_by(error)
            .hint(format!(
                "{FILTER_VARIABLE}=debug, or {FILTER_VARIABLE}=info,tahr::lane=trace"
            ))
    })
}

/// The stream's library logs its end as an error of its own, also where we ended it or retry; the
/// engine reports that itself, with its consequence, so the library is silent unless asked for.
fn directives(verbosity: i8, variable: Option<&str>) -> String {
    match variable.map(str::trim).filter(|given| !given.is_empty()) {
        Some(given) if given.contains("pgwire_replication") || verbosity >= 2 => given.to_owned(),
        Some(given) => format!("pgwire_replication=off,{given}"),
        None => match verbosity {
            ..=-3 => "off",
            -2 => "error,pgwire_replication=off",
            -1 => "warn,pgwire_replication=off",
            0 => "warn,tahr=info,pgwire_replication=off",
            1 => "info,tahr=debug,pgwire_replication=off",
            2.. => "debug,tahr=trace",
        }
        .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, verbosity: i8, variable: Option<&str>) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let filter = filter(verbosity, variable).unwrap();
        let subscriber = subscriber(format, filter, move || writer.clone());
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(target: "tahr::lane", lane = "shop/cache", "streaming");
            tracing::debug!(target: "tahr::lane", "batch stored");
            tracing::info!(target: "rustls", "handshake");
            tracing::error!(target: "pgwire_replication::client", "worker terminated");
        });
        let bytes = lines.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn by_default_an_operator_sees_the_engine_alone() {
        let text = logged(LogFormat::Text, 0, None);
        assert!(
            text.contains("streaming") && text.contains("shop/cache"),
            "{text}"
        );
        assert!(!text.contains("tahr::lane"), "the target is noise: {text}");
        assert_eq!(text.lines().count(), 1, "{text}");
    }

    #[test]
    fn quiet_hides_and_verbose_adds() {
        assert_eq!(logged(LogFormat::Text, -1, None), "");
        assert_eq!(logged(LogFormat::Text, 1, None).lines().count(), 3);
        let all = logged(LogFormat::Text, 2, None);
        assert!(all.contains("worker terminated"), "{all}");
    }

    #[test]
    fn the_filter_variable_replaces_the_flags_but_keeps_the_stream_library_silent() {
        let text = logged(LogFormat::Text, 0, Some("debug"));
        assert!(
            text.contains("batch stored") && !text.contains("worker terminated"),
            "{text}"
        );
        let text = logged(LogFormat::Text, 0, Some("pgwire_replication=error"));
        assert!(text.contains("worker terminated"), "{text}");
    }

    #[test]
    fn a_broken_filter_is_a_usage_error() {
        let error = filter(0, Some("tahr=loud")).unwrap_err();
        assert_eq!(error.kind(), crate::error::ErrorKind::Usage);
    }

    #[test]
    fn json_lines_are_json() {
        let text = logged(LogFormat::Json, 0, None);
        let line: serde_json::Value = serde_json::from_str(text.trim()).unwrap();
        assert_eq!(
            (&line["message"], &line["lane"]),
            (&"streaming".into(), &"shop/cache".into())
        );
    }
}
