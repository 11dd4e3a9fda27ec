//! Ten members of one group join, leave, are killed and frozen at random while unique records arrive, on a real Kafka of
//! three nodes; then the same with the group's coordinator killed and frozen as well. What was printed is accounted for
//! record by record (`account`).
//!
//! `KAFKA_TEST_STORM_SECS` says how long each storm blows (15 by default, 120 in full); `KAFKA_TEST_STORM_SEED` repeats
//! the members' fates of an earlier run.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]
#![allow(clippy::print_stderr, reason = "what a storm was like belongs to the test's output")]

mod account;
mod member;
mod weather;

use std::io::Write;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use kafka_testkit::{RealKafka, Signal, skip_without_kcat, unique};

use crate::account::Account;
use crate::member::{Fate, Member, Place};
use crate::weather::{Event, Weather};

/// The classic members' session; the cluster gives the same to those of the consumer protocol (`scripts/test.sh`).
const SESSION: Duration = Duration::from_secs(6);
/// How long a member may be without progress, when members come to harm.
const PATIENCE: Duration = SESSION.saturating_add(Duration::from_secs(5));
/// The same when brokers do: the controller takes nine seconds to miss a frozen one, and leaders have to move.
const PATIENCE_WITH_BROKERS: Duration = PATIENCE.saturating_add(Duration::from_secs(20));
const RECORDS_PER_SECOND: u32 = 833;
const PARTITIONS: u32 = 20;
const MEMBERS_AT_FIRST: usize = 6;
const LOOK_AROUND: Duration = Duration::from_millis(25);
/// Leaving takes a second; the rest is for a loaded machine.
const LEAVE: Duration = Duration::from_secs(15);

#[test]
fn a_storm_of_classic_members_loses_nothing_and_repeats_only_what_the_killed_and_frozen_had_not_committed() {
    Storm::blow("classic", PATIENCE, None);
}

#[test]
fn a_storm_of_members_under_the_consumer_protocol_does_no_worse() {
    Storm::blow("consumer", PATIENCE, None);
}

#[test]
fn a_storm_in_which_the_coordinator_is_killed_and_frozen_does_no_worse() {
    let is_short = length() < Duration::from_secs(30);
    for protocol in if is_short { &["consumer"][..] } else { &["classic", "consumer"] } {
        Storm::blow(protocol, PATIENCE_WITH_BROKERS, Some(harm_coordinators));
    }
}

/// In the first half the coordinator is killed and started again, in the second half its successor is frozen until
/// others have taken over.
fn harm_coordinators(kafka: &RealKafka, group: &str) {
    let half = length() / 2;
    let first = kafka.coordinator(group);
    let started = Instant::now();
    kafka.kill(first);
    sleep(Duration::from_secs(3));
    kafka.start(first);
    sleep(half.saturating_sub(started.elapsed()));
    let second = kafka.coordinator(group);
    kafka.freeze(second);
    sleep(Duration::from_secs(12));
    kafka.thaw(second);
}

fn length() -> Duration {
    let text = std::env::var("KAFKA_TEST_STORM_SECS").unwrap_or_else(|_| "15".into());
    Duration::from_secs(text.parse().expect("KAFKA_TEST_STORM_SECS is a number of seconds"))
}

/// What is done to the brokers of a group meanwhile.
type Harm = fn(&RealKafka, &str);

struct Storm<'a> {
    place: &'a Place,
    members: Vec<Member>,
    weather: Weather,
    producer: Producer,
    began: Instant,
    patience: Duration,
    /// The longest that a member was without progress.
    worst: (Duration, String),
}

impl Storm<'_> {
    /// A storm from its first member to the account of all that was printed; `harm` does what it does to brokers.
    fn blow(protocol: &'static str, patience: Duration, harm: Option<Harm>) {
        let Some(kafka) = RealKafka::three_nodes() else { return };
        if skip_without_kcat() {
            return;
        }
        let (topic, group) = (unique("storm"), unique("group"));
        let place = Place::new(topic, group, kafka.bootstrap(), protocol, SESSION, harm.is_some());
        kafka.create_topic(&place.topic, PARTITIONS, &[]);
        let weather = Weather::new(SESSION);
        eprintln!("{protocol}: KAFKA_TEST_STORM_SEED={}; outputs in {}", weather.seed(), place.folder());
        let members = (0..MEMBERS_AT_FIRST).map(|_| place.join()).collect();
        let producer = Producer::start(&place);
        let (began, worst) = (Instant::now(), (Duration::ZERO, String::new()));
        let mut storm = Storm { place: &place, members, weather, producer, began, patience, worst };
        scope(|scope| {
            let (kafka, group) = (&kafka, &place.group);
            let harming = harm.map(|harm| scope.spawn(move || harm(kafka, group)));
            storm.rage();
            if let Some(harming) = harming {
                harming.join().expect("brokers can be harmed");
            }
            storm.settle();
        });
        let outputs: Vec<_> = storm.members.drain(..).map(Member::into_said).collect();
        let account = Account::of(&outputs);
        eprintln!("{protocol}: {account}; longest without progress: {} {:?}", storm.worst.1, storm.worst.0);
        account.check(storm.producer.sent);
        assert!(storm.worst.0 <= storm.patience, "{} stood still for {:?}", storm.worst.1, storm.worst.0);
        let (lag, open) = (kafka.lag(&place.group), account.open());
        assert!(lag <= open, "{lag} records are not committed; of {open} nobody can say that they are");
        place.remove();
    }

    /// Members come to harm while records arrive, until all of those are sent.
    fn rage(&mut self) {
        let total = RECORDS_PER_SECOND * u32::try_from(length().as_secs()).expect("a short storm");
        while self.producer.sent < total {
            let due = self.began.elapsed().as_secs_f64() * f64::from(RECORDS_PER_SECOND);
            self.producer.send_up_to((due as u32).min(total));
            self.look_around();
            let strong = self.members.iter().filter(|member| member.is_strong()).count();
            if let Some(event) = self.weather.poll(strong, Instant::now()) {
                self.happen(event);
            }
            sleep(LOOK_AROUND);
        }
        self.producer.finish();
    }

    fn happen(&mut self, event: Event) {
        if matches!(event, Event::Join) {
            return self.members.push(self.place.join());
        }
        let strong: Vec<_> =
            (0..self.members.len()).filter(|index| self.members[*index].is_strong()).collect();
        let member = &mut self.members[strong[self.weather.choose(strong.len())]];
        match event {
            Event::Join => {}
            Event::Leave => member.leave(),
            Event::Kill => member.kill(),
            Event::Freeze(time) => member.freeze(Instant::now() + time),
        }
    }

    /// Hears what everybody says, thaws whose time has come, and watches for members that are stuck.
    fn look_around(&mut self) {
        let now = Instant::now();
        for member in &mut self.members {
            member.hear(now);
            member.thaw_when_due(now);
            if let Some(still) = member.without_progress(now).filter(|still| *still > self.worst.0) {
                self.worst = (still, member.name());
            }
        }
    }

    /// The dust settles: all is printed, and everybody leaves.
    fn settle(&mut self) {
        let calm = Instant::now();
        for member in &mut self.members {
            member.thaw();
        }
        while Account::of_members(&self.members).numbers() < self.producer.sent as usize {
            let waited = calm.elapsed();
            assert!(
                waited < self.patience,
                "after {waited:?} of calm records are missing: {:?}",
                self.missing()
            );
            let now = Instant::now();
            self.members.iter_mut().for_each(|member| member.hear(now));
            sleep(LOOK_AROUND);
        }
        for member in self.members.iter_mut().filter(|member| member.is_strong()) {
            member.leave();
        }
        let deadline = Instant::now() + LEAVE;
        for member in &mut self.members {
            member.wait_for_end(deadline);
        }
    }

    fn missing(&self) -> Vec<u32> {
        Account::of_members(&self.members).missing(self.producer.sent)
    }
}

/// Sends `line 0`, `line 1` and so on to all partitions.
struct Producer {
    child: Child,
    stdin: Option<ChildStdin>,
    sent: u32,
}

impl Producer {
    fn start(place: &Place) -> Self {
        let mut kcat = Command::new("kcat");
        kcat.args(["-P", "-b", &place.bootstrap, "-t", &place.topic, "-X", "enable.idempotence=true"]);
        // Each record to a partition of its own choice, so that all of them get some all the time.
        kcat.args(["-X", "sticky.partitioning.linger.ms=0", "-X", "message.timeout.ms=120000"]);
        let mut child = kcat.stdin(Stdio::piped()).stderr(Stdio::null()).spawn().expect("kcat starts");
        Self { stdin: child.stdin.take(), child, sent: 0 }
    }

    fn send_up_to(&mut self, count: u32) {
        let lines: String = (self.sent..count).map(|number| format!("line {number}\n")).collect();
        let stdin = self.stdin.as_mut().expect("it is open until the end");
        stdin.write_all(lines.as_bytes()).and_then(|()| stdin.flush()).expect("kcat reads its input");
        self.sent = count;
    }

    fn finish(&mut self) {
        self.stdin = None;
        assert!(self.child.wait().expect("the child is ours").success(), "kcat sent everything");
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        // Both fail when it has ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Member {
    /// Alive, not frozen and not told to go.
    fn is_strong(&self) -> bool {
        self.fate == Fate::Alive && !self.is_frozen()
    }

    fn leave(&mut self) {
        self.fate = Fate::Leaves;
        self.signal(Signal::Terminate);
    }
}
