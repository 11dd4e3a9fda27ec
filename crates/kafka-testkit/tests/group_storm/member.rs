//! One member of a storm: a `kafka-consume -v` whose stdout and stderr go to one file, so that the order in which it
//! printed records and told of its commits is the order in the file.

use std::fs::File;
use std::io::Read;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use kafka_testkit::{Signal, binary, eventually};
use tempfile::TempDir;

/// The exit code of a member that could not commit before it left.
const UNREACHABLE: i32 = 3;

/// What a member said, in order, and what happened to it in between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Said {
    Record {
        partition: i32,
        offset: i64,
        number: u32,
    },
    /// Partition, and the offset that it goes on from.
    Committed(Vec<(i32, i64)>),
    /// Partitions came or went: it is a member.
    Moved,
    /// It was not a member any more; whatever it had not committed is for others to print. Excused where a broker may
    /// be to blame.
    Lost {
        is_excused: bool,
    },
    /// It was killed or frozen here, or ended without being able to commit.
    Harmed,
    /// It goes on after having been frozen, for a session or more perhaps.
    Thawed {
        overslept: bool,
    },
}

/// Where a storm takes place.
pub(crate) struct Place {
    pub(crate) topic: String,
    pub(crate) group: String,
    pub(crate) bootstrap: String,
    protocol: &'static str,
    session: Duration,
    /// Whether brokers come to harm as well.
    harms_brokers: bool,
    folder: TempDir,
    members: std::cell::Cell<u32>,
}

impl Place {
    pub(crate) fn new(
        topic: String,
        group: String,
        bootstrap: String,
        protocol: &'static str,
        session: Duration,
        harms_brokers: bool,
    ) -> Self {
        // Kept until all is well: the outputs are what a failure is understood by.
        let mut folder = tempfile::Builder::new().prefix(&topic).tempdir().expect("there is room for files");
        folder.disable_cleanup(true);
        Self { topic, group, bootstrap, protocol, session, harms_brokers, folder, members: 0.into() }
    }

    pub(crate) fn folder(&self) -> String {
        self.folder.path().display().to_string()
    }

    pub(crate) fn remove(mut self) {
        self.folder.disable_cleanup(false);
    }

    /// Starts the next member.
    pub(crate) fn join(&self) -> Member {
        self.members.set(self.members.get() + 1);
        let number = self.members.get();
        let path = self.folder.path().join(format!("member-{number}"));
        let file = File::create(&path).expect("the folder is writable");
        let mut consume = Command::new(binary("kafka-consume"));
        consume.args(["-b", &self.bootstrap, &self.group, &self.topic, "-v", "-f", "record %p %o %v\\n"]);
        consume.args(["--group-protocol", self.protocol]);
        if self.protocol == "classic" {
            consume.args(["-X", &format!("session.timeout.ms={}", self.session.as_millis())]);
        }
        consume.stdout(file.try_clone().expect("a file can be shared")).stderr(file);
        let child = consume.spawn().expect("kafka-consume starts");
        Member {
            number,
            child,
            harms_brokers: self.harms_brokers,
            output: File::open(&path).expect("it was just made"),
            unread: Vec::new(),
            said: Vec::new(),
            fate: Fate::Alive,
            frozen: None,
            session: self.session,
            progress_at: Instant::now(),
        }
    }
}

/// What is to become of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Alive,
    Leaves,
    Killed,
    Ended,
}

pub(crate) struct Member {
    number: u32,
    child: Child,
    harms_brokers: bool,
    output: File,
    unread: Vec<u8>,
    said: Vec<Said>,
    pub(crate) fate: Fate,
    /// Since when, and until when.
    frozen: Option<(Instant, Instant)>,
    session: Duration,
    progress_at: Instant,
}

impl Member {
    pub(crate) fn name(&self) -> String {
        format!("member {}", self.number)
    }

    pub(crate) fn said(&self) -> &[Said] {
        &self.said
    }

    pub(crate) fn into_said(mut self) -> Vec<Said> {
        std::mem::take(&mut self.said)
    }

    pub(crate) fn is_frozen(&self) -> bool {
        self.frozen.is_some()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        signal.send(self.child.id());
    }

    /// For how long it has printed nothing, where it could have.
    pub(crate) fn without_progress(&self, now: Instant) -> Option<Duration> {
        (self.fate == Fate::Alive && !self.is_frozen())
            .then(|| now.saturating_duration_since(self.progress_at))
    }

    /// Reads what it said since.
    pub(crate) fn hear(&mut self, now: Instant) {
        self.output.read_to_end(&mut self.unread).expect("the file can be read");
        let Some(end) = self.unread.iter().rposition(|byte| *byte == b'\n') else { return };
        let whole: Vec<u8> = self.unread.drain(..=end).collect();
        let before = self.said.len();
        let is_excused = self.harms_brokers;
        let read = |line: &str| {
            if line.starts_with("lost ") { Some(Said::Lost { is_excused }) } else { read_line(line) }
        };
        self.said.extend(String::from_utf8_lossy(&whole).lines().filter_map(read));
        if self.said[before..].iter().any(|said| matches!(said, Said::Record { .. })) {
            self.progress_at = now;
        }
        let is_over = self.fate == Fate::Alive && self.child.try_wait().expect("the child is ours").is_some();
        assert!(!is_over, "{} ended by itself: {}", self.name(), String::from_utf8_lossy(&whole));
    }

    pub(crate) fn kill(&mut self) {
        self.signal(Signal::Kill);
        let _ = self.child.wait().expect("the child is ours");
        self.hear(Instant::now());
        self.said.push(Said::Harmed);
        self.fate = Fate::Killed;
    }

    /// Stops it; what it says later it says after having been frozen.
    pub(crate) fn freeze(&mut self, until: Instant) {
        self.signal(Signal::Freeze);
        let stat = format!("/proc/{}/stat", self.child.id());
        eventually("the end of its doings", Duration::from_secs(5), || {
            // "PID (NAME) STATE …"
            std::fs::read_to_string(&stat).is_ok_and(|text| text.contains(") T "))
        });
        self.hear(Instant::now());
        self.said.push(Said::Harmed);
        self.frozen = Some((Instant::now(), until));
    }

    pub(crate) fn thaw_when_due(&mut self, now: Instant) {
        if self.frozen.is_some_and(|(_, until)| until <= now) {
            self.thaw();
        }
    }

    pub(crate) fn thaw(&mut self) {
        if let Some((since, _)) = self.frozen.take() {
            self.said.push(Said::Thawed { overslept: since.elapsed() >= self.session });
            self.signal(Signal::Thaw);
            self.progress_at = Instant::now();
        }
    }

    /// Waits until it has ended as it was told to.
    pub(crate) fn wait_for_end(&mut self, deadline: Instant) {
        if self.fate == Fate::Leaves {
            while self.child.try_wait().expect("the child is ours").is_none() {
                assert!(Instant::now() < deadline, "{} does not leave", self.name());
                std::thread::sleep(Duration::from_millis(10));
            }
            let code = self.child.wait().expect("the child is ours").code();
            self.fate = Fate::Ended;
            self.hear(Instant::now());
            match code {
                Some(0) => {}
                // It said that no coordinator took its last commit in time, as on a machine that is overloaded.
                Some(UNREACHABLE) => self.said.push(Said::Harmed),
                code => panic!("{} ended with {code:?}", self.name()),
            }
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        // Both fail when it has ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read_line(line: &str) -> Option<Said> {
    if let Some(rest) = line.strip_prefix("record ") {
        let mut words = rest.split(' ');
        let (partition, offset) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let number = words.nth(1)?.parse().ok()?;
        return Some(Said::Record { partition, offset, number });
    }
    if let Some(rest) = line.strip_prefix("committed ") {
        return Some(Said::Committed(
            rest.split(" @").zip(rest.split(" @").skip(1)).filter_map(commit).collect(),
        ));
    }
    line.contains(": assigned ").then_some(Said::Moved)
}

/// `… topic[3]` and `17 …`, the two sides of an `@`.
fn commit((before, after): (&str, &str)) -> Option<(i32, i64)> {
    let partition = before.rsplit('[').next()?.trim_end_matches(']').parse().ok()?;
    Some((partition, after.split(' ').next()?.parse().ok()?))
}
