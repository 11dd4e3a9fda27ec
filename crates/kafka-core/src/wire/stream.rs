//! The bytes between the socket and rskafka's messenger: frame limit, order of answers, write coalescing, retirement.
//!
//! The messenger trusts what it reads more than we do: it skips over a frame that is too long, and waits for ever when
//! an answer carries another request's correlation id. Here every frame's first bytes are looked at on their way: a
//! broker answers the requests of one connection in order, so the next correlation id is known. Whatever is wrong ends
//! the stream with an error that says so, and the messenger hands that to every request in flight.

use std::collections::VecDeque;
use std::io::{Error, ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Small reads are served from a buffer of this size; larger ones go straight into the caller's memory.
const READ_BUFFER_BYTES: usize = 16 * 1024;
/// Writes up to this size wait for the next one or for a flush, so that a frame's length and body leave together.
const COALESCE_BYTES: usize = 512;
/// Length, API key, version and correlation id: what a request starts with.
const REQUEST_HEAD: usize = 12;
/// Length and correlation id: what an answer starts with.
const RESPONSE_HEAD: usize = 8;

/// What the owner of a connection sees of its stream from outside.
#[derive(Debug, Default)]
pub(crate) struct Control {
    retired: Mutex<Option<String>>,
    closed: AtomicBool,
    reader: Mutex<Option<Waker>>,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
}

impl Control {
    /// Ends the stream: every request in flight fails with `why`.
    pub(crate) fn retire(&self, why: String) {
        self.retired.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(why);
        self.closed.store(true, Ordering::Release);
        if let Some(waker) = self.reader.lock().unwrap_or_else(PoisonError::into_inner).take() {
            waker.wake();
        }
    }

    /// Whether the stream has ended, from either side.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Bytes received and sent so far.
    pub(crate) fn bytes(&self) -> (u64, u64) {
        (self.bytes_in.load(Ordering::Relaxed), self.bytes_out.load(Ordering::Relaxed))
    }

    fn check(&self) -> Result<()> {
        if !self.is_closed() {
            return Ok(());
        }
        match &*self.retired.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(why) => Err(Error::new(ErrorKind::ConnectionAborted, why.clone())),
            None => Ok(()),
        }
    }
}

/// Looks at the first bytes of every frame that passes, however the frames are cut into pieces.
#[derive(Debug)]
struct Scanner<const HEAD: usize> {
    head: [u8; HEAD],
    have: usize,
    /// Bytes of the current frame that are still to come after its head.
    body_left: usize,
}

impl<const HEAD: usize> Scanner<HEAD> {
    fn new() -> Self {
        Self { head: [0; HEAD], have: 0, body_left: 0 }
    }

    /// Takes `bytes`; calls `on_length` with each frame's length as soon as it is known and `on_head` with its head.
    fn scan(
        &mut self,
        mut bytes: &[u8],
        mut on_length: impl FnMut([u8; 4]) -> Result<()>,
        mut on_head: impl FnMut(&[u8; HEAD]) -> Result<()>,
    ) -> Result<()> {
        while !bytes.is_empty() {
            if self.body_left > 0 {
                let skip = self.body_left.min(bytes.len());
                self.body_left -= skip;
                bytes = &bytes[skip..];
                continue;
            }
            let take = (HEAD - self.have).min(bytes.len());
            self.head[self.have..self.have + take].copy_from_slice(&bytes[..take]);
            let length_is_new = self.have < 4 && self.have + take >= 4;
            self.have += take;
            bytes = &bytes[take..];
            let length = [self.head[0], self.head[1], self.head[2], self.head[3]];
            if length_is_new {
                on_length(length)?;
            }
            if self.have == HEAD {
                on_head(&self.head)?;
                self.have = 0;
                self.body_left = (u32::from_be_bytes(length) as usize).saturating_sub(HEAD - 4);
            }
        }
        Ok(())
    }
}

/// A stream that carries Kafka frames: requests out, answers in.
#[derive(Debug)]
pub(crate) struct FrameStream<S> {
    inner: S,
    control: Arc<Control>,
    max_frame_bytes: usize,
    incoming: Scanner<RESPONSE_HEAD>,
    outgoing: Scanner<REQUEST_HEAD>,
    /// Correlation ids of the requests that were written and not answered yet, in order.
    expected: VecDeque<i32>,
    read_buffer: Vec<u8>,
    read_position: usize,
    unwritten: Vec<u8>,
}

impl<S> FrameStream<S> {
    /// Wraps a connected stream; an answer longer than `max_frame_bytes` ends it.
    pub(crate) fn new(inner: S, max_frame_bytes: usize) -> (Self, Arc<Control>) {
        let control = Arc::new(Control::default());
        let stream = Self {
            inner,
            control: Arc::clone(&control),
            max_frame_bytes,
            incoming: Scanner::new(),
            outgoing: Scanner::new(),
            expected: VecDeque::new(),
            read_buffer: Vec::new(),
            read_position: 0,
            unwritten: Vec::new(),
        };
        (stream, control)
    }

    fn inspect_incoming(&mut self, bytes: &[u8]) -> Result<()> {
        self.control.bytes_in.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        let (limit, expected) = (self.max_frame_bytes, &mut self.expected);
        let checked = self.incoming.scan(
            bytes,
            |length| check_length(length, limit),
            |head| check_correlation(i32::from_be_bytes([head[4], head[5], head[6], head[7]]), expected),
        );
        if checked.is_err() {
            self.control.closed.store(true, Ordering::Release);
        }
        checked
    }

    fn inspect_outgoing(&mut self, bytes: &[u8]) -> Result<()> {
        self.control.bytes_out.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        let expected = &mut self.expected;
        self.outgoing.scan(
            bytes,
            |_| Ok(()),
            |head| {
                expected.push_back(i32::from_be_bytes([head[8], head[9], head[10], head[11]]));
                Ok(())
            },
        )
    }

    /// Copies what the read buffer holds into `target`; whether it held anything.
    fn serve_from_buffer(&mut self, target: &mut ReadBuf<'_>) -> bool {
        let held = &self.read_buffer[self.read_position..];
        let count = held.len().min(target.remaining());
        target.put_slice(&held[..count]);
        self.read_position += count;
        if self.read_position == self.read_buffer.len() {
            self.read_buffer.clear();
            self.read_position = 0;
        }
        count > 0
    }
}

/// An answer has at least its correlation id and at most the limit. What other protocols send first is worth a name.
fn check_length(length: [u8; 4], limit: usize) -> Result<()> {
    let invalid = |text: String| Err(Error::new(ErrorKind::InvalidData, text));
    match length {
        [0x15 | 0x16, 0x03, ..] => {
            return invalid("it speaks TLS here (set security.protocol=SSL or SASL_SSL)".into());
        }
        [b'H', b'T', b'T', b'P'] => return invalid("it speaks HTTP, not Kafka".into()),
        [b'S', b'S', b'H', b'-'] => return invalid("it speaks SSH, not Kafka".into()),
        _ => {}
    }
    match usize::try_from(i32::from_be_bytes(length)) {
        Err(_) => invalid(format!("a frame of negative length ({})", i32::from_be_bytes(length))),
        Ok(bytes) if bytes < 4 => invalid(format!("a frame of {bytes} bytes, shorter than its header")),
        Ok(bytes) if bytes > limit => {
            invalid(format!("a frame of {bytes} bytes, above the limit of {limit}"))
        }
        Ok(_) => Ok(()),
    }
}

fn check_correlation(id: i32, expected: &mut VecDeque<i32>) -> Result<()> {
    match expected.pop_front() {
        Some(next) if next == id => Ok(()),
        Some(next) => Err(Error::new(
            ErrorKind::InvalidData,
            format!("an answer with correlation id {id} where {next} was due"),
        )),
        None => {
            Err(Error::new(ErrorKind::InvalidData, format!("an answer (correlation id {id}) to no request")))
        }
    }
}

impl<S: AsyncRead + Unpin> FrameStream<S> {
    /// Reads straight into `target`, where it is large; the frame check sees the bytes either way.
    fn poll_read_direct(&mut self, cx: &mut Context<'_>, target: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        let before = target.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, target))?;
        if target.filled().len() == before {
            self.control.closed.store(true, Ordering::Release);
        }
        Poll::Ready(self.inspect_incoming(&target.filled()[before..]))
    }

    fn poll_fill_buffer(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let mut buffer = std::mem::take(&mut self.read_buffer);
        buffer.resize(READ_BUFFER_BYTES, 0);
        let mut target = ReadBuf::new(&mut buffer);
        let polled = self.poll_read_direct(cx, &mut target);
        let filled = if polled.is_ready() { target.filled().len() } else { 0 };
        buffer.truncate(filled);
        self.read_buffer = buffer;
        polled
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for FrameStream<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, target: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        let this = self.get_mut();
        if this.serve_from_buffer(target) {
            return Poll::Ready(Ok(()));
        }
        *this.control.reader.lock().unwrap_or_else(PoisonError::into_inner) = Some(cx.waker().clone());
        this.control.check()?;
        let polled = if target.remaining() >= READ_BUFFER_BYTES {
            this.poll_read_direct(cx, target)
        } else {
            this.poll_fill_buffer(cx).map_ok(|()| {
                this.serve_from_buffer(target);
            })
        };
        if matches!(polled, Poll::Ready(Err(_))) {
            this.control.closed.store(true, Ordering::Release);
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> FrameStream<S> {
    /// Writes what was held back, then `bytes`; how many of `bytes` were taken.
    fn poll_write_through(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        loop {
            let held = self.unwritten.len();
            let slices = [IoSlice::new(&self.unwritten), IoSlice::new(bytes)];
            let slices = if held == 0 { &slices[1..] } else { &slices[..] };
            let written = ready!(Pin::new(&mut self.inner).poll_write_vectored(cx, slices))?;
            if written == 0 && held + bytes.len() > 0 {
                return Poll::Ready(Err(ErrorKind::WriteZero.into()));
            }
            self.unwritten.drain(..written.min(held));
            // Nothing taken of `bytes` would read as the end of the stream.
            if written > held || (written == held && bytes.is_empty()) {
                return Poll::Ready(Ok(written - held));
            }
        }
    }

    /// A stream whose write failed takes no more requests, though its reader may never see an end: the messenger's
    /// reading task leaves at the first answer behind the failure.
    fn end_on_error<T>(&self, polled: Poll<Result<T>>) -> Poll<Result<T>> {
        if matches!(polled, Poll::Ready(Err(_))) {
            self.control.closed.store(true, Ordering::Release);
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for FrameStream<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        let this = self.get_mut();
        this.control.check()?;
        let taken = if bytes.len() <= COALESCE_BYTES && this.unwritten.len() <= COALESCE_BYTES {
            this.unwritten.extend_from_slice(bytes);
            bytes.len()
        } else {
            let polled = this.poll_write_through(cx, bytes);
            ready!(this.end_on_error(polled))?
        };
        this.inspect_outgoing(&bytes[..taken])?;
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let this = self.get_mut();
        while !this.unwritten.is_empty() {
            let polled = this.poll_write_through(cx, &[]);
            ready!(this.end_on_error(polled))?;
        }
        let polled = Pin::new(&mut this.inner).poll_flush(cx);
        this.end_on_error(polled)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    fn request(id: i32) -> Vec<u8> {
        let mut frame = vec![0, 0, 0, 10, 0, 18, 0, 0];
        frame.extend_from_slice(&id.to_be_bytes());
        frame.extend_from_slice(&[0xff, 0xff]);
        frame
    }

    fn response(id: i32) -> Vec<u8> {
        let mut frame = vec![0, 0, 0, 5];
        frame.extend_from_slice(&id.to_be_bytes());
        frame.push(7);
        frame
    }

    async fn answers(requests: &[i32], answer: &[u8]) -> std::result::Result<Vec<u8>, String> {
        let (near, mut far) = duplex(1 << 20);
        let (mut stream, _control) = FrameStream::new(near, 1000);
        for id in requests {
            stream.write_all(&request(*id)).await.unwrap();
        }
        stream.flush().await.unwrap();
        far.write_all(answer).await.unwrap();
        let mut got = vec![0; answer.len()];
        stream.read_exact(&mut got).await.map_err(|error| error.to_string())?;
        Ok(got)
    }

    #[tokio::test]
    async fn answers_in_order_pass_unchanged() {
        let both = [response(3), response(4)].concat();
        assert_eq!(answers(&[3, 4], &both).await, Ok(both));
    }

    #[tokio::test]
    async fn an_answer_to_another_request_ends_the_stream() {
        let error = answers(&[3], &response(9)).await.unwrap_err();
        assert_eq!(error, "an answer with correlation id 9 where 3 was due");
    }

    #[tokio::test]
    async fn an_answer_given_twice_ends_the_stream() {
        let error = answers(&[3], &[response(3), response(3)].concat()).await.unwrap_err();
        assert_eq!(error, "an answer (correlation id 3) to no request");
    }

    #[tokio::test]
    async fn a_frame_above_the_limit_ends_the_stream_before_its_body_is_read() {
        let error = answers(&[3], &[0, 0, 4, 1]).await.unwrap_err();
        assert_eq!(error, "a frame of 1025 bytes, above the limit of 1000");
    }

    #[tokio::test]
    async fn another_protocols_greeting_is_named() {
        assert!(answers(&[3], b"HTTP/1.1 400 Bad").await.unwrap_err().contains("HTTP"));
        assert!(
            answers(&[3], &[0x15, 3, 3, 0, 2, 2, 80]).await.unwrap_err().contains("security.protocol=SSL")
        );
    }

    #[tokio::test]
    async fn a_retired_stream_wakes_its_reader_with_the_reason() {
        let (near, _far) = duplex(64);
        let (mut stream, control) = FrameStream::new(near, 1000);
        let reader = tokio::spawn(async move { stream.read_u8().await.unwrap_err().to_string() });
        tokio::task::yield_now().await;
        control.retire("no answer to Fetch".into());
        assert_eq!(reader.await.unwrap(), "no answer to Fetch");
    }

    #[tokio::test]
    async fn a_small_request_leaves_in_one_piece_at_the_flush() {
        let (near, mut far) = duplex(1 << 20);
        let (mut stream, _control) = FrameStream::new(near, 1000);
        let frame = request(1);
        stream.write_all(&frame[..4]).await.unwrap();
        stream.write_all(&frame[4..]).await.unwrap();
        stream.flush().await.unwrap();
        let mut got = vec![0; 64];
        assert_eq!(far.read(&mut got).await.unwrap(), frame.len());
    }

    #[tokio::test]
    async fn a_stream_has_ended_as_soon_as_a_write_or_a_flush_fails() {
        for bytes in [10, 2 * COALESCE_BYTES] {
            let (near, far) = duplex(64);
            let (mut stream, control) = FrameStream::new(near, 1000);
            drop(far);
            let written = stream.write_all(&vec![0; bytes]).await;
            assert!(written.is_err() || stream.flush().await.is_err());
            assert!(control.is_closed(), "after {bytes} bytes");
        }
    }

    #[tokio::test]
    async fn a_frames_length_may_fill_a_narrow_pipe_alone() {
        let (near, mut far) = duplex(4);
        let (mut stream, _control) = FrameStream::new(near, 1000);
        let writer = tokio::spawn(async move {
            stream.write_all(&[0, 0, 3, 232]).await.unwrap();
            stream.write_all(&[1; 1000]).await.unwrap();
            stream.flush().await.unwrap();
            stream
        });
        let mut got = vec![0; 1004];
        far.read_exact(&mut got).await.unwrap();
        assert_eq!((&got[..4], &got[4..]), (&[0, 0, 3, 232][..], &[1; 1000][..]));
        writer.await.unwrap();
    }

    #[tokio::test]
    async fn large_writes_pass_through_narrow_pipes_unchanged() {
        let (near, mut far) = duplex(100);
        let (mut stream, _control) = FrameStream::new(near, 1000);
        let body = vec![5_u8; 5000];
        let mut frame = 5008_i32.to_be_bytes().to_vec();
        frame.extend_from_slice(&request(1)[4..12]);
        frame.extend_from_slice(&body);
        let sent = frame.clone();
        let writer = tokio::spawn(async move {
            stream.write_all(&sent).await.unwrap();
            stream.flush().await.unwrap();
            stream
        });
        let mut got = vec![0; frame.len()];
        far.read_exact(&mut got).await.unwrap();
        assert!(got == frame);
        writer.await.unwrap();
    }
}
