//! Times, durations and sizes as users type them. Pure: the present is an argument.

use std::time::Duration;

use chrono::{DateTime, Local, NaiveDate, NaiveDateTime, NaiveTime, SecondsFormat, TimeDelta, TimeZone, Utc};

/// Reads a duration: `500ms`, `30s`, `1h30m`, `7d`, `2w`; a bare number is seconds.
///
/// # Errors
/// What may be written instead.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no duration; write 500ms, 30s, 1h30m or 7d");
    let trimmed = text.trim();
    if let Ok(seconds) = trimmed.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).map_err(|_| wrong());
    }
    humantime::parse_duration(trimmed).map_err(|_| wrong())
}

/// Reads a size in bytes: `512`, `64k`, `10MiB`, `1GB`. `k`, `M`, `G` and `KiB`, `MiB`, `GiB` are powers of 1024, `kB`,
/// `MB`, `GB` of 1000.
///
/// # Errors
/// What may be written instead.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text:?} is no size; write 512, 64k, 10MiB or 1GB");
    let trimmed = text.trim();
    let split = trimmed.find(|c: char| !c.is_ascii_digit()).unwrap_or(trimmed.len());
    let (digits, unit) = trimmed.split_at(split);
    let unit: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "t" | "tib" => 1 << 40,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        _ => return Err(wrong()),
    };
    digits.parse::<u64>().ok().and_then(|count| count.checked_mul(unit)).ok_or_else(wrong)
}

/// Reads a point in time as milliseconds since 1970: `1738310400`, `1738310400000` (seconds up to eleven digits),
/// RFC 3339, `2026-01-31`, `2026-01-31 10:00` (local time), `-1h` (before `now`), `now`.
///
/// # Errors
/// What may be written instead.
pub fn parse_time(text: &str, now_ms: i64) -> Result<i64, String> {
    let wrong = || {
        format!(
            "{text:?} is no time; write -1h, now, 2026-01-31 10:00, 2026-01-31T10:00:00Z or epoch milliseconds"
        )
    };
    let trimmed = text.trim();
    if trimmed.eq_ignore_ascii_case("now") {
        return Ok(now_ms);
    }
    if !trimmed.is_empty() && trimmed.bytes().all(|byte| byte.is_ascii_digit()) {
        let number = trimmed.parse::<i64>().map_err(|_| wrong())?;
        return if trimmed.len() <= 11 { number.checked_mul(1000).ok_or_else(wrong) } else { Ok(number) };
    }
    if let Some(ago) = trimmed.strip_prefix('-') {
        let ago = parse_duration(ago).map_err(|_| wrong())?;
        return i64::try_from(ago.as_millis()).map(|ago| now_ms - ago).map_err(|_| wrong());
    }
    // `2026-01-31T10:00` and `2026-01-31 10:00` are one.
    let spaced = trimmed.replacen(['T', 't'], " ", 1);
    parse_instant(&spaced).or_else(|| instant_of(parse_local(&spaced)?, &Local)).ok_or_else(wrong)
}

/// A date and time with its distance from UTC.
fn parse_instant(text: &str) -> Option<i64> {
    let formats = ["%Y-%m-%d %H:%M:%S%.f%#z", "%Y-%m-%d %H:%M%#z"];
    let instant = formats.iter().find_map(|format| DateTime::parse_from_str(text, format).ok());
    instant.map(|instant| instant.timestamp_millis())
}

/// A date, or a date and time, that name no time zone.
fn parse_local(text: &str) -> Option<NaiveDateTime> {
    let formats = ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M"];
    let time = formats.iter().find_map(|format| NaiveDateTime::parse_from_str(text, format).ok());
    time.or_else(|| Some(text.parse::<NaiveDate>().ok()?.and_time(NaiveTime::MIN)))
}

/// When a clock in this zone shows `local`: the first time, where it does so twice; where it never does, because it was
/// put forward, as if it had not been.
fn instant_of<Z: TimeZone>(local: NaiveDateTime, zone: &Z) -> Option<i64> {
    let shown = zone.from_local_datetime(&local).earliest().map(|instant| instant.timestamp_millis());
    shown.or_else(|| {
        let before = TimeDelta::days(1);
        let instant = zone.from_local_datetime(&local.checked_sub_signed(before)?).earliest()?;
        Some(instant.timestamp_millis() + before.num_milliseconds())
    })
}

/// Milliseconds since 1970 as RFC 3339 in UTC; the number itself where no calendar has it.
#[must_use]
pub fn format_time(ms: i64) -> String {
    let time = DateTime::from_timestamp_millis(ms);
    time.map_or_else(|| ms.to_string(), |time| time.to_rfc3339_opts(SecondsFormat::Millis, true))
}

/// The present, in milliseconds since 1970.
#[must_use]
pub fn now_ms() -> i64 {
    Utc::now().timestamp_millis()
}

#[cfg(test)]
mod tests {
    use chrono::{FixedOffset, MappedLocalTime};

    use super::*;

    const NOW: i64 = 1_800_000_000_000;

    #[test]
    fn durations_have_units_and_may_be_put_together() {
        for (text, seconds) in [
            ("30", 30.0),
            ("500ms", 0.5),
            ("1h30m", 5_400.0),
            ("7d", 604_800.0),
            ("2w1d", 1_296_000.0),
            ("1d12h", 129_600.0),
            ("1.5h", 5_400.0),
            ("1h 30min", 5_400.0),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_secs_f64(seconds)), "{text}");
        }
        for wrong in ["", "-3s", "soon", "7x", "d"] {
            assert!(parse_duration(wrong).unwrap_err().contains("write 500ms"), "{wrong}");
        }
    }

    #[test]
    fn sizes_know_both_kinds_of_units() {
        for (text, bytes) in
            [("512", 512), ("64k", 65_536), ("10MiB", 10_485_760), ("1GB", 1_000_000_000), ("2 kB", 2_000)]
        {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for wrong in ["", "k", "-1", "10 apples", "99999999999999999999"] {
            assert!(parse_size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn times_are_absolute_or_before_now() {
        for (text, ms) in [
            ("now", NOW),
            ("-1h", NOW - 3_600_000),
            ("1738310400", 1_738_310_400_000),
            ("1738310400000", 1_738_310_400_000),
            ("2025-01-31T08:00:00Z", 1_738_310_400_000),
            ("2025-01-31T10:00:00.5+02:00", 1_738_310_400_500),
            ("2025-01-31 10:00:00+02:00", 1_738_310_400_000),
            ("2025-01-31T08:00Z", 1_738_310_400_000),
        ] {
            assert_eq!(parse_time(text, NOW), Ok(ms), "{text}");
        }
        assert!(parse_time("2026-01-31 10:00", NOW).is_ok());
        assert!(parse_time("2026-01-31", NOW).is_ok());
        for wrong in ["", "yesterday", "-", "2026-13-01", "99999999999999999999"] {
            assert!(parse_time(wrong, NOW).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_time_is_shown_as_it_may_be_typed() {
        assert_eq!(format_time(1_738_310_400_500), "2025-01-31T08:00:00.500Z");
        assert_eq!(parse_time(&format_time(NOW), 0), Ok(NOW));
        assert_eq!(format_time(i64::MAX), i64::MAX.to_string());
    }

    #[test]
    fn a_local_time_that_is_shown_twice_is_the_first_one_and_one_that_is_never_shown_counts_as_if_it_were() {
        for (text, utc) in [
            ("2026-03-29 01:59", "2026-03-29 00:59Z"),
            ("2026-03-29 02:30", "2026-03-29 01:30Z"),
            ("2026-03-29 03:00", "2026-03-29 01:00Z"),
            ("2026-10-25 02:30", "2026-10-25 00:30Z"),
            ("2026-10-25", "2026-10-24 22:00Z"),
        ] {
            let local = parse_local(text).unwrap();
            assert_eq!(instant_of(local, &Berlin2026), parse_instant(utc), "{text}");
        }
    }

    /// Clocks as in Berlin: at 02:00 on 29 March they show 03:00, at 03:00 on 25 October 02:00.
    #[derive(Clone)]
    struct Berlin2026;

    impl TimeZone for Berlin2026 {
        type Offset = FixedOffset;

        fn from_offset(_: &FixedOffset) -> Self {
            Self
        }

        fn offset_from_local_date(&self, local: &NaiveDate) -> MappedLocalTime<FixedOffset> {
            self.offset_from_local_datetime(&local.and_time(NaiveTime::MIN))
        }

        fn offset_from_local_datetime(&self, local: &NaiveDateTime) -> MappedLocalTime<FixedOffset> {
            let [winter, summer] = [1, 2].map(|hours| FixedOffset::east_opt(hours * 3600).unwrap());
            let fits = |offset: &FixedOffset| self.offset_from_utc_datetime(&(*local - *offset)) == *offset;
            match [summer, winter].into_iter().filter(fits).collect::<Vec<_>>()[..] {
                [] => MappedLocalTime::None,
                [one] => MappedLocalTime::Single(one),
                [first, second, ..] => MappedLocalTime::Ambiguous(first, second),
            }
        }

        fn offset_from_utc_date(&self, utc: &NaiveDate) -> FixedOffset {
            self.offset_from_utc_datetime(&utc.and_time(NaiveTime::MIN))
        }

        fn offset_from_utc_datetime(&self, utc: &NaiveDateTime) -> FixedOffset {
            let changes = ["2026-03-29 01:00", "2026-10-25 01:00"].map(|text| parse_local(text).unwrap());
            let is_summer = (changes[0]..changes[1]).contains(utc);
            FixedOffset::east_opt(if is_summer { 7200 } else { 3600 }).unwrap()
        }
    }
}
