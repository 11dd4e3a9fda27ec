//! Counters of one client for the program that embeds it, and their text form for Prometheus.
//!
//! Counted per request, batch or event, never per record, so that a lock is cheap enough.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Mutex, PoisonError};

use crate::TopicPartition;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Metric {
    /// Requests sent, by API.
    Requests,
    /// Requests without a usable answer, by API.
    RequestFailures,
    /// Microseconds from sending to the answer, summed, by API.
    RequestMicros,
    /// Bytes of requests, by API.
    BytesSent,
    /// Bytes of answers, by API.
    BytesReceived,
    /// Connections made, by broker.
    Connections,
    /// Connections that could not be made, by broker.
    ConnectionFailures,
    /// Batches sent again, by API; counted when they have their outcome.
    Retries,
    /// Rebalances of a group that this client took part in, by group.
    Rebalances,
    /// Records between the position and the end of a partition, by topic-partition.
    Lag,
}

/// Name, help, label; what can only grow is a counter.
struct Family {
    name: &'static str,
    kind: &'static str,
    help: &'static str,
    label: &'static str,
}

impl Metric {
    fn family(self) -> Family {
        let counter = |name, help, label| Family { name, kind: "counter", help, label };
        match self {
            Self::Requests => counter("kafka_client_requests_total", "Requests sent.", "api"),
            Self::RequestFailures => {
                counter("kafka_client_request_failures_total", "Requests without a usable answer.", "api")
            }
            Self::RequestMicros => counter(
                "kafka_client_request_duration_microseconds_total",
                "Time from sending a request to its answer, summed.",
                "api",
            ),
            Self::BytesSent => counter("kafka_client_sent_bytes_total", "Bytes of requests.", "api"),
            Self::BytesReceived => counter("kafka_client_received_bytes_total", "Bytes of answers.", "api"),
            Self::Connections => counter("kafka_client_connections_total", "Connections made.", "broker"),
            Self::ConnectionFailures => counter(
                "kafka_client_connection_failures_total",
                "Connections that could not be made.",
                "broker",
            ),
            Self::Retries => counter("kafka_client_retries_total", "Batches sent again.", "api"),
            Self::Rebalances => {
                counter("kafka_client_rebalances_total", "Rebalances taken part in.", "group")
            }
            Self::Lag => Family {
                name: "kafka_client_lag_records",
                kind: "gauge",
                help: "Records between the position and the end of a partition.",
                label: "partition",
            },
        }
    }
}

/// The measurements of one client.
#[derive(Debug, Default)]
pub struct Metrics {
    values: Mutex<BTreeMap<Metric, BTreeMap<String, u64>>>,
}

impl Metrics {
    /// Adds to a counter. `of` is the label's value: the API, the broker, the group.
    pub fn add(&self, metric: Metric, of: &str, count: u64) {
        self.change(metric, of, |value| value.saturating_add(count));
    }

    /// Sets a gauge.
    pub fn set(&self, metric: Metric, of: &str, value: u64) {
        self.change(metric, of, |_| value);
    }

    /// How many records of a partition are still to be read; negative where the broker does not say its end.
    pub(crate) fn set_lag(&self, partition: &TopicPartition, records: i64) {
        if let Ok(records) = u64::try_from(records) {
            self.set(Metric::Lag, &partition.to_string(), records);
        }
    }

    /// The partition is not read any more: its lag is somebody else's to tell.
    pub(crate) fn forget_lag(&self, partition: &TopicPartition) {
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lags) = values.get_mut(&Metric::Lag) {
            lags.remove(&partition.to_string());
        }
    }

    fn change(&self, metric: Metric, of: &str, change: impl FnOnce(u64) -> u64) {
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        let family = values.entry(metric).or_default();
        match family.get_mut(of) {
            Some(value) => *value = change(*value),
            None => drop(family.insert(of.to_owned(), change(0))),
        }
    }

    /// A value; 0 where nothing was measured.
    #[must_use]
    pub fn get(&self, metric: Metric, of: &str) -> u64 {
        let values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        values.get(&metric).and_then(|family| family.get(of)).copied().unwrap_or(0)
    }

    /// Everything in Prometheus' text format, version 0.0.4.
    #[must_use]
    pub fn to_prometheus(&self) -> String {
        let values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::new();
        for (metric, members) in &*values {
            let Family { name, kind, help, label } = metric.family();
            // Writing to a String cannot fail.
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
            for (of, value) in members {
                let of = of.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
                let _ = writeln!(text, "{name}{{{label}=\"{of}\"}} {value}");
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_grow_gauges_are_set_and_prometheus_reads_both() {
        let metrics = Metrics::default();
        metrics.add(Metric::Requests, "Fetch", 1);
        metrics.add(Metric::Requests, "Fetch", 2);
        metrics.set(Metric::Lag, "a\"b[0]", 7);
        metrics.set(Metric::Lag, "a\"b[0]", 5);
        assert_eq!(metrics.get(Metric::Requests, "Fetch"), 3);
        assert_eq!(
            metrics.to_prometheus(),
            "# HELP kafka_client_requests_total Requests sent.\n\
             # TYPE kafka_client_requests_total counter\n\
             kafka_client_requests_total{api=\"Fetch\"} 3\n\
             # HELP kafka_client_lag_records Records between the position and the end of a partition.\n\
             # TYPE kafka_client_lag_records gauge\n\
             kafka_client_lag_records{partition=\"a\\\"b[0]\"} 5\n"
        );
    }
}
