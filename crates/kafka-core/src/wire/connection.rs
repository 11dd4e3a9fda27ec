//! One connection to one broker: rskafka's messenger over our stream, with a time limit for every request.
//!
//! The messenger brings correlation, pipelining and cancellation-safe writes. It has no time limits, so they stand
//! here; a request that ran out of time retires the whole connection, since everything behind it would wait as well.

use std::collections::HashMap;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::messages::ApiVersionsRequest;
use kafka_protocol::messages::api_versions_response::ApiVersionsResponse;
use kafka_protocol::protocol::StrBytes;
use rskafka::messenger::{Messenger, RequestError};
use rskafka::protocol::api_version::ApiVersionRange;
use rskafka::protocol::frame::ReadError as FrameError;
use tokio::task::unconstrained;

use super::codec::{Incoming, Outgoing, api_key, api_version};
use super::opaque::{self, OpaqueRequest};
use super::question::{Answer, AnyMessage, Prepared, message_of};
use super::sasl::{self, Sasl};
use super::stream::{Control, FrameStream};
use super::transport::Transport;
use super::versions::{Api, ApiRange};
use super::{Address, ConnectOptions};
use crate::error::{ConnectFailure, Error, RequestFailure, Result};
use crate::{ErrorCode, Metric, Metrics};

/// A connection to a broker. Dropping it closes it; requests in flight then fail.
pub struct Connection {
    messenger: Messenger<FrameStream<Transport>>,
    control: Arc<Control>,
    broker: Arc<str>,
    api_versions: ApiVersionsResponse,
    ranges: HashMap<i16, ApiRange>,
    pub(super) request_timeout: Duration,
    /// Read by requests while they queue, written by a renewal of the session: between its messages the broker takes no
    /// others.
    turn: tokio::sync::RwLock<()>,
    /// How long the broker takes this connection as authenticated, where it says so.
    session: Option<Duration>,
    metrics: Arc<Metrics>,
    authenticates: bool,
    /// Whether a request was answered after the introduction.
    answered: AtomicBool,
}

/// An answer that is on its way.
pub type InFlight<T> = Pin<Box<dyn Future<Output = Result<T>> + Send>>;

impl Connection {
    /// Connects, agrees on versions and authenticates, all within `options.connect_timeout`.
    ///
    /// `broker` names it in errors: `host:port`, with its id where that is known.
    ///
    /// # Errors
    /// [`Error::Connect`], saying what stood in the way.
    pub fn open<'a>(
        address: &'a Address,
        broker: Arc<str>,
        options: &'a ConnectOptions,
    ) -> Pin<Box<dyn Future<Output = Result<Self>> + Send + 'a>> {
        Box::pin(async move {
            let limit = options.connect_timeout;
            let failed = |failure| Error::Connect { broker: Arc::clone(&broker), failure };
            match tokio::time::timeout(limit, Self::establish(address, &broker, options)).await {
                Ok(done) => done.map_err(failed),
                Err(_) => Err(failed(ConnectFailure::TimedOut(limit))),
            }
        })
    }

    async fn establish(
        address: &Address,
        broker: &Arc<str>,
        options: &ConnectOptions,
    ) -> Result<Self, ConnectFailure> {
        let (transport, alert) =
            Transport::connect(address, options.security.tls.as_ref(), options.connect_timeout).await?;
        let (stream, control) = FrameStream::new(transport, options.max_frame_bytes);
        let messenger = Messenger::new(stream, options.max_frame_bytes, Arc::clone(&options.client_id));
        let mut connection = Self {
            messenger,
            control,
            broker: Arc::clone(broker),
            api_versions: ApiVersionsResponse::default(),
            ranges: HashMap::new(),
            request_timeout: options.request_timeout,
            turn: tokio::sync::RwLock::default(),
            session: None,
            metrics: Arc::clone(&options.metrics),
            authenticates: options.security.sasl.is_some(),
            answered: AtomicBool::new(false),
        };
        match connection.introduce(options).await {
            Ok(()) => Ok(connection),
            Err(failure) => Err(alert.get().map_or(failure, |words| ConnectFailure::Tls(words.clone()))),
        }
    }

    async fn introduce(&mut self, options: &ConnectOptions) -> Result<(), ConnectFailure> {
        self.agree_on_versions(options).await.map_err(handshake_failure)?;
        if let Some(sasl) = &options.security.sasl {
            self.session = sasl::authenticate(self, sasl).await?;
        }
        Ok(())
    }

    /// Renews the session while it lasts, from now on (KIP-368).
    pub(super) fn keep_authenticated(self: &Arc<Self>, options: &ConnectOptions) {
        if let (Some(sasl), Some(lifetime)) = (&options.security.sasl, self.session) {
            sasl::keep_authenticated(self, sasl, lifetime);
        }
    }

    /// Authenticates again while requests wait; how long that lasts, where the broker says so.
    pub(super) async fn renew_session(&self, sasl: &Sasl) -> Result<Option<Duration>, ConnectFailure> {
        let _turn = self.turn.write().await;
        sasl::authenticate(self, sasl).await
    }

    /// Ends the connection; requests in flight fail with `why`.
    pub(super) fn retire(&self, why: String) {
        self.control.retire(why);
    }

    /// Learns the broker's versions: asks with the newest version of the question, and with the oldest where the
    /// broker does not know that one (KIP-511).
    async fn agree_on_versions(&mut self, options: &ConnectOptions) -> Result<(), RequestFailure> {
        let question = || {
            ApiVersionsRequest::default()
                .with_client_software_name(StrBytes::from_static_str(env!("CARGO_PKG_NAME")))
                .with_client_software_version(StrBytes::from_static_str(env!("CARGO_PKG_VERSION")))
        };
        for highest in [<ApiVersionsRequest as Api>::MAX, 0] {
            self.file_ranges([(<ApiVersionsRequest as Api>::KEY, ApiRange { min: 0, max: highest })]);
            let response = match self.exchange(question(), options.request_timeout).await {
                Ok(response) => response,
                // A broker that does not know the version answers in the layout of version 0.
                Err(RequestFailure::Malformed(_)) if highest > 0 && !self.is_closed() => continue,
                Err(failure) => return Err(failure),
            };
            match ErrorCode(response.error_code) {
                ErrorCode::NONE => return self.adopt(response),
                ErrorCode::UNSUPPORTED_VERSION if highest > 0 => {}
                code => return Err(RequestFailure::Malformed(format!("ApiVersions: {code}"))),
            }
        }
        Err(RequestFailure::Malformed("the broker knows no version of ApiVersions".into()))
    }

    fn adopt(&mut self, response: ApiVersionsResponse) -> Result<(), RequestFailure> {
        if let Some(flipped) = response.api_keys.iter().find(|api| api.min_version > api.max_version) {
            return Err(RequestFailure::Malformed(format!(
                "API {} is offered in versions {} to {}",
                flipped.api_key, flipped.min_version, flipped.max_version
            )));
        }
        let offered = |api: &kafka_protocol::messages::api_versions_response::ApiVersion| {
            (api.api_key, ApiRange { min: api.min_version, max: api.max_version })
        };
        self.ranges = response.api_keys.iter().map(offered).collect();
        self.file_ranges(self.ranges.clone());
        self.api_versions = response;
        Ok(())
    }

    fn file_ranges(&mut self, ranges: impl IntoIterator<Item = (i16, ApiRange)>) {
        let filed = ranges
            .into_iter()
            .chain([opaque::STAND_IN])
            .map(|(key, range)| {
                (api_key(key), ApiVersionRange::new(api_version(range.min), api_version(range.max)))
            })
            .collect();
        self.messenger.override_version_ranges(filed);
    }

    /// Sends `request` and waits for its answer, for at most `request.timeout.ms`.
    ///
    /// # Errors
    /// [`Error::Request`]. After a time-out the connection is retired; the broker may have done the work.
    pub async fn send<R: Api>(&self, request: R) -> Result<R::Response> {
        self.send_within(request, self.request_timeout).await
    }

    /// Like [`send`](Self::send) with a limit of its own, for requests that wait on the broker (Fetch, JoinGroup).
    ///
    /// # Errors
    /// As for [`send`](Self::send).
    pub async fn send_within<R: Api>(&self, request: R, limit: Duration) -> Result<R::Response> {
        let answer = self.send_prepared(self.prepare(request), limit).await?;
        message_of::<R>(answer).map_err(|failure| self.failed(R::NAME, failure))
    }

    /// Like [`send_within`](Self::send_within) for who does not know what is asked.
    pub(super) fn send_any<R: Api>(
        self: Arc<Self>,
        request: R,
        limit: Option<Duration>,
    ) -> InFlight<AnyMessage> {
        Box::pin(async move {
            let limit = limit.unwrap_or(self.request_timeout);
            self.send_prepared(self.prepare(request), limit).await
        })
    }

    /// Sends a request that is encoded already, and gives the answer's body as it came. Its version should be one that the
    /// broker [offers](Self::offered): it closes the connection over any other.
    ///
    /// # Errors
    /// As for [`send`](Self::send).
    pub async fn send_opaque(&self, request: OpaqueRequest, limit: Duration) -> Result<Bytes> {
        let (name, has_tagged_fields) = (request.name, request.has_flexible_answer());
        let malformed = |what: &str| self.failed(name, RequestFailure::Malformed(what.to_owned()));
        let answer = self.send_prepared(self.prepare_opaque(request), limit).await?;
        let answer = answer.downcast::<Bytes>().map_err(|_| malformed("it answers another API"))?;
        opaque::body(*answer, has_tagged_fields).map_err(|what| malformed(&what))
    }

    /// Sends in turn. Boxed, so that it is compiled here and not again in every program.
    fn send_prepared<'a>(
        &'a self,
        request: Prepared<'a>,
        limit: Duration,
    ) -> Pin<Box<dyn Future<Output = Result<AnyMessage>> + Send + 'a>> {
        Box::pin(async move {
            let api = request.api;
            let outcome = self.exchange_in_turn(request, limit).await;
            if outcome.is_ok() {
                self.answered.store(true, Ordering::Relaxed);
            }
            outcome.map_err(|failure| self.failed(api, self.with_suspicion(failure)))
        })
    }

    fn failed(&self, api: &'static str, failure: RequestFailure) -> Error {
        Error::Request { broker: Arc::clone(&self.broker), api, failure }
    }

    /// A listener that wants SASL answers ApiVersions and closes the connection at the first request of another kind.
    fn with_suspicion(&self, failure: RequestFailure) -> RequestFailure {
        match failure {
            RequestFailure::Disconnected(why)
                if !self.authenticates && !self.answered.load(Ordering::Relaxed) =>
            {
                RequestFailure::Disconnected(format!(
                    "{why} at the first request (does this listener want security.protocol=SASL_PLAINTEXT or SASL_SSL?)"
                ))
            }
            other => other,
        }
    }

    /// An exchange that queues for writing when no renewal of the session is under way.
    async fn exchange_in_turn(
        &self,
        request: Prepared<'_>,
        limit: Duration,
    ) -> Result<AnyMessage, RequestFailure> {
        let mut exchange = pin!(self.exchange_prepared(request, limit));
        {
            // Without a pause where nobody renews: the order in which requests are started must not change.
            let _turn = match self.turn.try_read() {
                Ok(turn) => turn,
                Err(_) => self.turn.read().await,
            };
            let first = std::future::poll_fn(|cx| Poll::Ready(exchange.as_mut().poll(cx)));
            if let Poll::Ready(done) = first.await {
                return done;
            }
        }
        exchange.await
    }

    /// Puts `request` behind those that were started before it and returns its answer-to-be.
    ///
    /// Requests that must reach the broker in order are started in that order; their answers may be awaited in any.
    pub fn start<R: Api>(self: &Arc<Self>, request: R, limit: Duration) -> InFlight<R::Response> {
        let connection = Arc::clone(self);
        let mut answer: InFlight<R::Response> =
            Box::pin(unconstrained(async move { connection.send_within(request, limit).await }));
        // The messenger queues a request for writing when its future is polled first, so that is done here and now;
        // unconstrained, since a task that has used up its turn would otherwise queue nothing.
        match answer.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(done) => Box::pin(std::future::ready(done)),
            Poll::Pending => answer,
        }
    }

    /// Sends `request` now, whatever else goes on.
    pub(super) async fn exchange<R: Api>(
        &self,
        request: R,
        limit: Duration,
    ) -> Result<R::Response, RequestFailure> {
        message_of::<R>(self.exchange_prepared(self.prepare(request), limit).await?)
    }

    fn prepare<R: Api>(&self, message: R) -> Prepared<'_> {
        let sent = Arc::new(AtomicUsize::new(0));
        let size = Arc::clone(&sent);
        let answer = Box::pin(async move {
            let Incoming { message, size } =
                self.messenger.request(Outgoing { message, size: &size }).await?;
            Ok(Answer { message: Box::new(message), size })
        });
        Prepared { api: R::NAME, version: self.version::<R>(), sent, answer }
    }

    fn prepare_opaque(&self, request: OpaqueRequest) -> Prepared<'_> {
        let sent = Arc::new(AtomicUsize::new(0));
        let size = Arc::clone(&sent);
        let (api, version) = (request.name, Some(request.version));
        let answer = Box::pin(async move {
            let opaque::Incoming(bytes) =
                self.messenger.request(opaque::Outgoing { request, size: &size }).await?;
            let size = bytes.len();
            Ok(Answer { message: Box::new(bytes), size })
        });
        Prepared { api, version, sent, answer }
    }

    async fn exchange_prepared(
        &self,
        request: Prepared<'_>,
        limit: Duration,
    ) -> Result<AnyMessage, RequestFailure> {
        let Prepared { api, version, sent, answer } = request;
        let started = Instant::now();
        let outcome = match tokio::time::timeout(limit, answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(request_failure(&error)),
            Err(_) => {
                self.control.retire(format!("{api} was not answered within {limit:?}"));
                Err(RequestFailure::TimedOut(limit))
            }
        };
        let bytes = (sent.load(Ordering::Relaxed), outcome.as_ref().map_or(0, |answer| answer.size));
        self.note((api, version), started.elapsed(), bytes, outcome.as_ref().err());
        outcome.map(|answer| answer.message)
    }

    /// Counts and traces one exchange.
    fn note(
        &self,
        (api, version): (&'static str, Option<i16>),
        took: Duration,
        (sent, received): (usize, usize),
        failure: Option<&RequestFailure>,
    ) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        for (metric, count) in [
            (Metric::Requests, 1),
            (Metric::RequestFailures, u64::from(failure.is_some())),
            (Metric::RequestMicros, micros),
            (Metric::BytesSent, sent as u64),
            (Metric::BytesReceived, received as u64),
        ] {
            if count > 0 {
                self.metrics.add(metric, api, count);
            }
        }
        tracing::debug!(
            target: "kafka_core::wire",
            api,
            version,
            broker = &*self.broker,
            elapsed_us = micros,
            sent_bytes = sent,
            received_bytes = received,
            error = failure.map(tracing::field::display),
            "request"
        );
    }

    /// The version in which requests of this kind go out on this connection, `None` where broker and client share none.
    #[must_use]
    pub fn version<R: Api>(&self) -> Option<i16> {
        self.offered(R::KEY).and_then(|range| range.common(R::MIN, R::MAX))
    }

    /// The versions of an API that the broker offers, `None` where it does not offer the API.
    #[must_use]
    pub fn offered(&self, key: i16) -> Option<ApiRange> {
        self.ranges.get(&key).copied()
    }

    /// What the broker said it can: versions of every API, and its features (KIP-584).
    #[must_use]
    pub fn api_versions(&self) -> &ApiVersionsResponse {
        &self.api_versions
    }

    /// The broker's name in errors.
    #[must_use]
    pub fn broker(&self) -> &Arc<str> {
        &self.broker
    }

    /// Whether the connection has ended, from either side.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.control.is_closed()
    }

    /// Bytes received and sent so far.
    #[must_use]
    pub fn bytes(&self) -> (u64, u64) {
        self.control.bytes()
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("broker", &self.broker).field("closed", &self.is_closed()).finish()
    }
}

/// A listener that wants TLS or SASL, or that is no Kafka at all, shows itself in the first exchange.
fn handshake_failure(failure: RequestFailure) -> ConnectFailure {
    match failure {
        RequestFailure::Disconnected(why) => ConnectFailure::Tcp(format!(
            "connection lost during the handshake: {why} (is this a Kafka listener, and what is its security.protocol?)"
        )),
        RequestFailure::Malformed(what) => ConnectFailure::Protocol(what),
        RequestFailure::TimedOut(after) => ConnectFailure::TimedOut(after),
        other => ConnectFailure::Protocol(other.to_string()),
    }
}

fn request_failure(error: &RequestError) -> RequestFailure {
    match error {
        RequestError::Poisoned(cause) => request_failure(cause),
        RequestError::NoVersionMatch { .. } => {
            RequestFailure::Unsupported("it and this client share no version of the API".into())
        }
        RequestError::WriteError(error) => RequestFailure::Unencodable(error.to_string()),
        RequestError::ReadError(error) => malformed(error),
        RequestError::ReadVersionedError(error) => malformed(error),
        RequestError::TooMuchData { .. } => RequestFailure::Malformed(error.to_string()),
        RequestError::IO(error) | RequestError::ReadFramedMessageError(FrameError::IO(error)) => {
            io_failure(error)
        }
        RequestError::ReadFramedMessageError(error) => RequestFailure::Malformed(error.to_string()),
        other => RequestFailure::Disconnected(other.to_string()),
    }
}

/// What is wrong, without the messenger's words around it.
fn malformed(error: &impl std::fmt::Display) -> RequestFailure {
    let text = error.to_string();
    RequestFailure::Malformed(text.rsplit("Malformed data: ").next().unwrap_or_default().to_owned())
}

fn io_failure(error: &std::io::Error) -> RequestFailure {
    match error.kind() {
        std::io::ErrorKind::InvalidData => RequestFailure::Malformed(error.to_string()),
        std::io::ErrorKind::UnexpectedEof => RequestFailure::Disconnected("the broker closed it".into()),
        _ => RequestFailure::Disconnected(error.to_string()),
    }
}
