//! Publishing events: who gets them, what is answered, and what is refused before anything is sent.

#![allow(clippy::unwrap_used, reason = "the exemption for tests does not reach their helpers")]

use std::sync::Arc;

use job_core::broker::memory::MemoryBroker;
use job_core::broker::{Broker, Inspect, Page};
use job_core::clock::Clock;
use job_core::envelope::Envelope;
use job_core::options::JobOptions;
use job_core::registry::{Descriptor, Registry};
use job_core::subscription::{Source, Subscription};
use job_core::topology::{Pattern, Topology};
use job_core::{Client, Event, Job, JobId, QueueName};
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize)]
#[event(topic = "member.{id}.updated")]
struct Updated {
    id: String,
    #[event(header)]
    tenant: String,
}

fn updated(id: &str) -> Updated {
    Updated { id: id.into(), tenant: "x".into() }
}

async fn bound(queues: &[&str]) -> (Arc<MemoryBroker>, Client) {
    let broker = MemoryBroker::new(Clock::manual("2026-01-01T12:00:00Z".parse().unwrap()));
    let bind = |topology: Topology, name: &&str| {
        topology.bind(QueueName::parse(name).unwrap(), Pattern::Topic("member.*.updated".into()))
    };
    broker.declare(&queues.iter().fold(Topology::default(), bind)).await.unwrap();
    (Arc::clone(&broker), Client::new(broker))
}

async fn waiting(broker: &MemoryBroker, queue: &str) -> Vec<Envelope> {
    broker.peek(&QueueName::parse(queue).unwrap(), Page { offset: 0, limit: 100 }).await.unwrap()
}

#[tokio::test]
async fn each_bound_queue_gets_the_event_whole() {
    let (broker, client) = bound(&["mirror", "cache"]).await;
    let published = client.publish(updated("7")).header("traceparent", TRACE).header("by", "ada").await.unwrap();
    assert_eq!(published.copies, Some(2));
    let mirror = waiting(&broker, "mirror").await;
    assert_eq!(mirror, waiting(&broker, "cache").await);
    let [envelope] = mirror.as_slice() else { panic!("one copy: {mirror:?}") };
    assert_eq!((&envelope.id, envelope.kind_str()), (&published.id, "updated"));
    assert_eq!(envelope.payload, br#"{"id":"7","tenant":"x"}"#);
    assert_eq!(envelope.details.headers, [("by", "ada"), ("tenant", "x")].map(|(k, v)| (k.into(), v.into())).into());
    assert_eq!(envelope.details.trace.unwrap().to_string(), TRACE);
}

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

#[tokio::test]
async fn an_unheard_event_is_gone_unless_a_subscriber_is_required() {
    let (_broker, client) = bound(&[]).await;
    assert_eq!(client.publish(updated("7")).await.unwrap().copies, Some(0));
    let error = client.publish(updated("7")).id("mine").require_subscriber().await.unwrap_err();
    assert!(error.is_unheard() && error.is_rejected() && !error.is_unconfirmed());
    assert_eq!(
        error.to_string(),
        "event mine is unheard: no queue is bound that takes the event \"updated\"; nothing was stored"
    );
    assert_eq!(error.resend().await.unwrap_err().id(), Some(&JobId::parse("mine").unwrap()));
}

#[tokio::test]
async fn one_id_is_one_copy_in_each_queue() {
    let (broker, client) = bound(&["mirror"]).await;
    assert_eq!(client.publish(updated("7")).id("mine").await.unwrap().copies, Some(1));
    assert_eq!(client.publish(updated("7")).id("mine").require_subscriber().await.unwrap().copies, Some(0));
    assert_eq!(waiting(&broker, "mirror").await.len(), 1);
}

#[tokio::test]
async fn a_mistake_is_told_before_anything_is_sent() {
    let (broker, client) = bound(&["mirror"]).await;
    let check = async |error: job_core::PublishError, expected: &str| {
        assert!(error.is_rejected() && error.id().is_none(), "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    };
    check(client.publish(updated("a.b")).await.unwrap_err(), "the field `id`").await;
    check(client.publish(updated(&"x".repeat(250))).await.unwrap_err(), "at most 255 bytes").await;
    check(client.publish(updated("7")).header("x-death", "").await.unwrap_err(), "reserved").await;
    let small = client.clone().payload_bytes_max(10);
    check(small.publish(updated("7")).await.unwrap_err(), "the limit is 10").await;
    assert_eq!(waiting(&broker, "mirror").await, []);
}

#[tokio::test]
async fn many_events_have_an_outcome_each() {
    let (broker, client) = bound(&["mirror"]).await;
    let ids: Vec<String> = (0..2000).map(|n| n.to_string()).collect();
    let published = client.publish_many(ids.iter().map(|id| updated(id))).await.unwrap();
    assert!(published.iter().all(|p| p.copies == Some(1)));
    let stored: Vec<JobId> = broker
        .peek(&QueueName::parse("mirror").unwrap(), Page { offset: 0, limit: 9999 })
        .await
        .unwrap()
        .into_iter()
        .map(|e| e.id)
        .collect();
    assert_eq!(stored, published.into_iter().map(|p| p.id).collect::<Vec<_>>());

    let many = client.publish_many([updated("1"), updated(""), updated("3")]);
    let error = many.each(|event| event.require_subscriber()).await.unwrap_err();
    assert!(error.is_rejected() && !error.is_unconfirmed());
    let outcomes: Vec<bool> = error.outcomes().iter().map(Result::is_ok).collect();
    assert_eq!(outcomes, [true, false, true]);
}

#[tokio::test]
async fn events_of_a_job_repeat_their_ids_with_it() {
    let (broker, client) = bound(&["mirror"]).await;
    let parent = client.publish(updated("7")).await.unwrap();
    let parent = waiting(&broker, "mirror").await.into_iter().find(|e| e.id == parent.id).unwrap();
    let mut ids = Vec::new();
    for _ in 0..2 {
        ids.push(client.child_of(&parent).publish(updated("8")).await.unwrap().id);
    }
    assert_eq!(ids[0], ids[1]);
    assert_eq!(waiting(&broker, "mirror").await.len(), 2);
}

#[derive(Job, Serialize, Deserialize)]
#[job(on(topic = "member.#"), group = "shop", handler = "elsewhere")]
struct Mirror {}

#[derive(Job, Serialize, Deserialize)]
#[job(on(topic = "member.#"), group = "shop", ephemeral, handler = "elsewhere")]
struct Invalidate {}

#[tokio::test]
async fn a_subscription_can_be_given_a_job_by_hand_and_an_ephemeral_one_cannot() {
    let client = Client::connect("memory:").await.unwrap();
    let id = client.enqueue(Mirror {}).await.unwrap();
    let inspect = client.broker().inspect().unwrap();
    assert_eq!(inspect.find(&id).await.unwrap().unwrap().queue.as_str(), "shop.mirror");
    let error = client.enqueue(Invalidate {}).await.unwrap_err();
    assert!(error.is_rejected() && error.to_string().contains("publish an event"), "{error}");
}

#[derive(Serialize, Deserialize)]
struct Groupless;

#[derive(Serialize, Deserialize)]
struct Neighbour;

impl Job for Groupless {
    const KIND: &'static str = "groupless";
    const OPTIONS: JobOptions = JobOptions {
        subscription: Some(Subscription { group: None, sources: &[Source::Topic("#")], is_ephemeral: false }),
        ..JobOptions::DEFAULT
    };
}

impl Job for Neighbour {
    const KIND: &'static str = "neighbour";
    const OPTIONS: JobOptions = JobOptions { queue: "shop.mirror", ..JobOptions::DEFAULT };
}

#[test]
fn a_subscription_without_a_group_is_an_error_at_start() {
    static GROUPLESS: Descriptor = Descriptor::of::<Groupless>(&[], None, None);
    assert_eq!(
        Registry::of([&GROUPLESS]).unwrap_err().to_string(),
        "the subscription \"groupless\" (events::Groupless): it has no group; say group = \"…\" in its #[job(…)], or \
         job_core::application!(\"…\") once in the program"
    );
}

#[test]
fn a_subscription_s_queue_is_nobody_else_s() {
    static MIRROR: Descriptor = Descriptor::of::<Mirror>(&[], None, None);
    static NEIGHBOUR: Descriptor = Descriptor::of::<Neighbour>(&[], None, None);
    assert_eq!(
        Registry::of([&MIRROR, &NEIGHBOUR]).unwrap_err().to_string(),
        "the queue \"shop.mirror\" is that of the subscription \"mirror\" (events::Mirror), and \"neighbour\" \
         (events::Neighbour) has it too; give one of them another group, name or queue"
    );
}

#[allow(dead_code, reason = "the types of the errors are part of what tests check")]
fn assert_traits() {
    fn is_error<E: std::error::Error + Send + Sync>() {}
    is_error::<job_core::PublishError>();
    is_error::<job_core::PublishManyError>();
}
