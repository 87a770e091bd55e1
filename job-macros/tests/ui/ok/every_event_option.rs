//! Every option of an event, and every shape that it may have.
use job_core::Event;
use serde::Serialize;

#[derive(Event, Serialize)]
#[event(topic = "member.{member}.{type}", name = "profile.updated", crate = ::job_core)]
struct Borrowed<'a> {
    member: u64,
    #[event(header)]
    r#type: &'a str,
    #[event(header = "content-kind")]
    kind: char,
}

#[derive(Event, Serialize)]
#[event(direct = "pdf-{0}")]
struct Tuple(u8, #[event(header = "format")] String);

#[derive(Event, Serialize)]
#[event(fanout = "prices")]
struct Unit;

#[derive(Event, Serialize)]
#[event(exchange = "legacy", headers)]
struct Foreign<T: std::fmt::Display + Serialize> {
    #[event(header)]
    format: T,
}

#[derive(Event, Serialize)]
#[event(exchange = "amq.fanout", fanout)]
struct ForeignFanout;

fn main() {}
