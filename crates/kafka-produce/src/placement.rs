//! Which partition a record goes to, where that is not left to the producer's partitioner.

use kafka_core::producer::Routes;

use crate::form::Draft;

/// What decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Placement {
    /// The input where it names a partition, else the producer's partitioner.
    Input,
    /// The producer's partitioner, whatever the input says.
    Partitioner,
    /// The user.
    Fixed(i32),
    /// The word that routes look at.
    Routes(Routes),
}

impl Placement {
    /// The partition; `None` leaves it to the partitioner.
    ///
    /// # Errors
    /// No route fits, for the user.
    // Part of the loop over lines: as a call it costs a twentieth of all.
    #[inline(always)]
    pub(crate) fn partition(&self, draft: &Draft<'_>) -> Result<Option<i32>, String> {
        match self {
            Self::Input => Ok(draft.partition),
            Self::Partitioner => Ok(None),
            Self::Fixed(partition) => Ok(Some(*partition)),
            Self::Routes(routes) => {
                let word = draft.word.unwrap_or_default();
                let found = routes.partition(word).map(Some);
                found.ok_or_else(|| format!("no route for {:?}", String::from_utf8_lossy(word)))
            }
        }
    }

    /// The highest partition that can come of it, where that is known before.
    pub(crate) fn highest(&self) -> Option<i32> {
        match self {
            Self::Input | Self::Partitioner => None,
            Self::Fixed(partition) => Some(*partition),
            Self::Routes(routes) => routes.highest(),
        }
    }
}

#[cfg(test)]
mod tests {
    use kafka_core::RecordRef;

    use super::*;

    fn draft(word: &[u8]) -> Draft<'_> {
        Draft { record: RecordRef::default(), partition: Some(7), word: Some(word) }
    }

    #[test]
    fn north_is_zero_in_any_letter_case_and_everything_else_is_one() {
        let tutorial = Placement::Routes("north=0,*=1".parse().unwrap());
        for (word, partition) in [("north", 0), ("NoRtH", 0), ("south", 1), ("northern", 1)] {
            assert_eq!(tutorial.partition(&draft(word.as_bytes())), Ok(Some(partition)), "{word}");
        }
        assert_eq!(tutorial.highest(), Some(1));
    }

    #[test]
    fn the_input_decides_unless_the_user_does() {
        assert_eq!(Placement::Input.partition(&draft(b"")), Ok(Some(7)));
        assert_eq!(Placement::Partitioner.partition(&draft(b"")), Ok(None));
        assert_eq!(Placement::Fixed(3).partition(&draft(b"")), Ok(Some(3)));
        let strict = Placement::Routes("north=0".parse().unwrap());
        assert!(strict.partition(&draft(b"west")).unwrap_err().contains("west"));
    }
}
