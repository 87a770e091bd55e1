//! Asks before something is gone.

use std::io::{BufRead, IsTerminal, stderr, stdin};

use crate::cli::exit::{Failure, say};

/// Asks whether to go on, where `loss` says what it would cost: "3 dead jobs would be deleted for ever". Where nobody can
/// answer, that is refused.
pub(super) fn confirm(loss: &str, question: &str) -> Result<bool, Failure> {
    if !stdin().is_terminal() || !stderr().is_terminal() {
        return Err(Failure::usage(format!("{loss}, and there is no terminal to ask on; say --yes")));
    }
    say(&format!("{question} Type \"yes\":"));
    let mut answer = String::new();
    // No answer is no.
    let _ = stdin().lock().read_line(&mut answer);
    Ok(["y", "yes"].contains(&answer.trim().to_lowercase().as_str()))
}
