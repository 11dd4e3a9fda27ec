//! SCRAM (RFC 5802) for the client, as Kafka uses it: no channel binding, names and passwords as they are (no SASLprep).
//! Pure: the nonce comes in as an argument.

use std::num::NonZeroU32;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::{digest, hmac, pbkdf2};

use crate::config::Secret;

/// What a broker may demand: fewer rounds protect too little (Kafka's own minimum), more would keep this client busy
/// for seconds.
const ROUNDS: std::ops::RangeInclusive<u32> = 4096..=1_000_000;

/// The hash of the mechanism.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScramHash {
    /// SCRAM-SHA-256.
    Sha256,
    /// SCRAM-SHA-512.
    Sha512,
}

impl ScramHash {
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
}

/// The client after its first message.
#[derive(Debug)]
pub(super) struct Scram {
    hash: ScramHash,
    password: Secret,
    nonce: String,
    first_bare: String,
}

/// The client after its proof: what the server must still show.
pub(super) struct AwaitingServer {
    key: hmac::Key,
    auth_message: String,
}

impl Scram {
    /// The exchange of one authentication. `nonce` is random, printable and has no comma.
    pub(super) fn new(hash: ScramHash, user: &str, password: Secret, nonce: String) -> Self {
        let user = user.replace('=', "=3D").replace(',', "=2C");
        let first_bare = format!("n={user},r={nonce}");
        Self { hash, password, nonce, first_bare }
    }

    /// The first message to the server.
    pub(super) fn first_message(&self) -> String {
        format!("n,,{}", self.first_bare)
    }

    /// Answers the server's challenge with the proof. Takes as long as the server demands rounds.
    pub(super) fn respond(self, server_first: &str) -> Result<(String, AwaitingServer), String> {
        let challenge = Challenge::parse(server_first, &self.nonce)?;
        let mut salted = vec![0; self.hash.digest().output_len()];
        pbkdf2::derive(
            self.hash.pbkdf2(),
            challenge.rounds,
            &challenge.salt,
            self.password.expose().as_bytes(),
            &mut salted,
        );
        let salted = hmac::Key::new(self.hash.hmac(), &salted);
        let client_key = hmac::sign(&salted, b"Client Key");
        let stored_key = hmac::Key::new(
            self.hash.hmac(),
            digest::digest(self.hash.digest(), client_key.as_ref()).as_ref(),
        );
        // "biws" is base64 of "n,,": no channel binding.
        let without_proof = format!("c=biws,r={}", challenge.nonce);
        let auth_message = format!("{},{server_first},{without_proof}", self.first_bare);
        let signature = hmac::sign(&stored_key, auth_message.as_bytes());
        let proof: Vec<u8> =
            client_key.as_ref().iter().zip(signature.as_ref()).map(|(key, mask)| key ^ mask).collect();
        let server_key = hmac::sign(&salted, b"Server Key");
        let key = hmac::Key::new(self.hash.hmac(), server_key.as_ref());
        Ok((format!("{without_proof},p={}", BASE64.encode(proof)), AwaitingServer { key, auth_message }))
    }
}

impl AwaitingServer {
    /// Checks that the server knows the password too: it shows a signature that nobody else can make.
    pub(super) fn verify(&self, server_final: &str) -> Result<(), String> {
        if let Some(error) = server_final.strip_prefix("e=") {
            return Err(format!("the broker refuses: {error}"));
        }
        let signature =
            server_final.strip_prefix("v=").and_then(|text| BASE64.decode(text.split(',').next()?).ok());
        let signature = signature.ok_or("the broker's last SCRAM message is malformed")?;
        hmac::verify(&self.key, self.auth_message.as_bytes(), &signature).map_err(|_| {
            "the broker's SCRAM signature is wrong: it does not know the password, so it is not the broker it claims to be".to_owned()
        })
    }
}

/// `r=NONCE,s=SALT,i=ROUNDS`
struct Challenge {
    nonce: String,
    salt: Vec<u8>,
    rounds: NonZeroU32,
}

impl Challenge {
    fn parse(text: &str, our_nonce: &str) -> Result<Self, String> {
        if let Some(error) = text.strip_prefix("e=") {
            return Err(format!("the broker refuses: {error}"));
        }
        let field = |name: &str| text.split(',').find_map(|part| part.strip_prefix(name));
        let malformed = || "the broker's SCRAM challenge is malformed".to_owned();
        let nonce = field("r=").ok_or_else(malformed)?;
        if nonce.len() <= our_nonce.len() || !nonce.starts_with(our_nonce) {
            return Err("the broker's SCRAM nonce does not continue ours".to_owned());
        }
        let salt = field("s=").and_then(|text| BASE64.decode(text).ok()).ok_or_else(malformed)?;
        let rounds: u32 = field("i=").and_then(|text| text.parse().ok()).ok_or_else(malformed)?;
        if !ROUNDS.contains(&rounds) {
            return Err(format!(
                "the broker demands {rounds} SCRAM rounds; {} to {} are accepted",
                ROUNDS.start(),
                ROUNDS.end()
            ));
        }
        let rounds = NonZeroU32::new(rounds).ok_or_else(malformed)?;
        Ok(Self { nonce: nonce.to_owned(), salt, rounds })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7677, section 3.
    const SERVER_FIRST: &str =
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";

    fn client() -> Scram {
        Scram::new(ScramHash::Sha256, "user", "pencil".into(), "rOprNGfwEbeRWgbNEkqO".into())
    }

    #[test]
    fn the_example_of_rfc_7677_comes_out_letter_by_letter() {
        assert_eq!(client().first_message(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let (proof, server) = client().respond(SERVER_FIRST).unwrap();
        assert_eq!(
            proof,
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        server.verify("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=").unwrap();
    }

    #[test]
    fn a_server_that_does_not_know_the_password_is_found_out() {
        let (_, server) = client().respond(SERVER_FIRST).unwrap();
        assert!(server.verify("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5=").is_err());
        assert!(server.verify("e=invalid-proof").unwrap_err().contains("invalid-proof"));
        assert!(server.verify("").is_err());
    }

    #[test]
    fn a_challenge_that_is_not_one_is_refused() {
        for (challenge, expected) in [
            ("", "malformed"),
            ("r=other,s=AA==,i=4096", "nonce"),
            ("r=rOprNGfwEbeRWgbNEkqO,s=AA==,i=4096", "nonce"),
            ("r=rOprNGfwEbeRWgbNEkqOx,s=?,i=4096", "malformed"),
            ("r=rOprNGfwEbeRWgbNEkqOx,s=AA==,i=1", "1 SCRAM rounds"),
            ("r=rOprNGfwEbeRWgbNEkqOx,s=AA==,i=4000000000", "4000000000 SCRAM rounds"),
        ] {
            let error = client().respond(challenge).err().unwrap();
            assert!(error.contains(expected), "{challenge}: {error}");
        }
    }

    #[test]
    fn commas_and_equal_signs_in_a_name_are_spelled_out() {
        let scram = Scram::new(ScramHash::Sha512, "a=b,c", "p".into(), "x".into());
        assert_eq!(scram.first_message(), "n,,n=a=3Db=2Cc,r=x");
    }
}
