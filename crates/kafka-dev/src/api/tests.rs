//! Every API at every version it claims: an empty request is answered, and refused, in a form that decodes again.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::{Buf, BytesMut};
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{ApiKey, ResponseHeader};
use kafka_protocol::protocol::{Decodable, HeaderVersion};

use proptest::prelude::*;

use super::{Connection, Outcome, Serve, decodes, handle, try_every_version};
use crate::auth::Users;
use crate::cluster::persist::Store;
use crate::cluster::{Cluster, NewTopic, Node};
use crate::fault::Fault;
use crate::frame::RequestFrame;
use crate::group::Groups;
use crate::journal::Journal;
use crate::shared::Shared;

fn connection() -> Connection {
    let (host, port) = ("localhost".to_owned(), 9092);
    let node = Node { host: host.clone(), port, listens_on: (host, port), is_up: true };
    let groups = Groups::new(std::time::Duration::ZERO, Journal::in_memory());
    let mut cluster =
        Cluster::new("test".to_owned(), BTreeMap::from([(1, node)]), groups, Store::in_memory());
    cluster.create_topic(NewTopic { name: "t".to_owned(), ..NewTopic::default() }).unwrap();
    let (control, _) = tokio::sync::mpsc::unbounded_channel();
    let shared = Arc::new(Shared::new(cluster, Users::default(), None, control));
    Connection::new(shared, 1, ([127, 0, 0, 1], 1).into())
}

pub(super) async fn try_versions<R: Serve + Default>(connection: &mut Connection, key: ApiKey)
where
    R::Response: Send,
{
    for version in R::SERVED.min..=R::SERVED.max {
        try_version::<R>(connection, key, version).await;
        connection.shared.faults.on(key).then(Fault::Error(ResponseError::UnknownServerError));
        try_version::<R>(connection, key, version).await;
        connection.shared.faults.clear();
    }
}

async fn try_version<R: Serve + Default>(connection: &mut Connection, key: ApiKey, version: i16)
where
    R::Response: Send,
{
    let mut body = BytesMut::new();
    R::default().encode(&mut body, version).unwrap();
    let (correlation_id, body) = (7, body.freeze());
    let frame = RequestFrame { key: key as i16, version, correlation_id, client_id: String::new(), body };
    let wants_answer = R::default().wants_answer();
    match handle::<R>(connection, key, frame).await {
        Outcome::Respond(mut frame) | Outcome::RespondAndClose(mut frame) => {
            frame.advance(4);
            let mut frame = frame.freeze();
            let header = ResponseHeader::decode(&mut frame, R::Response::header_version(version)).unwrap();
            assert_eq!(header.correlation_id, correlation_id);
            R::Response::decode(&mut frame, version).unwrap();
            assert!(frame.is_empty(), "{key:?} version {version}: trailing bytes");
        }
        outcome => assert!(!wants_answer, "{key:?} version {version}: {outcome:?}"),
    }
}

#[tokio::test]
async fn every_version_is_answered_and_refused_in_a_form_that_decodes() {
    try_every_version(&mut connection()).await;
}

proptest! {
    #[test]
    fn any_bytes_after_any_header_decode_or_are_refused(
        api in 0i16..95,
        version in 0i16..19,
        body in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let frame = RequestFrame { key: api, version, correlation_id: 0, client_id: String::new(), body: body.into() };
        let _ = decodes(&frame);
    }
}
