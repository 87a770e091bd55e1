use job_core::Event;
use serde::Serialize;

#[derive(Event, Serialize)]
#[event(topic = "a")]
struct Changed {
    #[event(topic = "b")]
    format: String,
}

fn main() {}
