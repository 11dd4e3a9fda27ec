//! Starting a cluster: its listeners, its thread, and what runs on it besides the connections.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};
use tokio_rustls::rustls::ServerConfig;

use crate::clock::Clock;
use crate::cluster::persist::Store;
use crate::cluster::{Cluster, NewTopic, Node};
use crate::config::{Config, TlsIdentity, TopicSpec};
use crate::group::Groups;
use crate::handle::Handle;
use crate::server;
use crate::shared::{Control, Shared};
use crate::tls;
use crate::txn::Now;

/// How often logs are cleaned; Kafka takes minutes, but here somebody is watching.
const CLEANING_INTERVAL: Duration = Duration::from_secs(1);

/// The embedded broker.
#[derive(Debug)]
pub struct Broker;

/// Why a cluster could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The address cannot be listened on; often another broker is running there.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Host and port as configured.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// The data folder cannot be used; often another broker has it open.
    #[error("cannot use the data folder {}: {source}", dir.display())]
    DataDir {
        /// The folder as configured.
        dir: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A topic of the configuration is not possible.
    #[error("cannot create topic {name}: {reason}")]
    Topic {
        /// Its name.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The certificate or its key cannot be used.
    #[error("cannot use the certificate: {0}")]
    Tls(io::Error),
    /// The thread of the cluster could not be made.
    #[error("cannot start the broker's thread: {0}")]
    Thread(io::Error),
}

impl Broker {
    /// Starts a cluster and returns when it listens.
    ///
    /// # Errors
    /// When an address cannot be bound or a configured topic is not possible.
    pub fn start(config: Config) -> Result<Handle, StartError> {
        let mut nodes = BTreeMap::new();
        let mut listeners = HashMap::new();
        for (id, index) in (1..).zip(0..config.brokers) {
            let offset = u16::try_from(index).unwrap_or(u16::MAX);
            let port = if config.port == 0 { 0 } else { config.port.saturating_add(offset) };
            let bound = bind(&config.host, port)?;
            let port = bound.first().and_then(|one| one.local_addr().ok()).map_or(port, |addr| addr.port());
            let listens_on = (config.host.clone(), port);
            let told = config.advertised.as_ref();
            let (host, port) =
                told.map_or(listens_on.clone(), |(host, first)| (host.clone(), first.saturating_add(offset)));
            nodes.insert(id, Node { host, port, listens_on, is_up: true });
            listeners.insert(id, bound);
        }
        let store = open_store(&config)?;
        let groups = Groups::new(config.initial_rebalance_delay, store.journal.clone());
        let mut cluster = Cluster::new(uuid::Uuid::new_v4().simple().to_string(), nodes, groups, store);
        cluster.configure(&config);
        cluster
            .restore(Clock::default().wall_ms())
            .map_err(|source| StartError::DataDir { dir: data_dir(&config), source })?;
        let Config { topics, users, tls, .. } = config;
        for TopicSpec { name, partitions } in topics {
            if cluster.topics.contains_key(&name) {
                continue;
            }
            let new = NewTopic { name: name.clone(), partitions: Some(partitions), ..NewTopic::default() };
            let created = cluster.create_topic(new);
            created.map_err(|refusal| StartError::Topic { name, reason: refusal.message })?;
        }
        let tls = open_tls(tls.as_ref())?;
        let (control, commands) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared::new(cluster, users, tls, control));
        let thread = spawn(Arc::clone(&shared), listeners, commands)?;
        Ok(Handle::new(shared, thread))
    }
}

fn open_tls(identity: Option<&TlsIdentity>) -> Result<Option<Arc<ServerConfig>>, StartError> {
    let Some(identity) = identity else { return Ok(None) };
    let config = tls::server_config(&identity.certificates_pem, &identity.key_pem);
    config.map(Some).map_err(StartError::Tls)
}

fn data_dir(config: &Config) -> PathBuf {
    config.data_dir.clone().unwrap_or_default()
}

fn open_store(config: &Config) -> Result<Store, StartError> {
    let Some(dir) = &config.data_dir else { return Ok(Store::in_memory()) };
    Store::open(dir, config.fsync).map_err(|source| StartError::DataDir { dir: dir.clone(), source })
}

/// Listens on every address of the host, so that `localhost` works by IPv4 and IPv6 alike.
fn bind(host: &str, port: u16) -> Result<Vec<TcpListener>, StartError> {
    let failed = |source| StartError::Listen { address: format!("{host}:{port}"), source };
    let addresses: Vec<SocketAddr> = (host, port).to_socket_addrs().map_err(failed)?.collect();
    let mut bound: Vec<TcpListener> = Vec::new();
    let mut last_error = io::Error::other("the host has no address");
    for mut address in addresses {
        if let Some(first) = bound.first() {
            address.set_port(first.local_addr().map_err(failed)?.port());
        }
        match TcpListener::bind(address) {
            Ok(listener) => {
                listener.set_nonblocking(true).map_err(failed)?;
                bound.push(listener);
            }
            // One address family may be missing; an address in use is told even if another one is free.
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && port != 0 => return Err(failed(error)),
            Err(error) => last_error = error,
        }
    }
    if bound.is_empty() { Err(failed(last_error)) } else { Ok(bound) }
}

fn spawn(
    shared: Arc<Shared>,
    listeners: HashMap<i32, Vec<TcpListener>>,
    commands: mpsc::UnboundedReceiver<Control>,
) -> Result<JoinHandle<()>, StartError> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(StartError::Thread)?;
    let run = move || {
        runtime.block_on(async move {
            let mut brokers = Running { shared: Arc::clone(&shared), tasks: HashMap::new() };
            for (id, listeners) in listeners {
                if let Err(error) = brokers.listen(id, listeners) {
                    tracing::error!(%error, id, "cannot listen");
                }
            }
            let timers = tokio::spawn(run_timers(Arc::clone(&shared)));
            let cleaning = tokio::spawn(run_cleaning(Arc::clone(&shared)));
            brokers.obey(commands).await;
            timers.abort();
            cleaning.abort();
        });
    };
    std::thread::Builder::new().name("kafka-dev".to_owned()).spawn(run).map_err(StartError::Thread)
}

/// The brokers that are up, as tasks.
struct Running {
    shared: Arc<Shared>,
    tasks: HashMap<i32, (AbortHandle, tokio::task::JoinHandle<()>)>,
}

impl Running {
    fn listen(&mut self, id: i32, listeners: Vec<TcpListener>) -> io::Result<()> {
        let listeners = listeners.into_iter().map(tokio::net::TcpListener::from_std);
        let listeners = listeners.collect::<io::Result<Vec<_>>>()?;
        let task = tokio::spawn(server::listen(Arc::clone(&self.shared), id, listeners));
        self.tasks.insert(id, (task.abort_handle(), task));
        Ok(())
    }

    /// Carries out commands until the cluster is shut down or its handle is gone.
    async fn obey(&mut self, mut commands: mpsc::UnboundedReceiver<Control>) {
        while let Some(command) = commands.recv().await {
            match command {
                Control::StopBroker(id, done) => {
                    self.stop(id).await;
                    let _ = done.map(|done| done.send(()));
                }
                Control::StartBroker(id, done) => {
                    let started = self.start(id);
                    let _ = done.map(|done| done.send(started));
                }
                Control::Shutdown => break,
            }
        }
        let ids: Vec<i32> = self.tasks.keys().copied().collect();
        for id in ids {
            self.stop(id).await;
        }
    }

    async fn stop(&mut self, id: i32) {
        self.shared.cluster().broker_down(id);
        if let Some((abort, task)) = self.tasks.remove(&id) {
            abort.abort();
            let _ = task.await;
        }
        self.shared.changed.notify_waiters();
    }

    fn start(&mut self, id: i32) -> io::Result<()> {
        if self.tasks.contains_key(&id) {
            return Ok(());
        }
        let node = self.shared.cluster().nodes.get(&id).cloned();
        let node = node.ok_or_else(|| io::Error::other(format!("there is no broker {id}")))?;
        let listeners = bind(&node.listens_on.0, node.listens_on.1).map_err(io::Error::other)?;
        self.listen(id, listeners)?;
        self.shared.cluster().broker_up(id);
        self.shared.changed.notify_waiters();
        Ok(())
    }
}

/// Lets groups and transactions know when one of their deadlines has come.
async fn run_timers(shared: Arc<Shared>) {
    loop {
        let rung = shared.timers.notified();
        let now = shared.clock.now();
        let wall_ms = shared.clock.wall_ms();
        let deadline = {
            let mut cluster = shared.cluster();
            cluster.groups.tick(now);
            cluster.expire_transactions(Now { instant: now, wall_ms });
            let deadlines = [cluster.groups.next_deadline(), cluster.transactions.next_deadline()];
            deadlines.into_iter().flatten().min()
        };
        shared.changed.notify_waiters();
        match deadline {
            Some(deadline) => {
                let wait = deadline.saturating_duration_since(now);
                tokio::select! {
                    () = rung => {}
                    () = sleep_until(Instant::now() + wait) => {}
                }
            }
            None => rung.await,
        }
    }
}

/// Looks for what retention and compaction want gone.
async fn run_cleaning(shared: Arc<Shared>) {
    loop {
        sleep_until(Instant::now() + CLEANING_INTERVAL).await;
        let now_ms = shared.clock.wall_ms();
        shared.cluster().clean(now_ms);
    }
}
