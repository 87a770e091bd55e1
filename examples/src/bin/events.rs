//! One profile changes, and three services hear of it: a mirror, a cache and a search index, which know nothing of each
//! other, nor does the profile's owner know of them. One that is down misses nothing.
//!
//! The event says *what* changed and not the new data: whoever needs that asks the owner, and so has the latest, however
//! old the event is, and however often or in which order events come.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use job_core::{Client, Context, Event, Job, JobError, Perform};
use job_worker::{QueueConfig, Worker, apply_topology};
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize)]
#[event(topic = "member.profile.updated")]
struct ProfileUpdated {
    member: u64,
    changed: Vec<&'static str>,
}

/// What the owner of the profiles answers when it is asked.
#[derive(Clone, Default)]
struct Profiles(Arc<Mutex<BTreeMap<u64, String>>>);

impl Profiles {
    fn set(&self, member: u64, name: &str) {
        self.0.lock().expect("no run panics").insert(member, name.into());
    }

    fn name(&self, member: u64) -> Result<String, JobError> {
        let name = self.0.lock().expect("no run panics").get(&member).cloned();
        name.ok_or_else(|| JobError::discard("the member has left"))
    }
}

/// What each service has in the end; in life, each would have a store of its own.
#[derive(Clone, Default)]
struct Services(Arc<Mutex<BTreeMap<&'static str, String>>>);

impl Services {
    fn set(&self, service: &'static str, value: String) {
        println!("{service}: {value}");
        self.0.lock().expect("no run panics").insert(service, value);
    }

    fn get(&self, service: &str) -> Option<String> {
        self.0.lock().expect("no run panics").get(service).cloned()
    }
}

/// The group says whose subscription it is: here, three services in one program.
#[derive(Job, Serialize, Deserialize)]
#[job(on(topic = "member.profile.updated"), group = "mirror", state(Profiles, Services))]
struct CopyProfile {
    member: u64,
}

impl Perform for CopyProfile {
    async fn perform(self, cx: Context<Self>) -> Result<(), JobError> {
        let name = cx.state::<Profiles>().name(self.member)?;
        cx.state::<Services>().set("mirror", name);
        Ok(())
    }
}

#[derive(Job, Serialize, Deserialize)]
#[job(on(topic = "member.*.updated"), on(topic = "member.*.left"), group = "cache", state(Services))]
struct DropFromCache {
    member: u64,
}

impl Perform for DropFromCache {
    async fn perform(self, cx: Context<Self>) -> Result<(), JobError> {
        cx.state::<Services>().set("cache", format!("dropped {}", self.member));
        Ok(())
    }
}

#[derive(Job, Serialize, Deserialize)]
#[job(on(topic = "member.#"), group = "search", state(Profiles, Services))]
struct Reindex {
    member: u64,
    changed: Vec<String>,
}

impl Perform for Reindex {
    async fn perform(self, cx: Context<Self>) -> Result<(), JobError> {
        if self.changed.iter().any(|field| field == "name") {
            let name = cx.state::<Profiles>().name(self.member)?;
            cx.state::<Services>().set("search", name);
        }
        Ok(())
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    // A file, or RabbitMQ: `JOB_BROKER=amqp://localhost`.
    let url = std::env::var("JOB_BROKER").unwrap_or(format!("sqlite:{}/jobs.db", folder.path().display()));
    let client = Client::connect(&url).await?;
    let (profiles, services) = (Profiles::default(), Services::default());

    // At deploy time, before anything is published: `my-worker topology apply` does this.
    apply_topology(&client).await?;

    profiles.set(7, "Ada Byron");
    let event = ProfileUpdated { member: 7, changed: vec!["name"] };
    let published = client.publish(event).require_subscriber().await?;
    assert!(published.copies.is_none_or(|copies| copies == 3), "one for each service, where the broker can tell");

    // The search index is down.
    work(&client, &profiles, &services, &["mirror.copy_profile", "cache.drop_from_cache"]).await?;
    assert_eq!(services.get("mirror").as_deref(), Some("Ada Byron"));
    assert_eq!(services.get("cache").as_deref(), Some("dropped 7"));
    assert_eq!(services.get("search"), None);

    // The profile changes again while it is down; it comes back, and has the latest.
    profiles.set(7, "Ada Lovelace");
    client.publish(ProfileUpdated { member: 7, changed: vec!["name", "address"] }).await?;
    let all = ["mirror.copy_profile", "cache.drop_from_cache", "search.reindex"];
    work(&client, &profiles, &services, &all).await?;
    assert_eq!(services.get("search").as_deref(), Some("Ada Lovelace"));
    assert_eq!(services.get("mirror").as_deref(), Some("Ada Lovelace"));
    client.close().await?;
    Ok(())
}

/// Runs the services of these queues until they have nothing to do; usually, each is a process of its own.
async fn work(client: &Client, profiles: &Profiles, services: &Services, queues: &[&str]) -> anyhow::Result<()> {
    let queues = queues.iter().map(|queue| QueueConfig::parse(queue)).collect::<Result<Vec<_>, _>>()?;
    let worker = Worker::builder().client(client.clone()).state(profiles.clone()).state(services.clone());
    worker.only_queues(queues).exit_when_idle().build()?.run().await?;
    Ok(())
}
