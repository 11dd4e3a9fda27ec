//! A broker that lies: a TCP server that answers requests with whatever bytes a script says, and the list of lies that
//! every client has to survive. It builds its answers by hand, so that it can build wrong ones.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::{JoinHandle, spawn};
use std::time::Duration;

/// API keys.
const METADATA: i16 = 3;
const API_VERSIONS: i16 = 18;
/// Not a request: a client has connected.
const CONNECTED: i16 = -1;
/// The version of Metadata that is offered, whose layout the answers here have.
const METADATA_VERSION: i16 = 12;
const PAUSE: Duration = Duration::from_millis(20);

/// What a script sees.
#[derive(Debug, Clone, Copy)]
pub struct Request {
    /// The API key, or -1 when a client has connected and asked nothing yet.
    pub key: i16,
    /// What the client expects back.
    pub correlation_id: i32,
    /// Where this broker listens.
    pub port: u16,
}

/// What a script does.
#[derive(Debug, Clone)]
pub enum Act {
    /// These bytes, as they are.
    Raw(Vec<u8>),
    /// These bytes, one after the other with a pause.
    Trickle(Vec<u8>),
    /// These bytes again and again.
    Flood(Vec<u8>),
    /// Close the connection.
    Close,
}

/// What to do at a request. Nothing means silence.
pub type Script = fn(Request) -> Vec<Act>;

/// A running hostile broker; it ends when this is dropped.
#[derive(Debug)]
pub struct HostileBroker {
    port: u16,
    connections: Arc<AtomicU32>,
    ended: Arc<AtomicBool>,
    acceptor: Option<JoinHandle<()>>,
}

impl HostileBroker {
    /// Listens on a free port of this machine.
    pub fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("a bound listener has an address").port();
        let (connections, ended) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(false)));
        let (counted, until) = (Arc::clone(&connections), Arc::clone(&ended));
        let acceptor = spawn(move || {
            for stream in listener.incoming() {
                if until.load(Ordering::Relaxed) {
                    return;
                }
                counted.fetch_add(1, Ordering::Relaxed);
                let (stream, until) = (stream.expect("accepting on this machine works"), Arc::clone(&until));
                spawn(move || drop(serve(stream, port, script, &until)));
            }
        });
        Self { port, connections, ended, acceptor: Some(acceptor) }
    }

    /// `HOST:PORT`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// How many connections were made so far.
    pub fn connections(&self) -> u32 {
        self.connections.load(Ordering::Relaxed)
    }
}

impl Drop for HostileBroker {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        // One more connection, so that it sees the end.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

/// Serves one client until either side ends it.
fn serve(mut stream: TcpStream, port: u16, script: Script, ended: &AtomicBool) -> std::io::Result<()> {
    stream.set_write_timeout(Some(Duration::from_secs(5)))?;
    let mut request = Request { key: CONNECTED, correlation_id: 0, port };
    loop {
        for act in script(request) {
            match act {
                Act::Raw(bytes) => stream.write_all(&bytes)?,
                Act::Close => return Ok(()),
                Act::Flood(bytes) => {
                    while !ended.load(Ordering::Relaxed) {
                        stream.write_all(&bytes)?;
                    }
                }
                Act::Trickle(bytes) => {
                    for byte in bytes {
                        if ended.load(Ordering::Relaxed) {
                            return Ok(());
                        }
                        stream.write_all(&[byte])?;
                        std::thread::sleep(PAUSE);
                    }
                }
            }
        }
        let mut length = [0; 4];
        stream.read_exact(&mut length)?;
        let mut frame = vec![0; u32::from_be_bytes(length) as usize];
        stream.read_exact(&mut frame)?;
        request.key = i16::from_be_bytes([frame[0], frame[1]]);
        request.correlation_id = i32::from_be_bytes([frame[4], frame[5], frame[6], frame[7]]);
    }
}

/// A frame around `body`, with the header of an answer; `flexible` headers end with no tags.
fn frame(correlation_id: i32, flexible: bool, body: &[u8]) -> Vec<u8> {
    let mut bytes = correlation_id.to_be_bytes().to_vec();
    if flexible {
        bytes.push(0);
    }
    bytes.extend_from_slice(body);
    let length = u32::try_from(bytes.len()).expect("test frames are small");
    [&length.to_be_bytes()[..], &bytes].concat()
}

/// ApiVersions version 4: what an honest broker says, for the few APIs that are asked first.
fn versions_body() -> Vec<u8> {
    let offered =
        [(METADATA, METADATA_VERSION, METADATA_VERSION), (API_VERSIONS, 0, 4), (10, 4, 4), (1, 12, 12)];
    let mut body = vec![0, 0, u8::try_from(offered.len() + 1).expect("few")];
    for (key, min, max) in offered {
        for number in [key, min, max] {
            body.extend_from_slice(&i16::to_be_bytes(number));
        }
        body.push(0);
    }
    body.extend_from_slice(&[0, 0, 0, 0, 0]);
    body
}

fn string(text: &str) -> Vec<u8> {
    let mut bytes = varint(u32::try_from(text.len() + 1).expect("short"));
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

fn varint(mut number: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

fn broker(id: i32, host: &str, port: i32) -> Vec<u8> {
    [&id.to_be_bytes()[..], &string(host), &port.to_be_bytes(), &[0, 0]].concat()
}

/// One topic with one partition, with these error codes and this leader.
fn topic(name: &str, topic_error: i16, partition_error: i16, leader: i32) -> Vec<u8> {
    let mut bytes = [&topic_error.to_be_bytes()[..], &string(name), &[7; 16], &[0]].concat();
    bytes.extend_from_slice(&varint(2));
    bytes.extend_from_slice(&partition_error.to_be_bytes());
    bytes.extend_from_slice(&0_i32.to_be_bytes());
    bytes.extend_from_slice(&leader.to_be_bytes());
    bytes.extend_from_slice(&0_i32.to_be_bytes());
    // Replicas, in-sync and offline replicas: none. Then no tags.
    bytes.extend_from_slice(&[1, 1, 1, 0]);
    bytes.extend_from_slice(&i32::MIN.to_be_bytes());
    bytes.push(0);
    bytes
}

/// Metadata version 12 of these brokers and topics.
fn metadata_body(brokers: &[Vec<u8>], topics: &[Vec<u8>]) -> Vec<u8> {
    let count = |items: &[Vec<u8>]| varint(u32::try_from(items.len() + 1).expect("few"));
    let head = [0, 0, 0, 0];
    let tail = [&string("cluster")[..], &1_i32.to_be_bytes()].concat();
    [&head[..], &count(brokers), &brokers.concat(), &tail, &count(topics), &topics.concat(), &[0]].concat()
}

/// Answers ApiVersions honestly and Metadata with `metadata`.
fn after_handshake(request: Request, metadata: impl FnOnce() -> Vec<Act>) -> Vec<Act> {
    match request.key {
        API_VERSIONS => vec![Act::Raw(frame(request.correlation_id, false, &versions_body()))],
        METADATA => metadata(),
        _ => vec![],
    }
}

fn with_metadata(request: Request, body: &[u8]) -> Vec<Act> {
    after_handshake(request, || vec![Act::Raw(frame(request.correlation_id, true, body))])
}

fn at_first(request: Request, bytes: &[u8]) -> Vec<Act> {
    if request.key == CONNECTED { vec![] } else { vec![Act::Raw(bytes.to_vec())] }
}

/// A lie, and words that the error must have; `None` where nothing is wrong as far as a list of topics goes.
pub type Lie = (&'static str, Option<&'static str>, Script);

/// Every lie about frames and about the first answer of a connection.
pub const FRAME_LIES: &[Lie] = &[
    ("no answer", Some("no connection after"), |_| vec![]),
    ("close after accept", Some("connection lost"), |_| vec![Act::Close]),
    ("close after the request", Some("connection lost"), |r| {
        if r.key == CONNECTED { vec![] } else { vec![Act::Close] }
    }),
    ("garbage before any request", Some("frame of"), |r| {
        if r.key == CONNECTED { vec![Act::Raw(vec![0xa5; 4096])] } else { vec![] }
    }),
    ("garbage as an answer", Some("frame of"), |r| at_first(r, &[0x5a; 64])),
    ("huge length prefix", Some("above the limit"), |r| at_first(r, &[0x7f, 0xff, 0xff, 0xff])),
    ("negative length prefix", Some("negative length"), |r| at_first(r, &[0xff, 0xff, 0xff, 0xfe])),
    ("length shorter than a header", Some("shorter than its header"), |r| at_first(r, &[0, 0, 0, 2, 0, 0])),
    ("a large frame that never comes", Some("no connection after"), |r| {
        at_first(r, &[0x06, 0, 0, 0, 0, 0, 0, 0])
    }),
    ("truncated frame, then closed", Some("connection lost"), |r| {
        if r.key == CONNECTED {
            return vec![];
        }
        let whole = frame(r.correlation_id, false, &versions_body());
        vec![Act::Raw(whole[..whole.len() / 2].to_vec()), Act::Close]
    }),
    ("truncated frame, then silence", Some("no connection after"), |r| {
        let whole = frame(r.correlation_id, false, &versions_body());
        at_first(r, &whole[..whole.len() / 2])
    }),
    ("one byte at a time", None, |r| {
        after_handshake(r, || {
            vec![Act::Trickle(frame(
                r.correlation_id,
                true,
                &metadata_body(&[broker(1, "127.0.0.1", r.port.into())], &[]),
            ))]
        })
    }),
    ("an endless stream of frames", Some("correlation id"), |r| {
        if r.key == CONNECTED { vec![Act::Flood(frame(1 << 20, false, &[0; 16]))] } else { vec![] }
    }),
    ("wrong correlation id", Some("correlation id"), |r| {
        at_first(r, &frame(r.correlation_id.wrapping_add(77), false, &versions_body()))
    }),
    ("repeated correlation id", Some("to no request"), |r| {
        let answer = frame(r.correlation_id, false, &versions_body());
        at_first(r, &[answer.clone(), answer].concat())
    }),
    ("another protocol: HTTP", Some("it speaks HTTP"), |r| at_first(r, b"HTTP/1.1 400 Bad Request\r\n\r\n")),
    ("another protocol: TLS", Some("it speaks TLS"), |r| at_first(r, &[0x15, 3, 3, 0, 2, 2, 70])),
    ("another protocol: SSH", Some("it speaks SSH"), |r| at_first(r, b"SSH-2.0-OpenSSH_9\r\n")),
    ("versions: unknown error code", Some("ApiVersions"), |r| {
        at_first(r, &frame(r.correlation_id, false, &[&[3, 0xe7], &versions_body()[2..]].concat()))
    }),
    ("versions: array beyond the frame", Some("length"), |r| {
        at_first(r, &frame(r.correlation_id, false, &[0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0]))
    }),
    ("versions: nothing offered", Some("does not support"), |r| {
        at_first(r, &frame(r.correlation_id, false, &[0, 0, 1, 0, 0, 0, 0, 0]))
    }),
    ("versions: lowest above highest", Some("in versions 9 to 1"), |r| {
        at_first(r, &frame(r.correlation_id, false, &[0, 0, 2, 0, 3, 0, 9, 0, 1, 0, 0, 0, 0, 0, 0]))
    }),
    ("versions: an empty answer", Some("cannot connect"), |r| {
        at_first(r, &frame(r.correlation_id, false, &[]))
    }),
];

/// Every lie about the cluster, behind an honest first answer.
pub const METADATA_LIES: &[Lie] = &[
    ("metadata: no answer", Some("no answer after"), |r| after_handshake(r, Vec::new)),
    ("metadata: closed", Some("connection lost"), |r| after_handshake(r, || vec![Act::Close])),
    ("metadata: an empty answer", Some("malformed answer"), |r| with_metadata(r, &[])),
    ("metadata: brokers beyond the frame", Some("malformed answer"), |r| {
        with_metadata(r, &[0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f])
    }),
    ("metadata: a string beyond the frame", Some("malformed answer"), |r| {
        with_metadata(r, &[&[0, 0, 0, 0, 2, 0, 0, 0, 1][..], &varint(1 << 30), b"host"].concat())
    }),
    ("metadata: a varint without an end", Some("malformed answer"), |r| {
        with_metadata(r, &[&[0, 0, 0, 0][..], &[0xff; 64]].concat())
    }),
    ("metadata: tags beyond the frame", Some("malformed answer"), |r| {
        let body = metadata_body(&[broker(1, "127.0.0.1", r.port.into())], &[]);
        with_metadata(r, &[&body[..body.len() - 1], &[0xff, 0xff, 0xff, 0xff, 0x0f]].concat())
    }),
    ("metadata: text that is not UTF-8", Some("malformed answer"), |r| {
        with_metadata(r, &[&[0, 0, 0, 0, 2, 0, 0, 0, 1, 4, 0xff, 0xfe, 0xfd][..], &[0; 6]].concat())
    }),
    ("metadata: bytes left over", Some("left over"), |r| {
        let body = metadata_body(&[broker(1, "127.0.0.1", r.port.into())], &[]);
        with_metadata(r, &[body, vec![0; 9]].concat())
    }),
    ("metadata: no broker at all", None, |r| with_metadata(r, &metadata_body(&[], &[]))),
    ("metadata: unknown error codes, a leader that is not there", None, |r| {
        let brokers = [broker(1, "127.0.0.1", r.port.into())];
        with_metadata(
            r,
            &metadata_body(&brokers, &[topic("a", 999, 0, 1), topic("b", 0, -77, 42), topic("b", 0, 0, -5)]),
        )
    }),
    ("metadata: a thousand brokers, all of them itself", None, |r| {
        let brokers: Vec<_> = (0..1000).map(|id| broker(id, "127.0.0.1", r.port.into())).collect();
        with_metadata(r, &metadata_body(&brokers, &[topic("a", 0, 0, 999)]))
    }),
    ("metadata: the same broker id twice", None, |r| {
        let port = r.port.into();
        with_metadata(
            r,
            &metadata_body(&[broker(1, "127.0.0.1", port), broker(1, "nowhere.invalid", 1)], &[]),
        )
    }),
    ("metadata: addresses that cannot be", None, |r| {
        let brokers =
            [broker(1, "", 9092), broker(2, "a b\u{1b}[2J\n", 0), broker(3, "x", 70_000), broker(4, "y", -1)];
        with_metadata(r, &metadata_body(&brokers, &[topic("\u{1b}]0;owned\u{7}", 0, 0, 3)]))
    }),
];
