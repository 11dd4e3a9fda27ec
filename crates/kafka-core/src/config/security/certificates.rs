//! Certificates and private keys out of PEM and PKCS#12; a JKS store gets the command that converts it.

use std::path::Path;

use p12_keystore::{KeyStore, KeyStoreEntry, Pkcs12ImportPolicy};
use pkcs8::EncryptedPrivateKeyInfoRef;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::config::Secret;
use crate::error::{Error, Result};

/// A certificate chain, the owner's first, and its private key.
pub(super) struct Identity {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
}

/// What a store file is, told by its first bytes.
enum Store {
    Pem,
    Pkcs12,
    Jks,
}

fn kind_of(bytes: &[u8]) -> Store {
    match bytes {
        [0xfe, 0xed, 0xfe, 0xed, ..] | [0xce, 0xce, 0xce, 0xce, ..] => Store::Jks,
        [0x30, ..] => Store::Pkcs12,
        _ => Store::Pem,
    }
}

/// The bytes of the file that `property` names.
pub(super) fn read(property: &str, path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| Error::Config(format!("{property}: {}: {error}", path.display())))
}

/// Every certificate of a PEM text; at least one.
pub(super) fn from_pem(place: &str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>> {
    let certificates = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| Error::Config(format!("{place}: not a valid PEM file: {error}")))?;
    if certificates.is_empty() {
        return Err(Error::Config(format!("{place}: it holds no certificate (-----BEGIN CERTIFICATE-----)")));
    }
    Ok(certificates)
}

/// The certificates of a trust store.
pub(super) fn authorities(
    property: &str,
    path: &Path,
    password: Option<&Secret>,
) -> Result<Vec<CertificateDer<'static>>> {
    let (bytes, place) = (read(property, path)?, format!("{property}: {}", path.display()));
    match kind_of(&bytes) {
        Store::Pem => from_pem(&place, &bytes),
        Store::Jks => Err(jks(&place, path)),
        Store::Pkcs12 => {
            let store = pkcs12(&place, &bytes, password)?;
            let found: Vec<_> = store.entries().flat_map(|(_, entry)| certificates_of(entry)).collect();
            if found.is_empty() {
                return Err(Error::Config(format!("{place}: it holds no certificate")));
            }
            Ok(found)
        }
    }
}

/// The client's chain and key out of a key store.
pub(super) fn key_store(
    property: &str,
    path: &Path,
    store_password: Option<&Secret>,
    key_password: Option<&Secret>,
) -> Result<Identity> {
    let (bytes, place) = (read(property, path)?, format!("{property}: {}", path.display()));
    match kind_of(&bytes) {
        Store::Jks => Err(jks(&place, path)),
        Store::Pem => Ok(Identity {
            chain: from_pem(&place, &bytes)?,
            key: private_key(&place, &bytes, key_password.or(store_password))?,
        }),
        Store::Pkcs12 => {
            let store = pkcs12(&place, &bytes, store_password)?;
            let (_, chain) = store
                .private_key_chain()
                .ok_or_else(|| Error::Config(format!("{place}: it holds no private key")))?;
            let key = PrivatePkcs8KeyDer::from(chain.key().as_der().to_vec()).into();
            Ok(Identity { chain: chain.certs().iter().map(der).collect(), key })
        }
    }
}

fn certificates_of(entry: &KeyStoreEntry) -> Vec<CertificateDer<'static>> {
    match entry {
        KeyStoreEntry::Certificate(certificate) => vec![der(certificate)],
        KeyStoreEntry::PrivateKeyChain(chain) => chain.certs().iter().map(der).collect(),
        KeyStoreEntry::Secret(_) => Vec::new(),
    }
}

fn der(certificate: &p12_keystore::Certificate) -> CertificateDer<'static> {
    CertificateDer::from(certificate.as_der().to_vec())
}

fn pkcs12(place: &str, bytes: &[u8], password: Option<&Secret>) -> Result<KeyStore> {
    let given = password.map_or("", Secret::expose);
    KeyStore::from_pkcs12(bytes, given, Pkcs12ImportPolicy::Relaxed).map_err(|error| {
        let hint = if password.is_some() { "wrong password?" } else { "its password is not set" };
        Error::Config(format!("{place}: cannot open this PKCS#12 store ({hint}): {error}"))
    })
}

fn jks(place: &str, path: &Path) -> Error {
    let (from, to) = (path.display(), path.with_extension("p12"));
    Error::Config(format!(
        "{place}: this is a JKS store; convert it with: keytool -importkeystore -srckeystore {from} -srcstoretype JKS \
         -destkeystore {} -deststoretype PKCS12",
        to.display()
    ))
}

/// The private key of a PEM text, decrypted where it is encrypted (PKCS#8).
pub(super) fn private_key(
    place: &str,
    pem: &[u8],
    password: Option<&Secret>,
) -> Result<PrivateKeyDer<'static>> {
    if let Some(encrypted) = section(pem, "ENCRYPTED PRIVATE KEY") {
        return decrypted(place, &encrypted, password);
    }
    if String::from_utf8_lossy(pem).contains("Proc-Type: 4,ENCRYPTED") {
        return Err(Error::Config(format!(
            "{place}: the key is encrypted in OpenSSL's old form; convert it with: openssl pkcs8 -topk8 -v2 aes-256-cbc -in OLD -out NEW"
        )));
    }
    PrivateKeyDer::from_pem_slice(pem).map_err(|_| {
        Error::Config(format!(
            "{place}: it holds no private key that can be read (PKCS#8, PKCS#1 or SEC1, PEM)"
        ))
    })
}

fn decrypted(place: &str, der: &[u8], password: Option<&Secret>) -> Result<PrivateKeyDer<'static>> {
    let password = password.ok_or_else(|| {
        Error::Config(format!("{place}: the private key is encrypted and ssl.key.password is not set"))
    })?;
    let failed = |error: &dyn std::fmt::Display| {
        Error::Config(format!(
            "{place}: the private key cannot be decrypted (wrong ssl.key.password?): {error}"
        ))
    };
    let document = EncryptedPrivateKeyInfoRef::try_from(der)
        .map_err(|error| failed(&error))?
        .decrypt(password.expose())
        .map_err(|error| failed(&error))?;
    Ok(PrivatePkcs8KeyDer::from(document.as_bytes().to_vec()).into())
}

/// The bytes of the first section with this label. The PEM reader of rustls knows no encrypted keys.
fn section(pem: &[u8], label: &str) -> Option<Vec<u8>> {
    use base64::Engine;
    let text = std::str::from_utf8(pem).ok()?;
    let (_, rest) = text.split_once(&format!("-----BEGIN {label}-----"))?;
    let (body, _) = rest.split_once(&format!("-----END {label}-----"))?;
    let digits: String = body.split_whitespace().collect();
    base64::engine::general_purpose::STANDARD.decode(digits).ok()
}
