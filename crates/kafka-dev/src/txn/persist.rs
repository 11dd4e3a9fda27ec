//! Transactions to and from the journal.

use std::io;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{State, Transaction, Transactions};
use crate::group::offsets::Committed;
use crate::journal::Kind;
use crate::journal::fields::{self, Fields};

impl Transactions {
    /// Takes up what an earlier run has left; open transactions get their whole time again.
    pub(crate) fn restore(&mut self) -> io::Result<()> {
        for (mut key, mut value) in self.journal.entries(Kind::Transaction) {
            let transaction = read(&mut value, Instant::now())?;
            self.by_id.insert(fields::text(&mut key)?, transaction);
        }
        Ok(())
    }

    pub(super) fn save(&self, id: &str) -> io::Result<()> {
        let key = Fields::new().text(id);
        match self.by_id.get(id) {
            Some(transaction) => self.journal.put(Kind::Transaction, key, write(transaction)),
            None => self.journal.remove(Kind::Transaction, key),
        }
    }
}

fn write(transaction: &Transaction) -> Fields {
    let state = State::ALL.iter().position(|state| *state == transaction.state).unwrap_or(0);
    let (previous_id, previous_epoch) = transaction.previous.unwrap_or((-1, -1));
    Fields::new()
        .long(transaction.producer_id)
        .long(transaction.epoch)
        .long(i64::try_from(transaction.timeout.as_millis()).unwrap_or(i64::MAX))
        .long(i64::try_from(state).unwrap_or(0))
        .list(&transaction.partitions, |out, (topic, partition)| out.text(topic).long(*partition))
        .list(&transaction.offsets, |out, ((group, topic, partition), committed)| {
            let out = out.text(group).text(topic).long(*partition);
            out.long(committed.offset).long(committed.leader_epoch).text(&committed.metadata)
        })
        .long(transaction.started_ms)
        .long(previous_id)
        .long(previous_epoch)
}

fn read(from: &mut Bytes, now: Instant) -> io::Result<Transaction> {
    let epoch = |from: &mut Bytes| i16::try_from(fields::long(from)?).map_err(io::Error::other);
    let producer_id = fields::long(from)?;
    let producer_epoch = epoch(from)?;
    let timeout = Duration::from_millis(u64::try_from(fields::long(from)?).unwrap_or(0));
    let state = usize::try_from(fields::long(from)?).ok().and_then(|at| State::ALL.get(at).copied());
    let state = state.ok_or_else(|| io::Error::other("unknown state of a transaction"))?;
    let partitions = fields::list(from, |from| Ok((fields::text(from)?, fields::int(from)?)))?;
    let offsets = fields::list(from, |from| {
        let key = (fields::text(from)?, fields::text(from)?, fields::int(from)?);
        let committed = Committed {
            offset: fields::long(from)?,
            leader_epoch: fields::int(from)?,
            metadata: fields::text(from)?,
        };
        Ok((key, committed))
    })?;
    let started_ms = fields::long(from)?;
    let previous = (fields::long(from)?, epoch(from)?);
    Ok(Transaction {
        producer_id,
        epoch: producer_epoch,
        timeout,
        state,
        partitions: partitions.into_iter().collect(),
        offsets: offsets.into_iter().collect(),
        started_ms,
        deadline: (state == State::Ongoing).then(|| now + timeout),
        previous: Some(previous).filter(|(id, _)| *id >= 0),
    })
}
