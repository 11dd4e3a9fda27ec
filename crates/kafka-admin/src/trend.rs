//! How fast groups read and when they will have caught up, from one look to the next. Pure.

use std::collections::BTreeMap;
use std::time::Instant;

use serde::Serialize;

use crate::group_state::PartitionLag;

/// What two looks at a partition tell; nothing at the first look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(crate) struct Trend {
    /// Records read per second since the last look.
    pub(crate) rate: Option<f64>,
    /// Seconds until the lag is gone, if both sides go on as they do.
    pub(crate) seconds_to_zero: Option<f64>,
}

/// What was seen at the last look, by group, topic and partition.
#[derive(Debug, Default)]
pub(crate) struct Trends {
    seen: BTreeMap<(String, String, i32), Look>,
}

#[derive(Debug, Clone, Copy)]
struct Look {
    at: Instant,
    committed: i64,
    end: Option<i64>,
}

impl Trends {
    /// Takes a look at a partition of a group; the trend since the last one.
    pub(crate) fn look(&mut self, group: &str, lag: &PartitionLag, now: Instant) -> Trend {
        let key = (group.to_owned(), lag.topic.clone(), lag.partition);
        let before = self.seen.insert(key, Look { at: now, committed: lag.committed, end: lag.end });
        before.map(|before| trend(lag, before, now)).unwrap_or_default()
    }
}

/// Records read per second, and the time until the lag is gone: lag over what reading gains on writing.
#[allow(clippy::cast_precision_loss, reason = "rates are shown with one decimal")]
fn trend(lag: &PartitionLag, before: Look, now: Instant) -> Trend {
    let seconds = now.saturating_duration_since(before.at).as_secs_f64();
    if seconds <= 0.0 {
        return Trend::default();
    }
    let read = (lag.committed - before.committed) as f64 / seconds;
    let written = before.end.zip(lag.end).map(|(before, now)| (now - before) as f64 / seconds);
    let gain = written.map(|written| read - written);
    let seconds_to_zero = match (lag.lag, gain) {
        (Some(0), _) => Some(0.0),
        (Some(lag), Some(gain)) if gain > 0.0 => Some(lag as f64 / gain),
        _ => None,
    };
    Trend { rate: Some(read), seconds_to_zero }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn lag(committed: i64, end: i64) -> PartitionLag {
        let (topic, lag) = ("t".to_owned(), Some(end - committed));
        PartitionLag { topic, partition: 0, committed, end: Some(end), lag, age_ms: None, metadata: None }
    }

    /// The trend after two looks that are a second apart.
    fn after_a_second(first: &PartitionLag, second: &PartitionLag) -> Trend {
        let (mut trends, now) = (Trends::default(), Instant::now());
        assert_eq!(trends.look("g", first, now), Trend::default());
        trends.look("g", second, now + Duration::from_secs(1))
    }

    #[test]
    fn the_time_to_zero_is_the_lag_over_what_reading_gains_on_writing() {
        let trend = after_a_second(&lag(50, 180), &lag(100, 200));
        assert_eq!((trend.rate, trend.seconds_to_zero), (Some(50.0), Some(100.0 / 30.0)));
    }

    #[test]
    fn a_group_that_falls_behind_never_gets_to_zero() {
        let trend = after_a_second(&lag(50, 200), &lag(60, 300));
        assert_eq!((trend.rate, trend.seconds_to_zero), (Some(10.0), None));
    }

    #[test]
    fn a_group_that_has_read_everything_is_there() {
        assert_eq!(after_a_second(&lag(50, 200), &lag(200, 200)).seconds_to_zero, Some(0.0));
    }
}
