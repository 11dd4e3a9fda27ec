//! Memberships against brokers: the embedded one, and a real Kafka where the tests have one.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::super::{Assignor, GroupEvent, GroupOptions, GroupProtocol, Membership, Rebalance};
use crate::cluster::{Cluster, ClusterOptions};
use crate::config::Config;
use crate::consumer::{OffsetToCommit, Subscription};
use crate::{ErrorCode, TopicPartition};

const LIMIT: Duration = Duration::from_secs(20);

type Owned = BTreeSet<TopicPartition>;

/// A member whose user gives up at once what it is told to give up.
struct Reader {
    membership: Membership,
    owned: watch::Receiver<Owned>,
    stories: Arc<Mutex<Vec<Rebalance>>>,
    errors: Arc<Mutex<Vec<String>>>,
}

fn options(group: &str, protocol: GroupProtocol, assignors: &[Assignor]) -> GroupOptions {
    let mut config = Config::new();
    config.set("group.id", group).unwrap();
    config.set("session.timeout.ms", "6000").unwrap();
    GroupOptions { protocol, assignors: assignors.to_vec(), ..GroupOptions::from_config(&config).unwrap() }
}

impl Reader {
    fn join(bootstrap: &str, topic: &str, options: GroupOptions) -> Self {
        let addresses = bootstrap.split(',').map(|address| address.parse().unwrap()).collect();
        let cluster = Cluster::new(ClusterOptions::new(addresses));
        let subscription = Subscription::Topics(vec![topic.into()]);
        let (membership, mut events) = Membership::start(cluster, options, subscription);
        let (set, owned) = watch::channel(Owned::new());
        let stories = Arc::new(Mutex::new(Vec::new()));
        let errors = Arc::new(Mutex::new(Vec::new()));
        let (told, failed) = (Arc::clone(&stories), Arc::clone(&errors));
        tokio::spawn(async move {
            while let Some(event) = events.recv().await {
                match event {
                    GroupEvent::Assigned { added, .. } => set.send_modify(|owned| owned.extend(added)),
                    GroupEvent::Revoke { partitions, done } => {
                        set.send_modify(|owned| owned.retain(|mine| !partitions.contains(mine)));
                        let _ = done.send(());
                    }
                    GroupEvent::Lost { partitions } => {
                        set.send_modify(|owned| owned.retain(|mine| !partitions.contains(mine)));
                    }
                    GroupEvent::Awake { .. } => {}
                    GroupEvent::Rebalanced(story) => told.lock().unwrap().push(story),
                    GroupEvent::Trouble(error) | GroupEvent::Failed(error) => {
                        failed.lock().unwrap().push(error.to_string());
                    }
                }
            }
        });
        Self { membership, owned, stories, errors }
    }

    fn owned(&self) -> Owned {
        self.owned.borrow().clone()
    }
}

/// Waits until the readers share all partitions as evenly as can be, none twice. Says how long it took.
async fn settled(readers: &[&Reader], topic: &str, partitions: i32) -> Duration {
    let started = Instant::now();
    let all: Owned = (0..partitions).map(|number| TopicPartition::new(topic, number)).collect();
    let fair = partitions as usize / readers.len();
    let is_settled = || {
        let parts: Vec<_> = readers.iter().map(|reader| reader.owned()).collect();
        let count: usize = parts.iter().map(BTreeSet::len).sum();
        let union: Owned = parts.iter().flatten().cloned().collect();
        union == all && count == all.len() && parts.iter().all(|part| part.len() >= fair)
    };
    let shown = || {
        let each = readers.iter().map(|reader| (reader.owned(), reader.errors.lock().unwrap().clone()));
        format!("{:?}", each.collect::<Vec<_>>())
    };
    until(is_settled, shown).await;
    started.elapsed()
}

/// Waits until it is so; fails with what is `shown` where that takes too long.
async fn until(is_so: impl Fn() -> bool, shown: impl Fn() -> String) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < LIMIT, "{}", shown());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn at(partition: &TopicPartition, offset: i64) -> (TopicPartition, OffsetToCommit) {
    (partition.clone(), OffsetToCommit { offset, leader_epoch: -1, metadata: String::new() })
}

/// Three members come, commit and go, one after the other.
async fn comes_and_goes(bootstrap: &str, topic: &str, options: impl Fn() -> GroupOptions) {
    let first = Reader::join(bootstrap, topic, options());
    let alone = settled(&[&first], topic, 6).await;
    let offsets: Vec<_> = first.owned().iter().map(|partition| at(partition, 7)).collect();
    first.membership.commit(offsets).await.unwrap();
    let committed = first.membership.fetch_committed(first.owned().into_iter().collect()).await.unwrap();
    assert!(committed.iter().all(|(_, found)| found.as_ref().is_some_and(|found| found.offset == 7)));

    let second = Reader::join(bootstrap, topic, options());
    let two = settled(&[&first, &second], topic, 6).await;
    let third = Reader::join(bootstrap, topic, options());
    let three = settled(&[&first, &second, &third], topic, 6).await;

    let not_ours = second.owned().into_iter().next().unwrap();
    let refused = first.membership.commit(vec![at(&not_ours, 9)]).await.unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::ILLEGAL_GENERATION), "{refused}");

    // Who does not lead asks the broker how many they are; it must have done so before one goes.
    let third_of_three = || {
        let stories = third.stories.lock().unwrap();
        stories.iter().any(|story| story.position.is_some_and(|(_, of)| of == 3))
    };
    until(third_of_three, || format!("{:#?}", third.stories.lock().unwrap())).await;

    let left_at = Instant::now();
    first.membership.leave().await;
    let said_goodbye = left_at.elapsed();
    settled(&[&second, &third], topic, 6).await;
    let handed_over = left_at.elapsed();
    eprintln!(
        "alone {alone:?}, two {two:?}, three {three:?}, goodbye {said_goodbye:?}, over {handed_over:?}"
    );
    assert!(handed_over < Duration::from_secs(2), "{handed_over:?}");
}

/// A name that no other test and no earlier run uses.
fn unique(what: &str) -> String {
    format!("{what}-{:016x}", fastrand::u64(..))
}

mod embedded {
    use kafka_dev::{Broker, Config as DevConfig};

    use super::*;

    async fn with_each_assignor(assignors: &[Assignor]) {
        let dev = Broker::start(DevConfig::in_memory().topic("t", 6)).unwrap();
        let group = unique("g");
        comes_and_goes(&dev.bootstrap(), "t", || options(&group, GroupProtocol::Classic, assignors)).await;
    }

    #[tokio::test]
    async fn members_come_and_go_cooperatively() {
        with_each_assignor(&[Assignor::CooperativeSticky]).await;
    }

    #[tokio::test]
    async fn members_come_and_go_eagerly() {
        with_each_assignor(&[Assignor::Range]).await;
    }

    #[tokio::test]
    async fn members_come_and_go_offering_both() {
        with_each_assignor(&[Assignor::CooperativeSticky, Assignor::Range]).await;
    }
}

mod real {
    use kafka_testkit::RealKafka;

    use super::*;

    async fn with(protocol: GroupProtocol, assignors: &[Assignor]) {
        let Some(kafka) = RealKafka::one_node() else { return };
        let (topic, group) = (unique("group-driver"), unique("g"));
        kafka.create_topic(&topic, 6, &[]);
        comes_and_goes(&kafka.bootstrap(), &topic, || options(&group, protocol, assignors)).await;
    }

    #[tokio::test]
    async fn members_come_and_go_cooperatively() {
        with(GroupProtocol::Classic, &[Assignor::CooperativeSticky]).await;
    }

    #[tokio::test]
    async fn members_come_and_go_with_every_eager_assignor() {
        for assignor in [Assignor::Range, Assignor::RoundRobin, Assignor::Sticky] {
            with(GroupProtocol::Classic, &[assignor]).await;
        }
    }

    #[tokio::test]
    async fn members_come_and_go_under_the_new_protocol() {
        with(GroupProtocol::Consumer, &[Assignor::Range]).await;
    }

    #[tokio::test]
    async fn the_new_protocol_is_chosen_where_the_broker_has_it() {
        with(GroupProtocol::Auto, &[Assignor::Range]).await;
    }
}
