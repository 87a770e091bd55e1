use job_core::Event;
use serde::Serialize;

#[derive(Event, Serialize)]
#[event(topic = "user.{user}.deleted")]
struct Changed {
    user: User,
}

#[derive(Serialize)]
struct User;

fn main() {}
