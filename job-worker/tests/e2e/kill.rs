//! Workers that are killed at random moments lose nothing. What they repeat is held against the kills by `scripts/chaos`.

use std::collections::VecDeque;

use crate::scene::{Process, Scene, wait};

const JOBS: usize = 2_000;
const KILLS: usize = 10;

#[tokio::test(flavor = "multi_thread")]
async fn ten_kills_over_two_thousand_jobs_lose_nothing() {
    let scene = Scene::new().await;
    let mut ids = Vec::new();
    for n in 0..JOBS {
        // Every seventh job fails once or twice before it completes.
        let failures = if n % 7 == 0 { 1 + u32::from(n % 2 == 0) } else { 0 };
        ids.push(scene.enqueue_work(fastrand::u64(0..20), failures).await.to_string());
    }
    let mut workers: VecDeque<Process> = (0..2).map(|_| scene.start(&["run", "--concurrency", "8"])).collect();
    for _ in 0..KILLS {
        let until = scene.history().lines() + fastrand::usize(20..200);
        scene.wait_history("the workers get on", |history| history.lines() >= until).await;
        let victim = workers.pop_front().expect("two workers run");
        victim.signal("KILL");
        drop(victim);
        workers.push_back(scene.start(&["run", "--concurrency", "8"]));
    }
    wait("every job has ended", || {
        let ended = scene.history().ended();
        async move { ended == JOBS }
    })
    .await;
    for worker in workers {
        worker.signal("TERM");
        assert_eq!(worker.wait().await.code, Some(0));
    }
    assert_eq!(scene.run_until_idle(&[]).await.code, Some(0));
    let history = scene.history();
    assert_eq!(history.faults(&ids), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_jobs_of_a_killed_worker_come_back_to_another() {
    let scene = Scene::new().await;
    let id = scene.enqueue_work(600_000, 0).await.to_string();
    let victim = scene.start(&["run"]);
    scene.wait_history("the job runs", |history| history.has_started(&id)).await;
    let _heir = scene.start(&["run"]);
    victim.signal("KILL");
    drop(victim);
    scene.wait_history("the job runs again", |history| history.runs() == 2).await;
}
