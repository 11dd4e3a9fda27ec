//! TLS on a connected socket, and what went wrong with it in words. Which certificates to use is decided elsewhere
//! (`config::security`).

mod certificate;
mod date;
mod verifier;

use std::fmt;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{AlertDescription, CertificateError, ClientConfig};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::error::ConnectFailure;
pub use certificate::Certificate;
pub(crate) use certificate::is_issued_by;
pub(crate) use verifier::{AnyCertificate, AnyName};

/// How to encrypt: versions, trusted authorities, the client's own certificate.
#[derive(Clone)]
pub struct Tls(Arc<ClientConfig>);

impl Tls {
    pub(crate) fn new(config: ClientConfig) -> Self {
        Self(Arc::new(config))
    }

    /// What rustls is told.
    #[must_use]
    pub fn config(&self) -> &Arc<ClientConfig> {
        &self.0
    }

    /// Shakes hands on a connected socket with the server of this name (sent as SNI, and checked).
    pub(crate) async fn connect(
        &self,
        tcp: TcpStream,
        host: &str,
    ) -> Result<TlsStream<TcpStream>, ConnectFailure> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| ConnectFailure::Tls(format!("{host:?} cannot be the name in a certificate")))?;
        TlsConnector::from(Arc::clone(&self.0)).connect(name, tcp).await.map_err(|error| {
            ConnectFailure::Tls(explain(&error).unwrap_or_else(|| match error.kind() {
                std::io::ErrorKind::UnexpectedEof | std::io::ErrorKind::ConnectionReset => {
                    "the broker closed the connection during the handshake (is this listener SSL or SASL_SSL?)".into()
                }
                _ => error.to_string(),
            }))
        })
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}

/// What TLS says with this error of its stream, `None` where the error is another's.
pub(crate) fn explain(error: &std::io::Error) -> Option<String> {
    error.get_ref()?.downcast_ref::<rustls::Error>().map(in_words)
}

fn in_words(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(problem) => certificate_in_words(problem),
        rustls::Error::AlertReceived(alert) => alert_in_words(*alert),
        rustls::Error::InvalidMessage(_) => {
            "the broker does not speak TLS here (security.protocol=PLAINTEXT or SASL_PLAINTEXT?)".into()
        }
        rustls::Error::PeerIncompatible(_) => format!("no common version or cipher: {error}"),
        other => other.to_string(),
    }
}

fn certificate_in_words(problem: &CertificateError) -> String {
    match problem {
        CertificateError::UnknownIssuer => {
            "unknown issuer: none of the trusted authorities signed the broker's certificate".into()
        }
        CertificateError::ExpiredContext { not_after, .. } => {
            format!("the broker's certificate expired on {}", date::utc(not_after.as_secs()))
        }
        CertificateError::NotValidYetContext { not_before, .. } => {
            format!("the broker's certificate is not valid before {}", date::utc(not_before.as_secs()))
        }
        CertificateError::NotValidForNameContext { expected, presented } => {
            let names: Vec<_> = presented.iter().map(|name| bare_name(name)).collect();
            let names = if names.is_empty() { "no name".to_owned() } else { names.join(", ") };
            format!("name mismatch: the broker's certificate is for {names}, not for {}", expected.to_str())
        }
        CertificateError::BadSignature => {
            "the broker's certificate has a signature that is not its issuer's".into()
        }
        other => match other.to_string() {
            text if text.contains("CaUsedAsEndEntity") => {
                "the broker's certificate is an authority's own (CA:TRUE); issue one for the server".into()
            }
            text => text,
        },
    }
}

/// The name in `DnsName("a.example")` or `IpAddress(127.0.0.1)`.
fn bare_name(presented: &str) -> &str {
    let inner = presented.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or(presented);
    inner.trim_matches('"')
}

fn alert_in_words(alert: AlertDescription) -> String {
    match alert {
        // Which of these a broker without the client's certificate sends is its own choice.
        AlertDescription::CertificateRequired
        | AlertDescription::NoCertificate
        | AlertDescription::UnknownCA
        | AlertDescription::BadCertificate
        | AlertDescription::CertificateUnknown
        | AlertDescription::CertificateExpired => format!(
            "the broker wants a client certificate that it trusts: ssl.keystore.location or ssl.certificate.location ({alert:?})"
        ),
        AlertDescription::ProtocolVersion => {
            "the broker offers no TLS version that is accepted here (ssl.protocol)".into()
        }
        AlertDescription::HandshakeFailure => {
            "the broker ended the handshake: no common cipher, or it wants a client certificate".into()
        }
        other => format!("the broker ended the handshake ({other:?})"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustls::pki_types::UnixTime;

    use super::*;

    #[test]
    fn an_expired_certificate_is_named_with_its_date() {
        let at = |secs| UnixTime::since_unix_epoch(Duration::from_secs(secs));
        let problem =
            CertificateError::ExpiredContext { time: at(1_800_000_000), not_after: at(1_706_745_600) };
        assert_eq!(
            certificate_in_words(&problem),
            "the broker's certificate expired on 2024-02-01 00:00:00 UTC"
        );
    }

    #[test]
    fn a_wrong_name_is_told_with_the_names_in_the_certificate() {
        let problem = CertificateError::NotValidForNameContext {
            expected: ServerName::try_from("localhost").unwrap(),
            presented: vec!["DnsName(\"a.example\")".into(), "IpAddress(10.0.0.1)".into()],
        };
        assert_eq!(
            certificate_in_words(&problem),
            "name mismatch: the broker's certificate is for a.example, 10.0.0.1, not for localhost"
        );
    }
}
