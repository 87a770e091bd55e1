use job_core::Event;
use serde::Serialize;

#[derive(Event, Serialize)]
#[event(exchange = "legacy", fanout = "prices")]
struct Changed {
    to: String,
}

fn main() {}
