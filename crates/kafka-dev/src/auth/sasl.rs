//! One SASL exchange on a connection: PLAIN (RFC 4616) and SCRAM.

use uuid::Uuid;

use super::Users;
use super::credentials::Credential;
use super::scram::{Exchange, Hash};

/// What clients may choose from.
pub(crate) const MECHANISMS: [&str; 3] = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"];

/// Where the exchange stands.
#[derive(Debug, Default)]
pub(crate) enum Sasl {
    /// No mechanism was chosen yet.
    #[default]
    Start,
    Plain,
    Scram(Hash),
    Proof(Exchange),
}

/// What comes of a client's message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Send this and wait for more.
    Challenge(Vec<u8>),
    /// The client is this user; send this along.
    Success(String, Vec<u8>),
    Failure,
}

impl Sasl {
    /// Chooses a mechanism; false if it is none of ours.
    pub(crate) fn choose(&mut self, mechanism: &str) -> bool {
        *self = match mechanism {
            "PLAIN" => Self::Plain,
            "SCRAM-SHA-256" => Self::Scram(Hash::Sha256),
            "SCRAM-SHA-512" => Self::Scram(Hash::Sha512),
            _ => return false,
        };
        true
    }

    /// Takes the client's next message. Users come from the configuration, or have `stored` a credential for SCRAM.
    pub(crate) fn step(
        &mut self,
        message: &[u8],
        users: &Users,
        stored: impl FnOnce(&str, Hash) -> Option<Credential>,
    ) -> Step {
        match std::mem::take(self) {
            Self::Start => Step::Failure,
            Self::Plain => plain(message, users),
            Self::Scram(hash) => {
                let (nonce, salt) = (Uuid::new_v4().simple().to_string(), Uuid::new_v4());
                let configured = |user: &str| Some(hash.salt(users.password(user)?, salt.as_bytes()));
                let credential = |user: &str| stored(user, hash).or_else(|| configured(user));
                match Exchange::begin(hash, message, &nonce, credential) {
                    Some((exchange, challenge)) => {
                        *self = Self::Proof(exchange);
                        Step::Challenge(challenge.into_bytes())
                    }
                    None => Step::Failure,
                }
            }
            Self::Proof(exchange) => match exchange.finish(message) {
                Some(verifier) => Step::Success(exchange.user, verifier.into_bytes()),
                None => Step::Failure,
            },
        }
    }
}

/// `authzid NUL name NUL password`; acting as somebody else is not supported.
fn plain(message: &[u8], users: &Users) -> Step {
    let parts: Option<Vec<&str>> =
        message.split(|byte| *byte == 0).map(|part| std::str::from_utf8(part).ok()).collect();
    match parts.as_deref() {
        Some([authzid, name, password])
            if (authzid.is_empty() || authzid == name) && users.password(name) == Some(password) =>
        {
            Step::Success((*name).to_owned(), Vec::new())
        }
        _ => Step::Failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::User;

    fn users() -> Users {
        let user = User { password: "secret".to_owned(), is_super: false };
        Users { by_name: [("ann".to_owned(), user)].into(), session_lifetime: None }
    }

    fn plain_step(message: &[u8]) -> Step {
        let mut sasl = Sasl::default();
        assert!(sasl.choose("PLAIN"));
        sasl.step(message, &users(), |_, _| None)
    }

    #[test]
    fn plain_wants_the_right_password() {
        assert_eq!(plain_step(b"\0ann\0secret"), Step::Success("ann".to_owned(), Vec::new()));
        assert_eq!(plain_step(b"\0ann\0wrong"), Step::Failure);
        assert_eq!(plain_step(b"\0bob\0secret"), Step::Failure);
        assert_eq!(plain_step(b"bob\0ann\0secret"), Step::Failure);
    }

    #[test]
    fn a_message_before_the_choice_of_a_mechanism_fails() {
        assert_eq!(Sasl::default().step(b"\0ann\0secret", &users(), |_, _| None), Step::Failure);
        assert!(!Sasl::default().choose("GSSAPI"));
    }
}
