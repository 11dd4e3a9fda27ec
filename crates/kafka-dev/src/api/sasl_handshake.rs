//! SaslHandshake, versions 0 and 1: chooses a mechanism; the exchange goes on in SaslAuthenticate (KIP-43, 152).
//! Version 0 is answered because librdkafka wants to see it; the bare tokens that may follow it are not understood.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{SaslHandshakeRequest, SaslHandshakeResponse};
use kafka_protocol::protocol::VersionRange;

use super::{Call, Serve, code, text};
use crate::auth::sasl::MECHANISMS;

impl Serve for SaslHandshakeRequest {
    const SERVED: VersionRange = VersionRange { min: 0, max: 1 };

    async fn serve(self, call: &mut Call<'_>) -> SaslHandshakeResponse {
        if !call.connection.users().is_required() {
            return respond(Some(ResponseError::IllegalSaslState));
        }
        let known = call.connection.sasl.choose(&self.mechanism);
        respond((!known).then_some(ResponseError::UnsupportedSaslMechanism))
    }

    fn refuse(&self, _version: i16, error: ResponseError) -> SaslHandshakeResponse {
        respond(Some(error))
    }
}

fn respond(error: Option<ResponseError>) -> SaslHandshakeResponse {
    let mechanisms = MECHANISMS.iter().map(|name| text(*name)).collect();
    SaslHandshakeResponse::default().with_error_code(code(error)).with_mechanisms(mechanisms)
}
