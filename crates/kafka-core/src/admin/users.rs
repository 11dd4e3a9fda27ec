//! SCRAM users (KIP-554): list, create or change, delete. The password never leaves this process: the broker gets what
//! is derived from it.

use std::num::NonZeroU32;

use bytes::Bytes;
use kafka_protocol::messages::alter_user_scram_credentials_request::{
    ScramCredentialDeletion, ScramCredentialUpsertion,
};
use kafka_protocol::messages::alter_user_scram_credentials_response::AlterUserScramCredentialsResult;
use kafka_protocol::messages::{AlterUserScramCredentialsRequest, DescribeUserScramCredentialsRequest};
use ring::pbkdf2;
use ring::rand::{SecureRandom, SystemRandom};

use super::Admin;
use super::names::{check, text};
use super::security_names::ScramMechanism;
use super::stage::{Lookup, Stage};
use crate::error::{Error, Result};
use crate::wire::Api;

/// A user's credential, without anything secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScramUser {
    /// User name.
    pub name: String,
    /// Mechanism and iterations of each credential.
    pub credentials: Vec<(ScramMechanism, i32)>,
}

/// A change of a user's credential for one mechanism.
#[derive(Clone, PartialEq, Eq)]
pub enum ScramChange {
    /// Create it or replace it. Iterations are 4096 to 16384.
    Set {
        /// The mechanism.
        mechanism: ScramMechanism,
        /// How often the hash is applied.
        iterations: NonZeroU32,
        /// The password in the clear.
        password: String,
    },
    /// Delete it.
    Delete(ScramMechanism),
}

impl std::fmt::Debug for ScramChange {
    /// Without the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Set { mechanism, .. } => write!(f, "Set({mechanism})"),
            Self::Delete(mechanism) => write!(f, "Delete({mechanism})"),
        }
    }
}

fn subject(user: &str) -> String {
    format!("user {user}")
}

impl Admin {
    /// All users with SCRAM credentials, sorted by name.
    ///
    /// # Errors
    /// No permission, or no answer in time.
    pub async fn list_scram_users(&self) -> Result<Vec<ScramUser>> {
        // Null asks for all as well, but without the permission for it a broker never answers that.
        let build = |_: i16| Ok(DescribeUserScramCredentialsRequest::default().with_users(Some(Vec::new())));
        let read = |answer: <DescribeUserScramCredentialsRequest as Api>::Response| {
            let (code, message) = (answer.error_code, answer.error_message.as_ref());
            check::<DescribeUserScramCredentialsRequest>("users", code, message)?;
            let mut users = Vec::new();
            for user in answer.results {
                let infos = user.credential_infos.iter();
                let known = infos
                    .filter_map(|info| Some((ScramMechanism::from_code(info.mechanism)?, info.iterations)));
                users.push(ScramUser { name: user.user.to_string(), credentials: known.collect() });
            }
            users.sort_by(|a, b| a.name.cmp(&b.name));
            Ok(users)
        };
        self.ask("listing users", build, read).await
    }

    /// Changes one user's credentials, one after the other: a controller takes one change of a user per request.
    ///
    /// # Errors
    /// The first change that the broker refuses (no permission, iterations out of range, nothing to delete), or no answer
    /// in time; the changes before it are made then.
    pub async fn alter_scram_user(&self, user: &str, changes: Vec<ScramChange>) -> Result<()> {
        let call = self.call("changing users");
        for change in changes {
            let request = alteration(user, change)?;
            let build = move |_: &[String], _| Ok(request.clone());
            let stage = Stage::new(Lookup::Controller, build, |_, answer| read_altered(answer)).changing();
            super::single(call.run(stage, [user.to_owned()]).await)?;
        }
        Ok(())
    }
}

fn alteration(user: &str, change: ScramChange) -> Result<AlterUserScramCredentialsRequest> {
    let request = AlterUserScramCredentialsRequest::default();
    Ok(match change {
        ScramChange::Set { mechanism, iterations, password } => {
            request.with_upsertions(vec![upsertion(user, mechanism, iterations, &password)?])
        }
        ScramChange::Delete(mechanism) => {
            let deletion = ScramCredentialDeletion::default().with_name(text(user));
            request.with_deletions(vec![deletion.with_mechanism(mechanism.code())])
        }
    })
}

fn read_altered(answer: <AlterUserScramCredentialsRequest as Api>::Response) -> Vec<(String, Result<()>)> {
    let read = |result: AlterUserScramCredentialsResult| {
        let name = result.user.to_string();
        let (code, message) = (result.error_code, result.error_message.as_ref());
        let checked = check::<AlterUserScramCredentialsRequest>(subject(&name), code, message);
        (name, checked)
    };
    answer.results.into_iter().map(read).collect()
}

fn upsertion(
    user: &str,
    mechanism: ScramMechanism,
    iterations: NonZeroU32,
    password: &str,
) -> Result<ScramCredentialUpsertion> {
    let mut salt = [0; 24];
    SystemRandom::new()
        .fill(&mut salt)
        .map_err(|_| Error::Config("the system gives no random bytes".into()))?;
    let salted = salted_password(mechanism, iterations, &salt, password);
    Ok(ScramCredentialUpsertion::default()
        .with_name(text(user))
        .with_mechanism(mechanism.code())
        .with_iterations(i32::try_from(iterations.get()).unwrap_or(i32::MAX))
        .with_salt(Bytes::copy_from_slice(&salt))
        .with_salted_password(Bytes::from(salted)))
}

/// `Hi(password, salt, iterations)` of RFC 5802.
fn salted_password(
    mechanism: ScramMechanism,
    iterations: NonZeroU32,
    salt: &[u8],
    password: &str,
) -> Vec<u8> {
    let (algorithm, len) = match mechanism {
        ScramMechanism::Sha256 => (pbkdf2::PBKDF2_HMAC_SHA256, 32),
        ScramMechanism::Sha512 => (pbkdf2::PBKDF2_HMAC_SHA512, 64),
    };
    let mut out = vec![0; len];
    pbkdf2::derive(algorithm, iterations, salt, password.as_bytes(), &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_salted_password_is_that_of_rfc_7677() {
        // RFC 7677 section 3: user "user", password "pencil", salt W22ZaJ0SNY7soEsUEjb6gQ==, 4096 iterations.
        let salt =
            [0x5b, 0x6d, 0x99, 0x68, 0x9d, 0x12, 0x35, 0x8e, 0xec, 0xa0, 0x4b, 0x14, 0x12, 0x36, 0xfa, 0x81];
        let iterations = NonZeroU32::new(4096).unwrap();
        let salted = salted_password(ScramMechanism::Sha256, iterations, &salt, "pencil");
        let hex: String = salted.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "c4a49510323ab4f952cac1fa99441939e78ea74d6be81ddf7096e87513dc615d");
    }

    #[test]
    fn a_password_does_not_show_in_debug_output() {
        let iterations = NonZeroU32::new(4096).unwrap();
        let change =
            ScramChange::Set { mechanism: ScramMechanism::Sha256, iterations, password: "pencil".into() };
        assert!(!format!("{change:?}").contains("pencil"));
    }
}
