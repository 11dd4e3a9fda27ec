//! What can be typed while `kafka-dev` runs: stopping and starting brokers, to watch leaders move.

use std::io::BufRead;

use kafka_dev::Handle;
use tokio::sync::mpsc;

pub(crate) const HELP: &str = "Type: stop N, start N, brokers, help";

/// A line that was understood.
#[derive(Debug, PartialEq, Eq)]
enum Command {
    Stop(i32),
    Start(i32),
    Brokers,
    Help,
}

/// Lines from stdin until it ends. A thread of its own, since reading a terminal cannot be interrupted.
pub(crate) fn lines() -> mpsc::UnboundedReceiver<String> {
    let (sender, receiver) = mpsc::unbounded_channel();
    if is_in_background() {
        return receiver;
    }
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Whether the shell put this program in the background of its terminal: reading would stop it (SIGTTIN).
fn is_in_background() -> bool {
    rustix::termios::tcgetpgrp(std::io::stdin()).is_ok_and(|front| front != rustix::process::getpgrp())
}

/// Carries out a line; what to tell the user.
pub(crate) fn obey(cluster: &Handle, line: &str) -> String {
    let done = match parse(line) {
        Some(Command::Stop(id)) if known(cluster, id) => cluster.stop_broker(id).map(|()| status(cluster)),
        Some(Command::Start(id)) if known(cluster, id) => cluster.start_broker(id).map(|()| status(cluster)),
        Some(Command::Stop(id) | Command::Start(id)) => Ok(format!("There is no broker {id}.")),
        Some(Command::Brokers) => Ok(status(cluster)),
        Some(Command::Help) | None => Ok(HELP.to_owned()),
    };
    done.unwrap_or_else(|error| error.to_string())
}

fn known(cluster: &Handle, id: i32) -> bool {
    cluster.brokers().contains(&id)
}

fn status(cluster: &Handle) -> String {
    let live = cluster.live_brokers();
    let named = cluster.brokers().into_iter().map(|id| {
        let address = cluster.address(id).unwrap_or_default();
        let state = if live.contains(&id) { "up" } else { "stopped" };
        format!("broker {id} at {address}: {state}")
    });
    named.collect::<Vec<_>>().join("\n")
}

fn parse(line: &str) -> Option<Command> {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words[..] {
        ["stop", id] => id.parse().ok().map(Command::Stop),
        ["start", id] => id.parse().ok().map(Command::Start),
        ["brokers"] => Some(Command::Brokers),
        ["help"] => Some(Command::Help),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_words_and_a_number() {
        assert_eq!(parse(" stop 2 "), Some(Command::Stop(2)));
        assert_eq!(parse("start 1"), Some(Command::Start(1)));
        assert_eq!((parse("stop"), parse("stop x"), parse("")), (None, None, None));
    }
}
