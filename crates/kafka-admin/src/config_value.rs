//! Settings as users write them: `NAME=VALUE`, with units where the name says what the value is.

use anyhow::Result;
use kafka_cli::Failure;

/// `NAME=VALUE` pairs; a value may contain `=`.
pub(crate) fn parse_pairs(pairs: &[String]) -> Result<Vec<(String, String)>> {
    let parse = |pair: &String| {
        let (name, value) = pair
            .split_once('=')
            .ok_or_else(|| Failure::usage(format!("--config {pair}: write NAME=VALUE")))?;
        Ok((name.trim().to_owned(), plain_value(name.trim(), value)?))
    };
    pairs.iter().map(parse).collect()
}

/// The value as the broker takes it: `7d` for a name in `.ms` becomes milliseconds, `1GiB` for one in `.bytes` bytes.
pub(crate) fn plain_value(name: &str, value: &str) -> Result<String> {
    let value = value.trim();
    if value.parse::<i64>().is_ok() || value.is_empty() {
        return Ok(value.to_owned());
    }
    let wrong = |what: &str| Failure::usage(format!("{name}={value}: not a {what}"));
    if name.ends_with(".ms") {
        let span = value.parse::<jiff::SignedDuration>().or_else(|_| with_days(value).ok_or(()));
        return Ok(span.map_err(|()| wrong("time; write 604800000, 7d or 36h"))?.as_millis().to_string());
    }
    if name.ends_with(".bytes") {
        return Ok(parse_size(value).ok_or_else(|| wrong("size; write 1048576, 64MiB or 1GB"))?.to_string());
    }
    Ok(value.to_owned())
}

/// Days and weeks, which a duration of exact length does not know.
fn with_days(text: &str) -> Option<jiff::SignedDuration> {
    let (number, hours) = match text.strip_suffix('w') {
        Some(number) => (number, 7 * 24),
        None => (text.strip_suffix('d')?, 24),
    };
    jiff::SignedDuration::try_from_hours(number.trim().parse::<i64>().ok()?.checked_mul(hours)?)
}

/// `64MiB`, `1GB`, `10k`.
fn parse_size(text: &str) -> Option<i64> {
    let split = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(split);
    let factor: i64 = match unit.to_ascii_lowercase().as_str() {
        "b" => 1,
        "kb" => 1000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "t" | "tib" => 1 << 40,
        _ => return None,
    };
    number.trim().parse::<i64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_may_have_units_and_other_values_pass_as_they_are() {
        for (name, value, plain) in [
            ("retention.ms", "7d", "604800000"),
            ("retention.ms", "36h", "129600000"),
            ("retention.ms", "-1", "-1"),
            ("retention.ms", "90s", "90000"),
            ("segment.bytes", "64MiB", "67108864"),
            ("segment.bytes", "1GB", "1000000000"),
            ("cleanup.policy", "compact,delete", "compact,delete"),
        ] {
            assert_eq!(plain_value(name, value).unwrap(), plain, "{name}={value}");
        }
        for (name, value) in [("retention.ms", "soon"), ("segment.bytes", "64X")] {
            assert!(plain_value(name, value).is_err(), "{name}={value}");
        }
    }
}
