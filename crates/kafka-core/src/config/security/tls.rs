//! The `ssl.*` properties: whom to trust, who we are, which versions.

use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};

use super::certificates::{self, Identity};
use crate::config::{Config, Secret, property};
use crate::error::{Error, Result};
use crate::wire::{AnyCertificate, AnyName, Tls};

pub(super) fn read(config: &Config) -> Result<Tls> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&versions(config)?)
        .map_err(|error| Error::Config(format!("ssl.enabled.protocols: {error}")))?
        .dangerous()
        .with_custom_certificate_verifier(verifier(config, &provider)?);
    let made = match identity(config)? {
        Some(Identity { chain, key }) => builder.with_client_auth_cert(chain, key).map_err(|error| {
            Error::Config(format!("the client's certificate and key do not fit together: {error}"))
        })?,
        None => builder.with_no_client_auth(),
    };
    Ok(Tls::new(made))
}

fn versions(config: &Config) -> Result<Vec<&'static SupportedProtocolVersion>> {
    let enabled = config.get(property::SSL_ENABLED_PROTOCOLS);
    if let Some(unknown) = enabled.iter().find(|name| !["TLSv1.2", "TLSv1.3"].contains(&name.as_str())) {
        return Err(Error::Config(format!("ssl.enabled.protocols: {unknown:?} is not TLSv1.2 or TLSv1.3")));
    }
    let has = |name: &str| enabled.iter().any(|enabled| enabled == name);
    let newest_only = config.get(property::SSL_PROTOCOL) == "TLSv1.3";
    let mut versions = Vec::new();
    if has("TLSv1.3") {
        versions.push(&rustls::version::TLS13);
    }
    if has("TLSv1.2") && !newest_only {
        versions.push(&rustls::version::TLS12);
    }
    if versions.is_empty() {
        return Err(Error::Config("ssl.protocol and ssl.enabled.protocols leave no TLS version".into()));
    }
    Ok(versions)
}

fn verifier(config: &Config, provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>> {
    if !config.get(property::ENABLE_SSL_CERTIFICATE_VERIFICATION) {
        return Ok(Arc::new(AnyCertificate(provider.signature_verification_algorithms)));
    }
    let roots = Arc::new(trusted(config)?);
    let full = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(provider))
        .build()
        .map_err(|error| Error::Config(format!("the trusted authorities cannot be used: {error}")))?;
    Ok(match config.get(property::SSL_ENDPOINT_IDENTIFICATION_ALGORITHM) {
        "none" => Arc::new(AnyName(full)),
        _ => full,
    })
}

/// The authorities of all properties that name some; those of the system where none does.
fn trusted(config: &Config) -> Result<RootCertStore> {
    let mut found = Vec::new();
    for (property, password) in [
        (property::SSL_CA_LOCATION, None),
        (property::SSL_TRUSTSTORE_LOCATION, config.get(property::SSL_TRUSTSTORE_PASSWORD)),
    ] {
        if let Some(path) = config.get(property) {
            found.extend(certificates::authorities(property.name(), Path::new(&path), password.as_ref())?);
        }
    }
    if let Some(pem) = config.get(property::SSL_CA_PEM) {
        found.extend(certificates::from_pem(property::SSL_CA_PEM.name(), pem.as_bytes())?);
    }
    if found.is_empty() {
        return system_authorities();
    }
    let mut roots = RootCertStore::empty();
    for certificate in found {
        roots
            .add(certificate)
            .map_err(|error| Error::Config(format!("a trusted certificate cannot be used: {error}")))?;
    }
    Ok(roots)
}

fn system_authorities() -> Result<RootCertStore> {
    let loaded = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(loaded.certs);
    if added == 0 {
        let why = loaded.errors.first().map(|error| format!(" ({error})")).unwrap_or_default();
        return Err(Error::Config(format!(
            "the system has no trusted certificate authorities{why}; set ssl.ca.location"
        )));
    }
    Ok(roots)
}

/// The client's certificate and key, where one is configured, in Java's spelling or librdkafka's.
fn identity(config: &Config) -> Result<Option<Identity>> {
    let key_password = config.get(property::SSL_KEY_PASSWORD);
    if let Some(path) = config.get(property::SSL_KEYSTORE_LOCATION) {
        let store_password = config.get(property::SSL_KEYSTORE_PASSWORD);
        let found = certificates::key_store(
            property::SSL_KEYSTORE_LOCATION.name(),
            Path::new(&path),
            store_password.as_ref(),
            key_password.as_ref(),
        )?;
        return Ok(Some(found));
    }
    let chain = chain_property(config)?;
    let key = key_property(config)?;
    match (chain, key) {
        (None, None) => Ok(None),
        (Some(chain), Some((name, pem))) => {
            let key = certificates::private_key(name, pem.expose().as_bytes(), key_password.as_ref())?;
            Ok(Some(Identity { chain, key }))
        }
        (Some(_), None) => Err(Error::Config(
            "a client certificate is set but no key: set ssl.key.location or ssl.keystore.key".into(),
        )),
        (None, Some(_)) => Err(Error::Config(
            "a client key is set but no certificate: set ssl.certificate.location or ssl.keystore.certificate.chain"
                .into(),
        )),
    }
}

fn chain_property(config: &Config) -> Result<Option<Vec<CertificateDer<'static>>>> {
    if let Some(path) = config.get(property::SSL_CERTIFICATE_LOCATION) {
        let name = property::SSL_CERTIFICATE_LOCATION.name();
        let pem = certificates::read(name, Path::new(&path))?;
        return certificates::from_pem(&format!("{name} {path}"), &pem).map(Some);
    }
    match config.get(property::SSL_KEYSTORE_CERTIFICATE_CHAIN) {
        Some(pem) => {
            certificates::from_pem(property::SSL_KEYSTORE_CERTIFICATE_CHAIN.name(), pem.as_bytes()).map(Some)
        }
        None => Ok(None),
    }
}

fn key_property(config: &Config) -> Result<Option<(&'static str, Secret)>> {
    if let Some(path) = config.get(property::SSL_KEY_LOCATION) {
        let name = property::SSL_KEY_LOCATION.name();
        let pem = certificates::read(name, Path::new(&path))?;
        return Ok(Some((name, String::from_utf8_lossy(&pem).into_owned().into())));
    }
    Ok(config.get(property::SSL_KEYSTORE_KEY).map(|pem| (property::SSL_KEYSTORE_KEY.name(), pem)))
}
