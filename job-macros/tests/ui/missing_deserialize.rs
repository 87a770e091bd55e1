use job_core::{Context, Job, JobError, Perform};
use serde::Serialize;

#[derive(Job, Serialize)]
struct Mail {
    to: String,
}

impl Perform for Mail {
    async fn perform(self, _: Context<Self>) -> Result<(), JobError> {
        Ok(())
    }
}

fn main() {}
