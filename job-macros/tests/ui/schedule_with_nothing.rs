use job_core::{Context, Job, JobError, Perform};
use serde::{Deserialize, Serialize};

#[derive(Default, Job, Serialize, Deserialize)]
#[job(schedule_with = make)]
struct Report {}

impl Perform for Report {
    async fn perform(self, _: Context<Self>) -> Result<(), JobError> {
        Ok(())
    }
}

fn main() {}
