//! AlterUserScramCredentials, version 0 (KIP-554): users who authenticate by SCRAM, besides the configured ones.

use std::collections::BTreeMap;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::AlterUserScramCredentialsRequest;
use kafka_protocol::messages::alter_user_scram_credentials_request::{
    ScramCredentialDeletion, ScramCredentialUpsertion,
};
use kafka_protocol::messages::alter_user_scram_credentials_response::{
    AlterUserScramCredentialsResponse, AlterUserScramCredentialsResult,
};
use kafka_protocol::protocol::VersionRange;

use super::{Call, Serve, text, told};
use crate::auth::acl::{Access, Operation};
use crate::auth::credentials::Credential;
use crate::auth::scram::Hash;
use crate::cluster::{Cluster, Refusal, storage_refusal};

/// Kafka's bounds.
const ITERATIONS: std::ops::RangeInclusive<i32> = 4096..=16384;

impl Serve for AlterUserScramCredentialsRequest {
    const SERVED: VersionRange = VersionRange { min: 0, max: 0 };

    async fn serve(self, call: &mut Call<'_>) -> AlterUserScramCredentialsResponse {
        let mut cluster = call.cluster();
        let changes = by_user(&self).into_iter();
        let results =
            changes.map(|(user, changes)| result(user, alter(&mut cluster, &changes).err().as_ref()));
        AlterUserScramCredentialsResponse::default().with_results(results.collect())
    }

    fn refuse(&self, _version: i16, error: ResponseError) -> AlterUserScramCredentialsResponse {
        let refusal = error.into();
        let results = by_user(self).into_keys().map(|user| result(user, Some(&refusal)));
        AlterUserScramCredentialsResponse::default().with_results(results.collect())
    }

    fn access(&self, _cluster: &Cluster) -> Vec<Access> {
        vec![Access::to_cluster(Operation::Alter)]
    }
}

/// One change of a user.
enum Change<'a> {
    Delete(&'a ScramCredentialDeletion),
    Upsert(&'a ScramCredentialUpsertion),
}

fn by_user(request: &AlterUserScramCredentialsRequest) -> BTreeMap<&str, Vec<Change<'_>>> {
    let mut users: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for deletion in &request.deletions {
        users.entry(&*deletion.name).or_default().push(Change::Delete(deletion));
    }
    for upsertion in &request.upsertions {
        users.entry(&*upsertion.name).or_default().push(Change::Upsert(upsertion));
    }
    users
}

/// Makes the change of a user. There may be one in a request; of several, the first tells what else is wrong.
fn alter(cluster: &mut Cluster, changes: &[Change<'_>]) -> Result<(), Refusal> {
    let Some(first) = changes.first() else { return Ok(()) };
    let hash = check(cluster, first)?;
    if changes.len() > 1 {
        let message = "A user credential cannot be altered twice in the same request";
        return Err(Refusal::new(ResponseError::DuplicateResource, message));
    }
    let written = match first {
        Change::Delete(asked) => cluster.credentials.remove(&asked.name, hash),
        Change::Upsert(asked) => {
            let credential = Credential {
                salt: asked.salt.to_vec(),
                salted_password: asked.salted_password.to_vec(),
                iterations: u32::try_from(asked.iterations).unwrap_or_default(),
            };
            cluster.credentials.put(&asked.name, hash, credential)
        }
    };
    written.map_err(storage_refusal)
}

/// Whether the change can be made; its mechanism.
fn check(cluster: &Cluster, change: &Change<'_>) -> Result<Hash, Refusal> {
    let refuse = |error, message: &str| Err(Refusal::new(error, message));
    let unacceptable = |message| refuse(ResponseError::UnacceptableCredential, message);
    let (user, mechanism) = match change {
        Change::Delete(asked) => (&asked.name, asked.mechanism),
        Change::Upsert(asked) => (&asked.name, asked.mechanism),
    };
    if user.is_empty() {
        return unacceptable("Username must not be empty");
    }
    let Some(hash) = Hash::from_code(mechanism) else {
        return refuse(ResponseError::UnsupportedSaslMechanism, "Unknown SCRAM mechanism");
    };
    match change {
        Change::Delete(_) if cluster.credentials.get(user, hash).is_none() => {
            let message = "Attempt to delete a user credential that does not exist";
            refuse(ResponseError::ResourceNotFound, message)
        }
        Change::Upsert(asked) if asked.iterations < *ITERATIONS.start() => unacceptable("Too few iterations"),
        Change::Upsert(asked) if asked.iterations > *ITERATIONS.end() => unacceptable("Too many iterations"),
        _ => Ok(hash),
    }
}

fn result(name: &str, refusal: Option<&Refusal>) -> AlterUserScramCredentialsResult {
    let (code, message) = told(refusal);
    AlterUserScramCredentialsResult::default()
        .with_user(text(name))
        .with_error_code(code)
        .with_error_message(message)
}
