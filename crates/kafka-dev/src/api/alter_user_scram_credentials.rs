//! AlterUserScramCredentials, version 0 (KIP-554): users who authenticate by SCRAM, besides the configured ones.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::AlterUserScramCredentialsRequest;
use kafka_protocol::messages::alter_user_scram_credentials_request::{
    ScramCredentialDeletion, ScramCredentialUpsertion,
};
use kafka_protocol::messages::alter_user_scram_credentials_response::{
    AlterUserScramCredentialsResponse, AlterUserScramCredentialsResult,
};
use kafka_protocol::protocol::VersionRange;

use super::{Call, Serve, text};
use crate::auth::acl::{Access, Operation};
use crate::auth::credentials::Credential;
use crate::auth::scram::Hash;
use crate::cluster::{Cluster, Refusal, storage_error};

/// Kafka's bounds.
const ITERATIONS: std::ops::RangeInclusive<i32> = 4096..=16384;

impl Serve for AlterUserScramCredentialsRequest {
    const SERVED: VersionRange = VersionRange { min: 0, max: 0 };

    async fn serve(self, call: &mut Call<'_>) -> AlterUserScramCredentialsResponse {
        let mut cluster = call.cluster();
        let mut results: Vec<_> = Vec::new();
        for deletion in &self.deletions {
            results.push(result(&deletion.name, delete(&mut cluster, deletion).err()));
        }
        for upsertion in &self.upsertions {
            results.push(result(&upsertion.name, upsert(&mut cluster, upsertion).err()));
        }
        AlterUserScramCredentialsResponse::default().with_results(results)
    }

    fn refuse(&self, _version: i16, error: ResponseError) -> AlterUserScramCredentialsResponse {
        let deleted = self.deletions.iter().map(|deletion| &deletion.name);
        let names = deleted.chain(self.upsertions.iter().map(|upsertion| &upsertion.name));
        let results = names.map(|name| result(name, Some(Refusal::new(error, error.to_string()))));
        AlterUserScramCredentialsResponse::default().with_results(results.collect())
    }

    fn access(&self, _cluster: &Cluster) -> Vec<Access> {
        vec![Access::to_cluster(Operation::Alter)]
    }
}

fn mechanism(code: i8) -> Result<Hash, Refusal> {
    let error = ResponseError::UnsupportedSaslMechanism;
    Hash::from_code(code).ok_or_else(|| Refusal::new(error, "Unknown SCRAM mechanism"))
}

fn delete(cluster: &mut Cluster, asked: &ScramCredentialDeletion) -> Result<(), Refusal> {
    let removed = cluster.credentials.remove(&asked.name, mechanism(asked.mechanism)?);
    if removed.map_err(|error| Refusal::new(storage_error(error), "cannot write the data folder"))? {
        return Ok(());
    }
    let message = "Attempt to delete a user credential that does not exist";
    Err(Refusal::new(ResponseError::ResourceNotFound, message))
}

fn upsert(cluster: &mut Cluster, asked: &ScramCredentialUpsertion) -> Result<(), Refusal> {
    let unacceptable = |message: &str| Err(Refusal::new(ResponseError::UnacceptableCredential, message));
    let hash = mechanism(asked.mechanism)?;
    if asked.name.is_empty() {
        return unacceptable("Username must not be empty");
    }
    if asked.iterations < *ITERATIONS.start() {
        return unacceptable("Too few iterations");
    }
    if asked.iterations > *ITERATIONS.end() {
        return unacceptable("Too many iterations");
    }
    let credential = Credential {
        salt: asked.salt.to_vec(),
        salted_password: asked.salted_password.to_vec(),
        iterations: u32::try_from(asked.iterations).unwrap_or_default(),
    };
    let written = cluster.credentials.put(&asked.name, hash, credential);
    written.map_err(|error| Refusal::new(storage_error(error), "cannot write the data folder"))
}

fn result(name: &str, refusal: Option<Refusal>) -> AlterUserScramCredentialsResult {
    AlterUserScramCredentialsResult::default()
        .with_user(text(name))
        .with_error_code(refusal.as_ref().map_or(0, |refusal| refusal.error.code()))
        .with_error_message(refusal.map(|refusal| text(refusal.message)))
}
