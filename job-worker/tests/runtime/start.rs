//! What is wrong with a worker is said when it is built, to the letter, and all at once.

use std::sync::Arc;

use job_core::broker::memory::MemoryBroker;
use job_core::clock::Clock;
use job_core::registry::{Descriptor, Registry, perform_async};
use job_core::{Client, Context, Job, JobError, Perform};
use job_worker::{Worker, WorkerBuilder};
use serde::{Deserialize, Serialize};

use crate::scene::registry;

struct Store;

#[derive(Job, Serialize, Deserialize)]
#[job(queue = "stored", state(Store))]
struct NeedsStore;

impl Perform for NeedsStore {
    async fn perform(self, cx: Context<Self>) -> Result<(), JobError> {
        let Store = cx.state::<Store>();
        Ok(())
    }
}

#[derive(Job, Serialize, Deserialize)]
#[job(queue = "split", handler = "the crate mail-worker")]
struct HandlerMissing;

#[derive(Serialize, Deserialize)]
struct Twin;

#[derive(Serialize, Deserialize)]
struct OtherTwin;

macro_rules! twin {
    ($name:ident) => {
        impl Job for $name {
            const KIND: &'static str = "twin";
        }

        impl Perform for $name {
            async fn perform(self, _cx: Context<Self>) -> Result<(), JobError> {
                Ok(())
            }
        }
    };
}

twin!(Twin);
twin!(OtherTwin);

fn worker() -> WorkerBuilder {
    Worker::builder().client(Client::new(MemoryBroker::new(Clock::system())))
}

fn check(worker: WorkerBuilder, expected: &str) {
    match worker.build() {
        Ok(_) => panic!("this was expected to fail: {expected}"),
        Err(error) => assert_eq!(error.to_string(), expected),
    }
}

#[test]
fn two_types_of_one_kind_are_both_named() {
    static TWIN: Descriptor = Descriptor::of::<Twin>(&[], Some(perform_async::<Twin>), None);
    static OTHER: Descriptor = Descriptor::of::<OtherTwin>(&[], Some(perform_async::<OtherTwin>), None);
    assert_eq!(
        Registry::of([&TWIN, &OTHER]).unwrap_err().to_string(),
        "two job types have the kind \"twin\": runtime::start::OtherTwin and runtime::start::Twin; give one of them \
         another with #[job(name = \"…\")]"
    );
}

#[test]
fn a_program_without_jobs_learns_the_rule_of_the_linker() {
    check(
        worker().registry(Registry::default()),
        "no job types are linked into this program, so it has nothing to run; a worker of your own is a program that \
         depends on job-worker and on the crate of your jobs, with this main.rs:\n\n\
         \x20   use my_jobs as _; // names the crate of the jobs: one that is never named is not linked\n\n\
         \x20   fn main() -> std::process::ExitCode {\n\
         \x20       job_worker::main(async |worker| Ok(worker))\n\
         \x20   }\n",
    );
}

#[test]
fn a_missing_state_is_named_with_job_and_type() {
    check(
        worker().registry(registry(&["needs_store"])),
        "the job \"needs_store\" (runtime::start::NeedsStore) needs the state runtime::start::Store, and this worker was \
         given none; add .state(…) with such a value",
    );
    assert!(worker().registry(registry(&["needs_store"])).state(Store).build().is_ok());
}

#[test]
fn a_missing_handler_is_named_with_the_fix() {
    check(
        worker().registry(registry(&["handler_missing"])),
        "the job \"handler_missing\" (runtime::start::HandlerMissing) has its handler elsewhere (the crate mail-worker), \
         and this worker was given none; add .handle(|job: HandlerMissing, cx| async move { … })",
    );
}

#[test]
fn a_second_handler_is_refused() {
    let worker = worker().registry(registry(&["needs_store"])).state(Store);
    check(
        worker.handle(|_: NeedsStore, _| async { Ok(()) }),
        "the job \"needs_store\" (runtime::start::NeedsStore) has two handlers; remove the worker's handle(…), or say \
         handler = \"…\" in its #[job(…)]",
    );
}

#[test]
fn what_is_missing_for_queues_that_are_not_consumed_does_not_matter() {
    let worker = worker().registry(registry(&["needs_store", "handler_missing"])).state(Store);
    let queues = vec![job_worker::QueueConfig::parse("stored").unwrap()];
    assert!(worker.only_queues(queues).build().is_ok());
}

#[test]
fn all_problems_are_told_at_once() {
    let worker = worker().registry(registry(&["needs_store", "handler_missing"])).concurrency(0).queue("a b");
    let error = worker.build().err().map(|e| e.to_string()).unwrap_or_default();
    assert_eq!(error.lines().count(), 4, "{error}");
}

#[test]
fn a_worker_without_client_says_how_to_give_it_one() {
    let builder = Worker::builder().registry(registry(&["needs_store"]));
    check(builder, "the worker has no client; give it one with .client(Client::connect(\"sqlite:jobs.db\").await?)");
}

#[tokio::test]
async fn the_embedded_worker_leaves_the_connection_to_the_application() {
    let broker: Arc<dyn job_core::broker::Broker> = MemoryBroker::new(Clock::system());
    let client = Client::new(Arc::clone(&broker));
    let worker = Worker::builder().client(client.clone()).registry(registry(&["needs_store"])).state(Store);
    let stopped = worker.exit_when_idle().build().unwrap().run().await.unwrap();
    assert_eq!(stopped.unfinished, 0);
    client.enqueue(NeedsStore).await.unwrap();
}
