//! Chains as data: what the first job carries, and what follows it.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::broker::memory::MemoryBroker;
use crate::broker::{Broker, Inspect, Outgoing, Page};
use crate::chain::{Chain, follower};
use crate::client::Client;
use crate::clock::{Clock, Timestamp, later};
use crate::envelope::{CHAIN_STEPS_MAX, Chained, Envelope, Step};
use crate::job::Job;
use crate::name::{JobId, QueueName};
use crate::options::JobOptions;
use crate::trace::TraceParent;

#[derive(Serialize, Deserialize)]
struct Charge {
    order: u32,
}

impl Job for Charge {
    const KIND: &'static str = "charge";
}

#[derive(Serialize, Deserialize)]
struct Ship {
    order: u32,
}

impl Job for Ship {
    const KIND: &'static str = "ship";
    const OPTIONS: JobOptions =
        JobOptions { queue: "parcels", expires: Some(Duration::from_secs(60)), ..JobOptions::DEFAULT };
}

fn noon() -> Timestamp {
    "2026-01-01T12:00:00Z".parse().unwrap()
}

fn queue(name: &str) -> QueueName {
    QueueName::parse(name).unwrap()
}

/// Sends a chain, and returns the first job as it is stored.
async fn sent(chain: Chain) -> Result<Envelope, String> {
    let broker = MemoryBroker::new(Clock::manual(noon()));
    let client = Client::new(Arc::clone(&broker) as Arc<dyn Broker>);
    let job = client.enqueue_chain(chain).header("tenant", "7").header("traceparent", TRACE).id("order 7");
    job.await.map_err(|error| error.error().to_string())?;
    let page = Page { offset: 0, limit: 10 };
    Ok(broker.peek(&queue("default"), page).await.unwrap().remove(0))
}

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

#[tokio::test]
async fn the_first_job_is_an_ordinary_one_and_carries_the_rest() {
    let chain = crate::chain![Charge { order: 7 }, Ship { order: 7 }, Charge { order: 8 }];
    let first = sent(chain).await.unwrap();
    assert_eq!((first.kind_str(), first.payload.as_slice()), ("charge", &b"{\"order\":7}"[..]));
    let step = |kind: &str, queue_name: &str, order: u32, expires| Step {
        kind: crate::name::Kind::parse(kind).unwrap(),
        queue: queue(queue_name),
        payload: format!("{{\"order\":{order}}}"),
        expires,
        max_attempts: None,
    };
    let rest = vec![step("ship", "parcels", 7, Some(Duration::from_secs(60))), step("charge", "default", 8, None)];
    assert_eq!(first.details.chain, Some(Chained { first: None, place: 0, rest }));
}

#[tokio::test]
async fn each_follower_continues_the_chain_under_an_id_that_repeats() {
    let options = |step: crate::chain::ChainStep| step.queue("slow").max_attempts(3).expires(Duration::from_secs(5));
    let chain = Chain::new(Charge { order: 7 }).then(Ship { order: 7 }).then_with(Charge { order: 8 }, options);
    let first = sent(chain).await.unwrap();
    let now = later(noon(), Duration::from_secs(10));

    let Outgoing { target, envelope: second, .. } = follower(&first, now).unwrap().unwrap();
    assert_eq!(target, crate::topology::Target::Only(queue("parcels")));
    assert_eq!(second.id, JobId::parse("order 7").unwrap().derive("chain/1"));
    assert_eq!((second.kind_str(), second.enqueued_at, second.attempt), ("ship", now, 1));
    assert_eq!(second.details.expires, Some(later(now, Duration::from_secs(60))));
    assert_eq!(second.details.headers, first.details.headers);
    let trace = |envelope: &Envelope| envelope.details.trace.map(TraceParent::trace_id);
    assert_eq!(trace(&second), trace(&first));
    assert_ne!(second.details.trace, first.details.trace, "a child of the first job's span");
    let again = follower(&first, later(now, Duration::from_secs(9))).unwrap().unwrap().envelope;
    assert_eq!(again.id, second.id);

    let Outgoing { target, envelope: third, .. } = follower(&second, now).unwrap().unwrap();
    assert_eq!(target, crate::topology::Target::Only(queue("slow")));
    assert_eq!(third.id, first.id.derive("chain/2"));
    assert_eq!(
        (third.details.max_attempts, third.details.expires),
        (Some(3), Some(later(now, Duration::from_secs(5))))
    );
    let chained = Chained { first: Some(first.id), place: 2, rest: Vec::new() };
    assert_eq!(third.details.chain.as_ref(), Some(&chained));
    assert_eq!(follower(&third, now).unwrap(), None);
}

#[tokio::test]
async fn a_chain_of_one_job_is_that_job() {
    let first = sent(crate::chain![Charge { order: 7 }]).await.unwrap();
    assert_eq!(first.details.chain, None);
    assert_eq!(follower(&first, noon()).unwrap(), None);
}

#[tokio::test]
async fn a_mistake_in_a_step_is_the_error_of_the_enqueue() {
    let long = (0..=CHAIN_STEPS_MAX).fold(Chain::new(Charge { order: 0 }), |chain, _| chain.then(Charge { order: 0 }));
    let error = sent(long).await.unwrap_err();
    assert_eq!(error, "at most 32 jobs follow in a chain, here 33 do; let its last job enqueue the others");

    let chain = Chain::new(Charge { order: 0 }).then_with(Charge { order: 0 }, |step| step.queue("jobs.x"));
    let error = sent(chain).await.unwrap_err();
    assert_eq!(error, "queue name \"jobs.x\" uses the reserved part \"jobs.\"; choose another name");

    let chain = Chain::new(Charge { order: 0 }).then_with(Charge { order: 0 }, |step| step.max_attempts(0));
    assert_eq!(sent(chain).await.unwrap_err(), "max_attempts is 0; a job has at least 1 attempt");
}

#[tokio::test]
async fn the_clients_limit_of_a_payload_counts_for_each_step() {
    let client = Client::new(MemoryBroker::new(Clock::manual(noon()))).payload_bytes_max(11);
    let chain = crate::chain![Charge { order: 0 }, Charge { order: 10 }];
    let error = client.enqueue_chain(chain).await.unwrap_err().error().to_string();
    assert!(error.starts_with("the payload of \"charge\" has 12 bytes, the limit is 11"), "{error}");
}

#[test]
fn a_step_that_no_client_would_have_sent_has_no_follower() {
    let mut envelope =
        Envelope::new(JobId::new(noon()), crate::name::Kind::parse("charge").unwrap(), Vec::new(), noon());
    let step = Step {
        kind: crate::name::Kind::parse("ship").unwrap(),
        queue: queue("parcels"),
        payload: "no JSON".into(),
        expires: None,
        max_attempts: None,
    };
    envelope.details.chain = Some(Chained { rest: vec![step], ..Chained::default() });
    assert!(follower(&envelope, noon()).unwrap_err().is_invalid());
}
