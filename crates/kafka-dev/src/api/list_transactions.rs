//! ListTransactions, versions 0 to 2 (KIP-664, 994 by duration, 1152 by pattern).

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::list_transactions_response::{ListTransactionsResponse, TransactionState};
use kafka_protocol::messages::{ListTransactionsRequest, ProducerId, TransactionalId};
use kafka_protocol::protocol::VersionRange;

use super::{Call, Serve, text};
use crate::txn::{State, Transaction};

impl Serve for ListTransactionsRequest {
    const SERVED: VersionRange = VersionRange { min: 0, max: 2 };

    async fn serve(self, call: &mut Call<'_>) -> ListTransactionsResponse {
        let pattern = self.transactional_id_pattern.as_ref().filter(|pattern| !pattern.is_empty());
        let pattern =
            match pattern.map(|pattern| regex_lite::Regex::new(&format!("^(?:{})$", pattern.as_str()))) {
                Some(Ok(pattern)) => Some(pattern),
                Some(Err(_)) => return self.refuse(call.version, ResponseError::InvalidRegularExpression),
                None => None,
            };
        let (broker, now_ms) = (call.broker(), call.shared().clock.wall_ms());
        let cluster = call.cluster();
        let here = cluster.transactions.iter().filter(|(id, _)| cluster.coordinator(id) == Some(broker));
        let listed = here.filter(|(id, transaction)| {
            passes(&self, transaction, now_ms) && pattern.as_ref().is_none_or(|pattern| pattern.is_match(id))
        });
        let states = listed.map(|(id, transaction)| {
            TransactionState::default()
                .with_transactional_id(TransactionalId(text(id)))
                .with_producer_id(ProducerId(transaction.producer_id))
                .with_transaction_state(text(transaction.state.name()))
        });
        let known = |name: &str| State::ALL.iter().any(|state| state.name() == name);
        let unknown = self.state_filters.iter().filter(|name| !known(name)).cloned();
        ListTransactionsResponse::default()
            .with_unknown_state_filters(unknown.collect())
            .with_transaction_states(states.collect())
    }

    fn refuse(&self, _version: i16, error: ResponseError) -> ListTransactionsResponse {
        ListTransactionsResponse::default().with_error_code(error.code())
    }
}

fn passes(request: &ListTransactionsRequest, transaction: &Transaction, now_ms: i64) -> bool {
    let states = &request.state_filters;
    let producers = &request.producer_id_filters;
    let by_state = states.is_empty() || states.iter().any(|name| name.as_str() == transaction.state.name());
    let by_producer = producers.is_empty() || producers.iter().any(|id| id.0 == transaction.producer_id);
    let is_open = transaction.started_ms >= 0;
    let age = now_ms.saturating_sub(transaction.started_ms);
    let by_age = request.duration_filter < 0 || (is_open && age >= request.duration_filter);
    by_state && by_producer && by_age
}
