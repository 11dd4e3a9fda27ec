//! AddOffsetsToTxn, versions 0 to 4 (KIP-98): announces that offsets of a group follow. Nothing has to be remembered of
//! it here, because the coordinators share their state; it begins the transaction.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{AddOffsetsToTxnRequest, AddOffsetsToTxnResponse};
use kafka_protocol::protocol::VersionRange;

use super::{Call, Serve, code_of};
use crate::auth::acl::{Access, Operation, Resource};
use crate::cluster::Cluster;
use crate::txn::Producer;

impl Serve for AddOffsetsToTxnRequest {
    const SERVED: VersionRange = VersionRange { min: 0, max: 4 };

    async fn serve(self, call: &mut Call<'_>) -> AddOffsetsToTxnResponse {
        let now = call.now();
        let producer = Producer { id: self.producer_id.0, epoch: self.producer_epoch };
        let id = &self.transactional_id;
        let added = call
            .check_coordinator(id)
            .and_then(|()| call.cluster().transactions.add_offsets(id, producer, [], now));
        call.shared().timers.notify_one();
        AddOffsetsToTxnResponse::default().with_error_code(code_of(&added))
    }

    fn refuse(&self, _version: i16, error: ResponseError) -> AddOffsetsToTxnResponse {
        AddOffsetsToTxnResponse::default().with_error_code(error.code())
    }

    fn access(&self, _cluster: &Cluster) -> Vec<Access> {
        let group = Access::new(Operation::Read, Resource::Group, &self.group_id);
        vec![group, Access::new(Operation::Write, Resource::TransactionalId, &self.transactional_id)]
    }
}
