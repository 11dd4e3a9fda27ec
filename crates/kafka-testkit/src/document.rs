//! Plays the console blocks of a Markdown document and compares what happens with what the document shows.
//!
//! ````text
//! ```console                 `$ COMMAND` runs to its end; the lines below it appear in its output, in that order
//! ```console fails           the same, and the command's exit code is not 0
//! ```console reader          a terminal of that name: `$ COMMAND` starts there and stays; `> TEXT` is typed at its
//!                            prompt, `^C` and `^D` too (and then the program ends with exit 0); other lines appear on
//!                            its screen. A later block of that name goes on there.
//! ````
//! In an expected line `…` stands for any text, and a run of blanks for any other.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::program::{Program, binary, repository};
use crate::terminal::Terminal;

const LIMIT: Duration = Duration::from_secs(60);
/// What a document may call; built before anything is played.
const PROGRAMS: [&str; 4] = ["kafka-admin", "kafka-produce", "kafka-consume", "kafka-dev"];

/// A document whose commands can be played.
#[derive(Debug)]
pub struct Document {
    name: String,
    blocks: Vec<Block>,
}

#[derive(Debug)]
struct Block {
    /// Of the opening fence, counted from 1.
    line: usize,
    terminal: Option<String>,
    fails: bool,
    lines: Vec<String>,
}

/// Where commands run: a folder of their own, a home of their own, and the broker they talk to by default.
#[derive(Debug)]
pub struct Stage {
    folder: PathBuf,
    environment: Vec<(String, String)>,
    skipped: Vec<String>,
    edits: Vec<(String, String)>,
}

impl Stage {
    /// A stage in `folder`, which should be empty, in front of the broker at `bootstrap`.
    pub fn new(folder: &Path, bootstrap: &str) -> Self {
        let programs = PROGRAMS.map(binary);
        let programs = programs[0].parent().expect("a program is in a folder").display().to_string();
        let path = format!("{programs}:{}", std::env::var("PATH").unwrap_or_default());
        let home = folder.display().to_string();
        // Documents speak from the repository's root.
        std::os::unix::fs::symlink(repository().join("scripts"), folder.join("scripts"))
            .expect("an empty folder");
        let pairs = [("PATH", path), ("HOME", home), ("KAFKA_BOOTSTRAP_SERVERS", bootstrap.to_owned())];
        let mut environment: Vec<_> = pairs.map(|(key, value)| (key.to_owned(), value)).into();
        // The jars of the real Kafka are not fetched again for each home.
        let cache =
            std::env::var("XDG_CACHE_HOME").or_else(|_| std::env::var("HOME").map(|home| home + "/.cache"));
        environment.extend(cache.ok().map(|cache| ("XDG_CACHE_HOME".to_owned(), cache)));
        Self { folder: folder.to_owned(), environment, skipped: Vec::new(), edits: Vec::new() }
    }

    /// Commands that begin so are not run: what they do has been done.
    #[must_use]
    pub fn without(mut self, prefix: &str) -> Self {
        self.skipped.push(prefix.to_owned());
        self
    }

    /// Commands and expected lines that contain `from` are played with `to` instead, e.g. a free port for a fixed one.
    #[must_use]
    pub fn with(mut self, from: &str, to: &str) -> Self {
        self.edits.push((from.to_owned(), to.to_owned()));
        self
    }

    fn edit(&self, line: &str) -> String {
        self.edits.iter().fold(line.to_owned(), |line, (from, to)| line.replace(from, to))
    }

    fn skips(&self, command: &str) -> bool {
        self.skipped.iter().any(|prefix| command.starts_with(prefix))
    }

    fn shell(&self, command: &str) -> Command {
        let mut shell = Command::new("bash");
        shell.args(["-c", command]).current_dir(&self.folder);
        shell.envs(self.environment.iter().map(|(key, value)| (key, value)));
        shell
    }
}

impl Document {
    /// Reads a document, `path` from the repository's root.
    pub fn read(path: &str) -> Self {
        let text = std::fs::read_to_string(repository().join(path)).expect("the document is there");
        Self { name: path.to_owned(), blocks: blocks(&text) }
    }

    /// How many commands it has.
    pub fn commands(&self) -> usize {
        self.blocks.iter().flat_map(|block| &block.lines).filter(|line| line.starts_with("$ ")).count()
    }

    /// Plays all blocks in order.
    ///
    /// # Panics
    /// Where what happens is not what the document shows, naming document and line.
    pub fn play(&self, stage: &Stage) {
        let mut terminals = HashMap::new();
        for block in &self.blocks {
            let place = format!("{}:{}", self.name, block.line);
            match &block.terminal {
                Some(name) => play_on_terminal(block, stage, &mut terminals, name, &place),
                None => play_to_the_end(block, stage, &place),
            }
        }
    }
}

fn blocks(text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut inside = false;
    for (number, line) in text.lines().enumerate() {
        let Some(info) = line.strip_prefix("```") else {
            if let (true, Some(block)) = (inside, blocks.last_mut()) {
                block.lines.push(line.to_owned());
            }
            continue;
        };
        let mut words = info.split_whitespace();
        inside = !inside && words.next() == Some("console");
        if inside {
            let (fails, names): (Vec<_>, Vec<_>) = words.partition(|&word| word == "fails");
            let terminal = names.first().map(|&name| name.to_owned());
            blocks.push(Block { line: number + 1, terminal, fails: !fails.is_empty(), lines: Vec::new() });
        }
    }
    blocks
}

/// Each command of the block with the lines expected below it.
fn play_to_the_end(block: &Block, stage: &Stage, place: &str) {
    let lines: Vec<String> = block.lines.iter().map(|line| stage.edit(line)).collect();
    let mut rest = &lines[..];
    while let Some((first, below)) = rest.split_first() {
        let command = first.strip_prefix("$ ").unwrap_or_else(|| panic!("{place}: not a command: {first}"));
        let shown = below.iter().position(|line| line.starts_with("$ ")).unwrap_or(below.len());
        if !stage.skips(command) {
            let finished = Program::start_command(stage.shell(command)).finish(LIMIT);
            let said = format!("{}{}", finished.stdout, finished.stderr);
            assert_eq!(
                finished.code != Some(0),
                block.fails,
                "{place}: {command}: {:?}\n{said}",
                finished.code
            );
            let mut output = said.lines();
            for wanted in &below[..shown] {
                let found = output.any(|line| matches(wanted, line));
                assert!(found, "{place}: {command}\nshould have shown: {wanted}\nbut said:\n{said}");
            }
        }
        rest = &below[shown..];
    }
}

fn play_on_terminal(
    block: &Block,
    stage: &Stage,
    terminals: &mut HashMap<String, Terminal>,
    name: &str,
    place: &str,
) {
    for line in block.lines.iter().map(|line| stage.edit(line)) {
        if let Some(command) = line.strip_prefix("$ ") {
            if stage.skips(command) {
                return;
            }
            let terminal = Terminal::start_command(&stage.shell(&format!("exec {command}")));
            terminals.insert(name.to_owned(), terminal);
            continue;
        }
        // The block goes on in a terminal whose command was skipped.
        let Some(terminal) = terminals.get_mut(name) else { return };
        if let Some(typed) = line.strip_prefix("> ") {
            terminal.expect("> ", LIMIT);
            terminal.type_line(typed);
        } else if line == "^C" || line == "^D" {
            terminal.type_text(if line == "^C" { "\x03" } else { "\x04" });
            assert_eq!(terminal.finish(LIMIT), Some(0), "{place}: after {line}\n{}", terminal.screen());
        } else {
            expect_line(terminal, &line, place);
        }
    }
}

fn expect_line(terminal: &Terminal, wanted: &str, place: &str) {
    let deadline = Instant::now() + LIMIT;
    while !terminal.screen().lines().any(|line| matches(wanted, line)) {
        let late = Instant::now() > deadline;
        assert!(!late, "{place}: should have shown: {wanted}\nbut the screen is:\n{}", terminal.screen());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// `…` is any text, a run of blanks any other.
fn matches(wanted: &str, line: &str) -> bool {
    let squeeze = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (wanted, line) = (squeeze(wanted), squeeze(line));
    let Some((start, wanted)) = wanted.split_once('…') else { return wanted == line };
    let (middle, end) = wanted.rsplit_once('…').unwrap_or(("", wanted));
    let Some(mut rest) = line.strip_prefix(start).and_then(|rest| rest.strip_suffix(end)) else {
        return false;
    };
    for part in middle.split('…') {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ellipsis_stands_for_any_text_and_blanks_for_blanks() {
        assert!(matches("a  b", "a b"));
        assert!(matches("a … c", "a bbb c"));
        assert!(matches("at …ms", "at 12 ms or 13 ms"));
        assert!(matches("…", "anything"));
        assert!(matches("begins …", "begins so"));
        assert!(!matches("a … c", "a bbb d"));
        assert!(!matches("exact", "exactly"));
    }

    #[test]
    fn only_console_blocks_are_played() {
        let text = "```sh\nrm -rf x\n```\n```console reader\n$ a\nb\n```\n```console fails\n$ c\n```\n";
        let found = blocks(text);
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].line, found[0].terminal.as_deref(), found[0].fails), (4, Some("reader"), false));
        assert_eq!(found[0].lines, ["$ a", "b"]);
        assert!(found[1].fails && found[1].terminal.is_none());
    }
}
