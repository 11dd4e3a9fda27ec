//! `raw`: any request of the protocol, written as JSON, and its answer as JSON. What the other commands cannot say.

use std::io::{IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use kafka_cli::render::{Column, Format, Table, View, write_one};
use kafka_cli::{Exit, Failure, nearest};
use kafka_core::admin::Recipient;
use kafka_core::cluster::CoordinatorKind;
use kafka_core::wire::{ApiRange, Connection};
use kafka_core::{Error, ErrorCode};
use serde::Serialize;

use crate::context::{Context, write};
use crate::raw::{Api, Layout, Value, ask};
use crate::report::Tally;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "The request is read from stdin. What it leaves out gets the protocol's default; bytes that are not text are
{\"base64\": \"…\"}. Nothing is asked before a request that changes or deletes something is sent.

Examples:
  kafka-admin raw --list
  kafka-admin raw DescribeCluster --example
  echo '{}' | kafka-admin raw DescribeCluster
  echo '{\"topics\": [{\"name\": \"orders\"}]}' | kafka-admin raw Metadata -V 12 --broker 1"
)]
pub(crate) struct Args {
    /// Name or key of the API
    #[arg(value_name = "API", required_unless_present = "list")]
    api: Option<String>,
    /// Version of the request [default: the highest that the broker and this client know]
    #[arg(short = 'V', long, value_name = "N")]
    api_version: Option<i16>,
    /// Read the request from this file; - is stdin
    #[arg(long, value_name = "FILE", default_value = "-")]
    file: PathBuf,
    /// Send it to the broker of this id [default: any]
    #[arg(long, value_name = "ID", group = "recipient")]
    broker: Option<i32>,
    /// Send it to the controller, or the broker that stands for it
    #[arg(long, group = "recipient")]
    controller: bool,
    /// Send it to the coordinator of this group
    #[arg(long, value_name = "GROUP", group = "recipient")]
    group: Option<String>,
    /// Send it to the coordinator of this transactional id
    #[arg(long, value_name = "ID", group = "recipient")]
    transactional_id: Option<String>,
    /// List all APIs with the versions that can be written
    #[arg(long, conflicts_with_all = ["api", "example", "layout"])]
    list: bool,
    /// Print a request with every default, to be edited
    #[arg(long, conflicts_with = "layout")]
    example: bool,
    /// Print the fields of request and answer: type, versions, default
    #[arg(long)]
    layout: bool,
}

impl Args {
    fn recipient(&self) -> Recipient {
        if let Some(id) = self.broker {
            Recipient::Broker(id)
        } else if let Some(group) = &self.group {
            Recipient::Coordinator(CoordinatorKind::Group, group.clone())
        } else if let Some(id) = &self.transactional_id {
            Recipient::Coordinator(CoordinatorKind::Transaction, id.clone())
        } else if self.controller {
            Recipient::Controller
        } else {
            Recipient::Any
        }
    }
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit> {
    let Some(name) = &args.api else { return list(context) };
    let api = find(name)?;
    let wanted = args.api_version.map(|version| checked(&api, version)).transpose()?;
    if args.layout {
        write(|out| write!(out, "{}", api.rows))?;
        return Ok(Exit::Done);
    }
    if args.example {
        let example = Layout::of_request(&api, wanted.unwrap_or(api.highest_stable()))?.example()?;
        return show(context, &example).map(|()| Exit::Done);
    }
    let request = read(&args.file)?;
    let connection = context.admin.connect(args.recipient()).await?;
    let version = agreed(&api, wanted, &connection)?;
    let answer = ask(&connection, &api, version, &request, context.session.timeout).await?;
    show(context, &answer)?;
    Ok(refused(&api, &answer))
}

fn find(name: &str) -> Result<Api> {
    Api::find(name).ok_or_else(|| {
        let near = nearest(name, Api::all().map(|api| api.name));
        let hint = near.map_or_else(
            || "kafka-admin raw --list has them all".to_owned(),
            |near| format!("did you mean {near}?"),
        );
        Failure::usage(format!("there is no API {name}")).hint(hint).into()
    })
}

/// A version that the user asks for, where the table has it.
fn checked(api: &Api, version: i16) -> Result<i16> {
    if api.versions.contain(version) {
        return Ok(version);
    }
    Err(Failure::usage(format!("{} has no version {version}, only {}", api.name, api.versions)).into())
}

/// The version in which the request goes out.
fn agreed(api: &Api, wanted: Option<i16>, connection: &Connection) -> Result<i16> {
    let refused =
        |what: String| Failure::new(Exit::Failed, format!("broker {}: {what}", connection.broker()));
    let offered = connection.offered(api.key).ok_or_else(|| {
        refused(format!("it does not offer {}", api.name))
            .hint("kafka-admin api-versions shows what brokers offer")
    })?;
    let ApiRange { min, max } = offered;
    let version = match wanted {
        Some(version) => Some(version).filter(|version| (min..=max).contains(version)),
        None => offered.common(api.versions.first, api.versions.last),
    };
    Ok(version.ok_or_else(|| refused(format!("it offers {} in versions {min} to {max}", api.name)))?)
}

/// Says every error code of the answer.
fn refused(api: &Api, answer: &Value) -> Exit {
    let mut tally = Tally::default();
    for refusal in answer.refusals() {
        let subject = if refusal.path.is_empty() { api.name.to_owned() } else { refusal.path };
        tally.fail(Error::broker(api.name, subject, ErrorCode(refusal.code), refusal.message));
    }
    tally.exit()
}

fn read(file: &Path) -> Result<serde_json::Value> {
    let mut text = String::new();
    if file == Path::new("-") {
        if std::io::stdin().is_terminal() {
            let failure = Failure::usage("the request is read from stdin, and that is the terminal");
            return Err(failure
                .hint("use --file, or a pipe: echo '{}' | kafka-admin raw …; --example prints one")
                .into());
        }
        std::io::stdin().read_to_string(&mut text).context("reading stdin")?;
    } else {
        text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    }
    serde_json::from_str(&text).map_err(|error| {
        let failure = Failure::usage(format!("the request is not JSON: {error}"));
        failure.hint("{} is a request with every default").into()
    })
}

/// A document for people and programs alike: JSON unless YAML is asked for.
fn show(context: &Context, value: &Value) -> Result<()> {
    let format = match context.format {
        Format::Jsonl | Format::Yaml => context.format,
        _ => Format::Json,
    };
    write(|out| write_one(out, format, value, View::default))
}

#[derive(Serialize)]
struct Row {
    key: i16,
    api: &'static str,
    min: i16,
    max: i16,
}

fn list(context: &Context) -> Result<Exit> {
    let row = |api: Api| Row { key: api.key, api: api.name, min: api.versions.first, max: api.versions.last };
    let rows: Vec<_> = Api::all().map(row).collect();
    let columns = [
        Column::new("KEY", |row: &Row| row.key.to_string()).right(),
        Column::new("API", |row: &Row| row.api.to_owned()),
        Column::new("MIN", |row: &Row| row.min.to_string()).right(),
        Column::new("MAX", |row: &Row| row.max.to_string()).right(),
    ];
    let names = rows.iter().map(|row| row.api.to_owned());
    context.show(&rows, || View::table(Table::of(&columns, &rows)).named(names))?;
    Ok(Exit::Done)
}
