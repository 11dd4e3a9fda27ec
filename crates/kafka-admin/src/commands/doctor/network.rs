//! What can be seen of a listener from outside: its name, its port, its certificates, whether it lets this client in.

use std::time::Instant;

use kafka_cli::time::{format_time, now_ms};
use kafka_core::cluster::Broker;
use kafka_core::wire::{Address, Certificate, ConnectOptions, Connection, Tls};
use kafka_core::{ConnectFailure, Error};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use super::{Finding, STEP_LIMIT, Verdict};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// A certificate that ends sooner is worth a warning.
const WARN_DAYS: i64 = 30;

/// Every step to a bootstrap address; whether the last one went well.
pub(super) async fn reach(findings: &mut Vec<Finding>, address: &Address, options: &ConnectOptions) -> bool {
    let Some(found) = names(findings, address).await else { return false };
    if !connect(findings, address, found).await {
        return false;
    }
    if let Some(tls) = &options.security.tls {
        certificates(findings, tls, address).await;
    }
    let (of, started) = (address.to_string(), Instant::now());
    match Connection::open(address, of.as_str().into(), options).await {
        Ok(connection) => {
            let apis = connection.api_versions().api_keys.len();
            findings.push(Finding::ok("handshake", of, format!("{apis} APIs")).since(started));
            true
        }
        Err(error) => {
            findings.push(Finding::error("handshake", of, &error).since(started));
            false
        }
    }
}

async fn names(findings: &mut Vec<Finding>, address: &Address) -> Option<Vec<std::net::SocketAddr>> {
    let failed = |found: String| Finding::failed("name lookup", address.to_string(), found);
    let found = match timeout(STEP_LIMIT, lookup_host((&*address.host, address.port))).await {
        Ok(Ok(found)) => found.collect::<Vec<_>>(),
        Ok(Err(error)) => {
            findings.push(failed(error.to_string()).advise("check the spelling and /etc/hosts or DNS"));
            return None;
        }
        Err(_) => {
            findings.push(failed("no answer".into()).advise("the name server does not answer"));
            return None;
        }
    };
    let list = found.iter().map(|one| one.ip().to_string()).collect::<Vec<_>>().join(", ");
    findings.push(Finding::ok("name lookup", address.to_string(), list));
    Some(found)
}

/// TCP to each address that the name has; whether one of them works.
async fn connect(findings: &mut Vec<Finding>, address: &Address, found: Vec<std::net::SocketAddr>) -> bool {
    let mut connected = false;
    for one in found {
        let started = Instant::now();
        let finding = match timeout(STEP_LIMIT, TcpStream::connect(one)).await {
            Ok(Ok(_)) => {
                connected = true;
                Finding::ok("tcp", one.to_string(), "connected")
            }
            Ok(Err(error)) => Finding::new("tcp", one.to_string(), Verdict::Warning, error.to_string()),
            Err(_) => {
                let found = "no answer: a firewall drops packets?";
                Finding::new("tcp", one.to_string(), Verdict::Warning, found)
            }
        };
        findings.push(finding.since(started));
    }
    if !connected {
        let failed = Finding::failed("tcp", address.to_string(), "no address answers");
        findings.push(
            failed.advise("check that the broker runs, that it listens on this address, and firewalls"),
        );
    }
    connected
}

/// Dates and names of what the listener presents. Whether it is trusted, the handshake says.
async fn certificates(findings: &mut Vec<Finding>, tls: &Tls, address: &Address) {
    // Where it does not get so far, the handshake fails for the same reason and says it.
    let Ok(Ok(chain)) = timeout(STEP_LIMIT, tls.certificates(address)).await else { return };
    let (of, now) = (address.to_string(), now_ms());
    findings.extend(chain.iter().map(|certificate| judge(&of, certificate, now)));
}

fn judge(of: &str, certificate: &Certificate, now_ms: i64) -> Finding {
    let Certificate { subject, names, not_before, not_after, .. } = certificate;
    let whom = if names.is_empty() { String::new() } else { format!(" for {}", names.join(", ")) };
    let found = |text: String| format!("{subject}{whom}: {text}");
    let days = (not_after - now_ms).div_euclid(DAY_MS);
    if now_ms > *not_after {
        let found = found(format!("expired on {}", format_time(*not_after)));
        return Finding::failed("certificate", of, found).advise("renew it and restart or reload the broker");
    }
    if now_ms < *not_before {
        let found = found(format!("not valid before {}", format_time(*not_before)));
        return Finding::failed("certificate", of, found)
            .advise("check the clocks of this machine and of its issuer");
    }
    let found = found(format!("{days} days left"));
    if days < WARN_DAYS {
        let finding = Finding::new("certificate", of, Verdict::Warning, found);
        return finding.advise(format!("renew it before {}", format_time(*not_after)));
    }
    Finding::ok("certificate", of, found)
}

/// A listener that the cluster advertises: the bootstrap address may work while this one does not.
pub(super) async fn advertised(findings: &mut Vec<Finding>, broker: &Broker, options: &ConnectOptions) {
    const STEP: &str = "advertised listener";
    let (of, started) = (format!("broker {} at {}", broker.id, broker.address), Instant::now());
    let opened = timeout(STEP_LIMIT, Connection::open(&broker.address, of.as_str().into(), options)).await;
    let finding = match opened {
        Ok(Ok(_)) => Finding::ok(STEP, of, "connected"),
        Ok(Err(error)) if !is_out_of_reach(&error) => Finding::error(STEP, of, &error),
        failed => {
            let why = match failed {
                Ok(Err(error)) => error.to_string(),
                _ => "no answer".to_owned(),
            };
            Finding::failed(STEP, of, why).advise(format!(
                "the broker tells clients to connect to {}, which does not work from here: \
                 set advertised.listeners of broker {} to an address that this machine can reach",
                broker.address, broker.id
            ))
        }
    };
    findings.push(finding.since(started));
}

fn is_out_of_reach(error: &Error) -> bool {
    use ConnectFailure::{Resolve, Tcp, TimedOut};
    matches!(error, Error::Connect { failure: Resolve(_) | Tcp(_) | TimedOut(_), .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_warns_below_thirty_days_and_fails_when_it_is_over() {
        let certificate = Certificate {
            subject: "CN=b".into(),
            issuer: "CN=ca".into(),
            names: vec!["b.example".into()],
            not_before: 0,
            not_after: 100 * DAY_MS,
        };
        let at = |day: i64| judge("b:9093", &certificate, day * DAY_MS);
        assert_eq!((at(70).verdict, at(71).verdict), (Verdict::Ok, Verdict::Warning));
        assert_eq!(at(71).found, "CN=b for b.example: 29 days left");
        assert_eq!((at(101).verdict, at(-1).verdict), (Verdict::Failed, Verdict::Failed));
        assert!(at(101).advice.is_some() && at(-1).advice.is_some() && at(71).advice.is_some());
    }
}
