//! What the cluster has to answer: who belongs to it and where, how its clock stands, what this user may do.

use kafka_cli::time::now_ms;
use kafka_core::ErrorKind;
use kafka_core::admin::AclOperation;

use super::{Args, Finding, Verdict, network};
use crate::context::Context;

/// Clocks that differ by more confuse retention and time-based offsets.
const CLOCK_LIMIT_MS: i64 = 5_000;

pub(super) async fn examine(findings: &mut Vec<Finding>, context: &Context, args: &Args) {
    brokers(findings, context).await;
    findings.push(clock(context).await);
    for topic in &args.topic {
        may_use_topic(findings, context, topic).await;
    }
    for group in &args.group {
        findings.push(may_join(context, group).await);
    }
}

/// Every advertised listener, one by one.
async fn brokers(findings: &mut Vec<Finding>, context: &Context) {
    let described = match context.admin.describe_cluster().await {
        Ok(described) => described,
        Err(error) => return findings.push(Finding::error("metadata", "cluster", &error)),
    };
    let count = crate::show::count(described.brokers.len() as i64, "broker");
    findings.push(Finding::ok("metadata", described.cluster_id, count));
    let options = &context.admin.cluster().options().connect;
    for listed in described.brokers {
        if listed.fenced {
            let (of, found) = (listed.broker.id.to_string(), "registered, but not running");
            let finding = Finding::new("broker", of, Verdict::Warning, found);
            findings.push(finding.advise("start it, or take it out with kafka-admin unregister-broker"));
        } else {
            network::advertised(findings, &listed.broker, options).await;
        }
    }
}

/// The quorum's leader says when it last had everything: that is its present.
async fn clock(context: &Context) -> Finding {
    let quorum = match context.admin.describe_quorum().await {
        Ok(quorum) => quorum,
        Err(error) => {
            let unknown = Finding::new("clock", "controller", Verdict::Unknown, error.to_string());
            return match error.kind() {
                ErrorKind::Denied => unknown.advise("comparing clocks takes DESCRIBE on the cluster"),
                _ => unknown,
            };
        }
    };
    let leader = quorum.voters.iter().find(|voter| voter.id == quorum.leader);
    match leader.and_then(|leader| leader.last_caught_up) {
        Some(theirs) => judge_clock(theirs - now_ms()),
        None => Finding::new("clock", "controller", Verdict::Unknown, "the controller does not say"),
    }
}

fn judge_clock(skew_ms: i64) -> Finding {
    let found = format!("differs by {skew_ms} ms");
    if skew_ms.abs() > CLOCK_LIMIT_MS {
        Finding::new("clock", "controller", Verdict::Warning, found).advise("set both clocks by NTP")
    } else {
        Finding::ok("clock", "controller", found)
    }
}

async fn may_use_topic(findings: &mut Vec<Finding>, context: &Context, topic: &str) {
    let allowed = match context.admin.allowed_operations(topic).await {
        Ok(allowed) => allowed,
        Err(error) => return findings.push(Finding::error("topic", topic, &error)),
    };
    for (what, operation) in [("produce", AclOperation::Write), ("consume", AclOperation::Read)] {
        let of = format!("topic {topic}");
        findings.push(if allowed.contains(&operation) {
            Finding::ok(what, of, "permitted")
        } else {
            Finding::failed(what, of, "not permitted").advise(format!(
                "kafka-admin create-acl --allow USER --operation {operation} --topic {topic}"
            ))
        });
    }
}

async fn may_join(context: &Context, group: &str) -> Finding {
    let of = format!("group {group}");
    match context.admin.may_join_group(group).await {
        Ok(true) => Finding::ok("consume", of, "permitted"),
        Ok(false) => Finding::failed("consume", of, "not permitted")
            .advise(format!("kafka-admin create-acl --allow USER --operation read --group {group}")),
        Err(error) => Finding::error("consume", of, &error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_may_differ_by_five_seconds_either_way() {
        assert_eq!(judge_clock(5_000).verdict, Verdict::Ok);
        assert_eq!(judge_clock(-5_000).verdict, Verdict::Ok);
        assert_eq!(judge_clock(-5_001).verdict, Verdict::Warning);
        assert!(judge_clock(5_001).advice.is_some());
    }
}
