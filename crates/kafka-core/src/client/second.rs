//! rskafka's own client from the same configuration: for programs that use it already, and as a second opinion in
//! tests. The only file beside `wire/connection.rs` and its codec that names rskafka.

use std::sync::Arc;

use rskafka::BackoffConfig;
use rskafka::client::{ClientBuilder, Credentials as RsCredentials, SaslConfig};

use super::Client;
use crate::config::property;
use crate::error::{ConnectFailure, Error, Result};
use crate::wire::{Credentials, ScramHash};

impl Client {
    /// rskafka's own client, connected as this one is: servers, TLS, user and password, `default.api.timeout.ms` as the
    /// deadline of its retries.
    ///
    /// Its limits are rskafka 0.6's: no consumer groups, no idempotence, one partition per fetch, headers without order
    /// or duplicates, no time limit for a request, so that a frozen broker hangs it. It renews no session (KIP-368) and
    /// takes no OAUTHBEARER from here.
    ///
    /// # Errors
    /// [`Error::Config`] with OAUTHBEARER; [`Error::Connect`] where no broker answers in time.
    pub async fn rskafka(&self) -> Result<rskafka::client::Client> {
        let options = self.cluster().options();
        let deadline = self.config().get(property::DEFAULT_API_TIMEOUT_MS);
        let bootstrap: Vec<String> = options.bootstrap.iter().map(ToString::to_string).collect();
        let broker: Arc<str> = bootstrap.join(",").into();
        let mut builder = ClientBuilder::new(bootstrap)
            .client_id(Arc::clone(&options.connect.client_id))
            .max_message_size(options.connect.max_frame_bytes)
            .backoff_config(BackoffConfig { deadline: Some(deadline), ..BackoffConfig::default() });
        if let Some(tls) = &options.connect.security.tls {
            builder = builder.tls_config(Arc::clone(tls.config()));
        }
        if let Some(sasl) = &options.connect.security.sasl {
            builder = builder.sasl_config(sasl_config(sasl.credentials())?);
        }
        let failed = |failure| Error::Connect { broker, failure };
        match tokio::time::timeout(deadline, builder.build()).await {
            Ok(Ok(client)) => Ok(client),
            Ok(Err(error)) => Err(failed(ConnectFailure::Protocol(error.to_string()))),
            Err(_) => Err(failed(ConnectFailure::TimedOut(deadline))),
        }
    }
}

fn sasl_config(credentials: &Credentials) -> Result<SaslConfig> {
    let of = |user: &str, password: &str| RsCredentials::new(user.to_owned(), password.to_owned());
    Ok(match credentials {
        Credentials::Plain { user, password } => SaslConfig::Plain(of(user, password.expose())),
        Credentials::Scram { hash: ScramHash::Sha256, user, password } => {
            SaslConfig::ScramSha256(of(user, password.expose()))
        }
        Credentials::Scram { hash: ScramHash::Sha512, user, password } => {
            SaslConfig::ScramSha512(of(user, password.expose()))
        }
        Credentials::OAuthBearer { .. } => {
            return Err(Error::Config("OAUTHBEARER is not handed on to rskafka's own client".into()));
        }
    })
}
