//! The topics in a member's subscription (`ConsumerProtocolSubscription`), as far as the broker cares.

use bytes::{Buf, Bytes};

/// Topics a consumer's metadata names; empty if it cannot be read, since other protocol types are opaque.
pub(crate) fn topics(mut metadata: Bytes) -> Vec<String> {
    read(&mut metadata).unwrap_or_default()
}

fn read(metadata: &mut Bytes) -> Option<Vec<String>> {
    let _version = metadata.try_get_i16().ok()?;
    let count = metadata.try_get_i32().ok()?;
    (0..count).map(|_| read_text(metadata)).collect()
}

fn read_text(from: &mut Bytes) -> Option<String> {
    let length = usize::try_from(from.try_get_i16().ok()?).ok()?;
    if length > from.len() {
        return None;
    }
    String::from_utf8(from.split_to(length).to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_read_and_garbage_is_none() {
        let metadata = Bytes::from_static(b"\0\x01\0\0\0\x02\0\x01a\0\x02bc\xff\xff\xff\xff");
        assert_eq!(topics(metadata), ["a", "bc"]);
        assert!(topics(Bytes::from_static(b"\0\x01\x7f\xff\xff\xff\0\x09a")).is_empty());
    }
}
