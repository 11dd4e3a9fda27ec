//! What every request goes through: version, authentication, decoding, access, faults, the work, encoding.

use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::ApiKey;

use super::{Call, Connection, Outcome, Serve, api_versions, faults};
use crate::auth::acl::Resource;
use crate::fault::Fault;
use crate::frame::{self, RequestFrame};
use crate::guard::{self, DecodeError};

/// Handles one request of a known API.
pub(super) async fn handle<R: Serve>(connection: &mut Connection, key: ApiKey, frame: RequestFrame) -> Outcome
where
    R::Response: Send,
{
    let RequestFrame { version, correlation_id, client_id, body, .. } = frame;
    if version < R::SERVED.min || version > R::SERVED.max {
        return unsupported_version(key, version, correlation_id);
    }
    if !connection.admits(key) {
        return Outcome::Close(format!("{key:?} before authentication"));
    }
    let request: R = match decode(key, version, &body) {
        Ok(request) => request,
        Err(error) => return Outcome::Close(format!("malformed {key:?} request: {error}")),
    };
    drop(body);
    let fault = faults::strike(connection, key, &client_id, &request);
    let forbidden = forbidden(connection, &request);
    let mut call = Call { connection, version, client_id, disconnect: None, close_after: false };
    if let Some(early) = faults::before(&mut call, fault.as_ref()).await {
        return early;
    }
    let wants_answer = request.wants_answer();
    let refusal = match fault {
        Some(Fault::Error(error)) => Some(error),
        _ => forbidden,
    };
    let response = match refusal {
        Some(error) => request.refuse(version, error),
        None => request.serve(&mut call).await,
    };
    if let Some(reason) = call.disconnect {
        return Outcome::Close(reason);
    }
    if !wants_answer {
        return Outcome::NoResponse;
    }
    match frame::response_frame(key, version, correlation_id, &response) {
        Ok(frame) if call.close_after => Outcome::RespondAndClose(frame),
        Ok(frame) => faults::after(frame, fault.as_ref()),
        Err(error) => {
            tracing::error!(?key, version, error, "cannot encode an answer");
            Outcome::Close(format!("cannot encode {key:?} version {version}: {error}"))
        }
    }
}

/// The body of a request, as its header says.
pub(super) fn decode<R: Serve>(key: ApiKey, version: i16, body: &Bytes) -> Result<R, DecodeError> {
    guard::decode(body, version, key.request_header_version(version) >= 2)
}

/// The error of the first thing the client may not do.
fn forbidden<R: Serve>(connection: &Connection, request: &R) -> Option<ResponseError> {
    connection.principal.as_ref()?;
    let cluster = connection.shared.cluster();
    let needs = request.access(&cluster);
    let missing = needs.iter().find(|access| !connection.may(&cluster, access))?;
    Some(match missing.resource {
        Resource::Topic => ResponseError::TopicAuthorizationFailed,
        Resource::Group => ResponseError::GroupAuthorizationFailed,
        Resource::Cluster => ResponseError::ClusterAuthorizationFailed,
        Resource::TransactionalId => ResponseError::TransactionalIdAuthorizationFailed,
    })
}

/// An API that has no file here.
pub(super) fn unsupported(frame: &RequestFrame) -> Outcome {
    tracing::debug!(key = frame.key, version = frame.version, "unsupported API");
    let error = ResponseError::UnsupportedVersion.code();
    Outcome::Respond(frame::unknown_api_frame(frame.correlation_id, error))
}

/// A version out of range: ApiVersions answers in its oldest form, so that clients can step down (KIP-511).
fn unsupported_version(key: ApiKey, version: i16, correlation_id: i32) -> Outcome {
    if key != ApiKey::ApiVersions {
        let error = ResponseError::UnsupportedVersion.code();
        tracing::debug!(?key, version, "unsupported version");
        return Outcome::Respond(frame::unknown_api_frame(correlation_id, error));
    }
    let response = api_versions::response(0, Some(ResponseError::UnsupportedVersion));
    match frame::response_frame(key, 0, correlation_id, &response) {
        Ok(frame) => Outcome::Respond(frame),
        Err(error) => Outcome::Close(error),
    }
}
