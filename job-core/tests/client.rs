//! The client: what it sends, what it refuses before sending, and how honestly it answers.

#![allow(clippy::unwrap_used, reason = "the exemption for tests does not reach their helpers")]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use job_core::broker::memory::MemoryBroker;
use job_core::broker::{
    BoxFuture, Broker, Capabilities, Consumer, Inspect, JobState, Leadership, Ledger, Outgoing, Page, Stored, Window,
};
use job_core::clock::{Clock, Timestamp, later};
use job_core::envelope::{Envelope, PAYLOAD_BYTES_MAX_DEFAULT};
use job_core::error::{Error, Result};
use job_core::observation::{Observation, Observers};
use job_core::topology::Topology;
use job_core::{AnyJob, Client, Job, JobId, QueueName};
use serde::{Deserialize, Serialize};

#[derive(Job, Serialize, Deserialize, Debug, PartialEq)]
#[job(queue = "mail", expires = "1h", handler = "nowhere")]
struct Letter {
    to: String,
}

fn letter() -> Letter {
    Letter { to: "ada".into() }
}

fn noon() -> Timestamp {
    "2026-01-01T12:00:00Z".parse().unwrap()
}

/// A broker in memory whose next publishes answer as they are told to.
struct Scripted {
    memory: Arc<MemoryBroker>,
    script: Mutex<VecDeque<Answer>>,
}

#[derive(Clone, Copy)]
enum Answer {
    /// It stores, and the answer gets lost.
    StoredInSecret,
    /// It does not store, and the answer gets lost.
    NotStored,
    Rejected,
}

impl Broker for Scripted {
    fn capabilities(&self) -> Capabilities {
        Capabilities { can_cancel: false, can_find: false, ..self.memory.capabilities() }
    }

    fn clock(&self) -> &Clock {
        self.memory.clock()
    }

    fn declare<'a>(&'a self, topology: &'a Topology) -> BoxFuture<'a, Result<()>> {
        self.memory.declare(topology)
    }

    fn publish(&self, messages: Vec<Outgoing>) -> BoxFuture<'_, Vec<Result<Stored>>> {
        let answer = self.script.lock().unwrap().pop_front();
        Box::pin(async move {
            let lost = || Err(Error::unconfirmed("the connection died"));
            let count = messages.len();
            match answer {
                None => self.memory.publish(messages).await,
                Some(Answer::StoredInSecret) => self.memory.publish(messages).await.iter().map(|_| lost()).collect(),
                Some(Answer::NotStored) => (0..count).map(|_| lost()).collect(),
                Some(Answer::Rejected) => (0..count).map(|_| Err(Error::rejected("the disk is full"))).collect(),
            }
        })
    }

    fn consume<'a>(&'a self, queue: &'a QueueName, window: Window) -> BoxFuture<'a, Result<Box<dyn Consumer>>> {
        self.memory.consume(queue, window)
    }

    fn lead<'a>(&'a self, role: &'a str) -> BoxFuture<'a, Result<Option<Box<dyn Leadership>>>> {
        self.memory.lead(role)
    }

    fn ledger(&self) -> Arc<dyn Ledger> {
        self.memory.ledger()
    }

    fn inspect(&self) -> Option<&dyn Inspect> {
        self.memory.inspect()
    }

    fn close(&self) -> BoxFuture<'_, Result<()>> {
        self.memory.close()
    }
}

struct Scene {
    clock: Clock,
    memory: Arc<MemoryBroker>,
    client: Client,
}

impl Scene {
    fn new() -> Self {
        let clock = Clock::manual(noon());
        let memory = MemoryBroker::new(clock.clone());
        Self { client: Client::new(memory.clone()), clock, memory }
    }

    fn scripted(script: &[Answer]) -> Self {
        let scene = Self::new();
        let script = Mutex::new(script.iter().copied().collect());
        let broker = Arc::new(Scripted { memory: scene.memory.clone(), script });
        Self { client: Client::new(broker).publish_deadline(Duration::from_secs(10)), ..scene }
    }

    async fn stored(&self, queue: &str) -> Vec<Envelope> {
        let queue = QueueName::parse(queue).unwrap();
        self.memory.inspect().unwrap().peek(&queue, Page { offset: 0, limit: 10_000 }).await.unwrap()
    }

    /// Runs a future while time passes.
    async fn passing<T>(&self, future: impl IntoFuture<Output = T>) -> T {
        let passing = async {
            loop {
                self.clock.advance(Duration::from_millis(50));
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            biased;
            output = future.into_future() => output,
            () = passing => unreachable!("time passes for ever"),
        }
    }
}

#[tokio::test]
async fn a_job_is_sent_with_the_options_of_its_type() {
    let scene = Scene::new();
    let id = scene.client.enqueue(letter()).await.unwrap();
    let stored = scene.stored("mail").await;
    let mut expected = Envelope::new(id, job_core::Kind::parse("letter").unwrap(), br#"{"to":"ada"}"#.to_vec(), noon());
    expected.details.expires = Some(later(noon(), Duration::from_secs(3600)));
    assert_eq!(stored, [expected]);
}

#[tokio::test]
async fn each_option_of_the_builder_reaches_the_message() {
    let scene = Scene::new();
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let builder = scene.client.enqueue(letter()).delay(Duration::from_secs(60)).queue("other").id("order 17");
    let builder = builder.header("tenant", "7").header("traceparent", trace).header("tracestate", "a=b");
    let id = builder.max_attempts(3).expires(Duration::from_secs(5)).await.unwrap();
    assert_eq!(id.to_string(), "order 17");
    let [stored] = &scene.stored("other").await[..] else { panic!("one job") };
    assert_eq!(stored.not_before, Some(later(noon(), Duration::from_secs(60))));
    let details = &stored.details;
    assert_eq!((details.max_attempts, details.expires), (Some(3), Some(later(noon(), Duration::from_secs(5)))));
    assert_eq!(details.headers.get("tenant").map(String::as_str), Some("7"));
    assert_eq!(details.trace.unwrap().to_string(), trace);
    assert_eq!(details.trace_state.as_deref(), Some("a=b"));
}

#[tokio::test]
async fn a_job_of_a_type_that_is_known_by_its_kind_alone_goes_where_that_type_says() {
    let scene = Scene::new();
    scene.client.enqueue_raw("letter", r#"{"to":"ada"}"#).await.unwrap();
    let boxed: Box<dyn AnyJob> = Box::new(letter());
    scene.client.enqueue_any(&*boxed).await.unwrap();
    let stored = scene.stored("mail").await;
    assert_eq!(stored.len(), 2);
    assert!(stored.iter().all(|e| e.details.expires.is_some() && e.payload == br#"{"to":"ada"}"#));
    scene.client.enqueue_raw("stranger", "1").await.unwrap();
    assert_eq!(scene.stored("default").await.len(), 1);
}

#[tokio::test]
async fn mistakes_are_refused_before_anything_is_sent() {
    let scene = Scene::new();
    let large = Letter { to: "x".repeat(PAYLOAD_BYTES_MAX_DEFAULT) };
    let wrong = [
        scene.client.enqueue(large),
        scene.client.enqueue(letter()).queue("mail.dead"),
        scene.client.enqueue(letter()).id(""),
        scene.client.enqueue(letter()).header("job-kind", "x"),
        scene.client.enqueue(letter()).header("traceparent", "x"),
        scene.client.enqueue(letter()).max_attempts(0),
        scene.client.enqueue_raw("no kind", "{}"),
        scene.client.enqueue_raw("letter", "{"),
    ];
    for builder in wrong {
        let error = builder.await.unwrap_err();
        assert!(error.is_rejected() && !error.is_unconfirmed() && error.id().is_none(), "{error}");
        assert!(error.resend().await.is_err(), "a mistake stays one");
    }
    assert_eq!(scene.memory.inspect().unwrap().queues().await.unwrap(), []);
}

#[tokio::test]
async fn an_answer_that_got_lost_is_asked_for_again_under_the_same_id() {
    let scene = Scene::scripted(&[Answer::StoredInSecret, Answer::NotStored]);
    let id = scene.passing(scene.client.enqueue(letter())).await.unwrap();
    let stored = scene.stored("mail").await;
    assert_eq!(stored.iter().map(|e| &e.id).collect::<Vec<_>>(), [&id], "it is stored once");
}

#[tokio::test]
async fn what_nobody_knows_is_unconfirmed_and_can_be_sent_again() {
    let scene = Scene::scripted(&[Answer::NotStored; 100]);
    let error = scene.passing(scene.client.enqueue(letter())).await.unwrap_err();
    assert!(error.is_unconfirmed() && !error.is_rejected());
    let id = error.id().unwrap().clone();
    assert_eq!(error.to_string(), format!("job {id} is unconfirmed: the connection died"));
    let certain = Scene::scripted(&[Answer::StoredInSecret]);
    let client = certain.client.clone().publish_deadline(Duration::ZERO);
    let error = client.enqueue(letter()).id("a").await.unwrap_err();
    assert_eq!(error.resend().await.unwrap().to_string(), "a");
    assert_eq!(certain.stored("mail").await.len(), 1, "the second try found the first");
}

#[tokio::test]
async fn a_rejection_is_final_and_not_tried_again() {
    let scene = Scene::scripted(&[Answer::Rejected]);
    let error = scene.client.enqueue(letter()).await.unwrap_err();
    assert!(error.is_rejected());
    assert!(error.to_string().ends_with("is rejected: the disk is full"), "{error}");
    assert_eq!(scene.stored("mail").await.len(), 0);
}

/// A second try that is refused says nothing about the first one, which may have been stored.
#[tokio::test]
async fn a_refused_second_try_leaves_the_first_unconfirmed() {
    let scene = Scene::scripted(&[Answer::StoredInSecret, Answer::Rejected, Answer::Rejected, Answer::NotStored]);
    let client = scene.client.clone().publish_deadline(Duration::from_millis(500));
    let error = scene.passing(client.enqueue(letter())).await.unwrap_err();
    assert!(error.is_unconfirmed(), "{error}");
}

#[tokio::test]
async fn many_jobs_are_answered_one_by_one() {
    let scene = Scene::new();
    let ids = scene.client.enqueue_many((0..3000).map(|n| Letter { to: n.to_string() })).await.unwrap();
    let stored: Vec<JobId> = scene.stored("mail").await.into_iter().map(|e| e.id).collect();
    assert_eq!((stored.len(), &stored), (3000, &ids));
    let jobs = ["ada".to_owned(), "x".repeat(PAYLOAD_BYTES_MAX_DEFAULT), "grace".to_owned()];
    let error = scene.client.enqueue_many(jobs.map(|to| Letter { to })).await.unwrap_err();
    assert!(error.is_rejected() && !error.is_unconfirmed());
    assert!(error.to_string().starts_with("1 of 3 jobs were not confirmed as stored; the first: job rejected"));
    let outcomes: Vec<bool> = error.outcomes().iter().map(std::result::Result::is_ok).collect();
    assert_eq!(outcomes, [true, false, true]);
    assert_eq!(scene.stored("mail").await.len(), 3002);
}

#[tokio::test]
async fn many_jobs_may_each_be_changed() {
    let scene = Scene::new();
    let builder = scene.client.enqueue_many([letter(), letter()]).each(|job| job.delay(Duration::from_secs(9)));
    builder.await.unwrap();
    let due = Some(later(noon(), Duration::from_secs(9)));
    assert!(scene.stored("mail").await.iter().all(|e| e.not_before == due));
}

#[tokio::test]
async fn a_waiting_job_can_be_asked_for_and_cancelled() {
    let scene = Scene::new();
    let ready = scene.client.enqueue(letter()).await.unwrap();
    let delayed = scene.client.enqueue(letter()).delay(Duration::from_secs(9)).await.unwrap();
    assert_eq!(scene.client.state(&ready).await.unwrap(), Some(JobState::Ready));
    let due = later(noon(), Duration::from_secs(9));
    assert_eq!(scene.client.state(&delayed).await.unwrap(), Some(JobState::Delayed(due)));
    for id in [ready, delayed] {
        assert!(scene.client.cancel(&id).await.unwrap());
        assert!(!scene.client.cancel(&id).await.unwrap());
        assert_eq!(scene.client.state(&id).await.unwrap(), None);
    }
    assert_eq!(scene.stored("mail").await, []);
}

#[tokio::test]
async fn a_running_job_is_not_cancelled() {
    let scene = Scene::new();
    let id = scene.client.enqueue(letter()).await.unwrap();
    let mail = QueueName::parse("mail").unwrap();
    scene.memory.declare(&Topology::default().queue(mail.clone())).await.unwrap();
    let mut consumer = scene.memory.consume(&mail, Window::new(1)).await.unwrap();
    let running = consumer.next_many(1).await.unwrap();
    assert_eq!(scene.client.state(&id).await.unwrap(), Some(JobState::Running));
    assert!(!scene.client.cancel(&id).await.unwrap());
    assert_eq!(running.len(), 1);
}

#[tokio::test]
async fn what_a_broker_cannot_do_is_said_so() {
    let scene = Scene::scripted(&[]);
    let id = scene.client.enqueue(letter()).await.unwrap();
    let error = scene.client.cancel(&id).await.unwrap_err();
    assert!(error.is_unsupported());
    assert_eq!(error.to_string(), "the broker \"memory\" cannot cancel a job by its id");
    assert!(scene.client.state(&id).await.unwrap_err().is_unsupported());
}

#[tokio::test]
async fn observers_are_told_of_what_was_stored_and_of_nothing_else() {
    let scene = Scene::scripted(&[Answer::Rejected]);
    let told = Arc::<Mutex<Vec<String>>>::default();
    let ear = Arc::clone(&told);
    let observer = move |observation: &Observation<'_>| {
        if let Observation::Enqueued { queue, kind, id } = observation {
            ear.lock().unwrap().push(format!("{queue} {kind} {id}"));
        }
    };
    let client = scene.client.observers(Observers::default().with(Arc::new(observer)));
    client.enqueue(letter()).await.unwrap_err();
    client.enqueue(letter()).id("a").await.unwrap();
    assert_eq!(*told.lock().unwrap(), ["mail letter a"]);
}

const CANNOT_ENCRYPT: &str = "this version cannot encrypt a connection to RabbitMQ, and \"amqps:\" is never downgraded; use \
                              \"amqp:\" and the port of unencrypted AMQP, in a network that you trust";

const WITHOUT_RABBITMQ: &str =
    "this program was built without RabbitMQ; add the feature \"amqp\" of job-core or job-worker";

#[tokio::test]
async fn urls_name_their_broker_or_say_which_there_are() {
    for (url, expected) in [
        (
            "jobs.db",
            "broker URL \"jobs.db\" has no scheme; use \"sqlite:jobs.db\" for a file, \"amqp://user:password@host/vhost\" \
             for RabbitMQ, or \"memory:\" for a test",
        ),
        ("sqlite:", "broker URL \"sqlite:\" names no file; write \"sqlite:jobs.db\""),
        ("amqps://u:p@h", if cfg!(feature = "amqp") { CANNOT_ENCRYPT } else { WITHOUT_RABBITMQ }),
    ] {
        assert_eq!(Client::connect(url).await.unwrap_err().to_string(), expected);
    }
    assert_eq!(Client::connect("memory:").await.unwrap().broker().capabilities().name, "memory");
}
