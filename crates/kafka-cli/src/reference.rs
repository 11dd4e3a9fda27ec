//! Values that stand somewhere else: `${env:NAME}`, `${file:PATH}`, `${file:PATH:KEY}`, `${command:LINE}`, `${prompt}`.
//! The first and third are Java's (KIP-297, KIP-421). So that no password need be in a file, in a history or in `ps`.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use kafka_core::config::entries;

use crate::exit::Failure;

/// Puts what they stand for in the place of all references in `text`. `name` is the property, for the prompt and for
/// errors; these never repeat what was found. Without `may_ask` a prompt is an error.
pub(crate) fn resolve(
    name: &str,
    text: &str,
    environment: &dyn Fn(&str) -> Option<String>,
    may_ask: bool,
) -> Result<String> {
    let mut resolved = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        resolved.push_str(before);
        let Some((inside, tail)) = after.split_once('}') else {
            rest = after;
            resolved.push_str("${");
            continue;
        };
        match look_up(name, inside, environment, may_ask).with_context(|| format!("{name}: ${{{inside}}}"))? {
            Some(value) => resolved.push_str(&value),
            // Not one of ours.
            None => resolved.push_str(&format!("${{{inside}}}")),
        }
        rest = tail;
    }
    resolved.push_str(rest);
    Ok(resolved)
}

/// Whether `text` holds a reference, so that the secret itself does not stand there.
pub(crate) fn is_reference(text: &str) -> bool {
    ["${env:", "${file:", "${command:", "${prompt"].iter().any(|start| text.contains(start))
}

fn look_up(
    name: &str,
    inside: &str,
    environment: &dyn Fn(&str) -> Option<String>,
    may_ask: bool,
) -> Result<Option<String>> {
    match inside.split_once(':').unwrap_or((inside, "")) {
        ("env", variable) => {
            let value = environment(variable);
            value.map(Some).ok_or_else(|| Failure::usage("this environment variable is not set").into())
        }
        ("file", path) => file(path).map(Some),
        ("command", line) => command(line).map(Some),
        ("prompt", _) if !may_ask => Err(Failure::usage("nobody is asked now").into()),
        ("prompt", question) => prompt(if question.is_empty() { name } else { question }).map(Some),
        _ => Ok(None),
    }
}

/// The file's text without the line end, or the value of one key of a properties file.
fn file(reference: &str) -> Result<String> {
    let whole = |path: &str| std::fs::read_to_string(path).map_err(|error| Failure::usage(error.to_string()));
    match reference.rsplit_once(':').filter(|_| !Path::new(reference).exists()) {
        Some((path, key)) => {
            let found = entries(&whole(path)?).into_iter().find(|entry| entry.name == key);
            found
                .map(|entry| entry.value)
                .ok_or_else(|| Failure::usage(format!("it has no key {key}")).into())
        }
        None => Ok(without_line_end(whole(reference)?)),
    }
}

fn without_line_end(mut text: String) -> String {
    text.truncate(text.trim_end_matches(['\n', '\r']).len());
    text
}

/// The output of a command, run by the shell; its stderr goes where ours goes.
fn command(line: &str) -> Result<String> {
    let shell = if cfg!(windows) { ["cmd", "/C"] } else { ["sh", "-c"] };
    let output = Command::new(shell[0])
        .args([shell[1], line])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| Failure::usage(error.to_string()))?;
    if !output.status.success() {
        return Err(Failure::usage(format!("the command failed ({})", output.status)).into());
    }
    let text =
        String::from_utf8(output.stdout).map_err(|_| Failure::usage("the command's output is not text"))?;
    Ok(without_line_end(text))
}

/// Asks on the terminal, without showing what is typed, also where stdin is a pipe.
pub(crate) fn prompt(question: &str) -> Result<String> {
    rpassword::prompt_password(format!("{}: ", crate::printable(question))).map_err(|_| {
        Failure::usage("there is no terminal to ask on")
            .hint("write ${env:NAME}, ${file:PATH} or ${command:LINE} instead")
            .into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(text: &str) -> Result<String> {
        resolve("sasl.password", text, &|name| (name == "SECRET").then(|| "s3".to_owned()), false)
    }

    #[test]
    fn references_are_replaced_wherever_they_stand() {
        let folder = tempfile::tempdir().unwrap();
        let (secret, properties) = (folder.path().join("secret"), folder.path().join("p.properties"));
        std::fs::write(&secret, "from file\n").unwrap();
        std::fs::write(&properties, "user=u\npassword=from key\n").unwrap();
        let (secret, properties) = (secret.display(), properties.display());
        for (text, expected) in [
            ("plain".to_owned(), "plain"),
            ("a${env:SECRET}b${env:SECRET}".to_owned(), "as3bs3"),
            (format!("${{file:{secret}}}"), "from file"),
            (format!("${{file:{properties}:password}}"), "from key"),
            ("${command:echo x}".to_owned(), "x"),
            ("${vault:x} $${".to_owned(), "${vault:x} $${"),
        ] {
            assert_eq!(resolved(&text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_not_there_is_a_wrong_usage_that_names_the_reference() {
        for text in ["${env:OTHER}", "${file:/nonexistent/x}", "${command:exit 1}", "${prompt}"] {
            let error = resolved(text).unwrap_err();
            assert_eq!(crate::exit::exit_of(&error), crate::Exit::Usage);
            assert!(format!("{error:#}").contains(text), "{error:#}");
        }
    }
}
