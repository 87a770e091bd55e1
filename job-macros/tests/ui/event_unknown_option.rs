use job_core::Event;
use serde::Serialize;

#[derive(Event, Serialize)]
#[event(topics = "a")]
struct Changed {
    to: String,
}

fn main() {}
