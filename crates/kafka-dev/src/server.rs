//! The connections of one broker: frames in, one request at a time, frames out in the same order.
//!
//! As in Kafka, the next request of a connection is looked at when the one before it is answered. Not here: what a request
//! means (`api`).

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::api::{self, Connection, Outcome};
use crate::frame::{self, RequestFrame};
use crate::shared::Shared;

/// First size of the receive buffer; it grows to the largest request.
const RECEIVE_BUFFER_BYTES: usize = 16 << 10;

/// How long a client may take for its TLS handshake.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);

/// Accepts until the task is aborted, which also closes the connections.
pub(crate) async fn listen(shared: Arc<Shared>, broker: i32, listeners: Vec<TcpListener>) {
    let mut tasks = JoinSet::new();
    for listener in listeners {
        tasks.spawn(accept(Arc::clone(&shared), broker, listener));
    }
    while tasks.join_next().await.is_some() {}
}

async fn accept(shared: Arc<Shared>, broker: i32, listener: TcpListener) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    let _ = stream.set_nodelay(true);
                    connections.spawn(greet(Arc::clone(&shared), broker, stream, peer));
                }
                Err(error) => {
                    tracing::warn!(%error, broker, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Sets up TLS where it is on.
async fn greet(shared: Arc<Shared>, broker: i32, stream: TcpStream, peer: SocketAddr) {
    let Some(tls) = shared.tls.clone() else { return serve(shared, broker, stream, peer).await };
    match tokio::time::timeout(HANDSHAKE_LIMIT, TlsAcceptor::from(tls).accept(stream)).await {
        Ok(Ok(stream)) => serve(shared, broker, stream, peer).await,
        Ok(Err(error)) => tracing::debug!(%error, broker, %peer, "no TLS"),
        Err(_) => tracing::debug!(broker, %peer, "the TLS handshake took too long"),
    }
}

async fn serve(
    shared: Arc<Shared>,
    broker: i32,
    stream: impl AsyncRead + AsyncWrite + Unpin,
    peer: SocketAddr,
) {
    let connection = Connection::new(shared, broker, peer);
    if let Err(error) = exchange(connection, stream).await {
        tracing::debug!(%error, broker, %peer, "connection closed");
    }
}

async fn exchange(
    mut connection: Connection,
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
) -> io::Result<()> {
    let mut received = BytesMut::with_capacity(RECEIVE_BUFFER_BYTES);
    loop {
        while let Some(bytes) = frame::next_frame(&mut received).map_err(io::Error::other)? {
            let request = RequestFrame::read(bytes).map_err(io::Error::other)?;
            match api::answer(&mut connection, request).await {
                Outcome::Respond(response) => {
                    stream.write_all(&response).await?;
                    stream.flush().await?;
                }
                Outcome::RespondAndClose(response) => {
                    stream.write_all(&response).await?;
                    return stream.shutdown().await;
                }
                Outcome::NoResponse => {}
                Outcome::Close(reason) => return Err(io::Error::other(reason)),
                Outcome::Silence => return stay_silent(stream).await,
            }
        }
        received.reserve(RECEIVE_BUFFER_BYTES);
        if stream.read_buf(&mut received).await? == 0 {
            return Ok(());
        }
    }
}

/// Reads on, as a frozen broker's kernel does for a while, and never answers again.
async fn stay_silent(mut stream: impl AsyncRead + Unpin) -> io::Result<()> {
    let mut ignored = vec![0; RECEIVE_BUFFER_BYTES];
    while stream.read(&mut ignored).await? > 0 {}
    Ok(())
}
