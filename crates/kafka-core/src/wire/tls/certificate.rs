//! What a broker's certificates say of themselves, for people who look for what is wrong. Nothing is verified here.

use std::sync::Arc;

use rustls::ClientConfig;
use tokio::net::TcpStream;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::{AnyCertificate, Tls};
use crate::error::ConnectFailure;
use crate::wire::Address;

/// A certificate of the chain that a broker presents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Whom it was issued to, as `CN=broker.example`.
    pub subject: String,
    /// Who issued it.
    pub issuer: String,
    /// The host names and addresses it is for; empty for an authority's.
    pub names: Vec<String>,
    /// Valid from then on, in milliseconds since 1970.
    pub not_before: i64,
    /// Valid until then, in milliseconds since 1970.
    pub not_after: i64,
}

impl Tls {
    /// The certificates that the listener at `address` presents, its own first, whether or not they would be accepted.
    ///
    /// # Errors
    /// It cannot be reached, or does not speak TLS. There is no time limit: the caller sets one.
    pub async fn certificates(&self, address: &Address) -> Result<Vec<Certificate>, ConnectFailure> {
        let tcp = TcpStream::connect((&*address.host, address.port)).await;
        let tcp = tcp.map_err(|error| ConnectFailure::Tcp(error.to_string()))?;
        let stream = self.trusting().connect(tcp, &address.host).await?;
        let presented = stream.get_ref().1.peer_certificates().unwrap_or_default();
        presented.iter().map(|der| read(der)).collect()
    }

    /// The same configuration, but any certificate will do: for looking at it, never for sending anything.
    fn trusting(&self) -> Self {
        let mut config = ClientConfig::clone(self.config());
        let algorithms = config.crypto_provider().signature_verification_algorithms;
        config.dangerous().set_certificate_verifier(Arc::new(AnyCertificate(algorithms)));
        Self::new(config)
    }
}

fn read(der: &[u8]) -> Result<Certificate, ConnectFailure> {
    let unreadable = |error| ConnectFailure::Tls(format!("the broker's certificate cannot be read: {error}"));
    let (_, certificate) = X509Certificate::from_der(der).map_err(unreadable)?;
    let alternatives = certificate.subject_alternative_name().ok().flatten();
    let names = alternatives.iter().flat_map(|extension| &extension.value.general_names);
    let validity = certificate.validity();
    Ok(Certificate {
        subject: certificate.subject().to_string(),
        issuer: certificate.issuer().to_string(),
        names: names.filter_map(name).collect(),
        not_before: validity.not_before.timestamp().saturating_mul(1000),
        not_after: validity.not_after.timestamp().saturating_mul(1000),
    })
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(*bytes).map(std::net::IpAddr::from);
            v4.or_else(|_| <[u8; 16]>::try_from(*bytes).map(std::net::IpAddr::from))
                .ok()
                .map(|ip| ip.to_string())
        }
        _ => None,
    }
}
