//! `kafka-consume`: records to the screen or a pipe, alone or as a member of a group.

mod args;
mod event;
mod filter;
mod internals;
mod output;
mod plan;
mod progress;
mod reader;
mod stats;
mod story;
mod tail;

use std::collections::{HashMap, HashSet};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use kafka_cli::offset_spec::Place;
use kafka_cli::time::now_ms;
use kafka_cli::{Exit, Failure, Session, Troubles};
use kafka_core::config::{Origin, property};
use kafka_core::consumer::{
    AutoCommit, Consumer, ConsumerOptions, GroupOptions, OffsetQuery, ResetPolicy, Source, Subscription,
    list_offsets,
};
use kafka_core::{Config, TopicPartition};

use crate::args::{Arguments, Commit, Form};
use crate::filter::Filter;
use crate::output::Output;
use crate::plan::{Plan, Span};
use crate::progress::Progress;
use crate::reader::{Ends, Reader};
use crate::stats::Stats;
use crate::story::Story;
use crate::tail::Tail;

/// How long the main thread may take after a stop before the group is left without it: it may be stuck in a pipe that
/// nobody reads.
const GRACE: Duration = Duration::from_millis(600);

fn main() -> ExitCode {
    kafka_cli::run(|arguments: Arguments| consume(&arguments))
}

fn consume(arguments: &Arguments) -> Result<Exit> {
    let plan = Plan::new(arguments)?;
    let filter = Filter::new(&arguments.filter)?;
    let output = Output::new(&arguments.output, plan.group.as_deref())?;
    let session = arguments.connection.start()?;
    let config = configure(arguments, session.client.config())?;
    let options = options(arguments, &plan, &config)?;
    if let Subscription::Topics(topics) = &plan.subscription {
        session.client.cluster().want(topics.iter().cloned());
    }
    let started = session.connect().and_then(|()| {
        session.run_within_timeout("starting", start(arguments, &plan, &session, &config, options))
    });
    let (consumer, ends, open) = match started {
        // Nothing was read, so there is nothing to finish.
        Err(_) if session.stop.is_requested() => return Ok(Exit::Done),
        started => started?,
    };
    let is_leaving = leave_when_stuck(&session, &consumer);
    let story = Story {
        quiet: arguments.output.quiet,
        verbose: arguments.output.verbose,
        json: arguments.output.output == Some(Form::Jsonl),
    };
    let progress = ends.total.and_then(|total| Progress::new(total, arguments.output.quiet));
    let reader = Reader {
        consumer,
        output,
        filter,
        story,
        open,
        ends,
        commit: arguments.group.commit,
        tail: arguments.reading.tail.map(Tail::new),
        stats: Stats::new(arguments.output.stats, arguments.output.verbose),
        formatted: HashMap::new(),
        is_member: plan.group.is_some(),
        assigned: false,
        started: Instant::now(),
        written: 0,
        last_record: Instant::now(),
        troubles: Troubles::default(),
        is_leaving,
        progress,
        session: &session,
    };
    reader.run()?;
    Ok(Exit::Done)
}

/// The configuration with what the flags of this tool say.
fn configure(arguments: &Arguments, config: &Config) -> Result<Config> {
    let mut config = config.clone();
    let group = &arguments.group;
    let mut flag = |name: &str, value: Option<&str>, flag: &str| match value {
        Some(value) => config.set_from(name, value, Origin::Flag(flag.into())),
        None => Ok(()),
    };
    flag("group.protocol", group.group_protocol.as_deref(), "--group-protocol")?;
    flag("group.instance.id", group.instance_id.as_deref(), "--instance-id")?;
    let assignor = match group.group_protocol.as_deref() {
        Some("consumer") => "group.remote.assignor",
        _ => "partition.assignment.strategy",
    };
    flag(assignor, group.assignor.as_deref(), "--assignor")?;
    flag("isolation.level", arguments.reading.isolation_level.as_deref(), "--isolation-level")?;
    if !config.is_set(&property::AUTO_OFFSET_RESET) {
        // What somebody wants who starts reading a topic is what is in it.
        config.set_from("auto.offset.reset", "earliest", Origin::Default)?;
    }
    Ok(config)
}

fn options(arguments: &Arguments, plan: &Plan, config: &Config) -> Result<ConsumerOptions> {
    /// Where the end is waited for, an empty answer is news as well.
    const EXIT_WAIT: Duration = Duration::from_millis(50);
    let mut options = ConsumerOptions::from_config(config)?;
    let interval = options.auto_commit.interval;
    options.auto_commit = match arguments.group.commit {
        Commit::Auto => AutoCommit { interval, on_release: true },
        Commit::Each | Commit::End => AutoCommit { interval: None, on_release: true },
        Commit::None => AutoCommit { interval: None, on_release: false },
    };
    options.control_records = arguments.reading.control_records;
    if arguments.reading.exit {
        options.fetch_max_wait = options.fetch_max_wait.min(EXIT_WAIT);
    }
    if plan.group.is_some() && arguments.reading.from.is_some() {
        options.reset = reset_policy(plan.range.from)?;
    }
    Ok(options)
}

/// With a group, `--from` says where to begin where nothing is committed.
fn reset_policy(from: Place) -> Result<ResetPolicy> {
    match from {
        Place::Earliest | Place::Committed => Ok(ResetPolicy::Earliest),
        Place::Latest => Ok(ResetPolicy::Latest),
        Place::Time(ms) => {
            let age = u64::try_from(now_ms() - ms).unwrap_or(0);
            Ok(ResetPolicy::ByDuration(Duration::from_millis(age)))
        }
        _ => Err(Failure::usage(
            "a group begins where it has committed; --from takes earliest, latest or @TIME here",
        )
        .hint("kafka-admin reset-offsets moves a group; --no-group reads from any offset")
        .into()),
    }
}

async fn start(
    arguments: &Arguments,
    plan: &Plan,
    session: &Session,
    config: &Config,
    options: ConsumerOptions,
) -> Result<(Consumer, Ends, HashSet<TopicPartition>)> {
    let reading = &arguments.reading;
    let topics = plan.find_topics(session).await?;
    let metadata = session.client.cluster().topics(&topics).await?;
    let exit = reading.exit || reading.tail.is_some();
    let mut ends = Ends {
        is_bounded: exit || plan.range.until.is_some(),
        max_messages: reading.max_messages,
        idle: reading.idle_exit,
        ..Ends::default()
    };
    let partitions = plan::partitions(&metadata, &topics, reading.partitions.as_ref())?;
    let mut open = HashSet::new();
    let source = if let Some(group) = &plan.group {
        if ends.is_bounded {
            ends.until = group_ends(session, plan, &partitions, exit, options.read_committed).await?;
        }
        let mut config = config.clone();
        config.set_from("group.id", group, Origin::Flag("GROUP".into()))?;
        let options = GroupOptions::from_config(&config)?;
        Source::Group { options, subscription: plan.subscription.clone() }
    } else {
        let spans = plan::spans(session, &partitions, plan.range, exit, options.read_committed).await?;
        let bounded = spans.iter().filter_map(|(partition, span)| Some((partition.clone(), span.until?)));
        ends.until = bounded.collect();
        ends.total = ends.is_bounded.then(|| spans.values().filter_map(Span::length).sum());
        let wanted: Vec<_> = spans.into_iter().filter(|(_, span)| !span.is_empty()).collect();
        open.extend(wanted.iter().map(|(partition, _)| partition.clone()));
        let known = wanted.into_iter().map(|(partition, span)| (partition, span.from)).collect();
        if ends.is_bounded || reading.partitions.is_some() {
            Source::Partitions(known)
        } else {
            Source::Topics { subscription: plan.subscription.clone(), known }
        }
    };
    Ok((Consumer::start(&session.client, options, source)?, ends, open))
}

/// Where a group's partitions end: as for partitions without a group, from wherever the group stands.
async fn group_ends(
    session: &Session,
    plan: &Plan,
    partitions: &[TopicPartition],
    exit: bool,
    read_committed: bool,
) -> Result<HashMap<TopicPartition, i64>> {
    if plan.range.until.is_some() {
        let spans = plan::spans(session, partitions, plan.range, exit, read_committed).await?;
        return Ok(spans
            .into_iter()
            .filter_map(|(partition, span)| Some((partition, span.until?)))
            .collect());
    }
    let questions = partitions.iter().map(|partition| (partition.clone(), OffsetQuery::Latest));
    let found = list_offsets(session.client.cluster(), read_committed, questions, session.timeout).await?;
    Ok(found.into_iter().map(|(partition, end)| (partition, end.unwrap_or(0))).collect())
}

/// Commits and leaves for a main thread that cannot: what it has written is marked already. One that leaves by itself
/// says so by what is returned here.
fn leave_when_stuck(session: &Session, consumer: &Consumer) -> Arc<AtomicBool> {
    let (stop, closer) = (session.stop.clone(), consumer.closer());
    let is_leaving = Arc::new(AtomicBool::new(false));
    let leaves_by_itself = Arc::clone(&is_leaving);
    session.runtime.handle().spawn(async move {
        stop.requested().await;
        tokio::time::sleep(GRACE).await;
        if !leaves_by_itself.load(Ordering::SeqCst) {
            // Where this fails, the records are read again.
            let exit = if closer.close().await.is_ok() { Exit::Done } else { Exit::Failed };
            std::process::exit(exit.code().into());
        }
    });
    is_leaving
}
