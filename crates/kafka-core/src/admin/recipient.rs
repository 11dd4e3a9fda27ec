//! The connection behind requests that a tool makes itself (`kafka-admin raw`): to any broker, the controller, a
//! coordinator, or a broker by its id.

use std::sync::Arc;

use super::Admin;
use super::lookup::{Places, locate};
use super::route::{Located, Target};
use crate::cluster::CoordinatorKind;
use crate::error::{Error, Result};
use crate::wire::{Connection, Lane};

/// Who is to answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recipient {
    /// Whichever broker can be reached.
    Any,
    /// The broker that metadata names as the controller. With KRaft that is one that stands for it.
    Controller,
    /// The broker of this node id.
    Broker(i32),
    /// The coordinator of this group or transactional id.
    Coordinator(CoordinatorKind, String),
}

impl Admin {
    /// A connection to `recipient`, for requests that are made by hand. They are not tried again.
    ///
    /// # Errors
    /// Where it cannot be reached in time, or the cluster does not list it.
    pub async fn connect(&self, recipient: Recipient) -> Result<Arc<Connection>> {
        let call = self.call("connecting");
        // `locate` asks anybody at the first try, and for the controller itself after that.
        let (places, tries) = match recipient {
            Recipient::Any => (Places::Any, 0),
            Recipient::Controller => (Places::Controller, 1),
            Recipient::Broker(id) => (Places::Brokers(vec![Some(id)]), 0),
            Recipient::Coordinator(kind, name) => (Places::Coordinators(kind, vec![name]), 0),
        };
        let connecting =
            call.retrying(async || match locate(&call, &places, tries, vec![0]).await.into_iter().next() {
                Some((_, Located::At(Target::Broker(broker)))) => {
                    self.cluster.connect(&broker, Lane::General).await.map(Ok)
                }
                Some((_, Located::Later(error))) => Err(error),
                Some((_, Located::Never(error))) => Ok(Err(error)),
                Some((_, Located::At(Target::Any))) | None => self.cluster.any().await.map(Ok),
            });
        connecting.await.and_then(|connection: Result<_, Error>| connection)
    }
}
