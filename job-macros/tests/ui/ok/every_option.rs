//! Every option, in both ways of writing where there are two.
use std::time::Duration;

use job_core::{Context, Job, JobError, Perform};
use serde::{Deserialize, Serialize};

struct Store;

#[derive(Job, Serialize, Deserialize)]
#[job(name = "mail-v2", alias("mail"), queue = "mail", max_attempts = 5, backoff = slow, timeout = "30s")]
#[job(expires = "1h", concurrency = 2, state(Store, std::sync::Arc<Store>), crate = ::job_core)]
struct Mail {
    to: String,
}

#[derive(Job, Serialize, Deserialize)]
#[job(handler = "elsewhere", external, queue = "their queue", backoff = "crate::slow", crate = "job_core",)]
struct Theirs;

fn slow(attempt: u32, _error: &str) -> Duration {
    Duration::from_secs(attempt.into())
}

impl Perform for Mail {
    async fn perform(self, cx: Context<Self>) -> Result<(), JobError> {
        let _: &Store = cx.state();
        println!("{}", self.to);
        Ok(())
    }
}

fn main() {}
