//! The table against a second opinion: what it encodes, kafka-protocol decodes and encodes to the same bytes, for random
//! messages of every API in every version that both know.

use bytes::{Bytes, BytesMut};
use fastrand::Rng;
use kafka_protocol::messages::{ApiKey, RequestKind, ResponseKind};
use serde_json::json;

use super::table::{Field, Kind};
use super::*;

/// Messages of each kind, API and version.
const MESSAGES: u64 = 12;

/// What kafka-protocol 0.18 does not know: versions that brokers offer only when told to, and streams groups.
const UNKNOWN_THERE: [(i16, i16); 5] = [(8, 10), (9, 10), (22, 6), (88, 0), (89, 0)];

/// A value for every field of the version, as a decoder would show it.
struct Fill {
    rng: Rng,
    version: i16,
}

impl Fill {
    fn fields(&mut self, fields: &[Field]) -> serde_json::Value {
        let version = self.version;
        let here = fields.iter().filter(|field| field.versions.contain(version));
        let members: Vec<_> = here.map(|field| (field.name.to_owned(), self.field(field))).collect();
        serde_json::Value::Object(members.into_iter().collect())
    }

    fn field(&mut self, field: &Field) -> serde_json::Value {
        if field.nullable.contain(self.version) && self.rng.u8(..4) == 0 {
            return serde_json::Value::Null;
        }
        if field.tag.is_some() && self.rng.bool() && !matches!(field.kind, Kind::Struct(_)) {
            return field.default_value(self.version);
        }
        self.value(&field.kind)
    }

    fn value(&mut self, kind: &Kind) -> serde_json::Value {
        match kind {
            Kind::Bool => self.rng.bool().into(),
            Kind::Int { bytes, signed } => {
                let extreme = if self.rng.bool() { -1 } else { 0 };
                let number =
                    if self.rng.u8(..3) == 0 { extreme } else { self.rng.i64(..) } >> (64 - bytes * 8);
                let unsigned = number & (1_i64 << (bytes * 8 - 1) << 1).wrapping_sub(1);
                if *signed { number.into() } else { unsigned.into() }
            }
            Kind::Float64 => json!(f64::from(self.rng.i32(..)) / 8.0),
            Kind::String => (0..self.rng.usize(..6)).map(|_| self.rng.char(..)).collect::<String>().into(),
            Kind::Bytes => shown(&Value::of_bytes(&self.bytes())),
            Kind::Records => shown(&Value::Binary(self.bytes())),
            Kind::Uuid => value::uuid_text(&self.rng.u128(..).to_be_bytes()).into(),
            Kind::Struct(fields) => self.fields(fields),
            Kind::Array(element) => (0..self.rng.usize(..3)).map(|_| self.value(element)).collect(),
        }
    }

    fn bytes(&mut self) -> Vec<u8> {
        (0..self.rng.usize(..200)).map(|_| self.rng.u8(..)).collect()
    }
}

fn shown(value: &Value) -> serde_json::Value {
    serde_json::to_value(value).unwrap()
}

/// The layouts of every API and version, each with the way through kafka-protocol.
fn each_layout(mut judge: impl FnMut(&Api, &Layout, Option<&dyn Fn(Vec<u8>) -> anyhow::Result<Vec<u8>>>)) {
    for api in Api::all() {
        for version in api.versions.first..=api.versions.last {
            let is_known = !UNKNOWN_THERE.contains(&(api.key, version));
            let known = is_known.then(|| ApiKey::try_from(api.key).unwrap());
            let request = known.map(|key| {
                move |bytes: Vec<u8>| {
                    let (mut bytes, mut out) = (Bytes::from(bytes), BytesMut::new());
                    RequestKind::decode(key, &mut bytes, version)?.encode(&mut out, version)?;
                    anyhow::ensure!(bytes.is_empty(), "{} bytes are left over", bytes.len());
                    Ok(out.to_vec())
                }
            });
            let response = known.map(|key| {
                move |bytes: Vec<u8>| {
                    let (mut bytes, mut out) = (Bytes::from(bytes), BytesMut::new());
                    ResponseKind::decode(key, &mut bytes, version)?.encode(&mut out, version)?;
                    anyhow::ensure!(bytes.is_empty(), "{} bytes are left over", bytes.len());
                    Ok(out.to_vec())
                }
            });
            let request: Option<&dyn Fn(Vec<u8>) -> anyhow::Result<Vec<u8>>> =
                request.as_ref().map(|f| f as _);
            let response: Option<&dyn Fn(Vec<u8>) -> anyhow::Result<Vec<u8>>> =
                response.as_ref().map(|f| f as _);
            judge(&api, &Layout::of_request(&api, version).unwrap(), request);
            judge(&api, &Layout::of_response(&api, version).unwrap(), response);
        }
    }
}

#[test]
fn what_the_table_encodes_another_codec_reads_and_writes_alike() {
    let mut wrong = Vec::new();
    each_layout(|api, layout, other| {
        let version = layout.version;
        for seed in 0..MESSAGES {
            let message = Fill { rng: Rng::with_seed(seed), version }.fields(&layout.fields);
            let case = format!("{} version {version}, seed {seed}: {message}", api.name);
            let bytes = encode(layout, &message).unwrap_or_else(|error| panic!("{case}: {error}"));
            let decoded = decode(layout, &bytes).unwrap_or_else(|error| panic!("{case}: {error}"));
            assert_eq!(shown(&decoded), message, "{case}");
            match other.map(|other| other(bytes.clone())) {
                Some(Ok(theirs)) if theirs == bytes => {}
                Some(theirs) => wrong.push(format!("{case}\n  ours {bytes:02x?}\n  theirs {theirs:02x?}")),
                None => {}
            }
        }
    });
    assert!(wrong.is_empty(), "{} messages differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn what_is_left_out_has_the_protocols_default_but_looking_creates_nothing() {
    each_layout(|api, layout, other| {
        let Some(other) = other else { return };
        let bytes = encode(layout, &json!({})).unwrap();
        let case = format!("{} version {}: {bytes:?}", api.name, layout.version);
        assert_eq!(other(bytes.clone()).map_err(|e| format!("{case} {e}")), Ok(bytes), "{case}");
    });
    let api = Api::find("OffsetForLeaderEpoch").unwrap();
    let layout = Layout::of_request(&api, 4).unwrap();
    let example = shown(&layout.example().unwrap());
    assert_eq!(example["replica_id"], -2);
    assert_eq!(example["topics"][0]["partitions"][0]["current_leader_epoch"], -1);
    let metadata = Layout::of_request(&Api::find("Metadata").unwrap(), 12).unwrap();
    assert_eq!(shown(&metadata.example().unwrap())["allow_auto_topic_creation"], false);
}

#[test]
fn bytes_that_were_cut_or_changed_never_end_the_program() {
    each_layout(|_, layout, _| {
        let mut fill = Fill { rng: Rng::with_seed(7), version: layout.version };
        let message = fill.fields(&layout.fields);
        let bytes = encode(layout, &message).unwrap();
        for end in 0..bytes.len().min(64) {
            let _ = decode(layout, &bytes[..end]);
            let mut changed = bytes.clone();
            changed[end] = fill.rng.u8(..);
            let _ = decode(layout, &changed);
        }
    });
}

fn refused(api: &str, version: i16, message: &serde_json::Value) -> String {
    let layout = Layout::of_request(&Api::find(api).unwrap(), version).unwrap();
    encode(&layout, message).unwrap_err().to_string()
}

#[test]
fn what_is_wrong_with_a_request_is_said_with_its_place() {
    let topics = |topic: serde_json::Value| json!({"topics": [{"name": "a"}, topic]});
    assert_eq!(
        refused("CreateTopics", 7, &topics(json!({"num_partition": 1}))),
        "topics[1].num_partition: there is no such field; did you mean num_partitions?"
    );
    assert_eq!(
        refused("CreateTopics", 7, &topics(json!({"num_partitions": 1_u64 << 31}))),
        "topics[1].num_partitions: 2147483648 stands where a whole number from -2147483648 to 2147483647 is wanted"
    );
    assert_eq!(
        refused("CreateTopics", 7, &topics(json!({"name": null}))),
        "topics[1].name: version 7 does not allow null"
    );
    assert_eq!(
        refused("CreateTopics", 7, &topics(json!([]))),
        "topics[1]: an array stands where an object is wanted"
    );
    assert_eq!(
        refused("Metadata", 12, &json!({"include_cluster_authorized_operations": true})),
        "include_cluster_authorized_operations: version 12 has no such field, only versions 8 to 10 have it"
    );
    assert_eq!(refused("Metadata", 12, &json!({"topics": [], "Topics": []})), "topics: it is given twice");
}

#[test]
fn kafkas_own_spelling_of_names_is_understood() {
    let layout = Layout::of_request(&Api::find("CreateTopics").unwrap(), 7).unwrap();
    let ours = json!({"topics": [{"name": "a", "num_partitions": 3}], "validate_only": true});
    let theirs = json!({"topics": [{"name": "a", "numPartitions": 3}], "validateOnly": true});
    assert_eq!(encode(&layout, &ours), encode(&layout, &theirs));
}

#[test]
fn tagged_fields_that_the_table_does_not_know_are_shown() {
    let layout = Layout::of_response(&Api::find("Heartbeat").unwrap(), 4).unwrap();
    let decoded = shown(&decode(&layout, &[0, 0, 0, 0, 0, 27, 1, 9, 2, 0xff, 0]).unwrap());
    assert_eq!(decoded["_tagged_fields"], json!([{"tag": 9, "value": {"base64": "/wA="}}]));
}

#[test]
fn an_array_longer_than_its_message_is_an_error_before_anything_is_allocated() {
    let layout = Layout::of_response(&Api::find("Metadata").unwrap(), 12).unwrap();
    let error = decode(&layout, &[0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f]).unwrap_err();
    assert_eq!(error.to_string(), "brokers: it claims 4294967294 elements where 0 bytes are left");
}
