use job_core::Event;
use serde::Serialize;

#[derive(Event, Serialize)]
#[event(topic = "a", fanout = "b")]
struct Changed {
    to: String,
}

fn main() {}
