//! Completions with names from the cluster, and manual pages.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

mod common;

use std::process::Command;
use std::time::{Duration, Instant};

use common::{LIMIT, admin, assert_holds, commands, said};
use kafka_testkit::{Program, RealKafka, Terminal, binary, run, skip_without, unique};

/// Where the tool is, for a shell's search path.
fn folder() -> String {
    binary("kafka-admin").parent().unwrap().display().to_string()
}

/// What a shell says that runs `script`, the tool on its search path.
fn shell(name: &str, script: &str) -> String {
    let path = format!("{}:{}", folder(), std::env::var("PATH").unwrap());
    let mut command = Command::new(name);
    command.args(["-c", script]).env("PATH", path);
    let ended = Program::start_command(command).finish(LIMIT);
    assert_eq!(ended.stderr, "", "{script}");
    ended.stdout
}

/// What bash offers at the end of `line`.
fn offered(line: &str) -> Vec<String> {
    // As readline calls it: words cut at blanks and colons, the whole line beside them.
    let script = format!(
        "source <(kafka-admin completions bash); COMP_LINE='{line}'; COMP_POINT=${{#COMP_LINE}}
        COMP_WORDS=($(sed 's/:/ : /g' <<<\"$COMP_LINE\")); [[ $COMP_LINE == *' ' ]] && COMP_WORDS+=('')
        COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); cur=${{COMP_WORDS[COMP_CWORD]}}; prev=${{COMP_WORDS[COMP_CWORD-1]}}
        $(complete -p kafka-admin | sed 's/.*-F \\([^ ]*\\).*/\\1/') kafka-admin \"$cur\" \"$prev\"
        for word in \"${{COMPREPLY[@]}}\"; do printf '%s\\n' \"$word\"; done"
    );
    shell("bash", &script).lines().map(str::to_owned).collect()
}

/// A topic and a group that has read it, for as long as a test runs.
struct Names {
    kafka: RealKafka,
    topic: String,
    group: String,
}

impl Names {
    fn new() -> Option<Self> {
        let kafka = RealKafka::one_node()?;
        let (topic, group) = (unique("completed"), unique("completed-group"));
        let _ = said(admin(&kafka, &["create-topic", &topic, "-p", "1"]));
        let names = Self { kafka, topic, group };
        names.add_group(&names.group);
        Some(names)
    }

    fn add_group(&self, group: &str) {
        let flags = ["reset-offsets", group, "--topic", &self.topic, "--to", "0", "--execute"];
        let _ = said(admin(&self.kafka, &flags));
    }

    /// A command line that reaches the cluster.
    fn line(&self, rest: &str) -> String {
        format!("kafka-admin -b {} {rest}", self.kafka.bootstrap())
    }

    fn forget(self, more_groups: &[&str]) {
        let groups = [&["delete-group", &self.group, "--yes"], more_groups].concat();
        let _ = said(admin(&self.kafka, &groups));
        let _ = said(admin(&self.kafka, &["delete-topic", &self.topic, "--yes"]));
    }
}

#[test]
fn bash_completes_commands_flags_and_the_names_that_the_cluster_has() {
    assert!(offered("kafka-admin descr").contains(&"describe-topic".to_owned()));
    assert!(offered("kafka-admin list-topics --inter").contains(&"--internal".to_owned()));
    let Some(names) = Names::new() else { return };
    let begun = &names.topic[..names.topic.len() - 2];
    for place in ["describe-topic", "elect-leaders", "get-config topic", "reset-offsets g --topic"] {
        let topics = offered(&names.line(&format!("{place} {begun}")));
        assert!(topics.contains(&names.topic), "{place}: {topics:?}");
        assert!(topics.iter().all(|name| name.starts_with("completed")), "{place}: {topics:?}");
    }
    let groups = offered(&names.line("lag completed-gr"));
    assert!(groups.contains(&names.group) && !groups.contains(&names.topic), "{groups:?}");
    let flags = offered(&names.line("describe-topic --und"));
    assert!(flags.contains(&"--under-replicated".to_owned()), "{flags:?}");
    names.forget(&[]);
}

#[test]
fn what_a_group_is_called_is_never_run_by_the_shell() {
    let Some(names) = Names::new() else { return };
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace");
    let (hostile, with_colon) =
        (format!("{}$(touch {})", names.group, trace.display()), format!("{}:b", names.group));
    names.add_group(&hostile);
    names.add_group(&with_colon);
    let groups = offered(&names.line(&format!("lag {}", names.group)));
    assert_eq!(groups, [names.group.clone(), with_colon.clone()]);
    assert!(!trace.exists());
    // bash keeps what stands before the colon.
    assert_eq!(offered(&names.line(&format!("lag {}:", names.group))), ["b"]);
    names.forget(&[&hostile, &with_colon]);
}

#[test]
fn no_command_of_a_line_that_is_being_typed_is_run() {
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace");
    let property = format!("client.id=${{command:touch {}}}", trace.display());
    let line = ["completions", "--names", "kafka-admin", "-X", &property, "describe-topic", "a"];
    let offered = run("kafka-admin", line, "", LIMIT).expect_code(0);
    assert_eq!((offered.stdout.as_str(), trace.exists()), ("", false));
}

#[test]
fn fish_completes_commands_flags_and_the_names_that_the_cluster_has() {
    if skip_without("fish") {
        return;
    }
    let Some(names) = Names::new() else { return };
    let offered =
        |line: &str| shell("fish", &format!("kafka-admin completions fish | source; complete -C '{line}'"));
    assert_holds(&offered("kafka-admin descr"), &["describe-topic\t"]);
    assert_holds(&offered("kafka-admin list-topics --inter"), &["--internal\t"]);
    let topics = offered(&names.line("describe-topic completed"));
    assert_holds(&topics, &[&names.topic]);
    assert!(!topics.contains(&names.group), "{topics}");
    assert_holds(&offered(&names.line("lag completed-gr")), &[&names.group]);
    names.forget(&[]);
}

#[test]
fn zsh_completes_commands_flags_and_the_names_that_the_cluster_has() {
    if skip_without("zsh") {
        return;
    }
    let Some(names) = Names::new() else { return };
    let home = tempfile::tempdir().unwrap();
    let script = format!(
        "PATH={}:$PATH; PS1='ready> '; autoload -Uz compinit; compinit -u; source <(kafka-admin completions zsh)\n",
        folder()
    );
    std::fs::write(home.path().join(".zshrc"), script).unwrap();
    let mut zsh = Command::new("zsh");
    zsh.arg("-i").env("ZDOTDIR", home.path());
    let mut zsh = Terminal::start_command(&zsh);
    zsh.expect("ready>", LIMIT);
    // The rest of a word that only one word begins with.
    for (line, whole) in [
        ("kafka-admin describe-to\t".to_owned(), "kafka-admin describe-topic"),
        ("kafka-admin list-topics --inter\t".to_owned(), "kafka-admin list-topics --internal"),
        (names.line(&format!("describe-topic {}\t", &names.topic[..names.topic.len() - 2])), &names.topic),
        (names.line(&format!("lag {}\t", &names.group[..names.group.len() - 2])), &names.group),
    ] {
        zsh.type_text(&line);
        zsh.expect(whole, LIMIT);
        // Ctrl-U: an empty line again.
        zsh.type_text("\x15");
    }
    zsh.type_line("exit");
    names.forget(&[]);
}

#[test]
fn completion_gives_up_on_a_cluster_that_does_not_answer_within_a_second() {
    // Takes connections and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let _ = offered("kafka-admin descr");
    let started = Instant::now();
    let names = offered(&format!("kafka-admin -b {address} describe-topic a"));
    assert_eq!(names, [""; 0]);
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

#[test]
fn every_command_has_a_manual_page() {
    let page = |arguments: &[&str]| {
        run("kafka-admin", [&["man"], arguments].concat(), "", LIMIT).expect_code(0).stdout
    };
    let tool = page(&[]);
    assert_holds(&tool, &[".TH kafka-admin 1", ".SH NAME", "describe\\-topic"]);
    for name in commands() {
        assert_holds(&page(&[&name]), &[".SH SYNOPSIS", &name.replace('-', "\\-")]);
    }
    let unknown = run("kafka-admin", ["man", "nonsense"], "", LIMIT).expect_code(2);
    assert_holds(&unknown.stderr, &["nonsense"]);
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = run("kafka-admin", ["completions", shell], "", LIMIT).expect_code(0).stdout;
        assert_holds(&script, &["describe-topic"]);
    }
}
