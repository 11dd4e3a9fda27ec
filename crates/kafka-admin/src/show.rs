//! Small values as people read them.

/// Node ids: `1,2,3`; `-` where there are none.
pub(crate) fn ids(ids: &[i32]) -> String {
    if ids.is_empty() {
        return "-".to_owned();
    }
    ids.iter().map(i32::to_string).collect::<Vec<_>>().join(",")
}

/// A value, or `-` where there is none.
pub(crate) fn or_dash<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// A count with its noun: `1 partition`, `2 partitions`.
pub(crate) fn count(n: impl Into<i64>, noun: &str) -> String {
    match n.into() {
        1 => format!("1 {noun}"),
        n => format!("{n} {noun}s"),
    }
}

/// A size in bytes: `512 B`, `1.5 MiB`.
#[allow(clippy::cast_precision_loss, reason = "one decimal is shown")]
pub(crate) fn bytes(bytes: i64) -> String {
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let (mut value, mut unit) = (bytes as f64, 0);
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        (value, unit) = (value / 1024.0, unit + 1);
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

/// A number with one decimal, `-` where there is none.
pub(crate) fn one_decimal(value: Option<f64>) -> String {
    or_dash(value.map(|value| format!("{value:.1}")))
}

/// A span of time by its two largest units: `850ms`, `12s`, `3m5s`, `2h10m`, `4d3h`.
pub(crate) fn span(ms: i64) -> String {
    let seconds = ms / 1000;
    let two = |large: i64, unit: &str, small: i64, less: &str| {
        if small == 0 { format!("{large}{unit}") } else { format!("{large}{unit}{small}{less}") }
    };
    match seconds {
        0 => format!("{ms}ms"),
        1..60 => format!("{seconds}s"),
        60..3_600 => two(seconds / 60, "m", seconds % 60, "s"),
        3_600..86_400 => two(seconds / 3_600, "h", seconds / 60 % 60, "m"),
        _ => two(seconds / 86_400, "d", seconds / 3_600 % 24, "h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_shown_by_their_two_largest_units() {
        for (ms, shown) in
            [(850, "850ms"), (12_999, "12s"), (185_000, "3m5s"), (7_200_000, "2h"), (356_400_000, "4d3h")]
        {
            assert_eq!(span(ms), shown);
        }
    }

    #[test]
    fn sizes_have_the_unit_that_keeps_them_short() {
        for (value, shown) in [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (5 << 30, "5.0 GiB")] {
            assert_eq!(bytes(value), shown);
        }
    }

    #[test]
    fn one_is_singular() {
        assert_eq!((count(1, "topic"), count(0, "topic")), ("1 topic".to_owned(), "0 topics".to_owned()));
    }
}
