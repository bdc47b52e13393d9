//! TLS for SQL connections, with the same rules that the replication connection follows.

use std::{
    path::Path,
    sync::{Arc, OnceLock},
};

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_cert_signed_by_trust_anchor, verify_server_name,
    },
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
    server::ParsedCertificate,
};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::{SslMode, url::Ssl};

/// Makes *ring* the process's default provider, which the replication client asks for, unless the
/// program has chosen one.
pub(crate) fn install_provider() {
    // An error means that there is one already, which is as good.
    let _ = ring::default_provider().install_default();
}

/// The connector for `ssl`, or what is wrong with its files.
pub(crate) fn connector(ssl: &Ssl) -> Result<MakeRustlsConnect, String> {
    let provider = Arc::new(ring::default_provider());
    let roots = Arc::new(match &ssl.root {
        Some(path) => read_roots(path)?,
        None => RootCertStore::empty(),
    });
    let verifier: Arc<dyn ServerCertVerifier> = match ssl.mode {
        SslMode::VerifyFull => {
            WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider))
                .build()
                .map_err(|error| error.to_string())?
        }
        SslMode::VerifyCa => {
            let names = Arc::clone(&ssl.certificate_name);
            Arc::new(Lenient {
                chain: Some((roots, names)),
                provider: Arc::clone(&provider),
            })
        }
        _ => Arc::new(Lenient {
            chain: None,
            provider: Arc::clone(&provider),
        }),
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let config = match &ssl.client {
        None => builder.with_no_client_auth(),
        Some((cert, key)) => {
            let key = PrivateKeyDer::from_pem_file(key)
                .map_err(|error| format!("sslkey {}: {error}", key.display()))?;
            builder
                .with_client_auth_cert(read_certificates(cert, "sslcert")?, key)
                .map_err(|error| format!("sslcert {}: {error}", cert.display()))?
        }
    };
    Ok(MakeRustlsConnect::new(config))
}

fn read_certificates(path: &Path, parameter: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| format!("{parameter} {}: {error}", path.display()))?;
    if certificates.is_empty() {
        return Err(format!(
            "{parameter} {}: holds no certificate",
            path.display()
        ));
    }
    Ok(certificates)
}

fn read_roots(path: &Path) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(read_certificates(path, "sslrootcert")?);
    if added == 0 {
        return Err(format!(
            "sslrootcert {}: holds no usable certificate",
            path.display()
        ));
    }
    Ok(roots)
}

/// The host name in `DnsName("db.example")`, as rustls prints a certificate's names; any that fits
/// in the place of a wildcard.
fn plain_name(presented: &str) -> Option<String> {
    let name = presented.strip_prefix("DnsName(\"")?.strip_suffix("\")")?;
    Some(name.replacen('*', "any", 1))
}

/// Verifies less than rustls does: only the chain (`verify-ca`), or, without roots, nothing
/// (`require`). That the server owns its certificate is always verified.
#[derive(Debug)]
struct Lenient {
    /// The authorities, and where a name of the certificate is noted.
    chain: Option<(Arc<RootCertStore>, Arc<OnceLock<String>>)>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        host: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Some((roots, name)) = &self.chain {
            let certificate = ParsedCertificate::try_from(certificate)
                .map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))?;
            verify_server_cert_signed_by_trust_anchor(
                &certificate,
                roots,
                intermediates,
                now,
                self.provider.signature_verification_algorithms.all,
            )?;
            if let Err(Error::InvalidCertificate(CertificateError::NotValidForNameContext {
                presented,
                ..
            })) = verify_server_name(&certificate, host)
                && let Some(presented) = presented.iter().find_map(|text| plain_name(text))
            {
                let _ = name.set(presented);
            }
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::plain_name;

    #[test]
    fn names_of_certificates_are_found_as_rustls_prints_them() {
        assert_eq!(
            plain_name("DnsName(\"db.example\")").as_deref(),
            Some("db.example")
        );
        assert_eq!(
            plain_name("DnsName(\"*.example\")").as_deref(),
            Some("any.example")
        );
        assert_eq!(plain_name("IpAddress(127.0.0.1)"), None);
    }
}
