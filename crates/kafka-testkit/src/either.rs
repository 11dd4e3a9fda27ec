//! One broker for tests of conformance: the embedded one, or a real Apache Kafka, as a variable says. The same test runs
//! against both; where they differ, `kafka-dev` is wrong.

use std::process::Command;
use std::time::Duration;

use crate::cluster::{RealKafka, apache_tool};
use crate::program::{Finished, Program, repository};

/// Which broker the tests of conformance run against: `kafka-dev` (default) or `apache`.
const VARIABLE: &str = "KAFKA_TEST_CONFORMANCE";
const START_LIMIT: Duration = Duration::from_secs(10);

/// A cluster of one node that a test takes as it comes and leaves as it is: topics and groups have names of their own
/// ([`unique`](crate::unique)).
#[derive(Debug)]
pub struct EitherKafka {
    bootstrap: String,
    /// The embedded broker, which ends with this handle.
    embedded: Option<Program>,
}

impl EitherKafka {
    /// An embedded broker of its own in memory, or the real Kafka of one node that all tests share; none, with the reason
    /// on stderr, where the tests run without a real Kafka and are asked for one.
    ///
    /// # Panics
    /// Where the variable has neither of its values, and as [`RealKafka::one_node`].
    pub fn one_node() -> Option<Self> {
        match std::env::var(VARIABLE).as_deref() {
            Ok("apache") => {
                let bootstrap = RealKafka::one_node()?.bootstrap();
                Some(Self { bootstrap, embedded: None })
            }
            Ok("kafka-dev") | Err(_) => Some(Self::embedded()),
            Ok(other) => panic!("{VARIABLE}={other}: kafka-dev or apache"),
        }
    }

    fn embedded() -> Self {
        let mut program = Program::start("kafka-dev", ["--memory", "--listen", "127.0.0.1:0"]);
        let greeting = "kafka-dev listens on ";
        program.wait_stderr(START_LIMIT, |said| said.contains(greeting) && said.contains('\n'));
        let said = program.stderr();
        let address = said.split(greeting).nth(1).and_then(|rest| rest.split(". ").next());
        let bootstrap = address.expect("the greeting names the address").to_owned();
        Self { bootstrap, embedded: Some(program) }
    }

    /// `HOST:PORT`.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// Whether this is the embedded broker; for what a test has to wait for, never for what it expects.
    pub fn is_embedded(&self) -> bool {
        self.embedded.is_some()
    }

    /// Creates a topic with Apache's own tool.
    pub fn create_topic(&self, topic: &str, partitions: u32) {
        let partitions = partitions.to_string();
        let arguments = ["--create", "--topic", topic, "--partitions", &partitions];
        let _ = self.tool("topics", &arguments, "").expect_code(0);
    }

    /// Runs one of Apache's own tools against the broker, with `input` on its stdin.
    pub fn tool(&self, name: &str, arguments: &[&str], input: impl Into<Vec<u8>>) -> Finished {
        apache_tool(&self.bootstrap, name, arguments, input)
    }
}

/// Whether Apache's own tools are missing here, with a word on stderr.
///
/// # Panics
/// Where they are missing under `CI=true`.
pub fn skip_without_apache_tools() -> bool {
    let fetched = Command::new(repository().join("scripts/kafka.sh")).arg("fetch").output();
    let there = fetched.is_ok_and(|output| output.status.success());
    let ci = std::env::var("CI").is_ok_and(|value| value == "true");
    assert!(there || !ci, "Apache's tools are not here: under CI the tests need them");
    if !there {
        eprintln!("skipped: Apache's tools are not here (Java 17 and Maven, or Docker, bring them)");
    }
    !there
}
