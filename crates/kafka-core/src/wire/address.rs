//! `host:port` as users write it in `bootstrap.servers`.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::Error;

/// Where a broker listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    /// Name or IP address, without brackets.
    pub host: Arc<str>,
    /// TCP port.
    pub port: u16,
}

/// The port taken where none is written.
const DEFAULT_PORT: u16 = 9092;

impl FromStr for Address {
    type Err = Error;

    /// `host`, `host:port`, `1.2.3.4:port`, `[::1]:port`; a listener's `PLAINTEXT://` in front is let pass.
    fn from_str(text: &str) -> Result<Self, Error> {
        let plain = text.trim().split_once("://").map_or(text.trim(), |(_, rest)| rest);
        let invalid =
            |why: &str| Error::Config(format!("bootstrap.servers: {text:?} {why}; write host:port"));
        let (host, port) = match plain.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']').ok_or_else(|| invalid("lacks a closing bracket"))?;
                (host, port.strip_prefix(':'))
            }
            None if plain.matches(':').count() > 1 => (plain, None),
            None => plain.split_once(':').map_or((plain, None), |(host, port)| (host, Some(port))),
        };
        let port = match port {
            Some(port) => {
                port.parse().ok().filter(|p| *p != 0).ok_or_else(|| invalid("has no valid port"))?
            }
            None => DEFAULT_PORT,
        };
        if host.is_empty() || host.contains(|c: char| c.is_whitespace() || c == '/') {
            return Err(invalid("has no valid host"));
        }
        Ok(Self { host: host.into(), port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_usual_spelling_is_read() {
        for (text, shown) in [
            ("localhost:9093", "localhost:9093"),
            ("kafka", "kafka:9092"),
            ("10.0.0.1:1", "10.0.0.1:1"),
            ("[::1]:9092", "[::1]:9092"),
            ("::1", "[::1]:9092"),
            ("PLAINTEXT://b:9094", "b:9094"),
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn what_is_no_address_is_named_in_the_error() {
        for text in ["", ":9092", "host:port", "host:0", "host:70000", "[::1:9092", "a b:1"] {
            let error = text.parse::<Address>().unwrap_err().to_string();
            assert!(error.contains(&format!("{text:?}")), "{error}");
        }
    }
}
