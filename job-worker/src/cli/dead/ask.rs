//! Asks before something is gone for ever.

use std::io::{BufRead, IsTerminal, stderr, stdin};

use crate::cli::exit::{Failure, say};
use crate::cli::output::count;

/// Asks whether so many dead jobs shall be deleted. Where nobody can answer, that is refused.
pub(super) fn confirm_purge(jobs: usize) -> Result<bool, Failure> {
    let jobs = count(jobs, "dead job");
    if !stdin().is_terminal() || !stderr().is_terminal() {
        return Err(Failure::usage(format!(
            "{jobs} would be deleted for ever, and there is no terminal to ask on; say --yes"
        )));
    }
    say(&format!("Delete {jobs} for ever? Type \"yes\":"));
    let mut answer = String::new();
    // No answer is no.
    let _ = stdin().lock().read_line(&mut answer);
    let is_confirmed = ["y", "yes"].contains(&answer.trim().to_lowercase().as_str());
    if !is_confirmed {
        say("nothing was deleted");
    }
    Ok(is_confirmed)
}
