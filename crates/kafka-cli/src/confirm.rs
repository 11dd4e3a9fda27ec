//! Asking before something is destroyed: at a terminal only. Off a terminal nothing is asked, and nothing is destroyed
//! without `--yes`.

use std::io::{BufRead, IsTerminal, Write};

use crate::exit::{Exit, Failure};

/// Makes sure that the user wants `action` ("delete topic a"). For several things the user types their number.
///
/// # Errors
/// A wrong usage off a terminal without `yes`; a failure where the user says no.
pub fn confirm(action: &str, things: usize, yes: bool) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    let (stdin, mut stderr) = (std::io::stdin(), std::io::stderr());
    if !stdin.is_terminal() || !stderr.is_terminal() {
        let message = format!("this would {action}; off a terminal that needs --yes");
        return Err(Failure::usage(message).hint("--dry-run shows what would be done"));
    }
    let wanted = if things > 1 { things.to_string() } else { "y".to_owned() };
    let ask = if things > 1 { format!("type {things} to go on") } else { "[y/N]".to_owned() };
    let _ = write!(stderr, "{}? {ask} ", crate::printable(&capitalised(action)));
    let _ = stderr.flush();
    let mut answer = String::new();
    // What cannot be read counts as no.
    let _ = stdin.lock().read_line(&mut answer);
    if is_yes(&answer, &wanted) { Ok(()) } else { Err(Failure::new(Exit::Failed, "nothing was changed")) }
}

fn is_yes(answer: &str, wanted: &str) -> bool {
    let answer = answer.trim();
    answer == wanted
        || (wanted == "y" && answer.eq_ignore_ascii_case("yes"))
        || (wanted == "y" && answer == "Y")
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map(|first| first.to_uppercase().collect::<String>() + letters.as_str())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_takes_a_yes_and_several_take_their_number() {
        assert!(is_yes("y\n", "y") && is_yes("YES\n", "y") && is_yes("3\n", "3"));
        assert!(!is_yes("\n", "y") && !is_yes("yes\n", "3") && !is_yes("2\n", "3"));
    }

    #[test]
    fn yes_on_the_command_line_asks_nothing() {
        assert!(confirm("delete topic a", 1, true).is_ok());
    }
}
