//! stdin and files, one after the other.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use anyhow::{Context, Result};

/// One input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// stdin
    Stdin,
    /// A file
    File(PathBuf),
}

impl Source {
    /// As the user calls it.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Stdin => "stdin".to_owned(),
            Self::File(path) => path.display().to_string(),
        }
    }

    pub(crate) fn open(&self) -> Result<Box<dyn Read + Send>> {
        Ok(match self {
            // Its own buffer is passed by for reads that are larger than it.
            Self::Stdin => Box::new(io::stdin()),
            Self::File(path) => Box::new(File::open(path).with_context(|| self.name())?),
        })
    }
}

/// The inputs that are still to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sources(VecDeque<Source>);

impl Sources {
    /// The files, of which `-` is stdin; stdin where there are none.
    pub(crate) fn new(files: &[PathBuf]) -> Self {
        let source = |path: &PathBuf| match path.to_str() {
            Some("-") => Source::Stdin,
            _ => Source::File(path.clone()),
        };
        if files.is_empty() { Self([Source::Stdin].into()) } else { Self(files.iter().map(source).collect()) }
    }

    /// Whether stdin, which may be a keyboard, is all there is.
    pub(crate) fn is_stdin(&self) -> bool {
        self.0 == [Source::Stdin]
    }

    /// Fails now for files that could not be read later. A named pipe is only looked at: whoever writes to it would take
    /// the first close for the end.
    ///
    /// # Errors
    /// The first file that is not there or cannot be opened.
    pub(crate) fn check(&self) -> Result<()> {
        self.0.iter().try_for_each(|source| match source {
            Source::File(path) if path.metadata().with_context(|| source.name())?.is_file() => {
                source.open().map(drop)
            }
            _ => Ok(()),
        })
    }

    /// The bytes in all, where that can be known.
    pub(crate) fn size(&self) -> Option<u64> {
        let size = |source: &Source| match source {
            Source::Stdin => None,
            Source::File(path) => {
                path.metadata().ok().filter(std::fs::Metadata::is_file).map(|file| file.len())
            }
        };
        self.0.iter().map(size).sum()
    }

    pub(crate) fn next(&mut self) -> Option<Source> {
        self.0.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dash_is_stdin_and_so_is_no_file() {
        assert!(Sources::new(&[]).is_stdin());
        assert!(Sources::new(&["-".into()]).is_stdin());
        let mut both = Sources::new(&["a".into(), "-".into()]);
        assert!(!both.is_stdin());
        assert_eq!(both.next(), Some(Source::File("a".into())));
        assert_eq!(both.next(), Some(Source::Stdin));
        assert_eq!(both.next(), None);
    }
}
