use job_core::{Context, Job, JobError, Perform};
use serde::{Deserialize, Serialize};

struct Store;
struct Cache;

#[derive(Job, Serialize, Deserialize)]
#[job(state(Cache))]
struct Mail {
    to: String,
}

impl Perform for Mail {
    async fn perform(self, cx: Context<Self>) -> Result<(), JobError> {
        let _: (&Store, &Cache) = (cx.state::<Store>(), cx.state::<Cache>());
        Ok(())
    }
}

fn main() {}
