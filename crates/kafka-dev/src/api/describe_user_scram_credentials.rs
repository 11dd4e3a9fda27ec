//! DescribeUserScramCredentials, version 0 (KIP-554): which mechanisms users have, and with how many iterations.

use std::collections::{BTreeMap, BTreeSet};

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::DescribeUserScramCredentialsRequest;
use kafka_protocol::messages::describe_user_scram_credentials_response::{
    CredentialInfo, DescribeUserScramCredentialsResponse, DescribeUserScramCredentialsResult,
};
use kafka_protocol::protocol::VersionRange;

use super::{Call, Serve, text};
use crate::auth::acl::{Access, Operation};
use crate::auth::credentials::Credential;
use crate::auth::scram::Hash;
use crate::cluster::Cluster;

impl Serve for DescribeUserScramCredentialsRequest {
    const SERVED: VersionRange = VersionRange { min: 0, max: 0 };

    async fn serve(self, call: &mut Call<'_>) -> DescribeUserScramCredentialsResponse {
        let cluster = call.cluster();
        let asked = self.users.unwrap_or_default();
        let named = |name: &str| asked.is_empty() || asked.iter().any(|user| &*user.name == name);
        let known = cluster.credentials.users().filter(|(name, _)| named(name));
        let mut results: Vec<_> = known.map(|(name, credentials)| found(name, credentials)).collect();
        let mut seen = BTreeSet::new();
        for user in asked.iter().map(|user| &user.name) {
            if !seen.insert(user) {
                results.retain(|result| result.user != *user);
                results.push(refused(user, ResponseError::DuplicateResource, "Cannot describe a user twice"));
            } else if !results.iter().any(|result| result.user == *user) {
                let message =
                    format!("Attempt to describe a user credential that does not exist: {}", &**user);
                results.push(refused(user, ResponseError::ResourceNotFound, &message));
            }
        }
        DescribeUserScramCredentialsResponse::default().with_error_message(None).with_results(results)
    }

    fn refuse(&self, _version: i16, error: ResponseError) -> DescribeUserScramCredentialsResponse {
        DescribeUserScramCredentialsResponse::default()
            .with_error_code(error.code())
            .with_error_message(Some(text(error.to_string())))
    }

    fn access(&self, _cluster: &Cluster) -> Vec<Access> {
        vec![Access::to_cluster(Operation::Describe)]
    }
}

fn found(name: &str, credentials: &BTreeMap<Hash, Credential>) -> DescribeUserScramCredentialsResult {
    let infos = credentials.iter().map(|(hash, credential)| {
        let iterations = i32::try_from(credential.iterations).unwrap_or(i32::MAX);
        CredentialInfo::default().with_mechanism(hash.code()).with_iterations(iterations)
    });
    DescribeUserScramCredentialsResult::default()
        .with_user(text(name))
        .with_error_message(None)
        .with_credential_infos(infos.collect())
}

fn refused(name: &str, error: ResponseError, message: &str) -> DescribeUserScramCredentialsResult {
    DescribeUserScramCredentialsResult::default()
        .with_user(text(name))
        .with_error_code(error.code())
        .with_error_message(Some(text(message)))
}
