use job_core::Event;
use serde::Serialize;

#[derive(Event, Serialize)]
#[event(fanout = "direct")]
struct Changed {
    to: String,
}

fn main() {}
