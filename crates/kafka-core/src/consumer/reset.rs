//! `auto.offset.reset`: where reading begins where there is no offset to go on from. Data and its text.

use std::time::Duration;

use super::offsets::OffsetQuery;

/// What to do where there is no offset to go on from (`auto.offset.reset`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResetPolicy {
    /// Begin with the first record there is.
    Earliest,
    /// Begin at the end.
    Latest,
    /// Begin with the first record of at most this age (KIP-1106).
    ByDuration(Duration),
    /// Report an error and leave the partition alone.
    Fail,
}

impl ResetPolicy {
    /// Reads the property's value: Java's and librdkafka's words, and `by_duration:` with an ISO 8601 duration of days,
    /// hours, minutes and seconds.
    #[must_use]
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim().to_ascii_lowercase();
        match text.as_str() {
            "earliest" | "smallest" | "beginning" => Some(Self::Earliest),
            "latest" | "largest" | "end" => Some(Self::Latest),
            "none" | "error" => Some(Self::Fail),
            _ => iso_duration(text.strip_prefix("by_duration:")?).map(Self::ByDuration),
        }
    }

    /// What to ask the leader for; `None` where that is an error.
    pub(super) fn query(self, now_ms: i64) -> Option<OffsetQuery> {
        match self {
            Self::Earliest => Some(OffsetQuery::Earliest),
            Self::Latest => Some(OffsetQuery::Latest),
            Self::ByDuration(age) => {
                let age = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
                Some(OffsetQuery::Time(now_ms.saturating_sub(age)))
            }
            Self::Fail => None,
        }
    }
}

/// `pnDtnHnMnS` in lower case, as Java's `Duration.parse` takes it; whole numbers, but for the seconds.
fn iso_duration(text: &str) -> Option<Duration> {
    /// The units before and after the `t`, each once and in this order.
    const UNITS: [(char, bool, f64); 4] =
        [('d', false, 86_400.0), ('h', true, 3_600.0), ('m', true, 60.0), ('s', true, 1.0)];
    let mut rest = text.strip_prefix('p').filter(|rest| !rest.is_empty() && !rest.ends_with('t'))?;
    let (mut seconds, mut next, mut is_time) = (0.0, 0, false);
    while !rest.is_empty() {
        if let Some(time) = rest.strip_prefix('t').filter(|_| !is_time) {
            (rest, is_time) = (time, true);
        }
        let end = rest.find(|sign: char| sign.is_ascii_alphabetic())?;
        let (digits, unit) = (&rest[..end], rest[end..].chars().next()?);
        let at = UNITS.iter().position(|(name, of_time, _)| *name == unit && *of_time == is_time)?;
        let is_number = digits.starts_with(|sign: char| sign.is_ascii_digit())
            && (digits.bytes().all(|byte| byte.is_ascii_digit()) || unit == 's');
        if at < next || !is_number {
            return None;
        }
        seconds += digits.parse::<f64>().ok()? * UNITS[at].2;
        (rest, next) = (&rest[end + 1..], at + 1);
    }
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_java_and_librdkafka_are_known() {
        assert_eq!(ResetPolicy::parse(" Earliest "), Some(ResetPolicy::Earliest));
        assert_eq!(ResetPolicy::parse("largest"), Some(ResetPolicy::Latest));
        assert_eq!(ResetPolicy::parse("error"), Some(ResetPolicy::Fail));
    }

    #[test]
    fn an_age_is_read_as_java_reads_it() {
        for (text, seconds) in
            [("P2D", 172_800.0), ("PT1H30M", 5_400.0), ("P1DT2H", 93_600.0), ("PT0.5S", 0.5), ("pt20s", 20.0)]
        {
            let expected = ResetPolicy::ByDuration(Duration::from_secs_f64(seconds));
            assert_eq!(ResetPolicy::parse(&format!("by_duration:{text}")), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_java_refuses_is_refused() {
        for text in
            ["", "P", "PT", "2D", "P-2D", "PT1D", "P1H", "PT1S1H", "P1DT", "PT1.5H", "PTS", "P1W", "PTNaNS"]
        {
            assert_eq!(ResetPolicy::parse(&format!("by_duration:{text}")), None, "{text}");
        }
        assert_eq!(ResetPolicy::parse("soon"), None);
    }
}
