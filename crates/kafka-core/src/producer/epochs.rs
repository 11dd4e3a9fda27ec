//! Under which producer id and epoch the sender stamps batches: asked for once, one epoch further behind a gap, given by
//! the coordinator where there are transactions.

use super::output::Output;
use super::sender::Sender;
use super::sequence::Identity;
use crate::error::Error;

/// What is known of the producer's identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Identification {
    Unasked,
    Asked,
    Known(Identity),
}

impl Sender {
    /// Gets an identity, and moves partitions with a gap to a new epoch as soon as they may.
    pub(super) fn begin_epochs(&mut self) {
        if !self.options.idempotent {
            return;
        }
        // A transactional producer gets its identity from its coordinator.
        if self.identity == Identification::Unasked && !self.options.transactional {
            self.identify();
        }
        let waiting = self.partitions.iter().filter(|(_, partition)| partition.queue.wants_new_epoch());
        for slot in waiting.map(|(slot, _)| *slot).collect::<Vec<_>>() {
            let next = if self.options.transactional { None } else { self.next_epoch() };
            let Some(partition) = self.partitions.get_mut(&slot) else { continue };
            // The coordinator alone gives out epochs of transactions: this one has to be aborted.
            let given_up =
                if self.options.transactional { partition.queue.give_up_where(|_| true) } else { Vec::new() };
            partition.queue.begin_epoch(next);
            let name = partition.name.clone();
            for mut batch in given_up {
                let error = batch.last_error.take().unwrap_or(Error::Closed("the transaction"));
                self.lose(name.clone(), batch, error);
            }
        }
    }

    /// The next epoch; `None` where the next identity will do, which is a new one in any case.
    fn next_epoch(&mut self) -> Option<Identity> {
        match self.identity {
            Identification::Known(Identity { producer_id, epoch }) if epoch < i16::MAX => {
                let next = Identity { producer_id, epoch: epoch + 1 };
                self.identity = Identification::Known(next);
                Some(next)
            }
            Identification::Known(_) => {
                self.identify();
                None
            }
            Identification::Unasked | Identification::Asked => None,
        }
    }

    fn identify(&mut self) {
        self.identity = Identification::Asked;
        self.outputs.push_back(Output::Identify);
    }

    /// A producer id came, or will never come; a retriable error: it will be asked for again.
    pub(crate) fn handle_identity(&mut self, answer: Result<Identity, Error>) {
        match answer {
            Ok(identity) => {
                self.identity = Identification::Known(identity);
                self.identity_error = None;
            }
            Err(error) if error.is_retriable() => self.identity_error = Some(error),
            Err(error) => self.fail(error),
        }
    }

    /// Takes the identity that the transaction coordinator gave for the next transaction.
    pub(crate) fn begin_transaction(&mut self, identity: Identity) {
        self.identity = Identification::Known(identity);
        self.transaction_error = None;
        self.wrote_in_transaction = false;
        self.aborting = false;
        for partition in self.partitions.values_mut() {
            partition.queue.begin_epoch(None);
        }
    }

    /// The identity in use, once there is one.
    pub(crate) fn identity(&self) -> Option<Identity> {
        match self.identity {
            Identification::Known(identity) => Some(identity),
            Identification::Unasked | Identification::Asked => None,
        }
    }
}
