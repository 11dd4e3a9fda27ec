//! Input as pieces: large reads into one buffer, cut where they lie.

use std::io::{ErrorKind, Read};

use anyhow::{Context, Result};

use super::cut::Cut;
use super::source::Sources;

/// The room for one read.
const READ_BYTES: usize = 256 * 1024;

/// A piece of input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// Its bytes without what ended it.
    Whole(&'a [u8]),
    /// It is larger than the limit; what there was of it is gone.
    TooLong,
}

/// Cuts inputs into pieces. No piece goes beyond the end of its input.
pub(crate) struct Pieces {
    sources: Sources,
    input: Option<Box<dyn Read + Send>>,
    name: String,
    cut: Cut,
    fresh_cut: Cut,
    buffer: Vec<u8>,
    /// What lies in the buffer and was not handed out.
    from: usize,
    to: usize,
    /// So much of it was looked at and held no end.
    seen: usize,
    at_end: bool,
    /// The beginning of this piece was dropped for its size.
    is_skipping: bool,
    limit: usize,
    number: u64,
    bytes: u64,
}

impl Pieces {
    /// Pieces of at most `limit` bytes.
    pub(crate) fn new(sources: Sources, cut: Cut, limit: usize) -> Self {
        Self {
            sources,
            input: None,
            name: String::new(),
            fresh_cut: cut.clone(),
            cut,
            buffer: Vec::new(),
            from: 0,
            to: 0,
            seen: 0,
            at_end: true,
            is_skipping: false,
            limit,
            number: 0,
            bytes: 0,
        }
    }

    /// How many bytes were read.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Reads on; false where nothing is left. May wait for as long as input takes. Take all pieces out of
    /// [`run`](Self::run) before the next call.
    ///
    /// # Errors
    /// An input cannot be read.
    pub(crate) fn fill(&mut self) -> Result<bool> {
        if self.at_end {
            let Some(source) = self.sources.next() else { return Ok(false) };
            self.input = Some(source.open()?);
            (self.name, self.number, self.at_end) = (source.name(), 0, false);
            self.cut = self.fresh_cut.clone();
        }
        self.make_room();
        let Some(input) = &mut self.input else { return Ok(false) };
        let read = loop {
            match input.read(&mut self.buffer[self.to..]) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                other => break other.with_context(|| format!("reading {}", self.name))?,
            }
        };
        self.to += read;
        self.bytes += read as u64;
        self.at_end = read == 0;
        Ok(true)
    }

    /// Brings the unfinished piece to the front, and drops it where it is too long.
    fn make_room(&mut self) {
        if self.to - self.from > self.limit {
            self.is_skipping = true;
            (self.from, self.to, self.seen) = (0, 0, 0);
        }
        self.buffer.copy_within(self.from..self.to, 0);
        (self.from, self.to) = (0, self.to - self.from);
        if self.buffer.len() - self.to < READ_BYTES / 2 {
            self.buffer.resize((self.buffer.len() * 2).max(READ_BYTES), 0);
        }
    }

    /// The pieces of what was read.
    pub(crate) fn run(&mut self) -> Run<'_> {
        Run {
            name: &self.name,
            buffer: &self.buffer[..self.to],
            cut: &mut self.cut,
            from: &mut self.from,
            seen: &mut self.seen,
            number: &mut self.number,
            is_skipping: &mut self.is_skipping,
            at_end: self.at_end,
            limit: self.limit,
        }
    }
}

/// The pieces that lie in memory, one after the other. What is not taken out stays.
pub(crate) struct Run<'a> {
    name: &'a str,
    buffer: &'a [u8],
    cut: &'a mut Cut,
    from: &'a mut usize,
    seen: &'a mut usize,
    number: &'a mut u64,
    is_skipping: &'a mut bool,
    at_end: bool,
    limit: usize,
}

impl Run<'_> {
    /// The place of the last piece: `line 7`, `a.log line 7`.
    pub(crate) fn place(&self) -> String {
        match self.name {
            "stdin" => format!("line {}", self.number),
            name => format!("{name} line {}", self.number),
        }
    }
}

impl<'a> Iterator for Run<'a> {
    type Item = Piece<'a>;

    // Part of the loop over lines: as a call it costs a twentieth of all.
    #[inline(always)]
    fn next(&mut self) -> Option<Piece<'a>> {
        let waiting = &self.buffer[*self.from..];
        let (length, with_separator) = match self.cut.find(waiting, *self.seen) {
            Some(found) => (found.length, found.with_separator),
            // The last piece of an input needs no end.
            None if self.at_end && (!waiting.is_empty() || *self.is_skipping) => {
                (waiting.len(), waiting.len())
            }
            None => {
                *self.seen = waiting.len();
                return None;
            }
        };
        *self.from += with_separator;
        *self.seen = 0;
        *self.number += 1;
        if std::mem::take(self.is_skipping) || length > self.limit {
            return Some(Piece::TooLong);
        }
        Some(Piece::Whole(&waiting[..length]))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn all(inputs: &[&[u8]], limit: usize) -> Vec<(String, Option<String>)> {
        let folder = tempfile::tempdir().unwrap();
        let write = |(index, bytes): (usize, &&[u8])| {
            let path = folder.path().join(index.to_string());
            std::fs::File::create(&path).unwrap().write_all(bytes).unwrap();
            path
        };
        let paths: Vec<_> = inputs.iter().enumerate().map(write).collect();
        let mut pieces = Pieces::new(Sources::new(&paths), Cut::LINES, limit);
        let mut found = Vec::new();
        while pieces.fill().unwrap() {
            let mut run = pieces.run();
            while let Some(piece) = run.next() {
                let text = match piece {
                    Piece::Whole(bytes) => Some(String::from_utf8(bytes.to_vec()).unwrap()),
                    Piece::TooLong => None,
                };
                let place = run.place().rsplit('/').next().unwrap().to_owned();
                found.push((place, text));
            }
        }
        assert_eq!(pieces.bytes(), inputs.iter().map(|input| input.len() as u64).sum::<u64>());
        found
    }

    #[test]
    fn the_last_line_of_a_file_needs_no_end_and_never_runs_into_the_next_file() {
        let found = all(&[b"a\nb", b"", b"c\n"], 100);
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(
            found,
            [("0 line 1".into(), text("a")), ("0 line 2".into(), text("b")), ("2 line 1".into(), text("c"))]
        );
    }

    #[test]
    fn lines_larger_than_one_read_come_whole() {
        let long = "x".repeat(3 * READ_BYTES);
        let input = format!("a\n{long}\nb\n");
        let found = all(&[input.as_bytes()], usize::MAX);
        assert_eq!(found[1].1.as_deref(), Some(long.as_str()));
        assert_eq!(found.len(), 3);
    }

    #[test]
    fn a_line_beyond_the_limit_is_named_and_the_next_one_is_read() {
        for length in [200, 5 * READ_BYTES] {
            let input = format!("a\n{}\nb\n{}", "x".repeat(length), "y".repeat(length));
            let found = all(&[input.as_bytes()], 100);
            let lines: Vec<_> = found.iter().map(|(_, text)| text.as_deref()).collect();
            assert_eq!(lines, [Some("a"), None, Some("b"), None], "{length}");
        }
    }
}
