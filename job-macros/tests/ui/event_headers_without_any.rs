use job_core::Event;
use serde::Serialize;

#[derive(Event, Serialize)]
#[event(headers)]
struct Changed {
    to: String,
}

fn main() {}
