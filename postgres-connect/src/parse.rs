//! Reading a URL, its parameters and what the environment adds.

use std::{path::PathBuf, sync::Arc, time::Duration};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::{
    Host, SslMode, Url, UrlError, passfile,
    url::{Keepalives, Ssl},
};

type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Where distributions keep the system's trusted authorities.
const SYSTEM_ROOTS: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

const SOCKET_FOLDER: &str = "/var/run/postgresql";

/// Characters that stand for themselves in a part of a URL.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// `part` as it is written inside a URL.
pub(crate) fn encode(part: &str) -> String {
    utf8_percent_encode(part, PLAIN).to_string()
}

fn decode(part: &str, name: &'static str) -> Result<String, UrlError> {
    let bad = || UrlError::Encoding { part: name };
    let bytes = part.as_bytes();
    let whole = |at: usize| {
        bytes
            .get(at + 1..at + 3)
            .is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit))
    };
    if (0..bytes.len()).any(|at| bytes[at] == b'%' && !whole(at)) {
        return Err(bad());
    }
    let text = percent_decode_str(part)
        .decode_utf8()
        .map_err(|_| bad())?
        .into_owned();
    if text.contains('\0') {
        Err(bad())
    } else {
        Ok(text)
    }
}

/// The parameters that a URL may have.
#[derive(Default)]
struct Parameters {
    host: Option<String>,
    port: Option<u16>,
    user: Option<String>,
    password: Option<String>,
    database: Option<String>,
    sslmode: Option<SslMode>,
    sslrootcert: Option<String>,
    sslcert: Option<PathBuf>,
    sslkey: Option<PathBuf>,
    passfile: Option<PathBuf>,
    connect_timeout: Option<Duration>,
    application_name: Option<String>,
    options: Option<String>,
    keepalives: Keepalives,
}

/// Reads `text`; `environment` answers for variables.
pub(crate) fn parse(text: &str, environment: Environment<'_>) -> Result<Url, UrlError> {
    let rest = text
        .strip_prefix("postgres://")
        .or_else(|| text.strip_prefix("postgresql://"))
        .ok_or(UrlError::Scheme)?;
    let (before, query) = rest
        .split_once('?')
        .map_or((rest, None), |(a, b)| (a, Some(b)));
    let mut parameters = Parameters::default();
    for pair in query
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty())
    {
        parameters.take(pair)?;
    }
    let (authority, path) = before.split_once('/').unwrap_or((before, ""));
    let (credentials, address) = authority
        .rsplit_once('@')
        .map_or((None, authority), |(a, b)| (Some(a), b));
    let (user, password) = match credentials.map(|c| c.split_once(':').unwrap_or((c, ""))) {
        Some((user, password)) => (decode(user, "user")?, decode(password, "password")?),
        None => Default::default(),
    };
    let (host, port) = split_address(address)?;

    let given = |text: String| (!text.is_empty()).then_some(text);
    let host = parameters.host.take().or(given(decode(host, "host")?));
    let port = parameters.port.or(port).unwrap_or(5432);
    let user = parameters
        .user
        .take()
        .or(given(user))
        .or_else(|| environment("PGUSER"))
        .or_else(|| environment("USER"))
        .ok_or(UrlError::NoUser)?;
    let database = parameters
        .database
        .take()
        .or(given(decode(path, "database")?))
        .unwrap_or(user.clone());
    let host = match host {
        Some(host) if host.contains(',') => return Err(UrlError::SeveralHosts),
        Some(host) if host.starts_with('/') => Host::Socket(host.into()),
        Some(host) => Host::Tcp(host),
        None if std::path::Path::new(SOCKET_FOLDER).is_dir() => Host::Socket(SOCKET_FOLDER.into()),
        None => Host::Tcp("localhost".to_owned()),
    };
    let ssl = parameters.ssl(&host, environment)?;
    let mut url = Url {
        host,
        port,
        user,
        password: parameters
            .password
            .take()
            .or(given(password))
            .or_else(|| environment("PGPASSWORD")),
        database,
        ssl,
        connect_timeout: parameters
            .connect_timeout
            .unwrap_or(Duration::from_secs(10)),
        application_name: parameters.application_name.take(),
        options: parameters.options.take(),
        keepalives: parameters.keepalives,
        passfile_note: None,
    };
    if url.password.is_none() {
        let file = parameters
            .passfile
            .take()
            .or_else(|| environment("PGPASSFILE").map(Into::into));
        let file = file.or_else(|| Some(PathBuf::from(environment("HOME")?).join(".pgpass")));
        if let Some(file) = file {
            // For a socket in its usual folder `libpq` looks for `localhost`.
            let host = match &url.host {
                Host::Tcp(host) => host.clone(),
                Host::Socket(folder) if folder.as_os_str() == SOCKET_FOLDER => "localhost".into(),
                Host::Socket(folder) => folder.to_string_lossy().into_owned(),
            };
            match passfile::look_up(&file, [&host, &port.to_string(), &url.database, &url.user]) {
                passfile::Found::Password(password) => url.password = Some(password),
                passfile::Found::Ignored(why) => url.passfile_note = Some(why),
                passfile::Found::Nothing => {}
            }
        }
    }
    Ok(url)
}

/// Host and port of `host`, `host:port`, `[v6]` or `[v6]:port`.
fn split_address(address: &str) -> Result<(&str, Option<u16>), UrlError> {
    let (host, port) = if let Some(rest) = address.strip_prefix('[') {
        let (host, after) = rest.split_once(']').ok_or(UrlError::Address)?;
        match after.strip_prefix(':') {
            Some(port) => (host, port),
            None if after.is_empty() => (host, ""),
            None => return Err(UrlError::Address),
        }
    } else {
        address.split_once(':').unwrap_or((address, ""))
    };
    if host.contains(',') || port.contains(',') {
        return Err(UrlError::SeveralHosts);
    }
    let port = match port {
        "" => None,
        // Not echoed: it may be a part of a password with a raw `/` in it.
        port => Some(
            port.parse()
                .ok()
                .filter(|&port| port > 0)
                .ok_or(UrlError::Address)?,
        ),
    };
    Ok((host, port))
}

impl Parameters {
    fn take(&mut self, pair: &str) -> Result<(), UrlError> {
        let (name, value) = pair.split_once('=').ok_or(UrlError::Parameter)?;
        if !name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') {
            return Err(UrlError::Parameter);
        }
        let value = decode(value, "parameters")?;
        let bad = |expected| UrlError::Value {
            parameter: name.to_owned(),
            expected,
        };
        let seconds = || match value.parse::<u32>() {
            Ok(seconds) => Ok(Duration::from_secs(seconds.into())),
            Err(_) => Err(bad("a number of seconds")),
        };
        match name {
            "host" => self.host = Some(value),
            "port" => {
                self.port = Some(value.parse().map_err(|_| bad("a port number"))?);
            }
            "user" => self.user = Some(value),
            "password" => self.password = Some(value),
            "dbname" => self.database = Some(value),
            "sslmode" => {
                self.sslmode = Some(match value.as_str() {
                    "disable" => SslMode::Disable,
                    "allow" | "prefer" => SslMode::Prefer,
                    "require" => SslMode::Require,
                    "verify-ca" => SslMode::VerifyCa,
                    "verify-full" => SslMode::VerifyFull,
                    _ => return Err(bad("disable, prefer, require, verify-ca or verify-full")),
                });
            }
            "sslrootcert" => self.sslrootcert = Some(value),
            "sslcert" => self.sslcert = Some(value.into()),
            "sslkey" => self.sslkey = Some(value.into()),
            "passfile" => self.passfile = Some(value.into()),
            // Zero is `libpq`'s "without end"; a day is as good.
            "connect_timeout" => {
                let timeout = seconds()?;
                let day = Duration::from_secs(86_400);
                self.connect_timeout = Some(if timeout.is_zero() { day } else { timeout });
            }
            "application_name" => self.application_name = Some(value),
            "options" => self.options = Some(value),
            "keepalives" => {
                self.keepalives.enabled = match value.as_str() {
                    "0" => false,
                    "1" => true,
                    _ => return Err(bad("0 or 1")),
                };
            }
            "keepalives_idle" => self.keepalives.idle = seconds()?,
            "keepalives_interval" => self.keepalives.interval = seconds()?,
            "keepalives_count" => {
                self.keepalives.count = value.parse().map_err(|_| bad("a number"))?;
            }
            _ => {
                return Err(UrlError::UnknownParameter {
                    parameter: name.to_owned(),
                });
            }
        }
        Ok(())
    }

    fn ssl(&mut self, host: &Host, environment: Environment<'_>) -> Result<Ssl, UrlError> {
        let client = match (self.sslcert.take(), self.sslkey.take()) {
            (None, None) => None,
            (Some(cert), Some(key)) => Some((cert, key)),
            (Some(_), None) => {
                return Err(UrlError::Alone {
                    given: "sslcert",
                    missing: "sslkey",
                });
            }
            (None, Some(_)) => {
                return Err(UrlError::Alone {
                    given: "sslkey",
                    missing: "sslcert",
                });
            }
        };
        let system = self.sslrootcert.as_deref() == Some("system");
        let mode = match (self.sslmode, host) {
            (Some(SslMode::Disable | SslMode::Prefer) | None, Host::Socket(_)) => SslMode::Disable,
            (Some(_), Host::Socket(_)) => return Err(UrlError::SslOverSocket),
            (Some(mode), _) if system && mode < SslMode::VerifyFull => {
                return Err(UrlError::WeakSystemRoots);
            }
            (None, _) if system => SslMode::VerifyFull,
            (Some(SslMode::Require), _) if self.sslrootcert.is_some() => SslMode::VerifyCa,
            (mode, _) => mode.unwrap_or(SslMode::Prefer),
        };
        let root = match self.sslrootcert.take() {
            _ if mode < SslMode::VerifyCa => None,
            Some(path) if !system => Some(path.into()),
            _ => {
                let own = environment("HOME")
                    .map(|home| PathBuf::from(home).join(".postgresql/root.crt"));
                let found = own
                    .filter(|_| !system)
                    .into_iter()
                    .chain(environment("SSL_CERT_FILE").map(Into::into))
                    .chain(SYSTEM_ROOTS.map(Into::into))
                    .find(|path| path.is_file());
                Some(found.ok_or(UrlError::NoRoots)?)
            }
        };
        Ok(Ssl {
            mode,
            root,
            client,
            certificate_name: Arc::default(),
        })
    }
}

#[cfg(test)]
mod tests;
