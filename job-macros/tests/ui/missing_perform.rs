use job_core::Job;
use serde::{Deserialize, Serialize};

#[derive(Job, Serialize, Deserialize)]
struct Mail {
    to: String,
}

fn main() {}
