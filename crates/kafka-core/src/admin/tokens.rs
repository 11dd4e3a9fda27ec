//! Delegation tokens (KIP-48): create, list, renew, expire.

use bytes::Bytes;
use kafka_protocol::messages::create_delegation_token_request::CreatableRenewers;
use kafka_protocol::messages::describe_delegation_token_request::DescribeDelegationTokenOwner;
use kafka_protocol::messages::{
    CreateDelegationTokenRequest, DescribeDelegationTokenRequest, ExpireDelegationTokenRequest,
    RenewDelegationTokenRequest,
};
use kafka_protocol::protocol::StrBytes;

use super::names::{check, some_text, text};
use super::stage::Lookup;
use super::{Admin, single, whole};
use crate::error::{Error, Result};
use crate::wire::Api;

/// A user or another kind of principal, as `User:alice`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// `User`.
    pub kind: String,
    /// `alice`.
    pub name: String,
}

impl std::str::FromStr for Principal {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parts = text.split_once(':').filter(|(kind, name)| !kind.is_empty() && !name.is_empty());
        let (kind, name) =
            parts.ok_or_else(|| Error::Config(format!("{text:?} is no principal; write User:name")))?;
        Ok(Self { kind: kind.to_owned(), name: name.to_owned() })
    }
}

impl std::fmt::Display for Principal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.kind, self.name)
    }
}

/// A delegation token. Its `hmac` is a password.
#[derive(Clone, PartialEq, Eq)]
pub struct DelegationToken {
    /// Token id: the user name to authenticate with.
    pub id: String,
    /// The secret.
    pub hmac: Bytes,
    /// Whom it stands for.
    pub owner: Principal,
    /// Who may renew it beside the owner.
    pub renewers: Vec<Principal>,
    /// Milliseconds since 1970.
    pub issued: i64,
    /// When it ends unless renewed.
    pub expires: i64,
    /// Beyond this it cannot be renewed.
    pub max: i64,
}

impl std::fmt::Debug for DelegationToken {
    /// Without the secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DelegationToken")
            .field("id", &self.id)
            .field("owner", &self.owner)
            .finish_non_exhaustive()
    }
}

fn principal(kind: &StrBytes, name: &StrBytes) -> Principal {
    Principal { kind: kind.to_string(), name: name.to_string() }
}

impl Admin {
    /// Creates a token for this user or `owner`; it lasts at most `max_lifetime_ms`, -1 for the broker's limit.
    ///
    /// # Errors
    /// The broker refuses, or no answer in time.
    pub async fn create_token(
        &self,
        owner: Option<Principal>,
        renewers: Vec<Principal>,
        max_lifetime_ms: i64,
    ) -> Result<DelegationToken> {
        let given = renewers.clone();
        let build = move |_: i16| {
            let renewer = |renewer: &Principal| {
                let request = CreatableRenewers::default().with_principal_type(text(&renewer.kind));
                request.with_principal_name(text(&renewer.name))
            };
            Ok(CreateDelegationTokenRequest::default()
                .with_owner_principal_type(some_text(owner.as_ref().map(|owner| owner.kind.as_str())))
                .with_owner_principal_name(some_text(owner.as_ref().map(|owner| owner.name.as_str())))
                .with_renewers(renewers.iter().map(renewer).collect())
                .with_max_lifetime_ms(max_lifetime_ms))
        };
        let read = move |answer: <CreateDelegationTokenRequest as Api>::Response| {
            check::<CreateDelegationTokenRequest>("delegation token", answer.error_code, None)?;
            Ok(DelegationToken {
                id: answer.token_id.to_string(),
                hmac: answer.hmac,
                owner: principal(&answer.principal_type, &answer.principal_name),
                renewers: given.clone(),
                issued: answer.issue_timestamp_ms,
                expires: answer.expiry_timestamp_ms,
                max: answer.max_timestamp_ms,
            })
        };
        single(
            self.call("creating a token").run(whole(Lookup::Controller, build, read).changing(), [()]).await,
        )
    }

    /// The tokens of `owners`; `None`: all this user may see.
    ///
    /// # Errors
    /// The broker refuses, or no answer in time.
    pub async fn list_tokens(&self, owners: Option<Vec<Principal>>) -> Result<Vec<DelegationToken>> {
        let build = move |_: i16| {
            let owner = |owner: &Principal| {
                let request = DescribeDelegationTokenOwner::default().with_principal_type(text(&owner.kind));
                request.with_principal_name(text(&owner.name))
            };
            let owners = owners.as_ref().map(|owners| owners.iter().map(owner).collect());
            Ok(DescribeDelegationTokenRequest::default().with_owners(owners))
        };
        let read = |answer: <DescribeDelegationTokenRequest as Api>::Response| {
            check::<DescribeDelegationTokenRequest>("delegation tokens", answer.error_code, None)?;
            let token = |token: kafka_protocol::messages::describe_delegation_token_response::DescribedDelegationToken| {
                DelegationToken {
                    id: token.token_id.to_string(),
                    hmac: token.hmac,
                    owner: principal(&token.principal_type, &token.principal_name),
                    renewers: token.renewers.iter().map(|r| principal(&r.principal_type, &r.principal_name)).collect(),
                    issued: token.issue_timestamp,
                    expires: token.expiry_timestamp,
                    max: token.max_timestamp,
                }
            };
            Ok(answer.tokens.into_iter().map(token).collect())
        };
        self.ask("listing tokens", build, read).await
    }

    /// Lets a token last `period_ms` from now (-1: the broker's default); the result is when it ends.
    ///
    /// # Errors
    /// The broker refuses, or no answer in time.
    pub async fn renew_token(&self, hmac: Bytes, period_ms: i64) -> Result<i64> {
        let build = move |_: i16| {
            Ok(RenewDelegationTokenRequest::default().with_hmac(hmac.clone()).with_renew_period_ms(period_ms))
        };
        let read = |answer: <RenewDelegationTokenRequest as Api>::Response| {
            check::<RenewDelegationTokenRequest>("delegation token", answer.error_code, None)?;
            Ok(answer.expiry_timestamp_ms)
        };
        single(
            self.call("renewing a token").run(whole(Lookup::Controller, build, read).changing(), [()]).await,
        )
    }

    /// Lets a token end after `period_ms` (-1: at once); the result is when it ends.
    ///
    /// # Errors
    /// The broker refuses, or no answer in time.
    pub async fn expire_token(&self, hmac: Bytes, period_ms: i64) -> Result<i64> {
        let build = move |_: i16| {
            Ok(ExpireDelegationTokenRequest::default()
                .with_hmac(hmac.clone())
                .with_expiry_time_period_ms(period_ms))
        };
        let read = |answer: <ExpireDelegationTokenRequest as Api>::Response| {
            check::<ExpireDelegationTokenRequest>("delegation token", answer.error_code, None)?;
            Ok(answer.expiry_timestamp_ms)
        };
        single(
            self.call("expiring a token").run(whole(Lookup::Controller, build, read).changing(), [()]).await,
        )
    }
}
