//! The server's side of SCRAM-SHA-256 and SCRAM-SHA-512 (RFC 5802, 7677). Pure: nonce and salt come in.

use std::num::NonZeroU32;

use ring::{digest, hmac, pbkdf2};

use super::base64;
use super::credentials::Credential;

/// Kafka's least number of iterations.
const ITERATIONS: u32 = 4096;
/// The GS2 header of a client without channel binding, in base64: `n,,`.
const NO_BINDING: &str = "biws";

/// Which hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Hash {
    Sha256,
    Sha512,
}

impl Hash {
    /// Its number in the protocol.
    pub(crate) fn code(self) -> i8 {
        match self {
            Self::Sha256 => 1,
            Self::Sha512 => 2,
        }
    }

    pub(crate) fn from_code(code: i8) -> Option<Self> {
        [Self::Sha256, Self::Sha512].into_iter().find(|hash| hash.code() == code)
    }

    /// What a plain password is stored as.
    pub(crate) fn salt(self, password: &str, salt: &[u8]) -> Credential {
        let mut salted_password = vec![0; self.digest().output_len()];
        let iterations = NonZeroU32::new(ITERATIONS).unwrap_or(NonZeroU32::MIN);
        pbkdf2::derive(self.pbkdf2(), iterations, salt, password.as_bytes(), &mut salted_password);
        Credential { salt: salt.to_vec(), salted_password, iterations: ITERATIONS }
    }

    fn hmac(self) -> hmac::Algorithm {
        match self {
            Self::Sha256 => hmac::HMAC_SHA256,
            Self::Sha512 => hmac::HMAC_SHA512,
        }
    }

    fn digest(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha512 => &digest::SHA512,
        }
    }

    fn pbkdf2(self) -> pbkdf2::Algorithm {
        match self {
            Self::Sha256 => pbkdf2::PBKDF2_HMAC_SHA256,
            Self::Sha512 => pbkdf2::PBKDF2_HMAC_SHA512,
        }
    }

    fn sign(self, key: &[u8], message: &[u8]) -> Vec<u8> {
        hmac::sign(&hmac::Key::new(self.hmac(), key), message).as_ref().to_vec()
    }
}

/// After the client's first message, waiting for its proof.
#[derive(Debug)]
pub(crate) struct Exchange {
    hash: Hash,
    pub(crate) user: String,
    server_nonce: String,
    client_first: String,
    server_first: String,
    salted_password: Vec<u8>,
}

impl Exchange {
    /// Takes the client's first message; with it, what to answer. `credential` tells what is known of a user.
    pub(crate) fn begin(
        hash: Hash,
        message: &[u8],
        nonce: &str,
        credential: impl FnOnce(&str) -> Option<Credential>,
    ) -> Option<(Self, String)> {
        let message = std::str::from_utf8(message).ok()?;
        let client_first =
            message.strip_prefix("n,").and_then(|rest| rest.split_once(',')).map(|(_, bare)| bare)?;
        let user = attribute(client_first, "n=")?.replace("=2C", ",").replace("=3D", "=");
        let client_nonce = attribute(client_first, "r=")?;
        let Credential { salt, salted_password, iterations } = credential(&user)?;
        let server_first = format!("r={client_nonce}{nonce},s={},i={iterations}", base64::encode(&salt));
        let exchange = Self {
            hash,
            user,
            server_nonce: nonce.to_owned(),
            client_first: client_first.to_owned(),
            server_first: server_first.clone(),
            salted_password,
        };
        Some((exchange, server_first))
    }

    /// Takes the client's proof; the server's own signature if it holds.
    pub(crate) fn finish(&self, message: &[u8]) -> Option<String> {
        let message = std::str::from_utf8(message).ok()?;
        let (without_proof, proof) = message.rsplit_once(",p=")?;
        // As Kafka, only the end is compared: librdkafka puts its own nonce in front once more.
        let is_ours = attribute(without_proof, "r=")?.ends_with(&self.server_nonce);
        if !is_ours || attribute(without_proof, "c=")? != NO_BINDING {
            return None;
        }
        let auth_message = format!("{},{},{without_proof}", self.client_first, self.server_first);
        let client_key = self.hash.sign(&self.salted_password, b"Client Key");
        let stored_key = digest::digest(self.hash.digest(), &client_key);
        let signature = self.hash.sign(stored_key.as_ref(), auth_message.as_bytes());
        let expected: Vec<u8> = client_key.iter().zip(&signature).map(|(key, sign)| key ^ sign).collect();
        if base64::decode(proof)? != expected {
            return None;
        }
        let server_key = self.hash.sign(&self.salted_password, b"Server Key");
        let verifier = self.hash.sign(&server_key, auth_message.as_bytes());
        Some(format!("v={}", base64::encode(&verifier)))
    }
}

fn attribute<'a>(message: &'a str, name: &str) -> Option<&'a str> {
    message.split(',').find_map(|part| part.strip_prefix(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The exchange of RFC 7677, section 3.
    #[test]
    fn the_example_of_the_rfc_holds() {
        let salt = base64::decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let nonce = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let first = b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
        let begin = |password: &str| {
            Exchange::begin(Hash::Sha256, first, nonce, |_| Some(Hash::Sha256.salt(password, &salt))).unwrap()
        };
        let (exchange, answer) = begin("pencil");
        assert_eq!(
            answer,
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
        );
        let proof = b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
            p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
        let verifier = exchange.finish(proof).unwrap();
        assert_eq!(verifier, "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
        assert_eq!(begin("pencils").0.finish(proof), None);
    }
}
