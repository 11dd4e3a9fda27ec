//! What the house rules ask of every file (CONTRIBUTING.md), as far as a program can see it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

use std::path::{Path, PathBuf};
use std::process::Command;

use kafka_testkit::repository;

/// The files that git knows, or would know once they are added, by ending.
fn files(ending: &str) -> Vec<(PathBuf, String)> {
    let mut git = Command::new("git");
    git.args(["ls-files", "--cached", "--others", "--exclude-standard"]).current_dir(repository());
    let listed = String::from_utf8(git.output().expect("git lists files").stdout).expect("names are UTF-8");
    let paths = listed.lines().filter(|path| path.ends_with(ending)).map(|path| repository().join(path));
    paths.filter_map(|path| std::fs::read_to_string(&path).ok().map(|text| (path, text))).collect()
}

fn name(path: &Path) -> String {
    path.strip_prefix(repository()).unwrap_or(path).display().to_string()
}

#[test]
fn every_source_file_says_first_what_it_is() {
    let files = files(".rs");
    assert!(files.len() > 20, "git lists the sources");
    let silent: Vec<_> =
        files.iter().filter(|(_, text)| !text.starts_with("//!")).map(|(path, _)| name(path)).collect();
    assert!(silent.is_empty(), "begin with `//!`: {silent:#?}");
}

#[test]
fn nothing_is_left_unfinished() {
    // Put together here, so that this file does not find itself.
    let marks =
        [["TO", "DO"], ["FIX", "ME"], ["todo", "!("], ["unimplemented", "!("]].map(|parts| parts.concat());
    let found: Vec<_> = files(".rs")
        .iter()
        .flat_map(|(path, text)| text.lines().enumerate().map(move |(number, line)| (path, number + 1, line)))
        .filter(|(_, _, line)| marks.iter().any(|mark| line.contains(mark)))
        .map(|(path, number, line)| format!("{}:{number}: {}", name(path), line.trim()))
        .collect();
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn links_in_the_documents_lead_somewhere() {
    let mut broken = Vec::new();
    for (path, text) in files(".md") {
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|target| !target.contains("://") && !target.starts_with('#')) {
            let file = target.split('#').next().unwrap_or(target);
            if !path.parent().expect("a file is in a folder").join(file).exists() {
                broken.push(format!("{}: {target}", name(&path)));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn every_decision_is_in_the_list_of_decisions() {
    let list = std::fs::read_to_string(repository().join("docs/decisions/README.md")).unwrap();
    for (path, _) in files(".md").iter().filter(|(path, _)| name(path).starts_with("docs/decisions/0")) {
        let file = path.file_name().unwrap().to_string_lossy();
        assert!(list.contains(&format!("({file})")), "docs/decisions/README.md does not name {file}");
    }
}
