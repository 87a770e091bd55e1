use job_core::{Context, Job, JobError, Perform};
use serde::{Deserialize, Serialize};

#[derive(Job, Serialize, Deserialize)]
enum Mail {
    Welcome { to: String },
    Reminder { to: String },
}

impl Perform for Mail {
    async fn perform(self, _: Context<Self>) -> Result<(), JobError> {
        Ok(())
    }
}

fn main() {}
