//! From the command line to what is read: which group, which topics, from where to where in each partition.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::Result;
use clap::ValueEnum;
use kafka_cli::offset_spec::{Place, Range, parse_place, parse_range};
use kafka_cli::time::now_ms;
use kafka_cli::{Exit, Failure, Session, nearest};
use kafka_core::cluster::Metadata;
use kafka_core::consumer::{OffsetQuery, Start, Subscription, TopicPattern, list_offsets};
use kafka_core::{ErrorCode, TopicPartition};

use crate::args::{Arguments, Form, Partitions};

/// The topic of the tutorial.
const DEFAULT_TOPIC: &str = "rider-updates";

/// What the command line asks for.
#[derive(Debug)]
pub(crate) struct Plan {
    /// `None` reads alone.
    pub(crate) group: Option<Arc<str>>,
    pub(crate) subscription: Subscription,
    pub(crate) range: Range,
}

impl Plan {
    pub(crate) fn new(arguments: &Arguments) -> Result<Self> {
        let reading = &arguments.reading;
        let alone = reading.no_group || reading.partitions.is_some() || reading.tail.is_some();
        let mut names = arguments.names.iter().map(|name| Arc::<str>::from(name.as_str()));
        let group = match &arguments.group.group {
            Some(group) => Some(Arc::from(group.as_str())),
            None if alone => None,
            None => Some(names.next().ok_or_else(|| {
                Failure::usage("which group?")
                    .hint("kafka-consume GROUP [TOPIC...], or kafka-consume --no-group TOPIC")
            })?),
        };
        if group.as_deref() == Some("") {
            return Err(Failure::usage("the group's name is empty").into());
        }
        let mut topics: Vec<Arc<str>> =
            names.chain(reading.topic.iter().map(|name| name.as_str().into())).collect();
        if topics.is_empty() {
            topics.push(DEFAULT_TOPIC.into());
        }
        let subscription = if reading.regex {
            Subscription::Pattern(pattern(&topics)?)
        } else {
            Subscription::Topics(topics)
        };
        Ok(Self { group, subscription, range: range(arguments)? })
    }

    /// Finds the topics that are there now: one that matches at least, or all that were named.
    pub(crate) async fn find_topics(&self, session: &Session) -> Result<Vec<Arc<str>>> {
        match &self.subscription {
            Subscription::Topics(topics) => find_named(session, topics).await,
            subscription => {
                let all = session.client.cluster().all_topics().await?;
                let found: Vec<_> = subscription.topics(&all).into_iter().collect();
                if found.is_empty() {
                    return Err(Failure::new(Exit::NotFound, "no topic matches").into());
                }
                Ok(found)
            }
        }
    }
}

/// One pattern for all of them; each has to be right by itself.
fn pattern(patterns: &[Arc<str>]) -> Result<TopicPattern> {
    for pattern in patterns {
        TopicPattern::new(pattern).map_err(|error| Failure::usage(error.to_string()))?;
    }
    let any = match patterns {
        [one] => one.to_string(),
        several => several.iter().map(|one| format!("(?:{one})")).collect::<Vec<_>>().join("|"),
    };
    Ok(TopicPattern::new(&any)?)
}

async fn find_named(session: &Session, topics: &[Arc<str>]) -> Result<Vec<Arc<str>>> {
    let cluster = session.client.cluster();
    /// A topic that was created this moment is not known to every broker yet.
    const TRIES: u32 = 3;
    let mut metadata = cluster.topics(topics).await?;
    for _ in 1..TRIES {
        if topics.iter().all(|name| is_there(&metadata, name)) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        metadata = cluster.refresh().await?;
    }
    for name in topics {
        let code = metadata.topic(name).map_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, |topic| topic.error);
        match code {
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION => {
                let all = cluster.all_topics().await;
                return Err(no_such_topic(name, all.ok().as_deref()).into());
            }
            code if code.is_ok() || code.is_retriable() => {}
            code => {
                return Err(kafka_core::Error::broker("Metadata", format!("topic {name}"), code, None).into());
            }
        }
    }
    Ok(topics.to_vec())
}

fn range(arguments: &Arguments) -> Result<Range> {
    let now = now_ms();
    let mut range = match &arguments.reading.from {
        Some(text) => parse_range(text, now).map_err(|error| no_place(text, error))?,
        None => Range { from: Place::Earliest, until: None },
    };
    if let Some(tail) = arguments.reading.tail {
        let tail = i64::try_from(tail).unwrap_or(i64::MAX);
        range = Range { from: Place::BeforeLatest(tail), until: Some(Place::Latest) };
    }
    if let Some(until) = &arguments.reading.until {
        range.until = Some(parse_place(until, now).map_err(Failure::usage)?);
    }
    Ok(range)
}

/// In kafka-admin `-o` is the form of the output; here it is the offset, as in kcat.
fn no_place(text: &str, error: String) -> Failure {
    let failure = Failure::usage(error);
    match Form::from_str(text, true) {
        Ok(_) => failure.hint(format!("--output {text} is the form of the output; -o is where to begin")),
        Err(_) => failure,
    }
}

fn is_there(metadata: &Metadata, name: &str) -> bool {
    metadata.topic(name).is_some_and(|topic| topic.error != ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
}

fn no_such_topic(name: &str, all: Option<&Metadata>) -> Failure {
    let known: Vec<_> = all.into_iter().flat_map(Metadata::topics).map(|topic| &*topic.name).collect();
    let failure = Failure::new(Exit::NotFound, format!("topic {name} does not exist"));
    match nearest(name, known.iter().copied()) {
        Some(near) => failure.hint(format!("did you mean {near}?")),
        None => failure.hint(format!("kafka-admin create-topic {name} creates it; reading never does")),
    }
}

/// The partitions that are meant.
pub(crate) fn partitions(
    metadata: &Metadata,
    topics: &[Arc<str>],
    only: Option<&Partitions>,
) -> Result<Vec<TopicPartition>> {
    let mut all = Vec::new();
    for name in topics {
        let Some(topic) = metadata.topic(name) else { continue };
        if let Some(missing) =
            only.into_iter().flat_map(Partitions::named).find(|id| topic.partition(*id).is_none())
        {
            let count = topic.partitions.len();
            let failure = Failure::new(Exit::NotFound, format!("{name} has no partition {missing}"));
            return Err(failure.hint(format!("it has {count}, counted from 0")).into());
        }
        let wanted = topic.partitions.iter().filter(|p| only.is_none_or(|only| only.contains(p.id)));
        all.extend(
            wanted.map(|partition| TopicPartition { topic: Arc::clone(name), partition: partition.id }),
        );
    }
    Ok(all)
}

/// From where to where one partition is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) from: Start,
    /// The first offset that is not read; `None` goes on.
    pub(crate) until: Option<i64>,
}

impl Span {
    /// How many offsets there are in it, where both ends are known.
    pub(crate) fn length(&self) -> Option<u64> {
        let Start::Offset(from) = self.from else { return None };
        u64::try_from(self.until?.saturating_sub(from)).ok()
    }

    /// Whether there is nothing in it.
    pub(crate) fn is_empty(&self) -> bool {
        matches!((self.from, self.until), (Start::Offset(from), Some(until)) if from >= until)
    }
}

/// Works out where each partition is read from and to. Where the end has to be known, both are numbers.
pub(crate) async fn spans(
    session: &Session,
    partitions: &[TopicPartition],
    range: Range,
    exit: bool,
    read_committed: bool,
) -> Result<HashMap<TopicPartition, Span>> {
    let is_bounded = exit || range.until.is_some();
    if let (false, Some(from)) = (is_bounded, simple_start(range.from)) {
        let span = Span { from, until: None };
        return Ok(partitions.iter().map(|partition| (partition.clone(), span)).collect());
    }
    let finder = Finder { session, partitions, read_committed };
    let (earliest, latest) =
        (finder.find(OffsetQuery::Earliest).await?, finder.find(OffsetQuery::Latest).await?);
    let from_time = finder.find_time(Some(range.from)).await?;
    let until_time = finder.find_time(range.until).await?;
    let mut spans = HashMap::new();
    for partition in partitions {
        let (first, last) = (earliest[partition].unwrap_or(0), latest[partition].unwrap_or(0));
        let resolve = |place: Place, times: &HashMap<TopicPartition, Option<i64>>| match place {
            Place::Earliest | Place::Committed => first,
            Place::Latest => last,
            Place::Offset(offset) => offset,
            Place::AfterEarliest(count) => first.saturating_add(count),
            Place::BeforeLatest(count) => last.saturating_sub(count).max(first),
            // After the last record there is the end.
            Place::Time(_) => times.get(partition).copied().flatten().unwrap_or(last),
        };
        let from = resolve(range.from, &from_time);
        let until = range.until.map(|until| resolve(until, &until_time));
        let until = if exit { Some(until.map_or(last, |until| until.min(last))) } else { until };
        let span = Span { from: Start::Offset(from.max(first)), until };
        spans.insert(partition.clone(), span);
    }
    Ok(spans)
}

fn simple_start(place: Place) -> Option<Start> {
    match place {
        Place::Earliest | Place::Committed => Some(Start::Query(OffsetQuery::Earliest)),
        Place::Latest => Some(Start::Query(OffsetQuery::Latest)),
        Place::Offset(offset) => Some(Start::Offset(offset)),
        Place::Time(ms) => Some(Start::Query(OffsetQuery::Time(ms))),
        Place::AfterEarliest(_) | Place::BeforeLatest(_) => None,
    }
}

struct Finder<'a> {
    session: &'a Session,
    partitions: &'a [TopicPartition],
    read_committed: bool,
}

impl Finder<'_> {
    async fn find(&self, query: OffsetQuery) -> Result<HashMap<TopicPartition, Option<i64>>> {
        let questions = self.partitions.iter().map(|partition| (partition.clone(), query));
        let cluster = self.session.client.cluster();
        Ok(list_offsets(cluster, self.read_committed, questions, self.session.timeout).await?)
    }

    async fn find_time(&self, place: Option<Place>) -> Result<HashMap<TopicPartition, Option<i64>>> {
        match place {
            Some(Place::Time(ms)) => self.find(OffsetQuery::Time(ms)).await,
            _ => Ok(HashMap::new()),
        }
    }
}
