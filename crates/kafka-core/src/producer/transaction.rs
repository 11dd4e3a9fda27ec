//! Transactions: records that become visible to `read_committed` consumers together or not at all.
//!
//! The data here are the states and what ends them; the waiting is in `transactional`.
//! <https://cwiki.apache.org/confluence/display/KAFKA/KIP-890%3A+Transactions+Server-Side+Defense>

use crate::ErrorCode;
use crate::error::Error;

/// Where a transactional producer stands.
#[derive(Debug, Clone, Default)]
pub(super) enum State {
    /// No transaction is open.
    #[default]
    Ready,
    /// Records go into the open transaction.
    Open,
    /// Something in the transaction failed: it can only be aborted.
    Doomed(Error),
    /// Another producer has taken the transactional id over, or the id may not be used.
    Over(Error),
}

impl State {
    /// A transaction begins.
    pub(super) fn begin(&mut self) -> Result<(), Error> {
        match self {
            Self::Ready => {
                *self = Self::Open;
                Ok(())
            }
            Self::Open => {
                Err(Error::Config("a transaction is open already: commit or abort it first".into()))
            }
            Self::Doomed(error) | Self::Over(error) => Err(error.clone()),
        }
    }

    /// Whether it may be committed.
    pub(super) fn check_commit(&self) -> Result<(), Error> {
        match self {
            Self::Open => Ok(()),
            Self::Ready => Err(Error::Config("no transaction is open".into())),
            Self::Doomed(error) | Self::Over(error) => Err(error.clone()),
        }
    }

    /// Whether it may be aborted: also a doomed one.
    pub(super) fn check_abort(&self) -> Result<(), Error> {
        match self {
            Self::Open | Self::Doomed(_) => Ok(()),
            Self::Ready => Err(Error::Config("no transaction is open".into())),
            Self::Over(error) => Err(error.clone()),
        }
    }

    /// The transaction has ended.
    pub(super) fn ended(&mut self) {
        if !matches!(self, Self::Over(_)) {
            *self = Self::Ready;
        }
    }

    /// A call for the transaction failed for good.
    pub(super) fn failed(&mut self, error: &Error) {
        match self {
            Self::Over(_) => {}
            _ if is_fenced(error) => *self = Self::Over(error.clone()),
            Self::Open => *self = Self::Doomed(error.clone()),
            Self::Ready | Self::Doomed(_) => {}
        }
    }
}

/// Another producer uses the transactional id, or this one may not.
pub(super) fn is_fenced(error: &Error) -> bool {
    matches!(
        error.code(),
        Some(
            ErrorCode::INVALID_PRODUCER_EPOCH
                | ErrorCode::PRODUCER_FENCED
                | ErrorCode::INVALID_PRODUCER_ID_MAPPING
                | ErrorCode::TRANSACTION_COORDINATOR_FENCED
                | ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED
        )
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: ErrorCode) -> Error {
        Error::broker("EndTxn", "transactional id x", code, None)
    }

    #[test]
    fn a_transaction_is_begun_once_and_ended_once() {
        let mut state = State::default();
        assert!(state.check_commit().is_err() && state.check_abort().is_err());
        state.begin().unwrap();
        assert!(state.begin().is_err());
        state.check_commit().unwrap();
        state.ended();
        state.begin().unwrap();
    }

    #[test]
    fn a_doomed_transaction_can_be_aborted_only_and_the_next_one_is_fine() {
        let mut state = State::Open;
        state.failed(&error(ErrorCode::TRANSACTION_ABORTABLE));
        assert!(state.check_commit().is_err());
        state.check_abort().unwrap();
        state.ended();
        state.begin().unwrap();
    }

    #[test]
    fn a_fenced_producer_is_over() {
        let mut state = State::Open;
        state.failed(&error(ErrorCode::PRODUCER_FENCED));
        state.ended();
        assert!(state.begin().is_err() && state.check_abort().is_err());
    }
}
