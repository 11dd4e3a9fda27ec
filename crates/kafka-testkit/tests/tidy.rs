//! What the house rules ask of every file (CONTRIBUTING.md), as far as a program can see it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

use std::collections::HashSet;
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

#[test]
fn every_property_that_can_be_set_is_read_somewhere() {
    let files = files(".rs");
    let (tables, code): (Vec<_>, Vec<_>) =
        files.iter().partition(|(path, _)| name(path).contains("kafka-core/src/config/property/"));
    let code = code.into_iter().filter(|(path, _)| name(path).contains("/src/"));
    let words: HashSet<&str> =
        code.flat_map(|(_, text)| text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')).collect();
    let constants = tables.iter().flat_map(|(_, text)| text.lines()).filter_map(|line| {
        let (constant, rest) = line.trim().split_once(": ")?;
        let is_row = rest.contains(" = \"") && constant.chars().all(|c| c.is_ascii_uppercase() || c == '_');
        is_row.then_some(constant)
    });
    let constants: Vec<&str> = constants.collect();
    let (count, unread) =
        (constants.len(), constants.into_iter().filter(|constant| !words.contains(constant)));
    let unread: Vec<_> = unread.collect();
    assert!(count > 50, "{count} rows were found");
    assert!(unread.is_empty(), "read them, or put them among the ignored ones: {unread:#?}");
}

#[test]
fn every_direct_dependency_has_a_row_that_says_why() {
    let table = std::fs::read_to_string(repository().join("docs/decisions/0008-dependencies.md")).unwrap();
    let rows = table.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    let known: Vec<&str> = rows.flat_map(|cell| cell.split(", ")).collect();
    for (path, text) in files("Cargo.toml").iter().filter(|(path, _)| name(path).starts_with("crates/")) {
        let mut is_dependency = false;
        for line in text.lines() {
            if line.starts_with('[') {
                is_dependency = line.contains("dependencies");
            } else if let Some((dependency, _)) = line.split_once([' ', '.']).filter(|_| is_dependency) {
                let is_listed = dependency.starts_with("kafka-") && dependency != "kafka-protocol";
                let is_listed = is_listed || dependency.starts_with('#') || known.contains(&dependency);
                assert!(is_listed, "{}: {dependency} is not in docs/decisions/0008", name(path));
            }
        }
    }
}
