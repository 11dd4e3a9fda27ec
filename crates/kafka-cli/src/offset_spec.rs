//! The language of offsets: `earliest`, `latest`, `N`, `+N`, `-N`, `N:M`, `@TIME`, `@T1:T2`, and kcat's spellings.
//! Pure; what an offset is in a partition is found out elsewhere.

use crate::time::parse_time;

/// A place in a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The first record there is.
    Earliest,
    /// Behind the last record there is.
    Latest,
    /// Where the group stands; the first record where it stands nowhere.
    Committed,
    /// This offset.
    Offset(i64),
    /// So many after the first one.
    AfterEarliest(i64),
    /// So many before the end.
    BeforeLatest(i64),
    /// The first record of this time (milliseconds since 1970) or later.
    Time(i64),
}

/// From where to where to read; the end is not part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// The first record.
    pub from: Place,
    /// Where to stop; `None` goes on.
    pub until: Option<Place>,
}

/// Reads one place.
///
/// # Errors
/// What may be written instead.
pub fn parse_place(text: &str, now_ms: i64) -> Result<Place, String> {
    let wrong = || {
        format!(
            "{text:?} is no offset; write earliest, latest, 42, +10, -10 or @TIME (@-1h, @2026-01-31 10:00)"
        )
    };
    let number = |digits: &str| digits.parse::<i64>().ok().filter(|n| *n >= 0).ok_or_else(wrong);
    let trimmed = text.trim();
    match trimmed.to_ascii_lowercase().as_str() {
        "earliest" | "beginning" | "start" | "smallest" | "oldest" => return Ok(Place::Earliest),
        "latest" | "end" | "largest" | "newest" => return Ok(Place::Latest),
        "committed" | "stored" => return Ok(Place::Committed),
        _ => {}
    }
    // kcat writes s@TIME for the start and e@TIME for the end.
    let time = trimmed.strip_prefix("s@").or_else(|| trimmed.strip_prefix("e@"));
    if let Some(time) = time.or_else(|| trimmed.strip_prefix('@')) {
        return parse_time(time, now_ms).map(Place::Time);
    }
    if let Some(digits) = trimmed.strip_prefix('+') {
        return number(digits).map(Place::AfterEarliest);
    }
    if let Some(digits) = trimmed.strip_prefix('-') {
        return number(digits).map(Place::BeforeLatest);
    }
    number(trimmed).map(Place::Offset)
}

/// Reads a place, or two with a colon between them. Times may have colons of their own.
///
/// # Errors
/// As for [`parse_place`].
pub fn parse_range(text: &str, now_ms: i64) -> Result<Range, String> {
    let alone = parse_place(text, now_ms);
    if let Ok(from) = alone {
        return Ok(Range { from, until: None });
    }
    for (colon, _) in text.match_indices(':') {
        let (from, until) = (&text[..colon], &text[colon + 1..]);
        let Ok(from_place) = parse_place(from, now_ms) else { continue };
        // In `@T1:T2` the second time needs no sign of its own.
        let until_place = match from_place {
            Place::Time(_) if !until.trim().starts_with('@') => parse_place(&format!("@{until}"), now_ms),
            _ => parse_place(until, now_ms),
        };
        if let Ok(until_place) = until_place {
            return Ok(Range { from: from_place, until: Some(until_place) });
        }
    }
    alone.map(|from| Range { from, until: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000_000;

    fn range(from: Place, until: Place) -> Range {
        Range { from, until: Some(until) }
    }

    #[test]
    fn every_spelling_of_a_place_is_read() {
        for (text, place) in [
            ("earliest", Place::Earliest),
            ("Beginning", Place::Earliest),
            ("latest", Place::Latest),
            ("end", Place::Latest),
            ("stored", Place::Committed),
            ("42", Place::Offset(42)),
            ("+5", Place::AfterEarliest(5)),
            ("-5", Place::BeforeLatest(5)),
            ("@-1h", Place::Time(NOW - 3_600_000)),
            ("@now", Place::Time(NOW)),
            ("s@1738310400000", Place::Time(1_738_310_400_000)),
        ] {
            assert_eq!(parse_place(text, NOW), Ok(place), "{text}");
        }
        for wrong in ["", "tomorrow", "+-3", "--3", "@", "1.5"] {
            assert!(parse_place(wrong, NOW).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_range_ends_before_its_second_place() {
        assert_eq!(parse_range("10:20", NOW), Ok(range(Place::Offset(10), Place::Offset(20))));
        assert_eq!(parse_range("earliest:-5", NOW), Ok(range(Place::Earliest, Place::BeforeLatest(5))));
        assert_eq!(
            parse_range("@-2h:-1h", NOW),
            Ok(range(Place::Time(NOW - 7_200_000), Place::Time(NOW - 3_600_000)))
        );
        assert!(parse_range("10:x", NOW).is_err());
    }

    #[test]
    fn colons_inside_of_times_are_not_the_one_between_them() {
        let (early, late) = (1_738_310_400_000, 1_738_314_000_000);
        let text = "@2025-01-31T08:00:00Z:2025-01-31T09:00:00Z";
        assert_eq!(parse_range(text, NOW), Ok(range(Place::Time(early), Place::Time(late))));
        let alone = parse_range("@2025-01-31T08:00:00Z", NOW);
        assert_eq!(alone, Ok(Range { from: Place::Time(early), until: None }));
    }
}
