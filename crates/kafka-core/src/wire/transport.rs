//! From `host:port` to a connected stream, encrypted or not: name lookup, every address in turn, one time limit.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
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

/// Connects to the first address of the name that answers, within `limit` for all of them together.
///
/// A name may stand for several addresses (KIP-602), `localhost` for one of each family. Each gets an equal share of
/// what is left of the time, so that a silent first address does not eat the others' turn.
pub(crate) async fn connect_tcp(address: &Address, limit: Duration) -> Result<TcpStream, ConnectFailure> {
    let deadline = Instant::now() + limit;
    let found = timeout_at(deadline, tokio::net::lookup_host((&*address.host, address.port)))
        .await
        .map_err(|_| ConnectFailure::TimedOut(limit))?
        .map_err(|error| ConnectFailure::Resolve(error.to_string()))?;
    let addresses: Vec<_> = found.collect();
    let mut last = ConnectFailure::Resolve("the name has no address".into());
    for (index, candidate) in addresses.iter().enumerate() {
        let left = deadline.saturating_duration_since(Instant::now());
        let share = left / u32::try_from(addresses.len() - index).unwrap_or(u32::MAX);
        match timeout(share, TcpStream::connect(candidate)).await {
            Ok(Ok(stream)) => {
                // Requests leave as soon as they are complete; batching happens above.
                stream.set_nodelay(true).map_err(|error| ConnectFailure::Tcp(error.to_string()))?;
                return Ok(stream);
            }
            Ok(Err(error)) => last = ConnectFailure::Tcp(plain_words(&error)),
            Err(_) => last = ConnectFailure::TimedOut(limit),
        }
    }
    Err(last)
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
