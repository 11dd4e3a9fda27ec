//! InitProducerId, versions 0 to 5: a producer id, alone or for a transactional id (KIP-98, 360 renewal, 890).

use std::time::Duration;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse, ProducerId};
use kafka_protocol::protocol::VersionRange;

use super::{Call, Serve};
use crate::auth::acl::{Access, Operation, Resource};
use crate::cluster::Cluster;
use crate::txn::Producer;

/// First version whose clients know PRODUCER_FENCED.
const FENCED_VERSION: i16 = 4;

impl Serve for InitProducerIdRequest {
    const SERVED: VersionRange = VersionRange { min: 0, max: 5 };

    async fn serve(self, call: &mut Call<'_>) -> InitProducerIdResponse {
        match init(&self, call) {
            Ok(producer) => InitProducerIdResponse::default()
                .with_producer_id(ProducerId(producer.id))
                .with_producer_epoch(producer.epoch),
            Err(error) => self.refuse(call.version, error),
        }
    }

    fn refuse(&self, version: i16, error: ResponseError) -> InitProducerIdResponse {
        let error = match error {
            ResponseError::ProducerFenced if version < FENCED_VERSION => ResponseError::InvalidProducerEpoch,
            error => error,
        };
        InitProducerIdResponse::default().with_error_code(error.code()).with_producer_epoch(-1)
    }

    fn access(&self, _cluster: &Cluster) -> Vec<Access> {
        vec![match &self.transactional_id {
            Some(id) => Access::new(Operation::Write, Resource::TransactionalId, id),
            None => Access::to_cluster(Operation::IdempotentWrite),
        }]
    }
}

fn init(request: &InitProducerIdRequest, call: &Call<'_>) -> Result<Producer, ResponseError> {
    let Some(id) = &request.transactional_id else {
        return Ok(Producer { id: call.cluster().fresh_producer_id()?, epoch: 0 });
    };
    if id.is_empty() {
        return Err(ResponseError::InvalidRequest);
    }
    call.check_coordinator(id)?;
    let given = Producer { id: request.producer_id.0, epoch: request.producer_epoch };
    let given = Some(given).filter(|given| given.id >= 0);
    let timeout = Duration::from_millis(u64::try_from(request.transaction_timeout_ms).unwrap_or(0));
    let now_ms = call.now().wall_ms;
    let initialised = call.cluster().init_transactional(id, timeout, given, now_ms);
    call.shared().changed.notify_waiters();
    initialised
}
