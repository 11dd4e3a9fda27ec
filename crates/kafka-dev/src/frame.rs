//! Frames: a length of four bytes, then that many bytes. Requests and the first fields of their header.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable};

/// Largest request, as Kafka's `socket.request.max.bytes`.
const MAX_FRAME_BYTES: usize = 100 << 20;
/// Largest request that carries no records.
const MAX_PLAIN_FRAME_BYTES: usize = 8 << 20;
/// Bytes of the length before a frame.
pub(crate) const LENGTH_BYTES: usize = 4;

/// A frame that cannot be a request. The connection is closed, as Kafka does.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("a request of {0} bytes is too large or negative")]
    Size(i32),
    #[error("the request header is malformed")]
    Header,
}

/// Takes the next whole frame off the front of what was received.
pub(crate) fn next_frame(received: &mut BytesMut) -> Result<Option<Bytes>, FrameError> {
    let Some(length) = received.first_chunk::<LENGTH_BYTES>().map(|bytes| i32::from_be_bytes(*bytes)) else {
        return Ok(None);
    };
    let size = usize::try_from(length).map_err(|_| FrameError::Size(length))?;
    let key = received.get(LENGTH_BYTES..LENGTH_BYTES + 2).map(|mut bytes| bytes.get_i16());
    let limit = match key {
        Some(key) if key != ApiKey::Produce as i16 => MAX_PLAIN_FRAME_BYTES,
        _ => MAX_FRAME_BYTES,
    };
    if size > limit {
        return Err(FrameError::Size(length));
    }
    if received.len() < LENGTH_BYTES + size {
        received.reserve(LENGTH_BYTES + size - received.len());
        return Ok(None);
    }
    received.advance(LENGTH_BYTES);
    Ok(Some(received.split_to(size).freeze()))
}

/// A request as its header describes it.
#[derive(Debug)]
pub(crate) struct RequestFrame {
    /// The number, since it may be an API this crate has never heard of.
    pub(crate) key: i16,
    pub(crate) version: i16,
    pub(crate) correlation_id: i32,
    pub(crate) client_id: String,
    pub(crate) body: Bytes,
}

impl RequestFrame {
    /// Splits a frame into header and body.
    pub(crate) fn read(mut frame: Bytes) -> Result<Self, FrameError> {
        let key = frame.get(..2).ok_or(FrameError::Header)?.get_i16();
        let version = frame.get(2..4).ok_or(FrameError::Header)?.get_i16();
        let header_version = ApiKey::try_from(key).map_or(1, |key| key.request_header_version(version));
        // No field of the header is an array, so nothing is allocated for a length it claims.
        let header =
            RequestHeader::decode(&mut frame, header_version.max(1)).map_err(|_| FrameError::Header)?;
        Ok(Self {
            key,
            version,
            correlation_id: header.correlation_id,
            client_id: header.client_id.map(|id| id.to_string()).unwrap_or_default(),
            body: frame,
        })
    }
}

/// Encodes an answer with its length and header; the error is a bug here, not the client's.
pub(crate) fn response_frame<T: Encodable>(
    key: ApiKey,
    version: i16,
    correlation_id: i32,
    body: &T,
) -> Result<BytesMut, String> {
    let mut frame = BytesMut::with_capacity(256);
    frame.put_i32(0);
    let header = ResponseHeader::default().with_correlation_id(correlation_id);
    header.encode(&mut frame, key.response_header_version(version)).map_err(|error| error.to_string())?;
    body.encode(&mut frame, version).map_err(|error| error.to_string())?;
    let length = i32::try_from(frame.len() - LENGTH_BYTES).map_err(|error| error.to_string())?;
    (&mut frame[..LENGTH_BYTES]).put_i32(length);
    Ok(frame)
}

/// The answer to an API that has no implementation here: time, error, no more.
pub(crate) fn unknown_api_frame(correlation_id: i32, error: i16) -> BytesMut {
    let mut frame = BytesMut::with_capacity(16);
    frame.put_i32(4 + 4 + 2);
    frame.put_i32(correlation_id);
    frame.put_i32(0);
    frame.put_i16(error);
    frame
}
