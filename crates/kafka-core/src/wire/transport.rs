//! From `host:port` to a connected stream, encrypted or not: name lookup, every address of the name, one time limit.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_rustls::client::TlsStream;

use super::Address;
use super::tls::{self, Tls};
use crate::error::ConnectFailure;

/// A connected stream to a broker, encrypted or not.
#[derive(Debug)]
pub(crate) enum Transport {
    /// `PLAINTEXT`, `SASL_PLAINTEXT`.
    Plain(TcpStream),
    /// `SSL`, `SASL_SSL`.
    Tls(Box<TlsStream<TcpStream>>, TlsAlert),
}

/// What TLS said when it ended the stream. A broker that wants a client certificate says so after the handshake, as
/// the client sees it.
pub(crate) type TlsAlert = Arc<OnceLock<String>>;

impl Transport {
    /// A connected stream to `address`. The second is filled when TLS ends the stream with an alert.
    pub(crate) async fn connect(
        address: &Address,
        tls: Option<&Tls>,
        limit: Duration,
    ) -> Result<(Self, TlsAlert), ConnectFailure> {
        let (tcp, alert) = (connect_tcp(address, limit).await?, TlsAlert::default());
        let stream = match tls {
            Some(tls) => Self::Tls(Box::new(tls.connect(tcp, &address.host).await?), Arc::clone(&alert)),
            None => Self::Plain(tcp),
        };
        Ok((stream, alert))
    }
}

/// How long an address may stay silent before the next one of the name is tried beside it (RFC 8305, section 8).
const HEAD_START: Duration = Duration::from_millis(250);

/// How long a connection may be idle before it is probed, how long each probe may take, and how many may be lost.
const IDLE: Duration = Duration::from_secs(20);
const PROBE_PAUSE: Duration = Duration::from_secs(5);
const PROBES: u32 = 4;

/// Looks the name up, anew each time, and connects to the first of its addresses that answers; all within `limit`.
pub(crate) async fn connect_tcp(address: &Address, limit: Duration) -> Result<TcpStream, ConnectFailure> {
    let connected = timeout(limit, async {
        let found = tokio::net::lookup_host((&*address.host, address.port)).await;
        connect_first(found.map_err(|error| ConnectFailure::Resolve(error.to_string()))?.collect()).await
    });
    connected.await.unwrap_or(Err(ConnectFailure::TimedOut(limit)))
}

/// A name may stand for several addresses (KIP-602), `localhost` for one of each family: a dead or silent one must not
/// keep the client from the others.
async fn connect_first(addresses: Vec<SocketAddr>) -> Result<TcpStream, ConnectFailure> {
    let mut waiting = addresses.into_iter();
    let mut tried: JoinSet<std::io::Result<TcpStream>> = JoinSet::new();
    let mut last = ConnectFailure::Resolve("the name has no address".into());
    let mut next_at = Instant::now();
    loop {
        tokio::select! {
            Some(outcome) = tried.join_next() => match outcome.unwrap_or_else(|error| Err(error.into())) {
                Ok(stream) => {
                    set_up(&stream).map_err(|error| ConnectFailure::Tcp(error.to_string()))?;
                    return Ok(stream);
                }
                Err(error) => (last, next_at) = (ConnectFailure::Tcp(plain_words(&error)), Instant::now()),
            },
            () = sleep_until(next_at), if waiting.len() > 0 => {
                if let Some(address) = waiting.next() {
                    tried.spawn(TcpStream::connect(address));
                }
                next_at = Instant::now() + HEAD_START;
            }
            else => return Err(last),
        }
    }
}

fn set_up(stream: &TcpStream) -> std::io::Result<()> {
    // Requests leave as soon as they are complete; batching happens above.
    stream.set_nodelay(true)?;
    // A request may rightly wait for minutes (JoinGroup), and what stands in between may forget the connection meanwhile:
    // the other end's system is asked whether it is still there. It answers for a broker that is frozen.
    SockRef::from(stream).set_tcp_keepalive(
        &TcpKeepalive::new().with_time(IDLE).with_interval(PROBE_PAUSE).with_retries(PROBES),
    )
}

fn plain_words(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::ConnectionRefused => "connection refused: no server listens there".into(),
        _ => error.to_string(),
    }
}

/// Keeps what TLS says, and puts it in words.
fn noted(alert: &TlsAlert, error: std::io::Error) -> std::io::Error {
    match tls::explain(&error) {
        Some(words) => {
            let words = alert.get_or_init(|| words);
            std::io::Error::new(std::io::ErrorKind::ConnectionAborted, format!("TLS: {words}"))
        }
        None => error,
    }
}

impl AsyncRead for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream, alert) => {
                Pin::new(stream).poll_read(cx, buf).map_err(|error| noted(alert, error))
            }
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream, alert) => {
                Pin::new(stream).poll_write(cx, buf).map_err(|error| noted(alert, error))
            }
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Tls(stream, alert) => {
                Pin::new(stream).poll_write_vectored(cx, bufs).map_err(|error| noted(alert, error))
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream, alert) => Pin::new(stream).poll_flush(cx).map_err(|error| noted(alert, error)),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream, _) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpSocket};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(5);

    async fn alive() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    /// An address where nobody listens.
    async fn dead() -> SocketAddr {
        alive().await.1
    }

    /// An address that neither accepts nor refuses: its listener's queue is full, so the system drops what knocks.
    async fn silent() -> (TcpListener, Vec<TcpStream>, SocketAddr) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let (address, mut queued) = (listener.local_addr().unwrap(), vec![]);
        while let Ok(stream) = timeout(Duration::from_millis(100), TcpStream::connect(address)).await {
            queued.push(stream.unwrap());
            assert!(queued.len() < 100, "a queue of one takes a few at most");
        }
        (listener, queued, address)
    }

    #[tokio::test]
    async fn dead_and_silent_addresses_of_a_name_do_not_keep_from_the_one_that_lives() {
        let (_listener, living) = alive().await;
        let (_silent, _queued, silent) = silent().await;
        let started = Instant::now();
        let connected = connect_first(vec![dead().await, silent, living]).await.unwrap();
        assert_eq!(connected.peer_addr().unwrap(), living);
        assert!(started.elapsed() < LIMIT, "it waited for the silent one");
    }

    #[tokio::test]
    async fn an_idle_connection_is_probed() {
        let (_listener, living) = alive().await;
        let connected = connect_first(vec![living]).await.unwrap();
        assert!(SockRef::from(&connected).keepalive().unwrap());
    }

    #[tokio::test]
    async fn a_name_whose_addresses_are_all_dead_or_silent_is_given_up_in_time() {
        let refused = connect_first(vec![dead().await, dead().await]).await.unwrap_err();
        assert!(refused.to_string().contains("refused"), "{refused}");
        let (_silent, _queued, silent) = silent().await;
        let address = Address { host: silent.ip().to_string().into(), port: silent.port() };
        let limit = Duration::from_millis(200);
        assert_eq!(connect_tcp(&address, limit).await.unwrap_err(), ConnectFailure::TimedOut(limit));
    }
}
