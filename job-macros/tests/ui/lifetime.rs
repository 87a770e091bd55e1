use job_core::Job;
use serde::{Deserialize, Serialize};

#[derive(Job, Serialize, Deserialize)]
#[job(handler = "elsewhere")]
struct Mail<'a> {
    to: &'a str,
}

fn main() {}
