//! `doctor`: everything between this machine and the cluster, step by step, each with what to do. What can be seen from
//! outside stands in `network`, what the cluster has to answer in `cluster`.

mod cluster;
mod network;

use std::time::{Duration, Instant};

use anyhow::Result;
use kafka_cli::render::{Block, Column, Table, View};
use kafka_cli::{Exit, exit};
use serde::Serialize;

use crate::context::Context;

/// How long a single step may take.
const STEP_LIMIT: Duration = Duration::from_secs(5);

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kafka-admin doctor -b broker:9092
  kafka-admin doctor --topic orders --group billing -F client.properties

Exit codes: 0 all well (there may be warnings), 7 something is not.")]
pub(crate) struct Args {
    /// Also whether this user may produce to and consume from this topic; may be repeated
    #[arg(long, value_name = "TOPIC")]
    topic: Vec<String>,
    /// Also whether this user may consume with this group; may be repeated
    #[arg(long, value_name = "GROUP")]
    group: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Ok,
    Warning,
    Failed,
    /// It could not be found out.
    Unknown,
}

/// The result of one step.
#[derive(Debug, Serialize)]
struct Finding {
    step: &'static str,
    of: String,
    verdict: Verdict,
    found: String,
    advice: Option<String>,
    millis: Option<f64>,
}

impl Finding {
    fn new(step: &'static str, of: impl Into<String>, verdict: Verdict, found: impl Into<String>) -> Self {
        Self { step, of: of.into(), verdict, found: found.into(), advice: None, millis: None }
    }

    fn ok(step: &'static str, of: impl Into<String>, found: impl Into<String>) -> Self {
        Self::new(step, of, Verdict::Ok, found)
    }

    fn failed(step: &'static str, of: impl Into<String>, found: impl Into<String>) -> Self {
        Self::new(step, of, Verdict::Failed, found)
    }

    /// A failure in the library's words, with its hint.
    fn error(step: &'static str, of: impl Into<String>, error: &kafka_core::Error) -> Self {
        let hint = exit::hint_for(error).map(str::to_owned);
        Self { advice: hint, ..Self::failed(step, of, error.to_string()) }
    }

    /// With what to do about it.
    fn advise(self, advice: impl Into<String>) -> Self {
        Self { advice: Some(advice.into()), ..self }
    }

    /// With the time it took since then.
    fn since(self, started: Instant) -> Self {
        Self { millis: Some(started.elapsed().as_secs_f64() * 1000.0), ..self }
    }
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit> {
    let mut findings = Vec::new();
    let options = context.admin.cluster().options().clone();
    let mut reached = false;
    for address in &options.bootstrap {
        reached |= network::reach(&mut findings, address, &options.connect).await;
    }
    if reached {
        cluster::examine(&mut findings, context, &args).await;
    }
    context.show(&findings, || view(&findings))?;
    let failed = findings.iter().any(|finding| finding.verdict == Verdict::Failed);
    Ok(if failed { Exit::CheckFailed } else { Exit::Done })
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
                Verdict::Unknown => "unknown",
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
