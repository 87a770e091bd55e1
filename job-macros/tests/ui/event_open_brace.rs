use job_core::Event;
use serde::Serialize;

#[derive(Event, Serialize)]
#[event(topic = "user.{user_id.deleted")]
struct Changed {
    user_id: u64,
}

fn main() {}
