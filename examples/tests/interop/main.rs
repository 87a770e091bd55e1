//! Programs in Ruby and in Rust that work together on RabbitMQ: those of `examples/interop`, as the guide *The wire format*
//! shows them.
//!
//! Each test has a virtual host of its own, so that the programs can use the plain names.

#![allow(clippy::unwrap_used, reason = "the helpers of tests unwrap as tests do")]

#[path = "../../../job-core/tests/amqp_node/mod.rs"]
mod amqp_node;
mod crew;
mod guide;
mod host;

use job_core::broker::Outgoing;
use job_core::envelope::Envelope;
use job_core::{Client, Event, JobId, Kind, QueueName};
use serde::Serialize;

use crew::{Crew, MakeReport};
use host::Host;

#[derive(Event, Serialize)]
#[event(topic = "member.profile.updated")]
struct ProfileUpdated {
    member: u64,
    changed: Vec<&'static str>,
}

#[tokio::test(flavor = "multi_thread")]
async fn the_messages_of_a_ruby_program_that_knows_nothing_of_us_run_as_jobs() {
    let host = Host::new("new_task");
    assert_eq!(host.ruby("new_task.rb"), " [x] Sent Hello World\n [x] Sent Hello Rust\n [x] Sent Hello again\n");
    let client = Client::connect(host.url()).await.unwrap();
    let crew = Crew::start(&client, "awesome_task_queue").await;
    // Each of them; one fails at first, and comes back to us alone.
    let expected = ["greeting Hello Rust", "greeting Hello World", "greeting Hello again", "greeting Hello again"];
    crew.log.wait_for(&expected).await;
    crew.stop().await;
    assert_eq!(host.waiting("awesome_task_queue"), 0);
    client.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ruby_program_sends_a_job_by_two_fields() {
    let host = Host::new("produce_job");
    let client = host.deployed().await;
    host.ruby("produce_job.rb");
    let crew = Crew::start(&client, "mail").await;
    crew.log.wait_for(&["welcome 7 Ada"]).await;
    crew.stop().await;
    client.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ruby_program_runs_a_job_that_rust_enqueued() {
    let host = Host::new("consume_job");
    let client = host.deployed().await;
    let id = client.enqueue(MakeReport { month: "2026-10".into() }).await.unwrap();
    // What it cannot read goes to our dead jobs, for whoever looks there.
    client.broker().publish(vec![unreadable(&client)]).await.remove(0).unwrap();
    let program = host.start("consume_job.rb");
    program.wait_for_line(&format!("make_report {id}: the report of 2026-10")).await;
    host.wait_until_waiting("reports.dead", 1).await;
    host.wait_until_waiting("reports", 0).await;
    client.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ruby_program_publishes_an_event_without_a_type() {
    let host = Host::new("publish_event");
    let client = host.deployed().await;
    host.ruby("publish_event.rb");
    let crew = Crew::start(&client, "mirror.copy_profile").await;
    crew.log.wait_for(&["mirror 7"]).await;
    crew.stop().await;
    let crew = Crew::start(&client, "audit.count_change").await;
    crew.log.wait_for(&["audit [\"address\"]"]).await;
    crew.stop().await;
    client.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ruby_program_hears_the_events_of_rust() {
    let host = Host::new("subscribe_events");
    let client = host.deployed().await;
    let program = host.start("subscribe_events.rb");
    program.wait_for_line("listening").await;
    let event = ProfileUpdated { member: 7, changed: vec!["name", "address"] };
    client.publish(event).require_subscriber().await.unwrap();
    program.wait_for_line("member.profile.updated: member 7 changed name, address").await;
    host.wait_until_waiting("search.members", 0).await;
    client.close().await.unwrap();
}

/// A job whose body is no JSON.
fn unreadable(client: &Client) -> Outgoing {
    let now = client.broker().clock().now();
    let kind = Kind::parse("make_report").unwrap();
    let envelope = Envelope::new(JobId::new(now), kind, b"no JSON".to_vec(), now);
    Outgoing::to_queue(QueueName::parse("reports").unwrap(), envelope)
}
