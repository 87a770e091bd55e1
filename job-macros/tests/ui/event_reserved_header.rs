use job_core::Event;
use serde::Serialize;

#[derive(Event, Serialize)]
#[event(headers)]
struct Changed {
    #[event(header = "x-match")]
    format: String,
}

fn main() {}
