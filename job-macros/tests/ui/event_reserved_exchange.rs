use job_core::Event;
use serde::Serialize;

#[derive(Event, Serialize)]
#[event(topic = "a", exchange = "events.direct")]
struct Changed {
    to: String,
}

fn main() {}
