//! Says what was done to dead jobs, and how the command ends.

use std::process::ExitCode;

use serde_json::{Map, Value, json};

use crate::cli::args::OutputFlags;
use crate::cli::dead::change::{Handled, Tally};
use crate::cli::exit::{Failure, say, unfinished};
use crate::cli::output::{count, print_result};

/// Prints the result: `verb` is what was done to them, such as "retried".
pub(super) fn report(verb: &str, tally: &Tally, output: OutputFlags) {
    for job in &tally.left {
        say(&format!(
            "note: job {} stays dead: its queue \"{}\" holds a job of the same id; try again when that one has ended",
            job.id,
            job.queue.work()
        ));
    }
    let text = format!("{} {verb}", count(tally.done.len(), "dead job"));
    print_result(&text, &json(verb, tally), output.json);
}

/// Ends the command: by what failed, or by what could not be done now.
pub(super) fn end(tally: &Tally, failure: Option<Failure>) -> Result<ExitCode, Failure> {
    match failure {
        Some(failure) => Err(failure),
        None if tally.left.is_empty() => Ok(ExitCode::SUCCESS),
        None => Ok(unfinished()),
    }
}

fn json(verb: &str, tally: &Tally) -> Value {
    let list = |jobs: &[Handled]| -> Value {
        jobs.iter().map(|job| json!({ "id": job.id, "queue": job.queue.work() })).collect()
    };
    let mut object = Map::new();
    object.insert(verb.into(), tally.done.len().into());
    object.insert("jobs".into(), list(&tally.done));
    object.insert("left".into(), list(&tally.left));
    Value::Object(object)
}

#[cfg(test)]
mod tests {
    use job_core::name::{JobId, QueueName};

    use super::*;

    #[test]
    fn what_was_done_and_what_was_left_are_told_apart() {
        let job = |id: &str| Handled { id: JobId::parse(id).unwrap(), queue: QueueName::parse("mail").unwrap().dead() };
        let tally = Tally { done: vec![job("a"), job("b")], left: vec![job("c")] };
        let expected = json!({
            "retried": 2,
            "jobs": [{"id": "a", "queue": "mail"}, {"id": "b", "queue": "mail"}],
            "left": [{"id": "c", "queue": "mail"}],
        });
        assert_eq!(json("retried", &tally), expected);
    }
}
