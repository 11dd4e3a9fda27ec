//! What a broker's certificates say of themselves, for people who look for what is wrong. Nothing is verified here.

use std::sync::Arc;

use rustls::ClientConfig;
use tokio::net::TcpStream;
use x509_cert::certificate::{CertificateInner, Raw};
use x509_cert::der::Decode;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::time::Time;

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

/// Whether `issuer` is the authority that the certificate names; what cannot be read is none.
pub(crate) fn is_issued_by(certificate: &[u8], issuer: &[u8]) -> bool {
    parsed(certificate).is_ok_and(|certificate| {
        parsed(issuer)
            .is_ok_and(|issuer| certificate.tbs_certificate().issuer() == issuer.tbs_certificate().subject())
    })
}

/// Without the checks of RFC 5280: people are to see what a certificate says also where it breaks a rule.
fn parsed(der: &[u8]) -> x509_cert::der::Result<CertificateInner<Raw>> {
    CertificateInner::from_der(der)
}

fn read(der: &[u8]) -> Result<Certificate, ConnectFailure> {
    let unreadable = |error| ConnectFailure::Tls(format!("the broker's certificate cannot be read: {error}"));
    let certificate = parsed(der).map_err(unreadable)?;
    let certificate = certificate.tbs_certificate();
    let alternatives = certificate.get_extension::<SubjectAltName>().ok().flatten();
    let names = alternatives.iter().flat_map(|(_, SubjectAltName(names))| names);
    Ok(Certificate {
        subject: certificate.subject().to_string(),
        issuer: certificate.issuer().to_string(),
        names: names.filter_map(name).collect(),
        not_before: millis(certificate.validity().not_before),
        not_after: millis(certificate.validity().not_after),
    })
}

fn millis(time: Time) -> i64 {
    i64::try_from(time.to_unix_duration().as_millis()).unwrap_or(i64::MAX)
}

fn name(name: &GeneralName) -> Option<String> {
    match name {
        GeneralName::DnsName(name) => Some(name.to_string()),
        GeneralName::IpAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(bytes.as_bytes()).map(std::net::IpAddr::from);
            v4.or_else(|_| <[u8; 16]>::try_from(bytes.as_bytes()).map(std::net::IpAddr::from))
                .ok()
                .map(|ip| ip.to_string())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;

    use super::*;

    #[test]
    fn a_certificate_says_whose_it_is_for_which_names_and_for_how_long() {
        let pem = include_bytes!("../../../tests/stores/client.pem");
        let Certificate { subject, issuer, names, not_before, not_after } =
            read(&CertificateDer::from_pem_slice(pem).unwrap()).unwrap();
        assert_eq!((&*subject, &*issuer), ("CN=client", "CN=between,O=Example"));
        assert_eq!(names, ["client.example", "127.0.0.1", "::1"]);
        assert_eq!((not_after - not_before) / 86_400_000, 36_500);
    }

    #[test]
    fn what_is_no_certificate_is_an_error() {
        assert!(read(b"no certificate").unwrap_err().to_string().contains("cannot be read"));
    }
}
