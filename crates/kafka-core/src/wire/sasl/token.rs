//! Where an OAUTHBEARER token comes from: text, file, command, or an OIDC token endpoint (KIP-768).

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::http::{self, Url};
use crate::config::Secret;
use crate::error::ConnectFailure;
use crate::wire::Tls;

/// The longest token that is taken: brokers refuse longer ones anyway.
const MAX_TOKEN_BYTES: usize = 256 * 1024;
/// A token without a stated lifetime is fetched anew after so long.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(300);

/// Where tokens come from.
#[derive(Debug, Clone)]
pub enum TokenSource {
    /// As it is.
    Static(Secret),
    /// The content of a file, read for every authentication.
    File(PathBuf),
    /// The output of a command, run for every authentication by the shell.
    Command(String),
    /// An endpoint that gives tokens for client credentials.
    Endpoint(TokenEndpoint),
    /// A token that nobody signed, for brokers that are set up for tests.
    Unsecured {
        /// Whom it claims to be for.
        subject: String,
    },
}

impl TokenSource {
    /// A token to use now.
    pub(super) async fn token(&self) -> Result<Secret, ConnectFailure> {
        let token = match self {
            Self::Static(token) => token.clone(),
            Self::File(path) => {
                let read = tokio::fs::read_to_string(path).await;
                read.map(Secret::from).map_err(|error| refused(format!("{}: {error}", path.display())))?
            }
            Self::Command(command) => output_of(command).await?,
            Self::Endpoint(endpoint) => endpoint.token().await?,
            Self::Unsecured { subject } => unsecured(subject),
        };
        let trimmed = token.expose().trim();
        if trimmed.is_empty() || trimmed.len() > MAX_TOKEN_BYTES || trimmed.chars().any(char::is_control) {
            return Err(refused("what was given as a token is none"));
        }
        Ok(trimmed.into())
    }
}

/// Asking again would give the same.
fn refused(why: impl std::fmt::Display) -> ConnectFailure {
    ConnectFailure::Authentication(format!("no OAUTHBEARER token: {why}"))
}

/// The shell sees the command as the user wrote it; its stderr goes where ours goes.
async fn output_of(command: &str) -> Result<Secret, ConnectFailure> {
    let shell = if cfg!(windows) { ["cmd", "/C"] } else { ["sh", "-c"] };
    let output = tokio::process::Command::new(shell[0])
        .args([shell[1], command])
        .stdin(std::process::Stdio::null())
        .stderr(std::process::Stdio::inherit())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|error| refused(format!("the token command cannot be run: {error}")))?;
    if !output.status.success() {
        return Err(refused(format!("the token command failed ({})", output.status)));
    }
    String::from_utf8(output.stdout)
        .map(Secret::from)
        .map_err(|_| refused("the token command's output is not text"))
}

/// A JSON web token with the algorithm "none" that lasts an hour.
fn unsecured(subject: &str) -> Secret {
    let now =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs();
    let claims = serde_json::json!({ "sub": subject, "iat": now, "exp": now + 3600 });
    let part = |json: String| URL_SAFE_NO_PAD.encode(json);
    format!("{}.{}.", part(r#"{"alg":"none"}"#.to_owned()), part(claims.to_string())).into()
}

/// An OIDC token endpoint with client credentials. Clones share the token until it is due for renewal.
#[derive(Debug, Clone)]
pub struct TokenEndpoint {
    url: Url,
    authorization: Secret,
    form: String,
    tls: Option<Tls>,
    time_limit: Duration,
    cached: Arc<Mutex<Option<(Secret, Instant)>>>,
}

impl TokenEndpoint {
    /// `url` is `http://` or `https://`; the latter needs `tls`.
    pub(crate) fn new(
        url: &str,
        client_id: &str,
        client_secret: &Secret,
        scope: Option<String>,
        tls: Option<Tls>,
        time_limit: Duration,
    ) -> Result<Self, String> {
        let credentials = STANDARD.encode(format!("{client_id}:{}", client_secret.expose()));
        let scope = scope.map(|scope| format!("&scope={}", http::encoded(&scope))).unwrap_or_default();
        Ok(Self {
            url: Url::parse(url)?,
            authorization: format!("Basic {credentials}").into(),
            form: format!("grant_type=client_credentials{scope}"),
            tls,
            time_limit,
            cached: Arc::default(),
        })
    }

    async fn token(&self) -> Result<Secret, ConnectFailure> {
        let mut cached = self.cached.lock().await;
        if let Some((token, _)) = cached.as_ref().filter(|(_, renew_at)| Instant::now() < *renew_at) {
            return Ok(token.clone());
        }
        let ask =
            http::post_form(&self.url, self.tls.as_ref(), &self.authorization, &self.form, self.time_limit);
        let answer = tokio::time::timeout(self.time_limit, ask).await;
        let unreachable = |why: String| ConnectFailure::Tcp(format!("token endpoint {}: {why}", self.url));
        let answer = answer
            .map_err(|_| unreachable(format!("no answer after {:?}", self.time_limit)))?
            .map_err(unreachable)?;
        let (token, lifetime) = read_answer(answer.status, &answer.body)
            .map_err(|why| refused(format!("token endpoint {}: {why}", self.url)))?;
        *cached = Some((token.clone(), Instant::now() + lifetime.mul_f64(0.8)));
        Ok(token)
    }
}

/// The token and its lifetime out of the endpoint's answer (RFC 6749, sections 5.1 and 5.2).
fn read_answer(status: u16, body: &[u8]) -> Result<(Secret, Duration), String> {
    let json: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |name: &str| json.get(name).and_then(serde_json::Value::as_str);
    if status != 200 {
        let words = text("error_description").or_else(|| text("error")).unwrap_or("no explanation");
        return Err(format!("status {status}: {words}"));
    }
    let token =
        text("access_token").or_else(|| text("id_token")).ok_or("its answer holds no access_token")?;
    let lifetime = json.get("expires_in").and_then(serde_json::Value::as_u64);
    Ok((token.into(), lifetime.map_or(DEFAULT_LIFETIME, Duration::from_secs)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_endpoints_own_words_explain_a_refusal() {
        let body = br#"{"error":"invalid_client","error_description":"Unknown client"}"#;
        assert_eq!(read_answer(401, body).unwrap_err(), "status 401: Unknown client");
        assert_eq!(read_answer(500, b"<html>").unwrap_err(), "status 500: no explanation");
        assert_eq!(read_answer(200, b"{}").unwrap_err(), "its answer holds no access_token");
    }

    #[test]
    fn a_token_comes_with_its_lifetime() {
        let (token, lifetime) = read_answer(200, br#"{"access_token":"abc","expires_in":60}"#).unwrap();
        assert_eq!((token.expose(), lifetime), ("abc", Duration::from_secs(60)));
    }

    #[tokio::test]
    async fn a_command_gives_its_output_and_a_failing_one_says_so() {
        let token = TokenSource::Command("echo tok".into()).token().await.unwrap();
        assert_eq!(token.expose(), "tok");
        let failure = TokenSource::Command("exit 3".into()).token().await.unwrap_err();
        assert!(failure.to_string().contains("exit status: 3"), "{failure}");
    }

    #[tokio::test]
    async fn a_file_is_read_anew_each_time() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let source = TokenSource::File(file.path().into());
        for token in ["one\n", "two"] {
            std::fs::write(file.path(), token).unwrap();
            assert_eq!(source.token().await.unwrap().expose(), token.trim());
        }
    }
}
