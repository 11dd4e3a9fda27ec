//! EndTxn, versions 0 to 5: commit or abort; from 5 the producer goes on with the epoch in the answer (KIP-98, 890).

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{EndTxnRequest, EndTxnResponse, ProducerId};
use kafka_protocol::protocol::VersionRange;

use super::{Call, Serve};
use crate::auth::acl::{Access, Operation, Resource};
use crate::cluster::Cluster;
use crate::txn::Producer;

/// First version of KIP-890.
const BUMP_VERSION: i16 = 5;
/// First version whose clients know PRODUCER_FENCED.
const FENCED_VERSION: i16 = 2;

impl Serve for EndTxnRequest {
    const SERVED: VersionRange = VersionRange { min: 0, max: 5 };

    async fn serve(self, call: &mut Call<'_>) -> EndTxnResponse {
        let now = call.now();
        let producer = Producer { id: self.producer_id.0, epoch: self.producer_epoch };
        let bump = call.version >= BUMP_VERSION;
        let ended = call.check_coordinator(&self.transactional_id).and_then(|()| {
            let id = &self.transactional_id;
            call.cluster().end_transaction(id, producer, self.committed, bump, now.wall_ms)
        });
        call.shared().changed.notify_waiters();
        match ended {
            Ok(left) if bump => EndTxnResponse::default()
                .with_producer_id(ProducerId(left.id))
                .with_producer_epoch(left.epoch),
            Ok(_) => EndTxnResponse::default(),
            Err(error) => self.refuse(call.version, error),
        }
    }

    fn refuse(&self, version: i16, error: ResponseError) -> EndTxnResponse {
        let error = match error {
            ResponseError::ProducerFenced if version < FENCED_VERSION => ResponseError::InvalidProducerEpoch,
            error => error,
        };
        EndTxnResponse::default().with_error_code(error.code())
    }

    fn access(&self, _cluster: &Cluster) -> Vec<Access> {
        vec![Access::new(Operation::Write, Resource::TransactionalId, &self.transactional_id)]
    }
}
