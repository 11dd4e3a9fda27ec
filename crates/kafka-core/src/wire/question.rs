//! Requests whose kind of message is put away. What goes on around a request (queueing, time limits, tracing, asking
//! another broker) is then compiled once, and not again for each of the seventy APIs.

use std::any::Any;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use rskafka::messenger::RequestError;

use super::connection::InFlight;
use super::{Api, Connection};
use crate::error::{Error, RequestFailure, Result};

/// An answer: to be taken out by [`message_of`] with the API that was asked.
pub(crate) type AnyMessage = Box<dyn Any + Send>;

/// The message of an answer to a request of kind `R`.
pub(super) fn message_of<R: Api>(answer: AnyMessage) -> Result<R::Response, RequestFailure> {
    let other = |_| RequestFailure::Malformed("it answers another API".into());
    answer.downcast().map(|message| *message).map_err(other)
}

/// A request that is ready to go out; it is queued when `answer` is polled first.
pub(super) struct Prepared<'a> {
    pub(super) api: &'static str,
    pub(super) version: Option<i16>,
    /// Its size, once it is encoded.
    pub(super) sent: Arc<AtomicUsize>,
    pub(super) answer: Pin<Box<dyn Future<Output = Result<Answer, RequestError>> + Send + 'a>>,
}

/// What came back.
pub(super) struct Answer {
    pub(super) message: AnyMessage,
    pub(super) size: usize,
}

type Ask = dyn Fn(&Arc<Connection>, Option<Duration>) -> InFlight<AnyMessage> + Send + Sync;

/// What may be asked of several brokers, one after the other: the request is made for the versions of each.
#[derive(Clone)]
pub(crate) struct Question {
    ask: Arc<Ask>,
}

impl Question {
    pub(crate) fn new<R: Api>(request: impl Fn(&Connection) -> Result<R> + Send + Sync + 'static) -> Self {
        let ask = move |connection: &Arc<Connection>, limit: Option<Duration>| match request(connection) {
            Ok(request) => Arc::clone(connection).send_any(request, limit),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        };
        Self { ask: Arc::new(ask) }
    }

    /// Asks one broker, for at most `limit`, or `request.timeout.ms`.
    pub(crate) fn ask(&self, connection: &Arc<Connection>, limit: Option<Duration>) -> InFlight<AnyMessage> {
        (self.ask)(connection, limit)
    }
}

/// The message in the answer to a [`Question`] of kind `R`.
pub(crate) fn answer_of<R: Api>(answer: AnyMessage) -> Result<R::Response> {
    let failed = |failure| Error::Request { broker: "the broker".into(), api: R::NAME, failure };
    message_of::<R>(answer).map_err(failed)
}
