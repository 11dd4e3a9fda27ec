//! How a run ends: exit codes, and errors as one line with a hint.

use std::fmt;
use std::io;
use std::process::ExitCode;

use kafka_core::{ConnectFailure, Error, ErrorCode, ErrorKind};

use crate::printable::printable;

/// The exit codes of all tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// All that was asked for was done.
    Done = 0,
    /// Something was not done, for a reason without a code of its own.
    Failed = 1,
    /// The command line or the configuration cannot be used.
    Usage = 2,
    /// No broker could be reached, or no answer came in time.
    Unreachable = 3,
    /// The topic, group or other resource does not exist.
    NotFound = 4,
    /// It exists already.
    AlreadyExists = 5,
    /// Not authenticated or not authorised.
    Denied = 6,
    /// A check found something wrong.
    CheckFailed = 7,
}

impl Exit {
    /// The number that the shell sees.
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

impl From<ErrorKind> for Exit {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Failed => Self::Failed,
            ErrorKind::Usage => Self::Usage,
            ErrorKind::Unreachable => Self::Unreachable,
            ErrorKind::NotFound => Self::NotFound,
            ErrorKind::AlreadyExists => Self::AlreadyExists,
            ErrorKind::Denied => Self::Denied,
        }
    }
}

/// An error of a tool that has an exit code of its own, and where possible a hint.
#[derive(Debug, Clone)]
pub struct Failure {
    exit: Exit,
    message: String,
    hint: Option<String>,
}

impl Failure {
    /// A failure with this exit code.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), hint: None }
    }

    /// The command line or the configuration cannot be used.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// With what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// The exit code of an error: that of the first cause that has one. A closed stdout is a normal end.
#[must_use]
pub fn exit_of(error: &anyhow::Error) -> Exit {
    let of = |cause: &(dyn std::error::Error + 'static)| {
        if let Some(failure) = cause.downcast_ref::<Failure>() {
            return Some(failure.exit);
        }
        if let Some(error) = cause.downcast_ref::<Error>() {
            return Some(error.kind().into());
        }
        cause
            .downcast_ref::<io::Error>()
            .filter(|error| error.kind() == io::ErrorKind::BrokenPipe)
            .map(|_| Exit::Done)
    };
    error.chain().find_map(of).unwrap_or(Exit::Failed)
}

/// What the user can do about an error, where something is known.
#[must_use]
pub fn hint_of(error: &anyhow::Error) -> Option<String> {
    error.chain().find_map(|cause| match cause.downcast_ref::<Failure>() {
        Some(failure) => failure.hint.clone(),
        None => cause.downcast_ref::<Error>().and_then(hint_for).map(str::to_owned),
    })
}

/// What the user can do about an error of the library.
#[must_use]
pub fn hint_for(error: &Error) -> Option<&'static str> {
    match error {
        Error::Connect { broker, failure } => hint_for_connect(broker, failure),
        Error::Timeout { last: Some(last), .. } => hint_for(last),
        Error::Timeout { .. } => Some("--timeout allows more time"),
        Error::Broker { code, .. } => hint_for_code(*code),
        _ => None,
    }
}

fn hint_for_connect(broker: &str, failure: &ConnectFailure) -> Option<&'static str> {
    Some(match failure {
        ConnectFailure::Resolve(_) => "check the host name in -b/--bootstrap-server",
        ConnectFailure::Tcp(_) if is_here(broker) => {
            "check that the broker runs and that -b/--bootstrap-server names its listener; without one, kafka-dev is a broker for learning"
        }
        ConnectFailure::Tcp(_) => {
            "check that the broker runs and that -b/--bootstrap-server names its listener"
        }
        ConnectFailure::TimedOut(_) => {
            "something answers too slowly or drops packets: check the address and firewalls; a listener with another security.protocol can also stay silent"
        }
        ConnectFailure::Authentication(_) => "check the user name, the password and sasl.mechanism",
        ConnectFailure::Tls(_) => "check ssl.ca.location (whom to trust) and security.protocol",
        ConnectFailure::Protocol(_) => {
            "check that the address is a Kafka listener and that security.protocol is the one it speaks"
        }
        _ => return None,
    })
}

fn is_here(broker: &str) -> bool {
    ["localhost:", "127.0.0.1:", "[::1]:"].iter().any(|host| broker.starts_with(host))
}

fn hint_for_code(code: ErrorCode) -> Option<&'static str> {
    Some(match code {
        ErrorCode::TOPIC_AUTHORIZATION_FAILED => {
            "the user needs an ACL for the topic (kafka-admin create-acl)"
        }
        ErrorCode::GROUP_AUTHORIZATION_FAILED => {
            "the user needs an ACL for the group: read to consume, describe to look at it (kafka-admin create-acl)"
        }
        ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED => {
            "the user needs an ACL WRITE for the transactional id (kafka-admin create-acl)"
        }
        ErrorCode::CLUSTER_AUTHORIZATION_FAILED => {
            "the user needs an ACL for the cluster (kafka-admin create-acl)"
        }
        _ => return None,
    })
}

/// The error with its causes on one line, each said once, without control characters.
#[must_use]
pub fn one_line(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        // Some errors repeat their cause's text in their own.
        if !text.contains(&cause) {
            let separator = if text.is_empty() { "" } else { ": " };
            text = format!("{text}{separator}{cause}");
        }
    }
    printable(&text).into_owned()
}

/// Says the error on stderr, with a hint where there is one, and gives its exit code.
#[allow(clippy::print_stderr, reason = "stderr is where errors go")]
pub fn report(error: &anyhow::Error) -> Exit {
    let exit = exit_of(error);
    if exit != Exit::Done {
        eprintln!("error: {}", one_line(error));
        if let Some(hint) = hint_of(error) {
            eprintln!("hint: {}", printable(&hint));
        }
    }
    exit
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    fn refused() -> Error {
        Error::Connect { broker: "b:1".into(), failure: ConnectFailure::Tcp("connection refused".into()) }
    }

    #[test]
    fn the_library_error_decides_the_exit_code_however_deep_it_lies() {
        let error = Err::<(), _>(refused()).context("listing topics").unwrap_err();
        assert_eq!(exit_of(&error), Exit::Unreachable);
        assert_eq!(one_line(&error), "listing topics: cannot connect to b:1: connection refused");
        assert!(hint_of(&error).unwrap().contains("--bootstrap-server"));
    }

    #[test]
    fn who_has_no_broker_on_this_machine_hears_of_kafka_dev() {
        let hint = |broker: &str| {
            let failure = ConnectFailure::Tcp("connection refused".into());
            hint_for(&Error::Connect { broker: broker.into(), failure }).unwrap()
        };
        assert!(hint("localhost:9092").contains("kafka-dev"));
        assert!(!hint("kafka.example.com:9092").contains("kafka-dev"));
    }

    #[test]
    fn a_closed_stdout_is_a_normal_end() {
        let error = anyhow::Error::from(io::Error::from(io::ErrorKind::BrokenPipe)).context("writing");
        assert_eq!(exit_of(&error), Exit::Done);
    }

    #[test]
    fn what_a_broker_says_cannot_steer_the_terminal() {
        let error = anyhow::anyhow!("topic \u{1b}]0;pwned\u{7}\nsecond");
        assert_eq!(one_line(&error), r"topic \x1b]0;pwned\x07\nsecond");
    }
}
