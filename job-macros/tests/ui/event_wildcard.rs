use job_core::Event;
use serde::Serialize;

#[derive(Event, Serialize)]
#[event(topic = "user.*.deleted")]
struct Changed {
    to: String,
}

fn main() {}
