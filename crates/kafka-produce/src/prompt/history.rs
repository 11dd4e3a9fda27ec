//! What was typed before, kept in a file that only its owner can read. Lines that look like secrets are not kept.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};

use rustyline::history::FileHistory;
use rustyline::{Editor, Helper};

/// Words by which a secret is known.
const SECRETIVE: [&str; 9] =
    ["password", "passwd", "secret", "token", "api_key", "apikey", "credential", "bearer", "private key"];

/// `$XDG_STATE_HOME/kafka-produce/history`.
#[derive(Debug)]
pub(super) struct HistoryFile {
    path: PathBuf,
}

impl HistoryFile {
    /// The file, made where it is not there; `None` where there is no place for it.
    pub(super) fn find() -> Option<Self> {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let state = variable("XDG_STATE_HOME").filter(|path| path.is_absolute());
        let folder = state.or_else(|| variable("HOME").map(|home| home.join(".local/state")))?;
        Self::in_folder(&folder.join("kafka-produce"))
    }

    fn in_folder(folder: &Path) -> Option<Self> {
        // The prompt works without.
        fs::create_dir_all(folder).ok()?;
        let path = folder.join("history");
        let mut options = OpenOptions::new();
        options.append(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(&path).ok()?;
        Some(Self { path })
    }

    /// Gives the editor what the file holds.
    pub(super) fn load<H: Helper>(&self, editor: &mut Editor<H, FileHistory>) {
        let _ = editor.load_history(&self.path);
    }

    /// Keeps a line, unless it looks like a secret.
    pub(super) fn add<H: Helper>(&self, editor: &mut Editor<H, FileHistory>, line: &str) {
        if looks_secret(line) || !editor.add_history_entry(line).unwrap_or(false) {
            return;
        }
        let _ = editor.append_history(&self.path);
    }
}

fn looks_secret(line: &str) -> bool {
    let line = line.to_lowercase();
    SECRETIVE.iter().any(|word| line.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_look_like_secrets_are_not_kept() {
        for secret in ["my PassWord is x", "token=abc", "Authorization: Bearer x"] {
            assert!(looks_secret(secret), "{secret}");
        }
        assert!(!looks_secret("tony north"));
    }

    #[cfg(unix)]
    #[test]
    fn only_its_owner_can_read_the_file() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let file = HistoryFile::in_folder(&folder.path().join("kafka-produce")).unwrap();
        assert_eq!(fs::metadata(&file.path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
