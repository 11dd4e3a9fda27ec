//! Requests and answers as bytes, for tools that bring the layouts of messages themselves. What goes on around a request
//! (queueing, time limits, tracing) is the connection's, as for all others.
//!
//! The messenger learns an API's key and versions when it is compiled. So a stand-in is filed with it, and once it has
//! written the stand-in's header, key and version are put right in it.

use std::io::Cursor;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::{Buf, Bytes};
use kafka_protocol::messages::ApiVersionsRequest;
use rskafka::protocol::api_key::ApiKey;
use rskafka::protocol::api_version::{ApiVersion, ApiVersionRange};
use rskafka::protocol::messages::{
    ReadVersionedError, ReadVersionedType, RequestBody, WriteVersionedError, WriteVersionedType,
};

use super::codec::{api_key, api_version};
use super::versions::{Api, ApiRange, NEVER};

/// The key and versions under which all of these are filed with the messenger; no API has a negative key.
pub(super) const STAND_IN: (i16, ApiRange) = (-1, ApiRange { min: 0, max: 0 });

/// A request whose body is encoded already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpaqueRequest {
    /// API key.
    pub key: i16,
    /// Kafka's name of the API, for errors and traces.
    pub name: &'static str,
    /// The version in which the body is written.
    pub version: i16,
    /// Whether the request's header carries tagged fields (KIP-482).
    pub flexible: bool,
    /// The body.
    pub body: Vec<u8>,
}

impl OpaqueRequest {
    /// Whether the answer's header carries tagged fields: as the request's, but never for ApiVersions, so that every client
    /// can read its answer.
    pub(super) fn has_flexible_answer(&self) -> bool {
        self.flexible && self.key != ApiVersionsRequest::KEY
    }
}

/// A request on its way out.
pub(super) struct Outgoing<'a> {
    pub(super) request: OpaqueRequest,
    /// Where its size is put.
    pub(super) size: &'a AtomicUsize,
}

/// An answer on its way in: everything behind the correlation id.
pub(super) struct Incoming(pub(super) Bytes);

impl RequestBody for Outgoing<'_> {
    type ResponseBody = Incoming;
    const API_KEY: ApiKey = api_key(STAND_IN.0);
    const API_VERSION_RANGE: ApiVersionRange =
        ApiVersionRange::new(api_version(STAND_IN.1.min), api_version(STAND_IN.1.max));
    // The headers' tagged fields, none, are written and read here.
    const FIRST_TAGGED_FIELD_IN_REQUEST_VERSION: ApiVersion = api_version(NEVER);
    const FIRST_TAGGED_FIELD_IN_RESPONSE_VERSION: ApiVersion = api_version(NEVER);
}

impl WriteVersionedType<Vec<u8>> for Outgoing<'_> {
    /// `writer` holds the header: it begins with key and version.
    fn write_versioned(&self, writer: &mut Vec<u8>, _: ApiVersion) -> Result<(), WriteVersionedError> {
        let OpaqueRequest { key, version, flexible, body, .. } = &self.request;
        if let Some(start) = writer.first_chunk_mut::<4>() {
            let ([k0, k1], [v0, v1]) = (key.to_be_bytes(), version.to_be_bytes());
            *start = [k0, k1, v0, v1];
        }
        writer.extend(flexible.then_some(0));
        writer.extend_from_slice(body);
        self.size.store(body.len(), Ordering::Relaxed);
        Ok(())
    }
}

impl ReadVersionedType<Cursor<Vec<u8>>> for Incoming {
    fn read_versioned(reader: &mut Cursor<Vec<u8>>, _: ApiVersion) -> Result<Self, ReadVersionedError> {
        let start = usize::try_from(reader.position()).unwrap_or(usize::MAX);
        let mut frame = Bytes::from(std::mem::take(reader).into_inner());
        frame.advance(start.min(frame.len()));
        Ok(Self(frame))
    }
}

/// The body of an answer: what stands behind the tagged fields of its header.
pub(super) fn body(mut answer: Bytes, has_tagged_fields: bool) -> Result<Bytes, String> {
    if has_tagged_fields {
        for _ in 0..varint(&mut answer)? {
            let _tag = varint(&mut answer)?;
            let size = varint(&mut answer)? as usize;
            if size > answer.len() {
                return Err(format!("its header claims {size} bytes where {} are left", answer.len()));
            }
            answer.advance(size);
        }
    }
    Ok(answer)
}

fn varint(bytes: &mut Bytes) -> Result<u32, String> {
    let mut value = 0;
    for shift in [0, 7, 14, 21, 28] {
        let byte = bytes.try_get_u8().map_err(|_| "it ends within its header".to_owned())?;
        value |= u32::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err("a number in its header does not end".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(flexible: bool) -> OpaqueRequest {
        let body = vec![1, 2, 3];
        OpaqueRequest { key: 0x102, name: "Test", version: 5, flexible, body }
    }

    #[test]
    fn key_and_version_replace_those_of_the_stand_in() {
        for (flexible, written) in
            [(false, &[1, 2, 0, 5, 7, 7, 1, 2, 3][..]), (true, &[1, 2, 0, 5, 7, 7, 0, 1, 2, 3])]
        {
            let (mut writer, size) = (vec![0xff, 0xff, 0, 0, 7, 7], AtomicUsize::new(0));
            let outgoing = Outgoing { request: request(flexible), size: &size };
            outgoing.write_versioned(&mut writer, api_version(0)).unwrap();
            assert_eq!(writer, written);
        }
    }

    #[test]
    fn the_tagged_fields_of_an_answers_header_are_skipped() {
        let answer = Bytes::from_static(&[2, 0, 1, 9, 1, 0, 42]);
        assert_eq!(body(answer.clone(), true), Ok(Bytes::from_static(&[42])));
        assert_eq!(body(answer.clone(), false), Ok(answer));
    }

    #[test]
    fn a_header_that_lies_about_its_length_is_an_error() {
        for lie in [&[1, 0, 9, 1][..], &[0xff, 0xff], &[0xff; 9], &[]] {
            assert!(body(Bytes::copy_from_slice(lie), true).is_err(), "{lie:?}");
        }
    }
}
