//! Jobs that run one after the other: over memory and over a file, through failures, and without each other's code.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use job_core::broker::sqlite::{SqliteBroker, SqliteOptions};
use job_core::broker::{Outcome, Outgoing, Which};
use job_core::clock::Clock;
use job_core::envelope::{Chained, DeathReason, Envelope, Step};
use job_core::name::Kind;
use job_core::observation::FinishedOutcome::{Completed, Continued, Dead, Retried, Snoozed};
use job_core::{Context, Job, JobError, JobId, Perform, QueueName, chain};
use job_worker::QueueConfig;
use serde::{Deserialize, Serialize};

use crate::scene::Scene;

/// Answers each of these in turn, then completes.
#[derive(Job, Serialize, Deserialize)]
#[job(max_attempts = 2, backoff = "fixed(1ms)")]
struct LinkA {
    answers: Vec<Answer>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
enum Answer {
    Fail,
    Snooze,
    Continue,
}

impl Perform for LinkA {
    async fn perform(self, cx: Context<Self>) -> Result<(), JobError> {
        let turn = cx.attempt() - 1 + cx.envelope().sequence;
        let answer = usize::try_from(turn).ok().and_then(|turn| self.answers.get(turn));
        match answer {
            None => Ok(()),
            Some(Answer::Fail) => Err("not yet".into()),
            Some(Answer::Snooze) => Err(JobError::snooze(Duration::from_millis(1))),
            Some(Answer::Continue) => Err(JobError::continue_with(turn)),
        }
    }
}

/// Fails for ever unless its payload says otherwise.
#[derive(Job, Serialize, Deserialize)]
#[job(queue = "links", max_attempts = 1)]
struct LinkB {
    is_sound: bool,
}

impl Perform for LinkB {
    async fn perform(self, cx: Context<Self>) -> Result<(), JobError> {
        assert_eq!(cx.header("tenant"), Some("7"), "headers are carried on");
        if self.is_sound { Ok(()) } else { Err("out of order".into()) }
    }
}

#[derive(Job, Serialize, Deserialize)]
struct LinkC;

impl Perform for LinkC {
    async fn perform(self, _cx: Context<Self>) -> Result<(), JobError> {
        Ok(())
    }
}

const KINDS: [&str; 3] = ["link_a", "link_b", "link_c"];

fn kinds_and_outcomes(scene: &Scene) -> Vec<(String, job_core::observation::FinishedOutcome)> {
    scene.finished().into_iter().map(|finished| (finished.kind, finished.outcome)).collect()
}

async fn runs_in_order(scene: Scene) {
    let chain = chain![LinkA { answers: vec![Answer::Fail] }, LinkB { is_sound: true }, LinkC];
    let id = scene.client.enqueue_chain(chain).header("tenant", "7").await.unwrap();
    scene.run(scene.worker(&KINDS)).await;
    let expected = [("link_a", Retried), ("link_a", Completed), ("link_b", Completed), ("link_c", Completed)];
    // A follower may be told of before the end of the job that it follows, which is told once it is recorded.
    let mut seen = kinds_and_outcomes(&scene);
    seen.sort_by(|(one, _), (other, _)| one.cmp(other));
    assert_eq!(seen, expected.map(|(kind, outcome)| (kind.to_owned(), outcome)));
    for n in 1..=2 {
        let follower = id.derive(&format!("chain/{n}"));
        assert_eq!(scene.client.state(&follower).await.unwrap(), None, "done");
        assert!(scene.enqueued().contains(&follower), "observed as enqueued");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_runs_in_its_order_in_memory() {
    runs_in_order(Scene::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_runs_in_its_order_over_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jobs.db");
    let broker = SqliteBroker::open(path, SqliteOptions::default(), Clock::system()).await.unwrap();
    runs_in_order(Scene::on(broker)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_back_keeps_what_follows_it() {
    let scene = Scene::new();
    let answers = vec![Answer::Snooze, Answer::Continue, Answer::Fail];
    scene.client.enqueue_chain(chain![LinkA { answers }, LinkC]).await.unwrap();
    scene.run(scene.worker(&KINDS)).await;
    let outcomes: Vec<_> = scene.finished().into_iter().map(|finished| finished.outcome).collect();
    assert_eq!(outcomes, [Snoozed, Continued, Retried, Completed, Completed]);
    assert!(scene.finished().iter().any(|finished| finished.kind == "link_c"), "what followed has run");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_step_holds_the_rest_until_it_is_revived() {
    let scene = Scene::new();
    let chain = chain![LinkA { answers: Vec::new() }, LinkB { is_sound: false }, LinkC];
    let id = scene.client.enqueue_chain(chain).header("tenant", "7").await.unwrap();
    scene.run(scene.worker(&KINDS)).await;
    assert_eq!(scene.finished().last().unwrap().outcome, Dead(DeathReason::Attempts));
    assert_eq!(scene.finished().len(), 2, "the third one is not enqueued");

    let links = QueueName::parse("links").unwrap();
    let dead = scene.dead("links").await.remove(0);
    assert_eq!(dead.id, id.derive("chain/1"));
    assert_eq!(dead.details.chain.as_ref().map(|chained| chained.rest.len()), Some(1));

    // What an operator does: edit the payload, revive, and publish in place of the dead one.
    let mut revived = Envelope { payload: br#"{"is_sound":true}"#.to_vec(), ..dead };
    revived.revive();
    let inspect = scene.broker.inspect().unwrap();
    let taken = inspect.take(&links.dead(), Which::First(1)).await.unwrap().remove(0);
    scene.broker.publish(vec![Outgoing::only(links, revived)]).await.remove(0).unwrap();
    taken.settle.settle(Outcome::Done { then: Vec::new() }).await.unwrap();
    scene.run(scene.worker(&KINDS)).await;
    let outcomes = kinds_and_outcomes(&scene);
    assert_eq!(outcomes[2..], [("link_b".into(), Completed), ("link_c".into(), Completed)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_need_not_know_what_follows() {
    let scene = Scene::new();
    let chain = chain![LinkA { answers: Vec::new() }, LinkB { is_sound: true }];
    let id = scene.client.enqueue_chain(chain).header("tenant", "7").await.unwrap();
    scene.run(scene.worker(&["link_a"])).await;
    let waiting = scene.waiting(&QueueName::parse("links").unwrap()).await;
    assert_eq!((waiting.len(), &waiting[0].id), (1, &id.derive("chain/1")));
    scene.run(scene.worker(&["link_b"]).only_queues(vec![QueueConfig::parse("links").unwrap()])).await;
    assert_eq!(kinds_and_outcomes(&scene), [("link_a".into(), Completed), ("link_b".into(), Completed)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_completes_twice_has_one_follower() {
    let scene = Scene::new();
    let links = QueueName::parse("links").unwrap();
    for _ in 0..2 {
        // The second one stands for the first, given back by a worker that died before it had settled.
        let chain = chain![LinkA { answers: Vec::new() }, LinkB { is_sound: true }];
        scene.client.enqueue_chain(chain).id("order 7").await.unwrap();
        scene.run(scene.worker(&["link_a"])).await;
    }
    assert_eq!(kinds_and_outcomes(&scene), vec![("link_a".to_owned(), Completed); 2]);
    let ids: Vec<JobId> = scene.waiting(&links).await.into_iter().map(|envelope| envelope.id).collect();
    assert_eq!(ids, [JobId::parse("order 7").unwrap().derive("chain/1")]);
}

static UNCHAINED_RUNS: AtomicU32 = AtomicU32::new(0);

#[derive(Job, Serialize, Deserialize)]
struct Unchained;

impl Perform for Unchained {
    async fn perform(self, _cx: Context<Self>) -> Result<(), JobError> {
        UNCHAINED_RUNS.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_chain_cannot_go_on_is_kept_and_not_begun() {
    let scene = Scene::new();
    let now = Clock::system().now();
    let mut envelope = Envelope::new(JobId::new(now), Kind::parse("unchained").unwrap(), b"null".to_vec(), now);
    let queue = QueueName::parse("default").unwrap();
    let (kind, payload) = (Kind::parse("link_c").unwrap(), "no JSON".to_owned());
    let step = Step { kind, queue: queue.clone(), payload, expires: None, max_attempts: None };
    envelope.details.chain = Some(Chained { rest: vec![step], ..Chained::default() });
    let broker = Arc::clone(&scene.broker);
    broker.publish(vec![Outgoing::to_queue(queue, envelope)]).await.remove(0).unwrap();
    scene.run(scene.worker(&["unchained", "link_c"])).await;
    assert_eq!(UNCHAINED_RUNS.load(Ordering::Relaxed), 0);
    let death = scene.dead("default").await[0].details.death.clone().unwrap();
    assert_eq!(death.reason, DeathReason::Undecodable);
    assert!(death.error.starts_with("the payload of \"link_c\" in the chain is not JSON"), "{}", death.error);
}
