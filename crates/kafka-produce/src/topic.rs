//! The topic to write to: there, created because the user allows it, or an error with the name that may have been
//! meant.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use kafka_cli::{Exit, Failure, Session};
use kafka_core::admin::{Admin, NewTopic};
use kafka_core::cluster::Topic;
use kafka_core::{Error, ErrorCode, ErrorKind};

/// How often a topic is looked for, and the pause between: one that was created this moment is not known to every broker
/// yet.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_millis(100);

/// What is known of the topic.
///
/// # Errors
/// It does not exist, or not all the partitions that `highest` says; no broker answers in time.
pub(crate) fn find(
    session: &Session,
    name: &str,
    allow_create: bool,
    highest: Option<i32>,
) -> Result<Arc<Topic>> {
    let admin = Admin::new(session.client.cluster().clone(), session.timeout);
    let topic = session.run_within_timeout("looking for the topic", async {
        let tries = if allow_create { 1 } else { TRIES };
        match describe_soon(&admin, name, tries).await {
            Err(error) if error.kind() == ErrorKind::NotFound && allow_create => {
                create(&admin, name, highest).await?;
                describe(&admin, name).await.map_err(anyhow::Error::from)
            }
            Err(error) => Err(explain(&admin, name, error).await),
            Ok(topic) => Ok(topic),
        }
    })?;
    check_partitions(&topic, highest)?;
    Ok(topic)
}

async fn describe_soon(admin: &Admin, name: &str, tries: u32) -> kafka_core::Result<Arc<Topic>> {
    let mut found = describe(admin, name).await;
    for _ in 1..tries {
        if !found.as_ref().is_err_and(|error| error.kind() == ErrorKind::NotFound) {
            break;
        }
        tokio::time::sleep(PAUSE).await;
        admin.cluster().refresh().await?;
        found = describe(admin, name).await;
    }
    found
}

async fn describe(admin: &Admin, name: &str) -> kafka_core::Result<Arc<Topic>> {
    let metadata = admin.cluster().topics(&[name.into()]).await?;
    let topic = metadata.topic(name).filter(|topic| topic.error.is_ok());
    let code = metadata.topic(name).map_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, |topic| topic.error);
    topic.cloned().ok_or_else(|| Error::broker("Metadata", format!("topic {name}"), code, None))
}

async fn create(admin: &Admin, name: &str, highest: Option<i32>) -> Result<()> {
    let new = NewTopic {
        name: name.to_owned(),
        partitions: highest.filter(|highest| *highest > 0).map(|highest| highest + 1),
        ..NewTopic::default()
    };
    for outcome in admin.create_topics(vec![new], false).await {
        match outcome.result {
            // Somebody else was faster.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error.into()),
            Ok(_) => {}
        }
    }
    Ok(admin.wait_until_led(name).await?)
}

async fn explain(admin: &Admin, name: &str, error: Error) -> anyhow::Error {
    if error.kind() != ErrorKind::NotFound {
        return error.into();
    }
    let known = admin.list_topics(true).await.unwrap_or_default();
    let failure = Failure::new(Exit::NotFound, format!("topic {name} does not exist"));
    match kafka_cli::nearest(name, known.iter().map(|topic| &*topic.name)) {
        Some(near) => failure.hint(format!("did you mean {near}? (--allow-create creates {name})")).into(),
        None => failure.hint(format!("kafka-admin create-topic {name}, or --allow-create")).into(),
    }
}

fn check_partitions(topic: &Topic, highest: Option<i32>) -> Result<()> {
    let Some(highest) = highest.filter(|highest| topic.partition(*highest).is_none()) else { return Ok(()) };
    let count = topic.partitions.len();
    let has = if count == 1 { "1 partition".to_owned() } else { format!("{count} partitions") };
    let message = format!("{} has {has}, so there is no partition {highest}", topic.name);
    Err(Failure::usage(message)
        .hint("-p N or --route WORD=N,... choose others; partitions count from 0")
        .into())
}
