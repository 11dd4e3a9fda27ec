//! What can go wrong, said so that a caller can act on it: which broker, which API, which topic-partition or group,
//! and whether it may be tried again.

use std::sync::Arc;
use std::time::Duration;

use crate::ErrorCode;

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a connection to a broker could not be made or was given up.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectFailure {
    /// The name has no address.
    #[error("cannot find an address for this name: {0}")]
    Resolve(String),
    /// TCP said no: refused, unreachable, reset.
    #[error("{0}")]
    Tcp(String),
    /// No connection within the limit (`socket.connection.setup.timeout.ms`).
    #[error("no connection after {0:?}")]
    TimedOut(Duration),
    /// TLS could not be agreed on. Final: never retried.
    #[error("TLS: {0}")]
    Tls(String),
    /// The broker refused the credentials, in its own words where it has some. Final: never retried.
    #[error("authentication failed: {0}")]
    Authentication(String),
    /// It answered, but not as a Kafka broker on this kind of listener does. Final: never retried.
    #[error("{0}")]
    Protocol(String),
}

/// Why a request got no usable answer.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestFailure {
    /// No answer within the request's limit. The broker may have done the work.
    #[error("no answer after {0:?}")]
    TimedOut(Duration),
    /// The connection ended first. The broker may have done the work.
    #[error("connection lost: {0}")]
    Disconnected(String),
    /// The broker and this client share no version of the API.
    #[error("the broker does not support this request ({0})")]
    Unsupported(String),
    /// The answer cannot be read.
    #[error("malformed answer: {0}")]
    Malformed(String),
    /// The request cannot be written, a string that is too long for instance.
    #[error("cannot be encoded: {0}")]
    Unencodable(String),
}

/// What kind of failure it is, for exit codes and for deciding without text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// Nothing more special.
    Failed,
    /// The caller asked for something that cannot be: bad configuration or arguments.
    Usage,
    /// No broker could be reached, or no answer came in time.
    Unreachable,
    /// The topic, group or other resource does not exist.
    NotFound,
    /// It exists already.
    AlreadyExists,
    /// Not authenticated or not authorised.
    Denied,
}

/// An error of the client.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A connection could not be made.
    #[error("cannot connect to {broker}: {failure}")]
    Connect {
        /// `host:port`, with the node id where it is known.
        broker: Arc<str>,
        /// Why.
        failure: ConnectFailure,
    },
    /// A request got no usable answer.
    #[error("{api} to {broker}: {failure}")]
    Request {
        /// `host:port`, with the node id where it is known.
        broker: Arc<str>,
        /// Kafka's name of the API.
        api: &'static str,
        /// Why.
        failure: RequestFailure,
    },
    /// The broker answered with an error code.
    #[error("{subject}: {}", explain(*code, message.as_deref()))]
    Broker {
        /// What it is about: `topic rider-updates`, `group user-1`, `rider-updates[0]`.
        subject: String,
        /// Kafka's name of the API.
        api: &'static str,
        /// The code.
        code: ErrorCode,
        /// The broker's own words, where it sent some.
        message: Option<String>,
    },
    /// What the caller named is not there, and waiting would not help.
    #[error("{subject} does not exist")]
    NotFound {
        /// `topic rider-updates`, `group user-1`.
        subject: String,
        /// Kafka's name of the API that said so.
        api: &'static str,
    },
    /// The configuration or the arguments cannot be used.
    #[error("{0}")]
    Config(String),
    /// It took longer than allowed; `last` is what stood in the way, where something did.
    #[error("{what} took longer than {after:?}{}", last.as_ref().map(|e| format!("; last: {e}")).unwrap_or_default())]
    Timeout {
        /// What was being done.
        what: String,
        /// The limit.
        after: Duration,
        /// The last error met while trying.
        last: Option<Box<Error>>,
    },
    /// Records or batches from a broker that cannot be read.
    #[error("{subject}: {reason}")]
    Corrupt {
        /// `rider-updates[0] @42`.
        subject: String,
        /// What is wrong with the bytes.
        reason: String,
    },
    /// The handle was closed, so nothing more can be asked of it.
    #[error("{0} is closed")]
    Closed(&'static str),
}

/// The broker's words where it has some, else ours; the code's name in either case. Some refusals quote the whole request
/// with the session it came over: that is for the broker's log.
fn explain(code: ErrorCode, message: Option<&str>) -> String {
    match message {
        Some(text) if !text.is_empty() && !text.starts_with("Request Request(") => {
            format!("{text} ({})", code.name())
        }
        _ => code.to_string(),
    }
}

impl From<kafka_compression::Unknown> for Error {
    fn from(unknown: kafka_compression::Unknown) -> Self {
        Self::Config(unknown.to_string())
    }
}

impl Error {
    /// An answer of a broker with the error `code` about `subject`.
    pub fn broker(
        api: &'static str,
        subject: impl Into<String>,
        code: impl Into<ErrorCode>,
        message: Option<String>,
    ) -> Self {
        Self::Broker { subject: subject.into(), api, code: code.into(), message }
    }

    /// The broker's error code, where a broker sent one.
    #[must_use]
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Broker { code, .. } => Some(*code),
            Self::Timeout { last: Some(last), .. } => last.code(),
            _ => None,
        }
    }

    /// Whether the same may succeed later. Wrong credentials, missing permissions and malformed requests never do.
    #[must_use]
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::Connect { failure, .. } => !matches!(
                failure,
                ConnectFailure::Authentication(_) | ConnectFailure::Tls(_) | ConnectFailure::Protocol(_)
            ),
            Self::Request { failure, .. } => {
                matches!(failure, RequestFailure::TimedOut(_) | RequestFailure::Disconnected(_))
            }
            Self::Broker { code, .. } => code.is_retriable(),
            Self::NotFound { .. }
            | Self::Config(_)
            | Self::Timeout { .. }
            | Self::Corrupt { .. }
            | Self::Closed(_) => false,
        }
    }

    /// The kind of failure.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Connect { failure: ConnectFailure::Authentication(_), .. } => ErrorKind::Denied,
            Self::Connect { .. } | Self::Request { .. } => ErrorKind::Unreachable,
            Self::Broker { code, .. } => code_kind(*code),
            Self::NotFound { .. } => ErrorKind::NotFound,
            Self::Config(_) => ErrorKind::Usage,
            Self::Timeout { last, .. } => match last.as_ref().map(|error| error.kind()) {
                Some(ErrorKind::Denied) => ErrorKind::Denied,
                Some(ErrorKind::NotFound) => ErrorKind::NotFound,
                _ => ErrorKind::Unreachable,
            },
            Self::Corrupt { .. } | Self::Closed(_) => ErrorKind::Failed,
        }
    }
}

fn code_kind(code: ErrorCode) -> ErrorKind {
    match code {
        code if code.is_denied() => ErrorKind::Denied,
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
        | ErrorCode::UNKNOWN_TOPIC_ID
        | ErrorCode::GROUP_ID_NOT_FOUND
        | ErrorCode::RESOURCE_NOT_FOUND
        | ErrorCode::TRANSACTIONAL_ID_NOT_FOUND
        | ErrorCode::DELEGATION_TOKEN_NOT_FOUND => ErrorKind::NotFound,
        ErrorCode::TOPIC_ALREADY_EXISTS | ErrorCode::DUPLICATE_RESOURCE => ErrorKind::AlreadyExists,
        ErrorCode::REQUEST_TIMED_OUT => ErrorKind::Unreachable,
        _ => ErrorKind::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_brokers_own_words_come_before_ours() {
        let ours = Error::broker("CreateTopics", "topic a", 36, None);
        assert_eq!(ours.to_string(), "topic a: the topic exists already (TOPIC_ALREADY_EXISTS)");
        let theirs = Error::broker("CreateTopics", "topic a", 36, Some("Topic 'a' already exists.".into()));
        assert_eq!(theirs.to_string(), "topic a: Topic 'a' already exists. (TOPIC_ALREADY_EXISTS)");
        assert_eq!(ours.kind(), ErrorKind::AlreadyExists);
    }

    #[test]
    fn a_refusal_that_quotes_the_request_is_said_in_our_words() {
        let quoted = "Request Request(processor=0, session=Session@1, buffer=null) is not authorized.".into();
        let error = Error::broker("DescribeAcls", "ACLs", 31, Some(quoted));
        assert_eq!(error.to_string(), "ACLs: no permission for the cluster (CLUSTER_AUTHORIZATION_FAILED)");
    }

    #[test]
    fn wrong_credentials_are_final_and_denied() {
        let error =
            Error::Connect { broker: "b:1".into(), failure: ConnectFailure::Authentication("no".into()) };
        assert!(!error.is_retriable());
        assert_eq!(error.kind(), ErrorKind::Denied);
    }

    #[test]
    fn a_time_out_tells_what_stood_in_the_way() {
        let last = Error::Connect { broker: "b:1".into(), failure: ConnectFailure::Tcp("refused".into()) };
        let error = Error::Timeout {
            what: "listing topics".into(),
            after: Duration::from_secs(2),
            last: Some(Box::new(last)),
        };
        assert_eq!(
            error.to_string(),
            "listing topics took longer than 2s; last: cannot connect to b:1: refused"
        );
        assert_eq!(error.kind(), ErrorKind::Unreachable);
    }
}
