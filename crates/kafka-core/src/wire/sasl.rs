//! Authentication of a connection: which messages go to and fro is decided per mechanism, they travel as SaslHandshake
//! and SaslAuthenticate (KIP-43, KIP-152), so that the broker's own words about a failure arrive.

mod http;
mod scram;
mod token;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use kafka_protocol::messages::{SaslAuthenticateRequest, SaslHandshakeRequest};
use kafka_protocol::protocol::StrBytes;
use ring::rand::{SecureRandom, SystemRandom};

use super::Connection;
use crate::ErrorCode;
use crate::config::Secret;
use crate::error::{ConnectFailure, RequestFailure};
use scram::Scram;
pub use scram::ScramHash;
pub use token::{TokenEndpoint, TokenSource};

/// A session is not renewed more often than this, whatever the broker says.
const MIN_SESSION: Duration = Duration::from_secs(1);

/// Who we are, and how we show it.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// Name and password as they are: only over TLS, or where nobody listens.
    Plain {
        /// User name.
        user: String,
        /// Password.
        password: Secret,
    },
    /// A proof of knowing the password, which the broker must give as well.
    Scram {
        /// Which of the two mechanisms.
        hash: ScramHash,
        /// User name.
        user: String,
        /// Password.
        password: Secret,
    },
    /// A token that somebody the broker trusts has made.
    OAuthBearer {
        /// Where the token comes from.
        source: TokenSource,
        /// Sent with it (KIP-342).
        extensions: Vec<(String, String)>,
    },
}

impl Credentials {
    fn mechanism(&self) -> &'static str {
        match self {
            Self::Plain { .. } => "PLAIN",
            Self::Scram { hash: ScramHash::Sha256, .. } => "SCRAM-SHA-256",
            Self::Scram { hash: ScramHash::Sha512, .. } => "SCRAM-SHA-512",
            Self::OAuthBearer { .. } => "OAUTHBEARER",
        }
    }
}

/// How connections authenticate.
#[derive(Debug, Clone)]
pub struct Sasl {
    credentials: Arc<Credentials>,
    refresh_factor: f64,
}

impl Sasl {
    /// `refresh_factor` of a session's lifetime goes by before it is renewed.
    #[must_use]
    pub fn new(credentials: Credentials, refresh_factor: f64) -> Self {
        Self { credentials: Arc::new(credentials), refresh_factor: refresh_factor.clamp(0.5, 0.95) }
    }

    /// Who we are.
    #[must_use]
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }
}

/// Authenticates `connection`; how long the broker accepts that, where it says so (KIP-368).
pub(super) async fn authenticate(
    connection: &Connection,
    sasl: &Sasl,
) -> Result<Option<Duration>, ConnectFailure> {
    handshake(connection, sasl.credentials.mechanism()).await?;
    match &*sasl.credentials {
        Credentials::Plain { user, password } => {
            let message = format!("\0{user}\0{}", password.expose());
            step(connection, message).await.map(|answer| answer.lifetime)
        }
        Credentials::Scram { hash, user, password } => {
            let scram = Scram::new(*hash, user, password.clone(), nonce()?);
            let challenge = step(connection, scram.first_message()).await?.text()?;
            // The broker decides how many rounds that takes; the network goes on meanwhile.
            let computed = tokio::task::spawn_blocking(move || scram.respond(&challenge)).await;
            let (proof, server) = computed
                .map_err(|error| ConnectFailure::Authentication(error.to_string()))?
                .map_err(ConnectFailure::Authentication)?;
            let last = step(connection, proof).await?;
            let lifetime = last.lifetime;
            server.verify(&last.text()?).map_err(ConnectFailure::Authentication)?;
            Ok(lifetime)
        }
        Credentials::OAuthBearer { source, extensions } => {
            let token = source.token().await?;
            let extensions: String =
                extensions.iter().map(|(name, value)| format!("{name}={value}\x01")).collect();
            let answer =
                step(connection, format!("n,,\x01auth=Bearer {}\x01{extensions}\x01", token.expose()))
                    .await?;
            if !answer.bytes.is_empty() {
                // RFC 7628: an error as JSON; the client's next message is one byte, then the broker ends it.
                return Err(ConnectFailure::Authentication(format!(
                    "the broker refuses the token: {}",
                    answer.text()?
                )));
            }
            Ok(answer.lifetime)
        }
    }
}

/// Renews the session of `connection` before it ends, for as long as somebody uses it.
pub(super) fn keep_authenticated(connection: &Arc<Connection>, sasl: &Sasl, mut lifetime: Duration) {
    let (connection, sasl) = (Arc::downgrade(connection), sasl.clone());
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(lifetime.mul_f64(sasl.refresh_factor).max(MIN_SESSION)).await;
            let Some(connection) = connection.upgrade().filter(|connection| !connection.is_closed()) else {
                return;
            };
            match connection.renew_session(&sasl).await {
                Ok(Some(next)) => lifetime = next,
                Ok(None) => return,
                Err(failure) => {
                    return connection.retire(format!("the session could not be renewed: {failure}"));
                }
            }
        }
    });
}

async fn handshake(connection: &Connection, mechanism: &'static str) -> Result<(), ConnectFailure> {
    if connection.version::<SaslHandshakeRequest>() != Some(1) {
        return Err(ConnectFailure::Protocol(
            "the broker is too old to authenticate with (before Kafka 1.0)".into(),
        ));
    }
    let request = SaslHandshakeRequest::default().with_mechanism(StrBytes::from_static_str(mechanism));
    let response = connection.exchange(request, connection.request_timeout).await.map_err(lost)?;
    match ErrorCode(response.error_code) {
        ErrorCode::NONE => Ok(()),
        ErrorCode::UNSUPPORTED_SASL_MECHANISM => {
            let offered: Vec<&str> = response.mechanisms.iter().map(StrBytes::as_str).collect();
            Err(ConnectFailure::Authentication(format!(
                "the broker does not offer {mechanism} here; it offers {}",
                if offered.is_empty() { "nothing".to_owned() } else { offered.join(", ") }
            )))
        }
        ErrorCode::ILLEGAL_SASL_STATE => Err(ConnectFailure::Authentication(
            "this listener does not authenticate (security.protocol=PLAINTEXT or SSL?)".into(),
        )),
        code => Err(ConnectFailure::Authentication(code.to_string())),
    }
}

struct Answer {
    bytes: Bytes,
    lifetime: Option<Duration>,
}

impl Answer {
    fn text(self) -> Result<String, ConnectFailure> {
        String::from_utf8(self.bytes.into())
            .map_err(|_| ConnectFailure::Authentication("the broker's SASL message is not text".into()))
    }
}

async fn step(connection: &Connection, message: String) -> Result<Answer, ConnectFailure> {
    let request = SaslAuthenticateRequest::default().with_auth_bytes(Bytes::from(message));
    let response = connection.exchange(request, connection.request_timeout).await.map_err(lost)?;
    let code = ErrorCode(response.error_code);
    if code != ErrorCode::NONE {
        let words = response.error_message.map(|text| text.to_string()).filter(|text| !text.is_empty());
        return Err(ConnectFailure::Authentication(words.unwrap_or_else(|| code.to_string())));
    }
    let lifetime = u64::try_from(response.session_lifetime_ms).ok().filter(|millis| *millis > 0);
    Ok(Answer { bytes: response.auth_bytes, lifetime: lifetime.map(Duration::from_millis) })
}

/// Brokers delay the answer to wrong credentials, but they give one: a lost connection is no refusal.
fn lost(failure: RequestFailure) -> ConnectFailure {
    match failure {
        RequestFailure::TimedOut(after) => ConnectFailure::TimedOut(after),
        RequestFailure::Disconnected(why) => {
            ConnectFailure::Tcp(format!("connection lost while authenticating: {why}"))
        }
        other => ConnectFailure::Protocol(format!("while authenticating: {other}")),
    }
}

fn nonce() -> Result<String, ConnectFailure> {
    let mut bytes = [0; 24];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| ConnectFailure::Authentication("the system gives no random numbers".into()))?;
    Ok(STANDARD.encode(bytes))
}
