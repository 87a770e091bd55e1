use job_core::{Context, Job, JobError, Perform};
use serde::{Deserialize, Serialize};

#[derive(Job, Serialize, Deserialize)]
#[job(on(fanout))]
struct Mirror {
    id: u64,
}

impl Perform for Mirror {
    async fn perform(self, _: Context<Self>) -> Result<(), JobError> {
        Ok(())
    }
}

fn main() {}
