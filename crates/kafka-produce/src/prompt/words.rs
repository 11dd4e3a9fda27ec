//! Completion: the words that were typed before, at their place in the line, and commands. It also counts how often the
//! line was drawn, by which the screen knows what was shown.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustyline::completion::Completer;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::Validator;
use rustyline::{Context, Helper};

use super::commands::Command;

/// So many words are remembered for each place.
const REMEMBERED: usize = 1000;

/// Words by their place in the line.
#[derive(Debug, Default)]
pub(crate) struct Words {
    places: Vec<BTreeSet<String>>,
    repaints: Arc<AtomicU64>,
}

impl Words {
    /// Words that are known from the beginning.
    pub(crate) fn new(known: impl IntoIterator<Item = (usize, String)>) -> Self {
        let mut words = Self::default();
        for (place, word) in known {
            words.add(place, &word);
        }
        words
    }

    /// How often the line was drawn.
    pub(super) fn repaints(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.repaints)
    }

    /// Remembers the words of a line.
    pub(super) fn learn(&mut self, line: &str) {
        if !line.starts_with('/') {
            line.split_whitespace().enumerate().for_each(|(place, word)| self.add(place, word));
        }
    }

    fn add(&mut self, place: usize, word: &str) {
        if self.places.len() <= place {
            self.places.resize_with(place + 1, BTreeSet::new);
        }
        let known = &mut self.places[place];
        if known.len() < REMEMBERED {
            known.insert(word.to_owned());
        }
    }

    /// Where the word under the cursor begins, and what it may become.
    fn candidates(&self, before: &str) -> (usize, Vec<String>) {
        let start = before.rfind(char::is_whitespace).map_or(0, |at| at + 1);
        let begun = &before[start..];
        if start == 0 && begun.starts_with('/') {
            let names = Command::names().filter(|name| name.starts_with(begun));
            return (0, names.map(|name| format!("{name} ")).collect());
        }
        let place = before[..start].split_whitespace().count();
        let known = self.places.get(place).into_iter().flatten();
        (start, known.filter(|word| word.starts_with(begun)).cloned().collect())
    }
}

impl Completer for Words {
    type Candidate = String;

    fn complete(&self, line: &str, pos: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        Ok(self.candidates(line.get(..pos).unwrap_or(line)))
    }
}

impl Highlighter for Words {
    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, _: bool) -> Cow<'b, str> {
        self.repaints.fetch_add(1, Ordering::SeqCst);
        Cow::Borrowed(prompt)
    }
}

impl Hinter for Words {
    type Hint = String;
}

impl Validator for Words {}

impl Helper for Words {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_completed_at_the_place_where_they_were_typed() {
        let mut words = Words::new([(1, "north".to_owned()), (1, "south".to_owned())]);
        words.learn("tony north");
        words.learn("tom west");
        assert_eq!(words.candidates("to"), (0, vec!["tom".into(), "tony".into()]));
        assert_eq!(words.candidates("tom n"), (4, vec!["north".into()]));
        assert_eq!(words.candidates("tom "), (4, vec!["north".into(), "south".into(), "west".into()]));
        assert_eq!(words.candidates("/to"), (0, vec!["/topic ".into()]));
        assert_eq!(words.candidates("n"), (0, vec![]));
    }
}
