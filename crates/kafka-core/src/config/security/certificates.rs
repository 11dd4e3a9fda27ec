//! Certificates and private keys out of PEM and PKCS#12; a JKS store gets the command that converts it.

use std::path::Path;

use pkcs8::EncryptedPrivateKeyInfoRef;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use super::pkcs12;
use crate::config::Secret;
use crate::error::{Error, Result};
use crate::wire::is_issued_by;

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
            let store = opened(&place, &bytes, password)?;
            let found = trusted(&store);
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
            let store = opened(&place, &bytes, store_password)?;
            let key = store
                .keys
                .first()
                .ok_or_else(|| Error::Config(format!("{place}: it holds no private key")))?;
            let chain = chain_of(key, &store.certificates);
            let chain = chain.into_iter().map(|certificate| certificate.der.clone().into()).collect();
            Ok(Identity { chain, key: PrivatePkcs8KeyDer::from(key.der.clone()).into() })
        }
    }
}

/// As Java sees it: certificates with its mark, and the chains of keys.
fn trusted(store: &pkcs12::Store) -> Vec<CertificateDer<'static>> {
    let chains: Vec<_> = store.keys.iter().flat_map(|key| chain_of(key, &store.certificates)).collect();
    let is_trusted = |certificate: &&pkcs12::Item| {
        let is_marked = certificate.is_trusted && certificate.local_key_id.is_none();
        is_marked || chains.iter().any(|linked| linked.der == certificate.der)
    };
    store.certificates.iter().filter(is_trusted).map(|certificate| certificate.der.clone().into()).collect()
}

/// The key's own certificate, then who issued that, and so on as far as the store goes.
fn chain_of<'a>(key: &pkcs12::Item, certificates: &'a [pkcs12::Item]) -> Vec<&'a pkcs12::Item> {
    let own = certificates.iter().find(|certificate| certificate.local_key_id == key.local_key_id);
    let mut chain: Vec<_> = own.into_iter().collect();
    while let Some(last) = chain.last()
        && let Some(issuer) = certificates.iter().find(|issuer| is_issued_by(&last.der, &issuer.der))
        && chain.iter().all(|known| known.der != issuer.der)
    {
        chain.push(issuer);
    }
    chain
}

fn opened(place: &str, bytes: &[u8], password: Option<&Secret>) -> Result<pkcs12::Store> {
    pkcs12::Store::open(bytes, password.map_or("", Secret::expose)).map_err(|error| {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What `tests/stores/make.sh` made.
    fn stored(name: &str) -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stores").join(name)
    }

    fn certificate_of_the_client() -> CertificateDer<'static> {
        CertificateDer::from_pem_file(stored("client.pem")).unwrap()
    }

    fn identity(name: &str, password: Option<&str>) -> Result<Identity> {
        key_store("ssl.keystore.location", &stored(name), password.map(Secret::from).as_ref(), None)
    }

    #[test]
    fn the_stores_of_openssl_and_keytool_old_and_new_give_the_key_and_its_chain_in_order() {
        let password = Some("changeit");
        for (name, password) in [
            ("openssl.p12", password),
            ("openssl-legacy.p12", password),
            ("keytool.p12", password),
            ("keytool-legacy.p12", password),
            ("open.p12", None),
        ] {
            let Identity { chain, key } = identity(name, password).unwrap();
            let [client, between, root] =
                chain.try_into().unwrap_or_else(|_| panic!("{name}: three certificates"));
            assert_eq!(client, certificate_of_the_client(), "{name}");
            assert!(is_issued_by(&client, &between) && is_issued_by(&between, &root), "{name}");
            let key = rustls::crypto::ring::sign::any_supported_type(&key).unwrap();
            let public = key.public_key().unwrap();
            assert!(client.windows(public.len()).any(|bytes| bytes == &*public), "{name}");
        }
    }

    #[test]
    fn a_trust_store_gives_its_authorities() {
        for (name, count) in [("trust.p12", 1), ("trust-legacy.p12", 1), ("openssl.p12", 3)] {
            let password = Secret::from("changeit");
            let found = authorities("ssl.truststore.location", &stored(name), Some(&password)).unwrap();
            assert_eq!(found.len(), count, "{name}");
        }
    }

    #[test]
    fn a_certificate_is_no_authority_without_javas_mark_or_a_key_that_it_belongs_to() {
        let item = |der: &[u8], key_id: Option<&[u8]>, is_trusted| pkcs12::Item {
            der: der.to_vec(),
            local_key_id: key_id.map(<[u8]>::to_vec),
            is_trusted,
        };
        let certificates =
            vec![item(b"marked", None, true), item(b"not", None, false), item(b"own", Some(b"1"), false)];
        let store = pkcs12::Store { certificates, keys: vec![item(b"key", Some(b"1"), false)] };
        assert_eq!(
            trusted(&store),
            [CertificateDer::from(&b"marked"[..]), CertificateDer::from(&b"own"[..])]
        );
    }

    #[test]
    fn a_store_with_another_password_or_none_or_no_key_says_so() {
        for (name, password, words) in [
            ("keytool.p12", Some("wrong"), "(wrong password?): its checksum does not fit the password"),
            ("keytool.p12", None, "(its password is not set)"),
            ("openssl-legacy.p12", Some(""), "(wrong password?)"),
            ("trust.p12", Some("changeit"), "it holds no private key"),
        ] {
            let error = identity(name, password).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(error.contains(words) && error.contains(name), "{name}: {error}");
        }
    }

    #[test]
    fn a_store_that_is_cut_short_or_changed_is_an_error() {
        let whole = std::fs::read(stored("open.p12")).unwrap();
        for length in 0..whole.len() {
            assert!(pkcs12::Store::open(&whole[..length], "").is_err(), "{length} bytes");
        }
        let mut rng = fastrand::Rng::with_seed(12);
        for _ in 0..2_000 {
            let mut changed = whole.clone();
            changed[rng.usize(..whole.len())] = rng.u8(..);
            // It has no checksum, so some changes are not seen; none may be a panic.
            let _ = pkcs12::Store::open(&changed, "");
        }
    }
}
