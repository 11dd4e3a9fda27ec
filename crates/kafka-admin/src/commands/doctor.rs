//! `doctor`: everything between this machine and the cluster, step by step, each with what to do.

use std::time::{Duration, Instant};

use anyhow::Result;
use kafka_cli::render::{Block, Column, Table, View};
use kafka_cli::time::now_ms;
use kafka_cli::{Exit, exit};
use kafka_core::admin::AclOperation;
use kafka_core::cluster::Broker;
use kafka_core::wire::{Address, Connection};
use serde::Serialize;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use crate::context::Context;

/// How long a single step may take.
const STEP_LIMIT: Duration = Duration::from_secs(5);
/// Clocks that differ by more confuse retention and time-based offsets.
const CLOCK_LIMIT_MS: i64 = 5_000;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kafka-admin doctor -b broker:9092
  kafka-admin doctor --topic orders -F client.properties

Exit codes: 0 all well, 7 something is not.")]
pub(crate) struct Args {
    /// Also whether this user may produce to and consume from this topic; may be repeated
    #[arg(long, value_name = "TOPIC")]
    topic: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Ok,
    Warning,
    Failed,
}

#[derive(Debug, Serialize)]
struct Finding {
    step: &'static str,
    of: String,
    verdict: Verdict,
    found: String,
    advice: Option<String>,
    millis: Option<f64>,
}

/// What was found so far.
#[derive(Debug, Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(
        &mut self,
        step: &'static str,
        of: impl Into<String>,
        verdict: Verdict,
        found: impl Into<String>,
    ) -> &mut Finding {
        let finding =
            Finding { step, of: of.into(), verdict, found: found.into(), advice: None, millis: None };
        self.0.push(finding);
        let last = self.0.len() - 1;
        &mut self.0[last]
    }
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit> {
    let mut findings = Findings::default();
    let options = context.admin.cluster().options().clone();
    let mut reached = false;
    for address in &options.bootstrap {
        reached |= network(&mut findings, address).await && handshake(context, &mut findings, address).await;
    }
    if reached {
        cluster(context, &mut findings).await;
        clock(context, &mut findings).await;
        for topic in &args.topic {
            permissions(context, &mut findings, topic).await;
        }
    }
    let findings = findings.0;
    context.show(&findings, || view(&findings))?;
    let failed = findings.iter().any(|finding| finding.verdict == Verdict::Failed);
    Ok(if failed { Exit::CheckFailed } else { Exit::Done })
}

/// Name lookup and TCP, address by address.
async fn network(findings: &mut Findings, address: &Address) -> bool {
    let name = address.to_string();
    let found = match timeout(STEP_LIMIT, lookup_host((&*address.host, address.port))).await {
        Ok(Ok(found)) => found.collect::<Vec<_>>(),
        Ok(Err(error)) => {
            findings.add("name lookup", name, Verdict::Failed, error.to_string()).advice =
                Some("check the spelling and /etc/hosts or DNS".into());
            return false;
        }
        Err(_) => {
            findings.add("name lookup", name, Verdict::Failed, "no answer").advice =
                Some("the name server does not answer".into());
            return false;
        }
    };
    let list = found.iter().map(|one| one.ip().to_string()).collect::<Vec<_>>().join(", ");
    findings.add("name lookup", &name, Verdict::Ok, list);
    let mut connected = false;
    for one in found {
        let started = Instant::now();
        let result = timeout(STEP_LIMIT, TcpStream::connect(one)).await;
        let finding = match result {
            Ok(Ok(_)) => {
                connected = true;
                findings.add("tcp", one.to_string(), Verdict::Ok, "connected")
            }
            Ok(Err(error)) => findings.add("tcp", one.to_string(), Verdict::Warning, error.to_string()),
            Err(_) => {
                findings.add("tcp", one.to_string(), Verdict::Warning, "no answer: a firewall drops packets?")
            }
        };
        finding.millis = Some(started.elapsed().as_secs_f64() * 1000.0);
    }
    if !connected {
        findings.add("tcp", name, Verdict::Failed, "no address answers").advice =
            Some("check that the broker runs, that it listens on this address, and firewalls".into());
    }
    connected
}

/// TLS, SASL and ApiVersions with the configuration of this client.
async fn handshake(context: &Context, findings: &mut Findings, address: &Address) -> bool {
    let started = Instant::now();
    let options = &context.admin.cluster().options().connect;
    match Connection::open(address, address.to_string().into(), options).await {
        Ok(connection) => {
            let apis = connection.api_versions().api_keys.len();
            let finding = findings.add("handshake", address.to_string(), Verdict::Ok, format!("{apis} APIs"));
            finding.millis = Some(started.elapsed().as_secs_f64() * 1000.0);
            true
        }
        Err(error) => {
            findings.add("handshake", address.to_string(), Verdict::Failed, error.to_string()).advice =
                exit::hint_for(&error).map(str::to_owned);
            false
        }
    }
}

/// Every advertised listener: the bootstrap address may work while these do not.
async fn cluster(context: &Context, findings: &mut Findings) {
    let described = match context.admin.describe_cluster().await {
        Ok(described) => described,
        Err(error) => {
            findings.add("metadata", "cluster", Verdict::Failed, error.to_string()).advice =
                exit::hint_for(&error).map(str::to_owned);
            return;
        }
    };
    let brokers = described.brokers.len();
    findings.add(
        "metadata",
        &described.cluster_id,
        Verdict::Ok,
        crate::show::count(brokers as i64, "broker"),
    );
    for listed in described.brokers {
        if listed.fenced {
            findings.add(
                "broker",
                listed.broker.id.to_string(),
                Verdict::Warning,
                "registered, but not running",
            );
            continue;
        }
        advertised(context, findings, &listed.broker).await;
    }
}

async fn advertised(context: &Context, findings: &mut Findings, broker: &Broker) {
    let of = format!("broker {} at {}", broker.id, broker.address);
    let options = &context.admin.cluster().options().connect;
    let opening = Connection::open(&broker.address, of.clone().into(), options);
    match timeout(STEP_LIMIT, opening).await {
        Ok(Ok(_)) => drop(findings.add("advertised listener", of, Verdict::Ok, "connected")),
        failed => {
            let why = match failed {
                Ok(Err(error)) => error.to_string(),
                _ => "no answer".to_owned(),
            };
            findings.add("advertised listener", of, Verdict::Failed, why).advice = Some(format!(
                "the broker tells clients to connect to {}, which does not work from here: \
                 set advertised.listeners of broker {} to an address that this machine can reach",
                broker.address, broker.id
            ));
        }
    }
}

/// The quorum's leader says when it last had everything: that is its present.
async fn clock(context: &Context, findings: &mut Findings) {
    let Ok(quorum) = context.admin.describe_quorum().await else { return };
    let leader = quorum.voters.iter().find(|voter| voter.id == quorum.leader);
    let Some(theirs) = leader.and_then(|leader| leader.last_caught_up) else { return };
    let skew = theirs - now_ms();
    let finding = if skew.abs() > CLOCK_LIMIT_MS {
        findings.add("clock", "controller", Verdict::Warning, format!("differs by {skew} ms"))
    } else {
        findings.add("clock", "controller", Verdict::Ok, format!("differs by {skew} ms"))
    };
    if skew.abs() > CLOCK_LIMIT_MS {
        finding.advice = Some("set both clocks by NTP".into());
    }
}

async fn permissions(context: &Context, findings: &mut Findings, topic: &str) {
    match context.admin.allowed_operations(topic).await {
        Ok(allowed) => {
            for (what, operation) in [("produce", AclOperation::Write), ("consume", AclOperation::Read)] {
                let may = allowed.contains(&operation);
                let verdict = if may { Verdict::Ok } else { Verdict::Failed };
                let found = if may { "permitted" } else { "not permitted" };
                let finding = findings.add(what, format!("topic {topic}"), verdict, found);
                if !may {
                    finding.advice = Some(format!(
                        "kafka-admin create-acl --allow USER --operation {operation} --topic {topic}"
                    ));
                }
            }
        }
        Err(error) => {
            findings.add("topic", topic, Verdict::Failed, error.to_string()).advice =
                exit::hint_for(&error).map(str::to_owned);
        }
    }
}

fn view(findings: &[Finding]) -> View {
    let columns = [
        Column::new("STEP", |finding: &Finding| finding.step.to_owned()),
        Column::new("OF", |finding: &Finding| finding.of.clone()),
        Column::new("RESULT", |finding: &Finding| {
            match finding.verdict {
                Verdict::Ok => "ok",
                Verdict::Warning => "warning",
                Verdict::Failed => "FAILED",
            }
            .to_owned()
        }),
        Column::new("FOUND", |finding: &Finding| finding.found.clone()),
        Column::new("MS", |finding: &Finding| finding.millis.map_or(String::new(), |ms| format!("{ms:.1}")))
            .right(),
    ];
    let advice = findings.iter().filter_map(|finding| Some((finding, finding.advice.as_ref()?)));
    let lines = advice.map(|(finding, advice)| format!("{} {}: {advice}", finding.step, finding.of));
    lines.fold(View::table(Table::of(&columns, findings)), |view, line| view.and(Block::Line(line)))
}
