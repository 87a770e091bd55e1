//! `cancel`: takes back a job that has not started.

use job_core::broker::{Capabilities, JobState};
use job_core::error::Error;
use serde_json::json;

use crate::cli::args::CancelFlags;
use crate::cli::exit::Failure;
use crate::cli::operator::Operator;
use crate::cli::output::print_result;

pub(super) async fn cancel(url: &str, flags: &CancelFlags) -> Result<(), Failure> {
    let id = &flags.id;
    Operator::run(url, async |operator| {
        let Capabilities { name, can_find, can_cancel, .. } = operator.client.broker().capabilities();
        if !can_find || !can_cancel {
            let error = format!(
                "the broker \"{name}\" finds no job by its id, so none can be cancelled; let the job's handler ask whether it \
                 is still wanted, or give it a limit with `expires`"
            );
            return Err(Error::unsupported(error).into());
        }
        match operator.client.state(id).await? {
            None => Err(gone(flags)),
            Some(JobState::Running) => Err(runs(flags)),
            // Deleting the dead is a decision of its own.
            Some(JobState::Dead) => Err(Failure::usage(format!(
                "the job {id} is dead and does not run again; delete it with `dead purge {id}`"
            ))),
            Some(JobState::Ready | JobState::Delayed(_)) if operator.client.cancel(id).await? => {
                print_result(&format!("job {id} cancelled"), &json!({ "cancelled": id }), flags.output.json);
                Ok(())
            }
            // It was taken in this very moment.
            Some(JobState::Ready | JobState::Delayed(_)) => Err(runs(flags)),
        }
    })
    .await
}

fn gone(flags: &CancelFlags) -> Failure {
    Failure::missing(format!("no queue holds the job {}: it has run, was cancelled, or never was", flags.id))
}

fn runs(flags: &CancelFlags) -> Failure {
    Failure::busy(format!("a worker has the job {}; only a job that has not started can be cancelled", flags.id))
}
