//! The KIP-848 group as exchanges of heartbeats, without a network or a clock.

use super::*;
use uuid::Uuid;

const TOPIC: Uuid = Uuid::from_u128(7);

struct Bench {
    group: NextGenGroup,
    topics: Topics,
    now: Instant,
}

impl Bench {
    fn with_partitions(count: usize) -> Self {
        let topics = BTreeMap::from([("t".to_owned(), (TOPIC, count))]);
        Self { group: NextGenGroup::default(), topics, now: Instant::now() }
    }

    fn send(&mut self, beat: &Beat) -> Result<Heard, ResponseError> {
        self.group.heartbeat(beat, &self.topics, self.now)
    }

    fn join(&mut self, id: &str) -> Heard {
        self.send(&joining(id)).unwrap()
    }

    fn beat(&mut self, id: &str, epoch: i32, owned: Option<&[i32]>) -> Result<Heard, ResponseError> {
        let owned = owned.map(slots);
        self.send(&Beat { member_id: id.into(), epoch, owned, ..Beat::default() })
    }
}

fn joining(id: &str) -> Beat {
    Beat {
        member_id: id.into(),
        rebalance_timeout: Some(Duration::from_secs(60)),
        topics: Some(BTreeSet::from(["t".to_owned()])),
        owned: Some(BTreeSet::new()),
        ..Beat::default()
    }
}

fn slots(partitions: &[i32]) -> BTreeSet<Slot> {
    partitions.iter().map(|partition| (TOPIC, *partition)).collect()
}

#[test]
fn the_first_member_gets_everything_at_once() {
    let mut bench = Bench::with_partitions(2);
    let heard = bench.join("a");
    assert_eq!(heard.assignment, Some(slots(&[0, 1])));
    assert_eq!(bench.group.state_name(), "Stable");
}

#[test]
fn a_partition_moves_only_after_its_owner_gave_it_up() {
    let mut bench = Bench::with_partitions(2);
    let first = bench.join("a");
    let second = bench.join("b");
    assert_eq!(second.assignment, Some(BTreeSet::new()), "nothing is free yet");
    let told = bench.beat("a", first.epoch, None).unwrap();
    assert_eq!((told.epoch, told.assignment.as_ref().map(BTreeSet::len)), (first.epoch, Some(1)));
    let kept = told.assignment.unwrap();
    assert_eq!(bench.beat("b", second.epoch, None).unwrap().assignment, None);
    let owned: Vec<i32> = kept.iter().map(|(_, partition)| *partition).collect();
    let done = bench.beat("a", first.epoch, Some(&owned)).unwrap();
    assert_eq!(done.epoch, second.epoch);
    let got = bench.beat("b", second.epoch, None).unwrap().assignment.unwrap();
    assert!(got.len() == 1 && got.is_disjoint(&kept));
}

#[test]
fn a_member_that_does_not_give_up_in_time_is_removed() {
    let mut bench = Bench::with_partitions(2);
    let first = bench.join("a");
    bench.join("b");
    bench.beat("a", first.epoch, None).unwrap();
    for _ in 0..3 {
        bench.now += Duration::from_secs(20);
        let _ = bench.beat("a", first.epoch, None);
        let _ = bench.beat("b", 2, None);
        bench.group.tick(bench.now);
    }
    assert_eq!(bench.group.members().map(|m| m.id.as_str()).collect::<Vec<_>>(), ["b"]);
}

#[test]
fn a_silent_member_loses_its_partitions_to_the_others() {
    let mut bench = Bench::with_partitions(2);
    bench.join("a");
    bench.now += SESSION_TIMEOUT;
    bench.group.tick(bench.now);
    assert_eq!(bench.join("b").assignment, Some(slots(&[0, 1])));
}

#[test]
fn an_epoch_of_the_past_or_the_future_is_fenced() {
    let mut bench = Bench::with_partitions(1);
    let heard = bench.join("a");
    assert_eq!(bench.beat("a", heard.epoch + 1, None), Err(ResponseError::FencedMemberEpoch));
    assert_eq!(bench.beat("stranger", 1, None), Err(ResponseError::UnknownMemberId));
}

#[test]
fn new_partitions_are_assigned_at_the_next_heartbeat() {
    let mut bench = Bench::with_partitions(1);
    let heard = bench.join("a");
    bench.topics.insert("t".to_owned(), (TOPIC, 2));
    let told = bench.beat("a", heard.epoch, None).unwrap();
    assert_eq!(told.assignment, Some(slots(&[0, 1])));
    assert!(told.epoch > heard.epoch);
}

#[test]
fn leaving_frees_the_partitions() {
    let mut bench = Bench::with_partitions(2);
    bench.join("a");
    let second = bench.join("b");
    bench.beat("a", -1, None).unwrap();
    let told = bench.beat("b", second.epoch, None).unwrap();
    assert_eq!(told.assignment, Some(slots(&[0, 1])));
}

#[test]
fn a_static_member_finds_its_partitions_again_and_nobody_can_take_its_name_meanwhile() {
    let mut bench = Bench::with_partitions(2);
    let named = |id: &str| Beat { instance: Some("i".into()), ..joining(id) };
    bench.send(&named("a")).unwrap();
    assert_eq!(bench.send(&named("b")), Err(ResponseError::UnreleasedInstanceId));
    bench.send(&Beat { epoch: -2, ..named("a") }).unwrap();
    let back = bench.send(&named("b")).unwrap();
    assert_eq!(back.assignment, Some(slots(&[0, 1])));
}

#[test]
fn a_pattern_subscribes_to_the_topics_it_matches() {
    let mut bench = Bench::with_partitions(1);
    let beat = Beat { topics: None, regex: Some("t|u".into()), ..joining("a") };
    assert_eq!(bench.send(&beat).unwrap().assignment, Some(slots(&[0])));
    let broken = Beat { regex: Some("(".into()), ..joining("b") };
    assert_eq!(bench.send(&broken), Err(ResponseError::InvalidRegularExpression));
}

#[test]
fn a_group_read_back_goes_on_where_it_was() {
    let mut bench = Bench::with_partitions(2);
    let heard = bench.join("a");
    let mut bytes = bench.group.write().finish();
    bench.group = NextGenGroup::read(&mut bytes, bench.now).unwrap();
    let told = bench.beat("a", heard.epoch, None).unwrap();
    assert_eq!((told.epoch, told.assignment), (heard.epoch, None));
}
