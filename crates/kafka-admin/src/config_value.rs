//! Settings as users write them: `NAME=VALUE`, with units where the name says what the value is.

use anyhow::Result;
use kafka_cli::Failure;
use kafka_cli::time::{parse_duration, parse_size};

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
    let wrong = |why: &str| Failure::usage(format!("{name}={value}: {why}"));
    if name.ends_with(".ms") {
        let span = parse_duration(value).map_err(|text| wrong(&text))?;
        return Ok(span.as_millis().to_string());
    }
    if name.ends_with(".bytes") {
        return Ok(parse_size(value).map_err(|text| wrong(&text))?.to_string());
    }
    Ok(value.to_owned())
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
