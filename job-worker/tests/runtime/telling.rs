//! How ends are told: where the run was, if the broker has settled it by then, and in one line otherwise.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use job_core::broker::sqlite::{SqliteBroker, SqliteOptions};
use job_core::clock::Clock;
use job_core::observation::Observation;
use job_core::{Context, Job, JobError, JobId, Perform};
use serde::{Deserialize, Serialize};

use crate::scene::Scene;

#[derive(Job, Serialize, Deserialize)]
struct Brief;

impl Perform for Brief {
    async fn perform(self, _cx: Context<Self>) -> Result<(), JobError> {
        Ok(())
    }
}

/// A task a job would cost more than the job.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_settled_at_once_is_told_of_where_it_ran_and_quick_ones_run_where_they_were_taken() {
    const JOBS: usize = 2_000;
    let scene = Scene::new();
    let tasks: Arc<Mutex<HashMap<JobId, Vec<tokio::task::Id>>>> = Arc::default();
    let seen = Arc::clone(&tasks);
    let observer = move |observation: &Observation<'_>| {
        if let Observation::Started { run, .. } | Observation::Finished { run, .. } = observation {
            seen.lock().unwrap().entry(run.id.clone()).or_default().push(tokio::task::id());
        }
    };
    scene.client.enqueue_many((0..JOBS).map(|_| Brief)).await.unwrap();
    scene.run(scene.worker(&["brief"]).observer(Arc::new(observer))).await;
    let tasks = tasks.lock().unwrap();
    assert_eq!(tasks.len(), JOBS);
    assert!(tasks.values().all(|tasks| matches!(tasks[..], [start, end] if start == end)));
    // How many depends on the machine: after each pause of it some look slow.
    let distinct: HashSet<tokio::task::Id> = tasks.values().map(|tasks| tasks[0]).collect();
    assert!(distinct.len() < JOBS, "each job had a task of its own");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_observer_that_panics_keeps_nobody_from_hearing_of_the_others() {
    const JOBS: usize = 20;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jobs.db");
    let scene = Scene::on(SqliteBroker::open(path, SqliteOptions::default(), Clock::system()).await.unwrap());
    let (has_panicked, told) = (AtomicBool::new(false), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&told);
    let observer = move |observation: &Observation<'_>| {
        if let Observation::Finished { .. } = observation {
            assert!(has_panicked.swap(true, Ordering::Relaxed), "an observer that is broken once");
            count.fetch_add(1, Ordering::Relaxed);
        }
    };
    scene.client.enqueue_many((0..JOBS).map(|_| Brief)).await.unwrap();
    scene.run(scene.worker(&["brief"]).observer(Arc::new(observer))).await;
    assert_eq!(told.load(Ordering::Relaxed), JOBS - 1);
}
