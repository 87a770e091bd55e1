use job_core::Event;
use serde::Serialize;

#[derive(Event, Serialize)]
#[event(name = "changed")]
struct Changed {
    to: String,
}

fn main() {}
