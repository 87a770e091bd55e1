use job_core::Event;
use serde::Serialize;

#[derive(Event, Serialize)]
#[event(topic = "a")]
enum Changed {
    Created,
}

fn main() {}
