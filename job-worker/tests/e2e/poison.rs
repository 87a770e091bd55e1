//! A job that ends its process is dead after three runs alone; those that shared the process are not.

use job_core::envelope::DeathReason;
use serde_json::json;

use crate::scene::Scene;

const GOOD: usize = 500;

/// The deaths that a worker may have here: three while the poisons run among others, and three alone for each of them.
const RESTARTS_MAX: usize = 20;

/// The same where each of them may be there several times.
const RESTARTS_OF_COPIES_MAX: usize = 60;

#[tokio::test(flavor = "multi_thread")]
async fn three_poisons_are_dead_and_five_hundred_innocents_done() {
    let scene = Scene::new().await;
    // On RabbitMQ, jobs that come before their queue are moved there, and a death right behind such a move leaves two.
    assert_eq!(scene.run_until_idle(&[]).await.code, Some(0));
    let mut poisons = Vec::new();
    let mut good = Vec::new();
    for n in 0..GOOD {
        if n % 200 == 50 {
            let how = ["abort", "stack", "memory"][n / 200];
            poisons.push(scene.enqueue("poison", json!({ "how": how })).await);
        }
        good.push(scene.enqueue_work(5, 0).await.to_string());
    }
    let is_atomic = scene.client.broker().capabilities().is_then_atomic;
    let deaths = supervise(&scene, if is_atomic { RESTARTS_MAX } else { RESTARTS_OF_COPIES_MAX }).await;
    assert!(deaths >= 6, "each poison ended the worker several times, not {deaths} in all");
    let dead = scene.dead("default").await;
    let mut found: Vec<_> = dead.iter().map(|envelope| &envelope.id).collect();
    found.sort();
    poisons.sort();
    if !is_atomic {
        // A process that dies while it moves a job leaves two of it.
        found.dedup();
    }
    assert_eq!(found, poisons.iter().collect::<Vec<_>>(), "the poisons are dead, and nothing else");
    for envelope in &dead {
        let death = envelope.details.death.as_ref().expect("a reason");
        assert_eq!(
            (death.reason, death.error.as_str()),
            (DeathReason::Poison, "its process died in each of 3 runs alone")
        );
        assert_eq!(envelope.details.crashes, 3);
    }
    let history = scene.history();
    assert_eq!(history.faults_of(&good), Vec::<String>::new());
    assert!(poisons.iter().all(|id| history.attempts(&id.to_string()).iter().all(|attempt| *attempt == 1)));
}

/// Restarts the worker whenever it dies, until nothing is left to do.
async fn supervise(scene: &Scene, restarts_max: usize) -> usize {
    for deaths in 0..restarts_max {
        if scene.run_until_idle(&["--concurrency", "8"]).await.code == Some(0) {
            return deaths;
        }
    }
    panic!("the worker died {restarts_max} times");
}
