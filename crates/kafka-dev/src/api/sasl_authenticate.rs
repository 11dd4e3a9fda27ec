//! SaslAuthenticate, versions 0 to 2 (KIP-152, 368 session lifetime).

use std::sync::Arc;

use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{SaslAuthenticateRequest, SaslAuthenticateResponse};
use kafka_protocol::protocol::VersionRange;

use super::{Call, Serve, text};
use crate::auth::sasl::Step;

impl Serve for SaslAuthenticateRequest {
    const SERVED: VersionRange = VersionRange { min: 0, max: 2 };

    async fn serve(self, call: &mut Call<'_>) -> SaslAuthenticateResponse {
        let users = call.connection.users();
        if !users.is_required() {
            return self.refuse(call.version, ResponseError::IllegalSaslState);
        }
        let shared = Arc::clone(&call.connection.shared);
        let stored = |user: &str, hash| shared.cluster().credentials.get(user, hash).cloned();
        match call.connection.sasl.step(&self.auth_bytes, &users, stored) {
            Step::Challenge(challenge) => answered(challenge),
            Step::Success(user, last) => {
                let now = call.shared().clock.now();
                call.connection.authenticated(&user, now);
                let lifetime = users.session_lifetime.filter(|_| call.version >= 1).unwrap_or_default();
                answered(last)
                    .with_session_lifetime_ms(i64::try_from(lifetime.as_millis()).unwrap_or(i64::MAX))
            }
            Step::Failure => {
                call.close_after = true;
                self.refuse(call.version, ResponseError::SaslAuthenticationFailed)
            }
        }
    }

    fn refuse(&self, _version: i16, error: ResponseError) -> SaslAuthenticateResponse {
        let message = match error {
            ResponseError::SaslAuthenticationFailed => {
                "Authentication failed: Invalid username or password".to_owned()
            }
            error => error.to_string(),
        };
        SaslAuthenticateResponse::default()
            .with_error_code(error.code())
            .with_error_message(Some(text(message)))
            .with_auth_bytes(Bytes::new())
    }
}

fn answered(bytes: Vec<u8>) -> SaslAuthenticateResponse {
    SaslAuthenticateResponse::default().with_error_message(None).with_auth_bytes(bytes.into())
}
