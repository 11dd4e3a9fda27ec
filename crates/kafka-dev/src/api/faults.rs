//! The faults that tests ask for (`fault`), carried out before and after the work of a request.

use bytes::BytesMut;
use kafka_protocol::messages::ApiKey;

use super::{Call, Connection, Outcome, Serve};
use crate::fault::{Fault, Target};
use crate::frame;
use crate::shared::{Control, Shared};

/// How often a fault yields to the control task before it goes on regardless.
const MAX_TURNS: usize = 10_000;

/// The fault that a rule has for this request.
pub(super) fn strike<R: Serve>(
    connection: &Connection,
    key: ApiKey,
    client_id: &str,
    request: &R,
) -> Option<Fault> {
    let shared = &connection.shared;
    if shared.faults.is_empty() {
        return None;
    }
    let topics = request.topics(&shared.cluster());
    let target = Target { key, broker: connection.broker, client_id, topics: &topics };
    let fault = shared.faults.strike(&target)?;
    tracing::info!(?key, broker = connection.broker, client_id, ?fault, "fault");
    Some(fault)
}

/// The part of a fault that comes before the work.
pub(super) async fn before(call: &mut Call<'_>, fault: Option<&Fault>) -> Option<Outcome> {
    let shared = call.shared();
    match fault? {
        Fault::Delay(time) => tokio::time::sleep(*time).await,
        Fault::CloseConnection => return Some(Outcome::Close("fault".to_owned())),
        Fault::NeverAnswer => return Some(Outcome::Silence),
        Fault::MoveLeader { topic, partition, to } => {
            shared.move_leader(topic, *partition, *to);
        }
        Fault::StopBroker(id) => {
            let _ = shared.control.send(Control::StopBroker(*id, None));
            if *id == call.broker() {
                // This connection is about to be closed; nothing more happens on it.
                return std::future::pending().await;
            }
            wait_until(shared, *id, false).await;
        }
        Fault::StartBroker(id) => {
            let _ = shared.control.send(Control::StartBroker(*id, None));
            wait_until(shared, *id, true).await;
        }
        Fault::ExpireGroup(group) => shared.expire_group(group),
        Fault::Error(_)
        | Fault::DropResponse
        | Fault::WorkThenNeverAnswer
        | Fault::Corrupt
        | Fault::Truncate => {}
    }
    None
}

/// Lets the cluster's control task work until a broker is up or down, or it seems that this cannot be.
async fn wait_until(shared: &Shared, broker: i32, up: bool) {
    for _ in 0..MAX_TURNS {
        if shared.cluster().nodes.get(&broker).is_none_or(|node| node.is_up == up) {
            return;
        }
        tokio::task::yield_now().await;
    }
}

/// The part of a fault that comes after it.
pub(super) fn after(mut frame: BytesMut, fault: Option<&Fault>) -> Outcome {
    match fault {
        Some(Fault::DropResponse) => Outcome::Close("fault".to_owned()),
        Some(Fault::WorkThenNeverAnswer) => Outcome::Silence,
        Some(Fault::Corrupt) => {
            let body = frame.iter_mut().skip(frame::LENGTH_BYTES + 4);
            body.for_each(|byte| *byte = !*byte);
            Outcome::Respond(frame)
        }
        Some(Fault::Truncate) => {
            frame.truncate(frame.len() / 2);
            Outcome::RespondAndClose(frame)
        }
        _ => Outcome::Respond(frame),
    }
}
