//! Replication connections.

use std::time::Duration;

use pgwire_replication::{Lsn, ReplicationConfig, TlsConfig};

use crate::{Host, SESSION, SOURCE_SESSION, SslMode, Url, session, tls};

/// What a replication connection is for.
#[derive(Clone, Copy, Debug)]
pub struct Replication<'a> {
    /// The slot to stream from; not looked at before streaming starts.
    pub slot: &'a str,
    /// The publication to stream.
    pub publication: &'a str,
    /// Where to start; zero is where the slot stands.
    pub start_lsn: u64,
    /// What the server is told that is needed no more, until it is told of more: what was read is
    /// not stored yet.
    pub ack_lsn: u64,
    /// The connection's `application_name` unless the URL has one.
    pub application: &'a str,
    /// How many events may wait between the connection and its reader.
    pub buffer_events: usize,
    /// The largest message taken, in bytes: a row is one message.
    pub max_message_size: usize,
}

impl Url {
    /// The settings of a replication connection, for `ReplicationClient::connect` and
    /// `connect_gated`. Its session has the [`SESSION`] and [`SOURCE_SESSION`] settings, its status
    /// goes out every second. Under `sslmode=verify-ca` an SQL session must have been opened with
    /// this URL, or one it was cloned from, before. It has no timeout of its own: see [`Url::connect_timeout`]; its
    /// errors are explained by [`ConnectError::replication`](crate::ConnectError::replication).
    #[must_use]
    pub fn replication(&self, what: &Replication<'_>) -> ReplicationConfig {
        tls::install_provider();
        let mut options = session::startup_options(&[SESSION, SOURCE_SESSION]);
        if let Some(own) = &self.options {
            // The last one counts, and that must be ours.
            options = format!("{own} {options}");
        }
        let host = match &self.host {
            Host::Tcp(host) => host.clone(),
            Host::Socket(folder) => folder.to_string_lossy().into_owned(),
        };
        let mut config = ReplicationConfig::new(
            host.as_str(),
            &self.user,
            self.password.as_deref().unwrap_or_default(),
            &self.database,
            what.slot,
            what.publication,
        )
        .with_port(self.port)
        .with_tls(self.replication_tls(&host))
        .with_start_lsn(Lsn::from(what.start_lsn))
        .with_ack_lsn(Lsn::from(what.ack_lsn))
        .with_status_interval(Duration::from_secs(1))
        .with_buffer_size(what.buffer_events)
        .with_options(options);
        config.max_message_size = what.max_message_size;
        config.application_name = Some(
            self.application_name
                .as_deref()
                .unwrap_or(what.application)
                .to_owned(),
        );
        config
    }

    fn replication_tls(&self, host: &str) -> TlsConfig {
        let (cert, key) = self.ssl.client.clone().unzip();
        TlsConfig {
            mode: match self.ssl.mode {
                SslMode::Disable => pgwire_replication::SslMode::Disable,
                SslMode::Prefer => pgwire_replication::SslMode::Prefer,
                SslMode::Require => pgwire_replication::SslMode::Require,
                SslMode::VerifyCa => pgwire_replication::SslMode::VerifyCa,
                SslMode::VerifyFull => pgwire_replication::SslMode::VerifyFull,
            },
            ca_pem_path: self.ssl.root.clone(),
            // Named although it is the host, since otherwise an address is refused even where the
            // certificate is for that address.
            sni_hostname: Some(
                self.ssl
                    .certificate_name
                    .get()
                    .map_or(host, String::as_str)
                    .to_owned(),
            ),
            client_cert_pem_path: cert,
            client_key_pem_path: key,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Replication;
    use crate::Url;

    #[test]
    fn our_settings_come_after_those_of_the_url() {
        let url =
            Url::parse("postgres://u:p@h/d?sslmode=disable&options=-c%20TimeZone%3DAsia/Tokyo")
                .unwrap();
        let config = url.replication(&Replication {
            slot: "s",
            publication: "p",
            start_lsn: 7,
            ack_lsn: 5,
            application: "tahr",
            buffer_events: 8,
            max_message_size: 99,
        });
        let options = config.options.unwrap();
        assert!(options.starts_with("-c TimeZone=Asia/Tokyo "));
        assert!(options.rfind("TimeZone=UTC") > options.find("Asia"));
        assert_eq!((config.max_message_size, config.buffer_events), (99, 8));
        assert_eq!(u64::from(config.start_lsn), 7);
        assert_eq!(config.ack_lsn.map(u64::from), Some(5));
    }
}
