use job_core::Job;
use serde::{Deserialize, Serialize};

#[derive(Job, Serialize, Deserialize)]
#[job(blocking)]
struct Mail {
    to: String,
}

fn main() {}
