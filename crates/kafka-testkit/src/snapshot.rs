//! Texts that are held as files, so that a change of what a program prints is seen in review.

use std::path::Path;

/// Writes what is printed now, for `git diff` to show what changed.
const VARIABLE: &str = "KAFKA_UPDATE_SNAPSHOTS";

/// Compares `text` with the file at `path`, or stores it there where `KAFKA_UPDATE_SNAPSHOTS` is set.
///
/// # Errors
/// Both texts, where they differ.
///
/// # Panics
/// Where the file cannot be written.
pub fn check_snapshot(path: &Path, text: &str) -> Result<(), String> {
    if std::env::var_os(VARIABLE).is_some() {
        std::fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("a folder can be made");
        std::fs::write(path, text).expect("the file can be written");
        return Ok(());
    }
    let stored = std::fs::read_to_string(path).unwrap_or_default();
    if stored == text {
        return Ok(());
    }
    let path = path.display();
    Err(format!("{path} ({VARIABLE}=1 accepts it)\n--- stored\n{stored}\n--- now\n{text}\n"))
}
