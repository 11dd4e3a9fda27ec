//! The table of properties and its documentation say the same.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt::Write;
use std::path::Path;

use kafka_core::config::property::{self, PropertyInfo, Scope};

const MARKER: &str = "do not edit it by hand. -->\n";

#[test]
fn the_documentation_is_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (written_by_hand, generated) = text.split_once(MARKER).unwrap();
    let expected = tables();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, format!("{written_by_hand}{MARKER}{expected}")).unwrap();
        return;
    }
    assert!(
        generated == expected,
        "docs/configuration.md is not what the table says; write it with: UPDATE_DOCS=1 cargo test -p kafka-core --test configuration"
    );
}

fn tables() -> String {
    let mut text = String::new();
    for (scope, title) in [
        (Scope::Client, "Every client: connections and time limits"),
        (Scope::Security, "Every client: encryption and authentication"),
        (Scope::Producer, "Producer"),
        (Scope::Consumer, "Consumer"),
    ] {
        writeln!(text, "\n### {title}\n\n| Property | Values | Default | What it does |\n|---|---|---|---|")
            .unwrap();
        for info in property::all().filter(|info| info.scope == scope && info.has_effect()) {
            writeln!(text, "{}", row(info)).unwrap();
        }
    }
    text.push_str("\n### Accepted and without effect\n");
    let mut last = "";
    for info in property::all().filter(|info| !info.has_effect()) {
        if info.doc != last {
            write!(text, "\n- {} ", info.doc).unwrap();
            last = info.doc;
        }
        write!(text, "`{}` ", info.name).unwrap();
    }
    text.push('\n');
    text.replace(" \n", "\n")
}

fn row(info: &PropertyInfo) -> String {
    let aliases: String = info.aliases.iter().map(|alias| format!("<br>`{alias}`")).collect();
    let default = info.default.map_or("-".to_owned(), |text| format!("`{text}`")).replace("``", "empty");
    format!("| `{}`{aliases} | {} | {default} | {} |", info.name, info.kind, info.doc)
}
