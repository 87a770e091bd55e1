//! A RabbitMQ that dies and returns: how soon a worker is at work again, and that nothing was lost meanwhile.
//!
//! Three outages by default; `JOB_TEST_OUTAGES="1 1 20 60" cargo test -p job-worker --all-features --test e2e returns` makes
//! those, each of so many seconds and a start of the node.

use std::time::Duration;

use job_core::clock::Clock;

use crate::amqp_node::Node;
use crate::scene::{Process, Scene, wait};

/// How soon a job completes once there is a broker again; four times as long where other work takes the machine.
const BACK_MAX: Duration = Duration::from_secs(15);

/// From when on a queue outlives its node.
const GROWN: Duration = Duration::from_secs(4);

/// Jobs that are to wait when a node dies: they run for seconds.
const JOBS: usize = 400;
const RUN_MS: u64 = 40;

fn back_max() -> Duration {
    BACK_MAX * if std::env::var_os("CI").is_some() { 4 } else { 1 }
}

fn outages() -> Vec<Duration> {
    let seconds = std::env::var("JOB_TEST_OUTAGES").unwrap_or_else(|_| "1 10 30".to_owned());
    let parse = |number: &str| Duration::from_secs(number.parse().expect("JOB_TEST_OUTAGES holds seconds"));
    seconds.split_whitespace().map(parse).collect()
}

async fn enqueue(scene: &Scene, jobs: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for _ in 0..jobs {
        ids.push(scene.enqueue_work(RUN_MS, 0).await.to_string());
    }
    ids
}

/// Waits until so many jobs have completed; patient for each of them, as all of them take a while.
async fn wait_ended(scene: &Scene, jobs: usize) {
    loop {
        let before = scene.history().ended();
        if before >= jobs {
            return;
        }
        let what = format!("another job completes after {before} of {jobs}");
        scene.wait_history(&what, |history| history.ended() > before).await;
    }
}

async fn stop(worker: Process) {
    worker.signal("TERM");
    assert_eq!(worker.wait().await.code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_is_back_at_work_within_seconds_of_its_brokers_return() {
    let (node, clock, outages) = (Node::single("e2e-return"), Clock::system(), outages());
    let scene = Scene::on_node(&node).await;
    let mut ids = enqueue(&scene, 1).await;
    let worker = scene.start(&["run", "--concurrency", "2"]);
    wait_ended(&scene, ids.len()).await;
    clock.sleep(GROWN).await;
    let mut gaps = Vec::new();
    for outage in &outages {
        ids.extend(enqueue(&scene, JOBS).await);
        let more = scene.history().ended() + 20;
        wait_ended(&scene, more).await;
        node.kill(1);
        clock.sleep(*outage).await;
        let before = scene.history().ended();
        assert!(before < ids.len(), "jobs wait");
        node.bring_back();
        let back = clock.monotonic();
        scene.wait_history("a job completes", |history| history.ended() > before).await;
        gaps.push(clock.monotonic() - back);
    }
    wait_ended(&scene, ids.len()).await;
    // And once more with nothing to do: what comes afterwards finds it ready.
    node.kill(1);
    node.bring_back();
    let back = clock.monotonic();
    ids.extend(enqueue(&scene, 1).await);
    wait_ended(&scene, ids.len()).await;
    gaps.push(clock.monotonic() - back);
    println!("outages of {outages:?} and of an idle worker; the first job completed {gaps:?} after the return");
    assert!(gaps.iter().all(|gap| *gap <= back_max()), "back at work within {:?}: {gaps:?}", back_max());
    stop(worker).await;
    assert_eq!(scene.history().faults(&ids), Vec::<String>::new());
}

/// Which member of a cluster leads a queue.
fn leader(node: &Node, queue: &str) -> usize {
    let listed = node.ctl(1, &["list_queues", "name", "leader"]);
    let row = listed.lines().find_map(|line| line.split_once('\t').filter(|(name, _)| *name == queue));
    let (_, leader) = row.expect("the queue is there");
    (1..=3).find(|member| leader.contains(&format!("jobs{member}@"))).expect("a member of the cluster")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_loses_its_leader_keeps_its_jobs_and_its_workers() {
    let (node, clock) = (Node::cluster("e2e-leader"), Clock::system());
    let scene = Scene::on_node(&node).await;
    let mut ids = enqueue(&scene, 1).await;
    let workers = [scene.start(&["run", "--concurrency", "2"]), scene.start(&["run", "--concurrency", "2"])];
    wait_ended(&scene, ids.len()).await;
    clock.sleep(GROWN).await;
    let victim = leader(&node, "default");
    ids.extend(enqueue(&scene, JOBS).await);
    wait_ended(&scene, 20).await;
    node.kill(victim);
    let (killed, before) = (clock.monotonic(), scene.history().ended());
    // More than run when it dies.
    scene.wait_history("jobs complete", |history| history.ended() > before + 8).await;
    let gap = clock.monotonic() - killed;
    // While it is away, others store as before.
    ids.extend(enqueue(&scene, JOBS / 4).await);
    wait_ended(&scene, ids.len()).await;
    node.bring_back();
    ids.extend(enqueue(&scene, JOBS / 4).await);
    wait_ended(&scene, ids.len()).await;
    println!("8 jobs had completed {gap:?} after the leader of their queue was killed");
    assert!(gap <= back_max(), "back at work within {:?}: {gap:?}", back_max());
    for worker in workers {
        stop(worker).await;
    }
    wait("nothing is left in the queue", || {
        let listed = node.ctl(1, &["list_queues", "name", "messages"]);
        let is_empty = listed.lines().any(|line| line == "default\t0");
        async move { is_empty }
    })
    .await;
    assert_eq!(scene.history().faults(&ids), Vec::<String>::new());
}
