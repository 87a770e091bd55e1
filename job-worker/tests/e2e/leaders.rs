//! Schedulers in real time, on a file and on RabbitMQ: one leads, is killed or stopped, and another one goes on.
//!
//! A few kills by default; `JOB_SCHEDULE_KILLS=30 cargo test -p job-worker --all-features --test e2e leader` takes as many
//! as that says.

use std::collections::BTreeMap;
use std::time::Duration;

use job_core::QueueName;
use job_core::broker::Window;
use job_core::clock::{Clock, Timestamp, duration_until, later};
use job_core::topology::Topology;

use crate::scene::{Process, Scene, wait};
use crate::ticks::{Note, leader};

/// How long nobody may lead after a kill; four times as long where other work takes the machine.
const TAKEOVER_MAX: Duration = Duration::from_secs(15);

/// Behind an orderly stop: the next tick comes within a second, and a follower's own next try only after five to ten.
const HANDOVER_MAX: Duration = Duration::from_secs(4);

const KILLS: usize = 3;
const WORKERS: usize = 3;

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_leader_is_followed_in_time_and_no_tick_is_lost_on_a_file() {
    check_kills(Scene::on_file().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_leader_is_followed_in_time_and_no_tick_is_lost_on_rabbitmq() {
    check_kills(Scene::on_rabbitmq().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_stops_is_followed_at_once_on_a_file() {
    check_stops(Scene::on_file().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_stops_is_followed_at_once_on_rabbitmq() {
    check_stops(Scene::on_rabbitmq().await).await;
}

/// Nobody runs the jobs, so that all that were fired are there in the end.
async fn check_kills(scene: Scene) {
    let kills = kills();
    let mut fleet = Fleet::new(&scene).await;
    let mut gaps = Vec::new();
    for _ in 0..kills {
        let victim = fleet.leader(fastrand::usize(1..4)).await;
        let moment = later(Clock::system().now(), Duration::from_millis(fastrand::u64(0..1100)));
        wait("the moment has come", || std::future::ready(Clock::system().now() >= moment)).await;
        let killed = Clock::system().now();
        victim.kill();
        let heir = fleet.fired_after(killed).await;
        gaps.push(duration_until(killed, heir));
        // Not before: a new one tries at once, those who stand by must not need it.
        fleet.hire().await;
    }
    let last = Clock::system().now();
    fleet.fired_after(last).await;
    fleet.end().await;
    let longest = gaps.iter().max().copied().unwrap_or_default();
    println!("{kills} kills; after them nobody led for {gaps:?}, at most {longest:?}");
    let slow = if std::env::var_os("CI").is_some() { 4 } else { 1 };
    assert!(longest <= TAKEOVER_MAX * slow, "nobody led for {longest:?} after a kill");
    let copies = check_ticks(&scene).await;
    println!("{copies} ticks were fired twice");
    let copies_max = if scene.client.broker().capabilities().is_fire_exact { 0 } else { kills };
    assert!(copies <= copies_max, "{kills} kills made {copies} copies, at most {copies_max} may be");
}

async fn check_stops(scene: Scene) {
    let mut fleet = Fleet::new(&scene).await;
    for _ in 0..3 {
        let leader = fleet.leader(2).await;
        // Whoever stands by has looked for the last word by then.
        leader.signal("TERM");
        assert_eq!(leader.wait().await.code, Some(0));
        let stopped = Clock::system().now();
        let gap = duration_until(stopped, fleet.fired_after(stopped).await);
        fleet.hire().await;
        assert!(gap <= HANDOVER_MAX, "nobody led for {gap:?} after an orderly stop");
    }
    fleet.end().await;
    assert_eq!(check_ticks(&scene).await, 0, "an orderly stop repeats no tick");
}

/// Checks that each tick from the first to the last one has its job, and returns how many jobs are copies.
async fn check_ticks(scene: &Scene) -> usize {
    let fired = Note::all(scene).into_iter().filter(|note| note.what == "fired").map(|note| note.tick);
    let ticks: Vec<Timestamp> = fired.map(|tick| tick.parse().expect("an instant")).collect();
    let (first, last) = (*ticks.iter().min().expect("some"), *ticks.iter().max().expect("some"));
    let found = jobs(scene, last).await;
    let mut tick = first;
    while tick <= last {
        assert!(found.contains_key(&tick), "the tick of {tick} has no job; the ticks are {first} to {last}");
        tick += Duration::from_secs(1);
    }
    found.values().map(|count| count - 1).sum()
}

/// Takes all jobs out of the queue, until that of the last tick is among them and no more come.
async fn jobs(scene: &Scene, last: Timestamp) -> BTreeMap<Timestamp, usize> {
    const CALM: Duration = Duration::from_secs(2);
    const WINDOW: usize = 10_000;
    let broker = scene.client.broker();
    let mut consumer = broker.consume(&queue(), Window::new(WINDOW)).await.expect("the queue is there");
    let (mut found, clock) = (BTreeMap::new(), Clock::system());
    // Kept, as each may come once only.
    let mut taken = Vec::new();
    loop {
        let more = clock.timeout(CALM, consumer.next_many(WINDOW)).await;
        let Some(more) = more else {
            if found.contains_key(&last) {
                return found;
            }
            continue;
        };
        for delivery in more.expect("the broker is there") {
            let headers = &delivery.envelope.details.headers;
            let tick: Timestamp = headers["schedule-tick"].parse().expect("an instant");
            *found.entry(tick).or_default() += 1;
            taken.push(delivery);
        }
    }
}

/// Workers that fire ticks and run no jobs.
struct Fleet<'a> {
    scene: &'a Scene,
    members: BTreeMap<u32, Process>,
}

impl<'a> Fleet<'a> {
    async fn new(scene: &'a Scene) -> Self {
        // Workers that run no jobs declare no queue.
        let topology = Topology::default().queue(queue());
        scene.client.broker().declare(&topology).await.expect("it is declared");
        let mut fleet = Self { scene, members: BTreeMap::new() };
        for _ in 0..WORKERS {
            fleet.hire().await;
        }
        fleet
    }

    async fn hire(&mut self) {
        let worker = self.scene.start_as(self.scene.scheduler(&["run", "--only-schedule"]));
        // It could not be stopped in an orderly way before.
        worker.wait_log("Running").await;
        self.members.insert(worker.id(), worker);
    }

    /// Takes the one that leads, once it has fired so many ticks.
    async fn leader(&mut self, ticks: usize) -> Process {
        let mut found = 0;
        wait("somebody leads", || {
            let leader = leader(&Note::all(self.scene));
            let leads = leader.filter(|(id, count)| self.members.contains_key(id) && *count >= ticks);
            found = leads.map_or(0, |(id, _)| id);
            async move { leads.is_some() }
        })
        .await;
        self.members.remove(&found).expect("it was among them")
    }

    /// Waits until a living member has fired a tick after that, and returns when.
    async fn fired_after(&self, after: Timestamp) -> Timestamp {
        let mut found = None;
        wait("somebody else fires", || {
            let is_it =
                |note: &&Note| note.what == "fired" && note.at > after && self.members.contains_key(&note.process);
            found = Note::all(self.scene).iter().find(is_it).map(|note| note.at);
            std::future::ready(found.is_some())
        })
        .await;
        found.expect("it was found")
    }

    async fn end(self) {
        for worker in self.members.values() {
            worker.signal("TERM");
        }
        for worker in self.members.into_values() {
            assert_eq!(worker.wait().await.code, Some(0));
        }
    }
}

fn queue() -> QueueName {
    QueueName::parse("default").expect("a queue's name")
}

fn kills() -> usize {
    match std::env::var("JOB_SCHEDULE_KILLS") {
        Ok(kills) => kills.parse().expect("JOB_SCHEDULE_KILLS is a number of kills"),
        Err(_) => KILLS,
    }
}
