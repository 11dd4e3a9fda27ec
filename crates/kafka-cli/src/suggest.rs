//! "Did you mean": the known name that is nearest to a mistyped one.

use kafka_core::config::distance;

/// The nearest of `known`, where one is near enough to be meant: a third of its letters may differ.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (name.chars().count() / 3).max(1);
    let near = known.into_iter().map(|known| (distance(&name.to_lowercase(), &known.to_lowercase()), known));
    near.filter(|(distance, _)| *distance <= limit).min().map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_name_finds_its_neighbour_and_a_different_one_finds_none() {
        let known = ["rider-updates", "orders"];
        assert_eq!(nearest("rider-update", known), Some("rider-updates"));
        assert_eq!(nearest("oders", known), Some("orders"));
        assert_eq!(nearest("payments", known), None);
    }
}
