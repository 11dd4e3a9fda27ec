//! `--rate`: when the next record may go. Pure; the caller waits.

use std::str::FromStr;
use std::time::{Duration, Instant};

use kafka_cli::time::parse_duration;

/// Records in a time: `100`, `100/s`, `6000/m`, `5/10s`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rate {
    per_second: f64,
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("--rate {text:?}: write 100/s or 6000/m");
        let (count, time) = text.split_once('/').unwrap_or((text, "s"));
        let time =
            if time.starts_with(|c: char| c.is_ascii_digit()) { time.to_owned() } else { format!("1{time}") };
        let seconds = parse_duration(&time).map_err(|_| wrong())?.as_secs_f64();
        let per_second = count.trim().parse::<f64>().map_err(|_| wrong())? / seconds;
        if per_second.is_finite() && per_second > 0.0 { Ok(Self { per_second }) } else { Err(wrong()) }
    }
}

/// Says when records may go, so that a rate is kept on average.
#[derive(Debug)]
pub(crate) struct Pace {
    rate: Rate,
    start: Instant,
    sent: f64,
}

impl Pace {
    pub(crate) fn new(rate: Rate, now: Instant) -> Self {
        Self { rate, start: now, sent: 0.0 }
    }

    /// When the next record may go. What was missed by more than a second is not caught up with.
    pub(crate) fn next(&mut self, now: Instant) -> Instant {
        let mut due = self.start + Duration::from_secs_f64(self.sent / self.rate.per_second);
        if now > due + Duration::from_secs(1) {
            (self.start, self.sent, due) = (now, 0.0, now);
        }
        self.sent += 1.0;
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_per_second_unless_they_say_otherwise() {
        for (text, per_second) in [("100", 100.0), ("100/s", 100.0), ("600/m", 10.0), ("5/10s", 0.5)] {
            assert_eq!(text.parse(), Ok(Rate { per_second }), "{text}");
        }
        for wrong in ["", "0", "-1/s", "5/0s", "fast", "inf"] {
            assert!(wrong.parse::<Rate>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn records_are_spread_evenly_and_a_long_pause_is_no_burst() {
        let start = Instant::now();
        let mut pace = Pace::new(Rate { per_second: 10.0 }, start);
        let at = |ms| start + Duration::from_millis(ms);
        assert_eq!([pace.next(start), pace.next(start), pace.next(start)], [at(0), at(100), at(200)]);
        assert_eq!([pace.next(at(5000)), pace.next(at(5000))], [at(5000), at(5100)]);
    }
}
