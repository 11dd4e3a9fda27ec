//! A proxy between clients and a real Kafka that loses answers, delays, freezes and cuts.
//!
//! It reads of the protocol only what it must: the length of each frame, and the API key and correlation id at the
//! head of each request, by which it knows which answer is whose. Everything else passes as it is.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::Duration;

use crate::cluster::RealKafka;

/// API keys that rules are mostly about.
pub mod api {
    /// Produce.
    pub const PRODUCE: i16 = 0;
    /// Fetch.
    pub const FETCH: i16 = 1;
    /// OffsetCommit.
    pub const OFFSET_COMMIT: i16 = 8;
    /// JoinGroup.
    pub const JOIN_GROUP: i16 = 11;
    /// Heartbeat.
    pub const HEARTBEAT: i16 = 12;
}

/// A frame longer than this is no Kafka frame: the connection is cut.
const FRAME_LIMIT: usize = 128 << 20;

/// What happens to the answers of one API.
#[derive(Debug, Clone, Copy)]
pub enum Rule {
    /// Every `nth` answer is thrown away after the broker has done the work.
    SwallowEvery {
        /// The API key.
        api: i16,
        /// 1 swallows every answer.
        nth: u64,
        /// Whether the connection is cut too, as when the network breaks between append and acknowledgement; else
        /// the client waits until its own time limit, while later answers pass.
        cut: bool,
    },
    /// Every `nth` answer is cut in the middle, and the connection with it.
    TruncateEvery {
        /// The API key.
        api: i16,
        /// 1 cuts every answer.
        nth: u64,
    },
    /// Every answer comes this much later; later answers on the connection wait behind it.
    Delay {
        /// The API key.
        api: i16,
        /// How much later.
        by: Duration,
    },
}

/// Listens on the ports that a cluster started with `scripts/kafka.sh up --proxied` advertises, and passes on.
/// Ends, cutting every connection, when it is dropped.
#[derive(Debug)]
pub struct FaultProxy {
    bootstrap: String,
    shared: Arc<Shared>,
    accepting: Vec<Front>,
    /// The advertised ports are lent to one proxy at a time.
    turn: Option<File>,
}

/// One listener: its port, the link behind it, and the thread that accepts.
#[derive(Debug)]
struct Front {
    port: u16,
    link: Arc<Link>,
    thread: JoinHandle<()>,
}

/// What holds for all links.
#[derive(Debug, Default)]
struct Shared {
    rules: Mutex<Vec<Rule>>,
    /// Answers counted per API key, for [`Rule::SwallowEvery`].
    answered: Mutex<HashMap<i16, u64>>,
    swallowed: AtomicU64,
    ended: AtomicBool,
    bytes_per_second: AtomicU64,
}

/// The way to one broker, which can be shut while those to the others stay open.
#[derive(Debug, Default)]
pub struct Link {
    target: AtomicU16,
    held: Mutex<Held>,
    released: Condvar,
    refusing: AtomicBool,
    open: Mutex<Vec<TcpStream>>,
}

/// Which connections of a link pass nothing. They are numbered as they come.
#[derive(Debug, Default)]
struct Held {
    all: bool,
    below: u64,
    next: u64,
}

impl Link {
    /// A black hole: nothing passes in either direction any more, not even the end of a connection; connections stay
    /// open, and new ones are taken.
    pub fn freeze(&self) {
        self.held.lock().unwrap().all = true;
    }

    /// Ends [`Self::freeze`] and [`Self::strand`]: what was on its way arrives.
    pub fn thaw(&self) {
        let mut held = self.held.lock().unwrap();
        (held.all, held.below) = (false, 0);
        drop(held);
        self.released.notify_all();
    }

    /// The connections that are open now pass nothing any more, as when something in between has forgotten them; new ones
    /// do.
    pub fn strand(&self) {
        let mut held = self.held.lock().unwrap();
        held.below = held.next;
    }

    /// Cuts every connection; new ones are let in.
    pub fn cut(&self) {
        for connection in self.open.lock().unwrap().drain(..) {
            // It may have ended by itself.
            let _ = connection.shutdown(Shutdown::Both);
        }
    }

    /// Closes new connections as soon as they come, until told otherwise.
    pub fn refuse(&self, refusing: bool) {
        self.refusing.store(refusing, Ordering::SeqCst);
    }

    fn number(&self) -> u64 {
        let mut held = self.held.lock().unwrap();
        held.next += 1;
        held.next - 1
    }

    fn wait_while_held(&self, number: u64) {
        let held = self.held.lock().unwrap();
        drop(self.released.wait_while(held, |held| held.all || number < held.below).unwrap());
    }
}

impl FaultProxy {
    /// Starts in front of every node of `kafka`, once the proxy of another test there has gone.
    ///
    /// # Panics
    /// Where the cluster has no proxied listener.
    pub fn start(kafka: &RealKafka) -> Self {
        let routes = kafka.proxied_ports();
        assert!(!routes.is_empty(), "the cluster was started without --proxied");
        let turn = kafka.lock("proxy");
        let mut proxy = Self::between(&routes);
        proxy.turn = Some(turn);
        proxy
    }

    /// Starts on loopback ports of one's own choice: pairs of (listen on, pass on to).
    pub fn between(routes: &[(u16, u16)]) -> Self {
        let listen = |&(listen, target): &(u16, u16)| {
            (TcpListener::bind(("127.0.0.1", listen)).expect("the advertised port is free"), target)
        };
        Self::in_front(routes.iter().map(listen).collect())
    }

    /// Starts on a free loopback port and accepts nobody's connection until it knows where to pass on to
    /// ([`Self::pass_to`]).
    pub fn without_target() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        Self::in_front(vec![(listener, 0)])
    }

    fn in_front(routes: Vec<(TcpListener, u16)>) -> Self {
        let shared = Arc::new(Shared::default());
        let accepting = routes.into_iter().map(|(listener, target)| {
            let port = listener.local_addr().expect("a bound listener has an address").port();
            let link = Arc::new(Link { target: AtomicU16::new(target), ..Link::default() });
            let (shared, behind) = (Arc::clone(&shared), Arc::clone(&link));
            Front { port, link, thread: spawn(move || accept(&listener, &behind, &shared)) }
        });
        let accepting: Vec<Front> = accepting.collect();
        let addresses: Vec<String> =
            accepting.iter().map(|front| format!("127.0.0.1:{}", front.port)).collect();
        Self { bootstrap: addresses.join(","), shared, accepting, turn: None }
    }

    /// The port it listens on, the first where there are several.
    pub fn port(&self) -> u16 {
        self.accepting.first().map(|front| front.port).expect("a proxy listens somewhere")
    }

    /// New connections go to this loopback port from now on.
    pub fn pass_to(&self, port: u16) {
        self.links().for_each(|link| link.target.store(port, Ordering::SeqCst));
    }

    /// `HOST:PORT,…` for clients.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// Adds a rule.
    pub fn add(&self, rule: Rule) {
        self.shared.rules.lock().unwrap().push(rule);
    }

    /// Removes all rules.
    pub fn clear(&self) {
        self.shared.rules.lock().unwrap().clear();
    }

    /// How many answers were swallowed so far.
    pub fn swallowed(&self) -> u64 {
        self.shared.swallowed.load(Ordering::SeqCst)
    }

    /// The link to one node, counted from 1.
    pub fn link(&self, node: u32) -> &Link {
        let index = usize::try_from(node).ok().and_then(|node| node.checked_sub(1));
        let front = index.and_then(|index| self.accepting.get(index));
        &front.unwrap_or_else(|| panic!("no link to node {node}")).link
    }

    fn links(&self) -> impl Iterator<Item = &Link> {
        self.accepting.iter().map(|front| &*front.link)
    }

    /// [`Link::freeze`] for all.
    pub fn freeze(&self) {
        self.links().for_each(Link::freeze);
    }

    /// [`Link::thaw`] for all.
    pub fn thaw(&self) {
        self.links().for_each(Link::thaw);
    }

    /// [`Link::strand`] for all.
    pub fn strand(&self) {
        self.links().for_each(Link::strand);
    }

    /// [`Link::cut`] for all.
    pub fn cut(&self) {
        self.links().for_each(Link::cut);
    }

    /// [`Link::refuse`] for all.
    pub fn refuse(&self, refusing: bool) {
        self.links().for_each(|link| link.refuse(refusing));
    }

    /// Limits each direction of each connection; 0 is no limit.
    pub fn limit_bytes_per_second(&self, limit: u64) {
        self.shared.bytes_per_second.store(limit, Ordering::SeqCst);
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        self.thaw();
        self.cut();
        for front in self.accepting.drain(..) {
            // Wakes the accepting thread, which then sees the end. The port is free once it is gone.
            let _ = TcpStream::connect(("127.0.0.1", front.port));
            let _ = front.thread.join();
        }
    }
}

fn accept(listener: &TcpListener, link: &Arc<Link>, shared: &Arc<Shared>) {
    for client in listener.incoming() {
        if shared.ended.load(Ordering::SeqCst) {
            return;
        }
        let Ok(client) = client else { continue };
        if link.refusing.load(Ordering::SeqCst) {
            continue;
        }
        // A node that is down refuses; the client sees its connection closed.
        let Ok(broker) = TcpStream::connect(("127.0.0.1", link.target.load(Ordering::SeqCst))) else {
            continue;
        };
        if let Err(error) = join(client, broker, link, shared) {
            eprintln!("proxy: {error}");
        }
    }
}

/// Passes on in both directions, a thread each, until either side ends.
fn join(client: TcpStream, broker: TcpStream, link: &Arc<Link>, shared: &Arc<Shared>) -> io::Result<()> {
    client.set_nodelay(true)?;
    broker.set_nodelay(true)?;
    link.open.lock().unwrap().extend([client.try_clone()?, broker.try_clone()?]);
    let number = link.number();
    // Correlation id to API key of what the broker has not answered yet.
    let pending = Arc::new(Mutex::new(HashMap::new()));
    let (up, down) = (Arc::clone(shared), Arc::clone(shared));
    let (way_up, way_down) = (Arc::clone(link), Arc::clone(link));
    let (asked, answered) = (Arc::clone(&pending), pending);
    let (from_client, to_broker) = (client.try_clone()?, broker.try_clone()?);
    spawn(move || {
        pass(&from_client, &to_broker, (&way_up, number), &up, |frame| {
            let (api, correlation) = request_head(frame)?;
            asked.lock().unwrap().insert(correlation, api);
            Some(Verdict::Pass)
        });
    });
    spawn(move || {
        pass(&broker, &client, (&way_down, number), &down, |frame| {
            let correlation = i32::from_be_bytes(frame.get(..4)?.try_into().ok()?);
            let api = answered.lock().unwrap().remove(&correlation)?;
            Some(down.judge(api))
        });
    });
    Ok(())
}

#[derive(Debug, Clone, Copy)]
enum Verdict {
    Pass,
    PassAfter(Duration),
    Swallow,
    Truncate,
    Cut,
}

impl Shared {
    fn judge(&self, api: i16) -> Verdict {
        let count = {
            let mut answered = self.answered.lock().unwrap();
            let count = answered.entry(api).or_insert(0);
            *count += 1;
            *count
        };
        for rule in self.rules.lock().unwrap().iter() {
            match *rule {
                Rule::SwallowEvery { api: key, nth, cut } if key == api && count.is_multiple_of(nth) => {
                    self.swallowed.fetch_add(1, Ordering::SeqCst);
                    return if cut { Verdict::Cut } else { Verdict::Swallow };
                }
                Rule::TruncateEvery { api: key, nth } if key == api && count.is_multiple_of(nth) => {
                    self.swallowed.fetch_add(1, Ordering::SeqCst);
                    return Verdict::Truncate;
                }
                Rule::Delay { api: key, by } if key == api => return Verdict::PassAfter(by),
                _ => {}
            }
        }
        Verdict::Pass
    }
}

/// Frame by frame, until the end, a cut, or bytes that `judge` cannot read.
fn pass(
    mut from: &TcpStream,
    mut to: &TcpStream,
    (link, number): (&Link, u64),
    shared: &Shared,
    mut judge: impl FnMut(&[u8]) -> Option<Verdict>,
) {
    while let Ok(frame) = read_frame(&mut from) {
        link.wait_while_held(number);
        match judge(&frame[4..]) {
            Some(Verdict::Pass) => {}
            Some(Verdict::PassAfter(by)) => sleep(by),
            Some(Verdict::Swallow) => continue,
            Some(Verdict::Truncate) => {
                let _ = to.write_all(&frame[..frame.len() / 2]);
                break;
            }
            Some(Verdict::Cut) | None => break,
        }
        link.wait_while_held(number);
        if write_slowly(&mut to, &frame, &shared.bytes_per_second).is_err() {
            break;
        }
    }
    link.wait_while_held(number);
    // Either side may have ended by itself.
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

fn request_head(frame: &[u8]) -> Option<(i16, i32)> {
    let api = i16::from_be_bytes(frame.get(..2)?.try_into().ok()?);
    let correlation = i32::from_be_bytes(frame.get(4..8)?.try_into().ok()?);
    Some((api, correlation))
}

/// One frame with its length in front.
fn read_frame(from: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let body = u32::from_be_bytes(length) as usize;
    if body > FRAME_LIMIT {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut frame = vec![0; 4 + body];
    frame[..4].copy_from_slice(&length);
    from.read_exact(&mut frame[4..])?;
    Ok(frame)
}

/// Writes in twentieths of a second's worth where there is a limit.
fn write_slowly(to: &mut impl Write, frame: &[u8], limit: &AtomicU64) -> io::Result<()> {
    let mut rest = frame;
    while !rest.is_empty() {
        let allowed = match limit.load(Ordering::SeqCst) {
            0 => rest.len(),
            limit => usize::try_from(limit / 20).unwrap_or(usize::MAX).clamp(1, rest.len()),
        };
        to.write_all(&rest[..allowed])?;
        rest = &rest[allowed..];
        if !rest.is_empty() {
            sleep(Duration::from_millis(50));
        }
    }
    Ok(())
}
