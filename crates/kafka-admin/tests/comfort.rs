//! Completions with names from the cluster, and manual pages.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

mod common;

use std::process::Command;
use std::time::{Duration, Instant};

use common::{LIMIT, admin, assert_holds, commands, said};
use kafka_testkit::{Program, RealKafka, binary, run, unique};

/// What bash offers at the end of `line`.
fn offered(line: &str) -> Vec<String> {
    let tool = binary("kafka-admin");
    let folder = tool.parent().unwrap().display();
    // As readline calls it: words cut at blanks and colons, the whole line beside them.
    let script = format!(
        "PATH={folder}:$PATH; source <(kafka-admin completions bash); COMP_LINE='{line}'; COMP_POINT=${{#COMP_LINE}}
        COMP_WORDS=($(sed 's/:/ : /g' <<<\"$COMP_LINE\")); [[ $COMP_LINE == *' ' ]] && COMP_WORDS+=('')
        COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); cur=${{COMP_WORDS[COMP_CWORD]}}; prev=${{COMP_WORDS[COMP_CWORD-1]}}
        $(complete -p kafka-admin | sed 's/.*-F \\([^ ]*\\).*/\\1/') kafka-admin \"$cur\" \"$prev\"
        printf '%s\\n' \"${{COMPREPLY[@]}}\""
    );
    let mut bash = Command::new("bash");
    bash.args(["-c", &script]);
    let ended = Program::start_command(bash).finish(LIMIT);
    assert_eq!(ended.stderr, "", "{line}");
    ended.stdout.lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_flags_and_the_names_that_the_cluster_has() {
    assert!(offered("kafka-admin descr").contains(&"describe-topic".to_owned()));
    assert!(offered("kafka-admin list-topics --inter").contains(&"--internal".to_owned()));
    let Some(kafka) = RealKafka::one_node() else { return };
    let (topic, group) = (unique("completed"), unique("completed-group"));
    let _ = said(admin(&kafka, &["create-topic", &topic, "-p", "1"]));
    let _ = said(admin(&kafka, &["reset-offsets", &group, "--topic", &topic, "--to", "0", "--execute"]));
    let bootstrap = kafka.bootstrap();
    let topics = offered(&format!("kafka-admin -b {bootstrap} describe-topic {}", &topic[..topic.len() - 2]));
    assert!(topics.contains(&topic) && topics.iter().all(|name| name.starts_with("completed")), "{topics:?}");
    let groups = offered(&format!("kafka-admin -b {bootstrap} lag completed-gr"));
    assert!(groups.contains(&group) && !groups.contains(&topic), "{groups:?}");
    assert!(
        offered(&format!("kafka-admin -b {bootstrap} describe-topic --und"))
            .contains(&"--under-replicated".to_owned())
    );
    let _ = said(admin(&kafka, &["delete-group", &group, "--yes"]));
    let _ = said(admin(&kafka, &["delete-topic", &topic, "--yes"]));
}

#[test]
fn completion_gives_up_on_a_cluster_that_does_not_answer_within_a_second() {
    // Takes connections and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let _ = offered("kafka-admin descr");
    let started = Instant::now();
    let names = offered(&format!("kafka-admin -b {address} describe-topic a"));
    assert!(names.iter().all(String::is_empty), "{names:?}");
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
