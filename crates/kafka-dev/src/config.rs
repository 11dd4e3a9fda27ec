//! What a cluster starts with. Data only; nothing is opened here.

use std::path::PathBuf;
use std::time::Duration;

use crate::auth::{User, Users};

/// Settings of one cluster. Made with [`Config::in_memory`], changed with the methods, given to
/// [`Broker::start`](crate::Broker::start).
#[derive(Debug, Clone)]
pub struct Config {
    pub(crate) host: String,
    pub(crate) port: u16,
    /// What clients are told instead.
    pub(crate) advertised: Option<(String, u16)>,
    pub(crate) brokers: usize,
    pub(crate) topics: Vec<TopicSpec>,
    /// None for memory.
    pub(crate) data_dir: Option<PathBuf>,
    pub(crate) fsync: bool,
    pub(crate) users: Users,
    pub(crate) tls: Option<TlsIdentity>,
    pub(crate) auto_create_topics: bool,
    pub(crate) initial_rebalance_delay: Duration,
    pub(crate) min_session_timeout: Duration,
}

/// What the listeners show to clients, in PEM.
#[derive(Clone)]
pub(crate) struct TlsIdentity {
    pub(crate) certificates_pem: Vec<u8>,
    pub(crate) key_pem: Vec<u8>,
}

impl std::fmt::Debug for TlsIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TlsIdentity")
    }
}

/// A topic that exists from the start.
#[derive(Debug, Clone)]
pub(crate) struct TopicSpec {
    pub(crate) name: String,
    pub(crate) partitions: usize,
}

impl Config {
    /// One broker on a free port of 127.0.0.1, nothing kept on disk.
    pub fn in_memory() -> Self {
        Self {
            host: "127.0.0.1".to_owned(),
            port: 0,
            advertised: None,
            brokers: 1,
            topics: Vec::new(),
            data_dir: None,
            fsync: false,
            users: Users::default(),
            tls: None,
            auto_create_topics: true,
            initial_rebalance_delay: Duration::ZERO,
            min_session_timeout: Duration::from_secs(6),
        }
    }

    /// Keeps everything in this folder, which is created if need be. What was acknowledged survives the death of the
    /// process. Default: memory.
    pub fn data_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.data_dir = Some(dir.into());
        self
    }

    /// Whether every append waits for the disk, so that it survives the death of the machine too. Default: false,
    /// as in Kafka, which counts on replicas instead.
    pub fn fsync(mut self, enabled: bool) -> Self {
        self.fsync = enabled;
        self
    }

    /// Adds a user. With the first one, clients have to authenticate by SASL (PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512), and
    /// access rules are enforced: a resource without any rule is open to every user.
    pub fn user(mut self, name: impl Into<String>, password: impl Into<String>) -> Self {
        self.users.by_name.insert(name.into(), User { password: password.into(), is_super: false });
        self
    }

    /// As [`Config::user`], but access rules do not apply to this one.
    pub fn super_user(mut self, name: impl Into<String>, password: impl Into<String>) -> Self {
        self.users.by_name.insert(name.into(), User { password: password.into(), is_super: true });
        self
    }

    /// After how long clients have to authenticate again (`connections.max.reauth.ms`). Default: never.
    pub fn sasl_session_lifetime(mut self, lifetime: Duration) -> Self {
        self.users.session_lifetime = Some(lifetime);
        self
    }

    /// Speaks TLS only, with this certificate chain and key in PEM. Default: no TLS.
    pub fn tls(mut self, certificates_pem: impl Into<Vec<u8>>, key_pem: impl Into<Vec<u8>>) -> Self {
        let (certificates_pem, key_pem) = (certificates_pem.into(), key_pem.into());
        self.tls = Some(TlsIdentity { certificates_pem, key_pem });
        self
    }

    /// Where to listen, and the name clients are told to connect to. With port 0 each broker takes a free port;
    /// with another one the brokers take it and those that follow. Default: 127.0.0.1, port 0.
    pub fn listen(mut self, host: impl Into<String>, port: u16) -> Self {
        self.host = host.into();
        self.port = port;
        self
    }

    /// What clients are told to connect to, where that is not where the broker listens: a proxy, a forwarded port. More
    /// brokers are told as the ports that follow. Default: where it listens.
    pub fn advertise(mut self, host: impl Into<String>, port: u16) -> Self {
        self.advertised = Some((host.into(), port));
        self
    }

    /// Brokers of the cluster, ids from 1, each with a listener of its own. Default: 1.
    pub fn brokers(mut self, count: usize) -> Self {
        self.brokers = count.max(1);
        self
    }

    /// A topic that exists from the start, with as many replicas as there are brokers, at most 3.
    pub fn topic(mut self, name: impl Into<String>, partitions: usize) -> Self {
        self.topics.push(TopicSpec { name: name.into(), partitions });
        self
    }

    /// Whether a metadata request may create a topic (`auto.create.topics.enable`). Default: true, as in Kafka.
    pub fn auto_create_topics(mut self, enabled: bool) -> Self {
        self.auto_create_topics = enabled;
        self
    }

    /// How long the first rebalance of an empty group waits for more members
    /// (`group.initial.rebalance.delay.ms`). Default: none; Kafka's is 3 s.
    pub fn initial_rebalance_delay(mut self, delay: Duration) -> Self {
        self.initial_rebalance_delay = delay;
        self
    }

    /// The shortest session a group member may ask for (`group.min.session.timeout.ms`). Default: 6 s.
    pub fn min_session_timeout(mut self, shortest: Duration) -> Self {
        self.min_session_timeout = shortest;
        self
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::in_memory()
    }
}
