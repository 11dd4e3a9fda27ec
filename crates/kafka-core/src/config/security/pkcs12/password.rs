//! What the password of a PKCS#12 store does: it proves that the store is whole, and opens what is encrypted in it.

use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockCipherDecrypt, BlockModeDecrypt, KeyInit, KeyIvInit};
use der::Sequence;
use der::asn1::{Any, OctetString};
use pkcs8::ObjectIdentifier;
use pkcs8::pkcs5::pbes2;
use pkcs8::spki::AlgorithmIdentifierOwned;
use ring::{digest, hmac};

use super::{Failure, MacData};

const SHA1_3DES: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.1.3");
const SHA1_RC2_128: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.1.5");
const SHA1_RC2_40: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.1.6");
const SHA1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.14.3.2.26");
const SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
const SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2");
const SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.3");

/// The most rounds that a store may ask for: about a second.
pub(super) const MAX_ITERATIONS: u32 = 1_000_000;

/// A password, in the two forms in which it goes into keys.
pub(super) struct Password<'a> {
    utf8: &'a str,
    /// UTF-16, the higher byte first, with a zero at its end.
    utf16: Vec<u8>,
}

impl<'a> Password<'a> {
    pub(super) fn new(utf8: &'a str) -> Self {
        Self { utf8, utf16: utf8.encode_utf16().chain([0]).flat_map(u16::to_be_bytes).collect() }
    }

    /// Whether this password made the checksum of `data`.
    pub(super) fn check(&self, mac: &MacData, data: &[u8]) -> Result<(), Failure> {
        let algorithm = match mac.mac.algorithm.oid {
            SHA1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            SHA256 => hmac::HMAC_SHA256,
            SHA384 => hmac::HMAC_SHA384,
            SHA512 => hmac::HMAC_SHA512,
            other => return Err(Failure::Unsupported(other)),
        };
        let hash = algorithm.digest_algorithm();
        bounded(mac.iterations)?;
        let derivation = Derivation { hash, salt: mac.salt.as_bytes(), iterations: mac.iterations };
        let key = derivation.bytes(self, Purpose::Checksum, hash.output_len());
        let key = hmac::Key::new(algorithm, &key);
        hmac::verify(&key, data, mac.mac.digest.as_bytes()).map_err(|_| Failure::Checksum)
    }

    /// What `data` was before it was encrypted.
    pub(super) fn decrypt(
        &self,
        algorithm: &AlgorithmIdentifierOwned,
        data: &[u8],
    ) -> Result<Vec<u8>, Failure> {
        let parameters = algorithm.parameters.as_ref().map_or(Any::null(), Any::clone);
        match algorithm.oid {
            pbes2::PBES2_OID => {
                let parameters = pbes2::Parameters::try_from(parameters.to_ref())?;
                bounded(parameters.kdf.pbkdf2().map_or(0, |kdf| kdf.iteration_count))?;
                Ok(parameters.decrypt(self.utf8, data)?)
            }
            SHA1_3DES => parameters.decode_as::<OldCipher>()?.decrypt::<des::TdesEde3>(24, self, data),
            SHA1_RC2_128 => parameters.decode_as::<OldCipher>()?.decrypt::<rc2::Rc2>(16, self, data),
            SHA1_RC2_40 => parameters.decode_as::<OldCipher>()?.decrypt::<rc2::Rc2>(5, self, data),
            other => Err(Failure::Unsupported(other)),
        }
    }
}

fn bounded(iterations: u32) -> Result<(), Failure> {
    if iterations > MAX_ITERATIONS { Err(Failure::TooManyIterations(iterations)) } else { Ok(()) }
}

/// The ciphers of RFC 7292, appendix C, which keytool wrote until Java 15 and OpenSSL until 3.0.
#[derive(Sequence)]
struct OldCipher {
    salt: OctetString,
    iterations: u32,
}

impl OldCipher {
    fn decrypt<C>(&self, key_length: usize, password: &Password<'_>, data: &[u8]) -> Result<Vec<u8>, Failure>
    where
        C: KeyInit + BlockCipherDecrypt,
    {
        bounded(self.iterations)?;
        let hash = &digest::SHA1_FOR_LEGACY_USE_ONLY;
        let derivation = Derivation { hash, salt: self.salt.as_bytes(), iterations: self.iterations };
        let key = derivation.bytes(password, Purpose::Key, key_length);
        let iv = derivation.bytes(password, Purpose::InitialVector, 8);
        let cipher = cbc::Decryptor::<C>::new_from_slices(&key, &iv).map_err(|_| Failure::Cipher)?;
        cipher.decrypt_padded_vec::<Pkcs7>(data).map_err(|_| Failure::Cipher)
    }
}

#[derive(Clone, Copy)]
enum Purpose {
    Key = 1,
    InitialVector = 2,
    Checksum = 3,
}

/// How a password becomes a key: RFC 7292, appendix B.2.
struct Derivation<'a> {
    hash: &'static digest::Algorithm,
    salt: &'a [u8],
    iterations: u32,
}

impl Derivation<'_> {
    fn bytes(&self, password: &Password<'_>, purpose: Purpose, length: usize) -> Vec<u8> {
        let block = self.hash.block_len();
        let whole_blocks = |bytes: &[u8]| -> Vec<u8> {
            bytes.iter().copied().cycle().take(bytes.len().next_multiple_of(block)).collect()
        };
        let mut input = [whole_blocks(self.salt), whole_blocks(&password.utf16)].concat();
        let mut derived = Vec::new();
        while derived.len() < length {
            let first = digest::digest(self.hash, &[vec![purpose as u8; block], input.clone()].concat());
            let hashed = (1..self.iterations).fold(first, |hash, _| digest::digest(self.hash, hash.as_ref()));
            let addend: Vec<u8> = hashed.as_ref().iter().copied().cycle().take(block).collect();
            input.chunks_exact_mut(block).for_each(|number| add_and_one(number, &addend));
            derived.extend_from_slice(hashed.as_ref());
        }
        derived.truncate(length);
        derived
    }
}

/// Adds `addend` and one to `number`; both are big-endian and of one length, and what does not fit is dropped.
fn add_and_one(number: &mut [u8], addend: &[u8]) {
    let mut carry = 1;
    for (digit, other) in number.iter_mut().zip(addend).rev() {
        let [high, low] = (u16::from(*digit) + u16::from(*other) + carry).to_be_bytes();
        (*digit, carry) = (low, u16::from(high));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_asks_for_too_many_rounds_is_refused_before_the_first() {
        let salt = OctetString::new([0; 8]).unwrap();
        let greedy = OldCipher { salt, iterations: u32::MAX };
        let refused = greedy.decrypt::<des::TdesEde3>(24, &Password::new("x"), &[0; 8]);
        assert!(matches!(refused, Err(Failure::TooManyIterations(u32::MAX))));
    }
}
