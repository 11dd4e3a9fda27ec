//! What became of each key of a batch call. Data only.

use crate::Result;

/// One key of a batch call (a topic, a group, a partition) and its result. One key's failure never hides another's.
#[derive(Debug, Clone)]
pub struct Outcome<K, V = ()> {
    /// What it is about.
    pub key: K,
    /// What came back, or why nothing did.
    pub result: Result<V>,
}

impl<K, V> Outcome<K, V> {
    /// The result of `key`.
    pub fn new(key: K, result: Result<V>) -> Self {
        Self { key, result }
    }
}

/// All values, in the order of the call, or the first failure.
///
/// # Errors
/// The first failure.
pub fn all_ok<K, V>(outcomes: Vec<Outcome<K, V>>) -> Result<Vec<(K, V)>> {
    outcomes.into_iter().map(|outcome| Ok((outcome.key, outcome.result?))).collect()
}
