//! `kafka-protocol`'s messages in the shape that rskafka's messenger sends and receives.

use std::io::Cursor;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use kafka_protocol::messages::FetchRequest;
use kafka_protocol::protocol::Decodable;
use rskafka::protocol::api_key::ApiKey;
use rskafka::protocol::api_version::{ApiVersion, ApiVersionRange};
use rskafka::protocol::messages::{
    ReadVersionedError, ReadVersionedType, RequestBody, WriteVersionedError, WriteVersionedType,
};
use rskafka::protocol::primitives::Int16;
use rskafka::protocol::traits::{ReadError, WriteError};

use super::guarded::GuardedBuf;
use super::versions::Api;

/// The key under which an API's versions are filed with the messenger. Ours are filed by number, all of them; the
/// messenger's own named variants are never asked for, since its version and SASL calls are not used.
pub(super) const fn api_key(key: i16) -> ApiKey {
    ApiKey::Unknown(Int16(key))
}

pub(super) const fn api_version(version: i16) -> ApiVersion {
    ApiVersion(Int16(version))
}

/// A request on its way out.
pub(super) struct Outgoing<'a, R> {
    pub(super) message: R,
    /// Where its size is put once it is encoded.
    pub(super) size: &'a AtomicUsize,
}

/// An answer on its way in.
pub(super) struct Incoming<R: Api> {
    pub(super) message: R::Response,
    pub(super) size: usize,
}

impl<R: Api> RequestBody for Outgoing<'_, R> {
    type ResponseBody = Incoming<R>;
    const API_KEY: ApiKey = api_key(R::KEY);
    const API_VERSION_RANGE: ApiVersionRange = ApiVersionRange::new(api_version(R::MIN), api_version(R::MAX));
    const FIRST_TAGGED_FIELD_IN_REQUEST_VERSION: ApiVersion = api_version(R::FLEXIBLE_REQUEST);
    const FIRST_TAGGED_FIELD_IN_RESPONSE_VERSION: ApiVersion = api_version(R::FLEXIBLE_RESPONSE);
}

impl<R: Api> WriteVersionedType<Vec<u8>> for Outgoing<'_, R> {
    fn write_versioned(&self, writer: &mut Vec<u8>, version: ApiVersion) -> Result<(), WriteVersionedError> {
        // Straight into the messenger's buffer, and in one allocation: a produce request is megabytes.
        let size = self.message.compute_size(version.0.0).map_err(unencodable)?;
        self.size.store(size, Ordering::Relaxed);
        writer.reserve(size);
        self.message.encode(writer, version.0.0).map_err(unencodable)
    }
}

fn unencodable(error: impl std::fmt::Display) -> WriteVersionedError {
    WriteVersionedError::WriteError(WriteError::Malformed(error.to_string().into()))
}

impl<R: Api> ReadVersionedType<Cursor<Vec<u8>>> for Incoming<R> {
    /// Takes the frame out of the cursor, so that it becomes [`Bytes`] without a copy, and leaves the cursor empty at
    /// position 0: the messenger compares the two afterwards.
    fn read_versioned(reader: &mut Cursor<Vec<u8>>, version: ApiVersion) -> Result<Self, ReadVersionedError> {
        let start = usize::try_from(reader.position()).unwrap_or(usize::MAX);
        let frame = Bytes::from(std::mem::take(reader).into_inner());
        let body = if start <= frame.len() { frame.slice(start..) } else { Bytes::new() };
        let size = frame.len();
        decode::<R>(body, version.0.0)
            .map(|message| Self { message, size })
            .map_err(|text| ReadError::Malformed(text.into()).into())
    }
}

/// Decodes one answer; it must use up the frame exactly.
pub(super) fn decode<R: Api>(body: Bytes, version: i16) -> Result<R::Response, String> {
    // ApiVersions answers with header 0 for ever, so the request's flexibility tells how the body writes lengths.
    let flexible = version >= R::FLEXIBLE_REQUEST;
    // Fetch: the throttle time, then since version 7 the session's random id.
    let has_session_id = R::KEY == <FetchRequest as Api>::KEY && version >= 7;
    let unchecked_int32s = if has_session_id { 2 } else { 0 };
    let mut body = GuardedBuf::new(body, flexible, unchecked_int32s);
    let response =
        R::Response::decode(&mut body, version).map_err(|error| error.to_string().trim().to_owned())?;
    match bytes::Buf::remaining(&body) {
        0 => Ok(response),
        left => Err(format!("{left} bytes are left over after the answer")),
    }
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::HeartbeatRequest;

    use super::*;

    #[test]
    fn an_answer_takes_the_frame_without_leaving_anything_to_the_messenger() {
        // Heartbeat version 4: throttle time, error code, no tags, behind a five-byte header.
        let mut reader = Cursor::new(vec![9, 9, 9, 9, 9, 0, 0, 0, 0, 0, 27, 0]);
        reader.set_position(5);
        let response = Incoming::<HeartbeatRequest>::read_versioned(&mut reader, api_version(4)).unwrap();
        assert_eq!(response.message.error_code, 27);
        assert_eq!((reader.position(), reader.into_inner().len()), (0, 0));
    }

    #[test]
    fn bytes_after_an_answer_are_an_error() {
        let body = Bytes::from_static(&[0, 0, 0, 0, 0, 27, 0, 1, 2]);
        let error = decode::<HeartbeatRequest>(body, 4).unwrap_err();
        assert_eq!(error, "2 bytes are left over after the answer");
    }

    #[test]
    fn an_old_fetch_answer_cannot_claim_more_topics_than_it_has_bytes_for() {
        // Version 4 has no session id: behind the throttle time stands the number of topics.
        let body = Bytes::from_static(&[0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff]);
        assert!(decode::<FetchRequest>(body, 4).is_err());
    }

    #[test]
    fn a_truncated_answer_is_an_error() {
        assert!(decode::<HeartbeatRequest>(Bytes::from_static(&[0, 0, 0]), 4).is_err());
    }
}
