//! InitProducerId, versions 0 to 5 (KIP-98, 360 epoch bump, 890).

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse, ProducerId};
use kafka_protocol::protocol::VersionRange;

use super::{Call, Serve};

impl Serve for InitProducerIdRequest {
    const SERVED: VersionRange = VersionRange { min: 0, max: 5 };

    async fn serve(self, call: &mut Call<'_>) -> InitProducerIdResponse {
        match &self.transactional_id {
            None => match call.cluster().fresh_producer_id() {
                Ok(id) => {
                    InitProducerIdResponse::default().with_producer_id(ProducerId(id)).with_producer_epoch(0)
                }
                Err(error) => self.refuse(call.version, error),
            },
            Some(_) => self.refuse(call.version, ResponseError::InvalidRequest),
        }
    }

    fn refuse(&self, _version: i16, error: ResponseError) -> InitProducerIdResponse {
        InitProducerIdResponse::default().with_error_code(error.code()).with_producer_epoch(-1)
    }
}
