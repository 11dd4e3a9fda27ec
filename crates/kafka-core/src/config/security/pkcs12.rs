//! PKCS#12 stores (RFC 7292) as keytool and OpenSSL write them, read: the certificates and keys in their bags. What the
//! password opens is next door; what a certificate says, and whether to trust it, are for others.

mod password;

use der::asn1::{Any, OctetString};
use der::{Decode, Encode as _, Reader as _, Sequence, SliceReader};
use pkcs8::ObjectIdentifier;
use pkcs8::pkcs5;
use pkcs8::spki::AlgorithmIdentifierOwned;

use password::{MAX_ITERATIONS, Password};

const DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.1");
const ENCRYPTED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.6");
const KEY_BAG: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.10.1.1");
const ENCRYPTED_KEY_BAG: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.10.1.2");
const CERTIFICATE_BAG: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.10.1.3");
const X509_CERTIFICATE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.22.1");
const LOCAL_KEY_ID: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.21");
/// Java's mark on certificates that are to be trusted.
const TRUSTED_KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.113894.746875.1.1");

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("its checksum does not fit the password")]
    Checksum,
    #[error("it cannot be decrypted")]
    Cipher,
    #[error("it cannot be decrypted: {0}")]
    Pbes2(#[from] pkcs5::Error),
    #[error("it is damaged: {0}")]
    Damaged(#[from] der::Error),
    #[error("it uses {0}, which is not supported")]
    Unsupported(ObjectIdentifier),
    #[error("it asks for {0} rounds to make a key, more than {MAX_ITERATIONS}")]
    TooManyIterations(u32),
}

/// What a store holds, in its order. Secrets and lists of revoked certificates are passed over.
#[derive(Default)]
pub(super) struct Store {
    /// X.509 certificates.
    pub(super) certificates: Vec<Item>,
    /// Private keys in PKCS#8.
    pub(super) keys: Vec<Item>,
}

/// A certificate or a key.
pub(super) struct Item {
    pub(super) der: Vec<u8>,
    /// What a key and its own certificate have in common.
    pub(super) local_key_id: Option<Vec<u8>>,
    /// Java's mark is on it.
    pub(super) is_trusted: bool,
}

impl Store {
    pub(super) fn open(bytes: &[u8], password: &str) -> Result<Self, Failure> {
        let password = Password::new(password);
        let pfx = Pfx::from_der(bytes)?;
        let safe = pfx.auth_safe.data()?;
        // Without a password keytool writes no checksum, and encrypts nothing.
        if let Some(mac) = &pfx.mac_data {
            password.check(mac, safe.as_bytes())?;
        }
        let mut store = Self::default();
        for content in Vec::<ContentInfo>::from_der(safe.as_bytes())? {
            for bag in Vec::<SafeBag>::from_der(&content.opened(&password)?)? {
                store.add(&bag, &password)?;
            }
        }
        Ok(store)
    }

    fn add(&mut self, bag: &SafeBag, password: &Password<'_>) -> Result<(), Failure> {
        let value = &bag.bag_value;
        let (items, der) = match bag.bag_id {
            KEY_BAG => (&mut self.keys, value.to_der()?),
            ENCRYPTED_KEY_BAG => {
                let key: EncryptedKey = value.decode_as()?;
                (&mut self.keys, password.decrypt(&key.algorithm, key.encrypted.as_bytes())?)
            }
            CERTIFICATE_BAG => {
                let certificate: CertificateBag = value.decode_as()?;
                if certificate.id != X509_CERTIFICATE {
                    return Err(Failure::Unsupported(certificate.id));
                }
                (&mut self.certificates, certificate.value.into_bytes().into())
            }
            _ => return Ok(()),
        };
        let local_key_id = bag.attribute(LOCAL_KEY_ID)?.map(|id| OctetString::from_der(&id)).transpose()?;
        let is_trusted = bag.attribute(TRUSTED_KEY_USAGE)?.is_some();
        items.push(Item { der, local_key_id: local_key_id.map(|id| id.into_bytes().into()), is_trusted });
        Ok(())
    }
}

#[derive(Sequence)]
struct Pfx {
    version: u8,
    auth_safe: ContentInfo,
    mac_data: Option<MacData>,
}

#[derive(Sequence)]
struct ContentInfo {
    content_type: ObjectIdentifier,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    content: Any,
}

impl ContentInfo {
    fn data(&self) -> Result<OctetString, Failure> {
        match self.content_type {
            DATA => Ok(self.content.decode_as()?),
            other => Err(Failure::Unsupported(other)),
        }
    }

    fn opened(&self, password: &Password<'_>) -> Result<Vec<u8>, Failure> {
        if self.content_type != ENCRYPTED_DATA {
            return Ok(self.data()?.into_bytes().into());
        }
        let EncryptedContent { algorithm, encrypted, .. } =
            self.content.decode_as::<EncryptedData>()?.content;
        password.decrypt(&algorithm, encrypted.as_ref().map_or(&[], OctetString::as_bytes))
    }
}

#[derive(Sequence)]
struct EncryptedData {
    version: u8,
    content: EncryptedContent,
}

#[derive(Sequence)]
struct EncryptedContent {
    content_type: ObjectIdentifier,
    algorithm: AlgorithmIdentifierOwned,
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT", optional = "true")]
    encrypted: Option<OctetString>,
}

#[derive(Sequence)]
struct SafeBag {
    bag_id: ObjectIdentifier,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    bag_value: Any,
    /// A SET OF Attribute, in an order that not every writer sorts as DER demands.
    bag_attributes: Option<Any>,
}

#[derive(Sequence)]
struct Attribute {
    id: ObjectIdentifier,
    values: Any,
}

impl SafeBag {
    /// The values of an attribute, where the bag has it.
    fn attribute(&self, wanted: ObjectIdentifier) -> Result<Option<Vec<u8>>, Failure> {
        let mut attributes = SliceReader::new(self.bag_attributes.as_ref().map_or(&[], Any::value))?;
        while !attributes.is_finished() {
            let attribute: Attribute = attributes.decode()?;
            if attribute.id == wanted {
                return Ok(Some(attribute.values.value().to_vec()));
            }
        }
        Ok(None)
    }
}

#[derive(Sequence)]
struct CertificateBag {
    id: ObjectIdentifier,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    value: OctetString,
}

#[derive(Sequence)]
struct EncryptedKey {
    algorithm: AlgorithmIdentifierOwned,
    encrypted: OctetString,
}

#[derive(Sequence)]
struct MacData {
    mac: DigestInfo,
    salt: OctetString,
    #[asn1(default = "once")]
    iterations: u32,
}

fn once() -> u32 {
    1
}

#[derive(Sequence)]
struct DigestInfo {
    algorithm: AlgorithmIdentifierOwned,
    digest: OctetString,
}
