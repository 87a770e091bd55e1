//! Two workers share the long jobs of one file: what one holds beyond twice its concurrency goes to the other.

use std::path::Path;
use std::time::{Duration, Instant};

use job_core::broker::{Outgoing, Window};
use job_core::clock::Clock;
use job_core::envelope::Envelope;
use job_core::name::{JobId, Kind, QueueName};
use rusqlite::{Connection, OpenFlags};

use crate::scene::{Scene, patience, wait};

/// Jobs that each worker runs at once.
const CONCURRENCY: usize = 60;

const JOBS: usize = 1_000;

/// How long one may idle while the other holds too much: a job counts as long after 100 ms, and both look around every
/// 35 ms. The rest is for a busy machine; who keeps what it holds keeps it for ten times as long.
const SPELL_MAX: Duration = Duration::from_secs(2);

/// Looks at how many jobs each process holds, running or not.
struct Probe {
    conn: Connection,
    clock: Clock,
    /// Since when one idles while the other holds too much.
    since: Option<Instant>,
    longest: Duration,
    most: usize,
}

impl Probe {
    fn new(database: &Path) -> Self {
        let conn = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("the database");
        conn.busy_timeout(patience()).expect("a limit");
        Self { conn, clock: Clock::system(), since: None, longest: Duration::ZERO, most: 0 }
    }

    /// Takes a look, and returns how many jobs are left.
    fn look(&mut self) -> usize {
        let mut statement = self.conn.prepare_cached("SELECT owner, count(*) FROM jobs GROUP BY owner").expect("SQL");
        let rows = statement.query_map([], |row| Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, i64>(1)?)));
        let loads: Vec<(Option<i64>, i64)> = rows.expect("rows").collect::<Result<_, _>>().expect("numbers");
        let count = |load: &(Option<i64>, i64)| usize::try_from(load.1).expect("a count");
        let held: Vec<usize> = loads.iter().filter(|(owner, _)| owner.is_some()).map(count).collect();
        let left = loads.iter().map(count).sum();
        drop(statement);
        self.note(&held);
        left
    }

    fn note(&mut self, held: &[usize]) {
        let now = self.clock.monotonic();
        let most = held.iter().copied().max().unwrap_or(0);
        // A process that holds nothing stands in no row.
        let least = if held.len() < 2 { 0 } else { held.iter().copied().min().unwrap_or(0) };
        self.most = self.most.max(most);
        let is_unfair = most > 2 * CONCURRENCY && least < CONCURRENCY;
        self.since = is_unfair.then(|| self.since.unwrap_or(now));
        self.longest = self.longest.max(self.since.map_or(Duration::ZERO, |since| now - since));
    }
}

/// Stores long jobs with one commit, so that one worker could take them all.
async fn publish_long_jobs(scene: &Scene, count: usize, milliseconds: u64) -> Vec<String> {
    let now = Clock::system().now();
    let kind = Kind::parse("work").expect("a kind");
    let payload = format!("{{\"milliseconds\":{milliseconds},\"failures\":0}}");
    let envelope = || Envelope::new(JobId::new(now), kind.clone(), payload.clone().into_bytes(), now);
    let messages: Vec<Outgoing> = (0..count).map(|_| Outgoing::to_queue(queue(), envelope())).collect();
    let ids = messages.iter().map(|message| message.envelope.id.to_string()).collect();
    let answers = scene.client.broker().publish(messages).await;
    assert!(answers.iter().all(Result::is_ok));
    ids
}

fn queue() -> QueueName {
    QueueName::parse("default").expect("a queue's name")
}

#[tokio::test(flavor = "multi_thread")]
async fn no_worker_idles_while_another_holds_more_than_twice_what_it_runs() {
    let scene = Scene::on_file().await;
    let concurrency = CONCURRENCY.to_string();
    let run = ["run", "--concurrency", &concurrency];
    let first = scene.start(&run);
    // Short jobs teach the first one to claim far ahead.
    let mut ids = publish_long_jobs(&scene, 3 * JOBS, 0).await;
    scene.wait_history("the short jobs have ended", |history| history.ended() == 3 * JOBS).await;
    let mut probe = Probe::new(&scene.database());
    ids.extend(publish_long_jobs(&scene, JOBS, 1_000).await);
    let second = scene.start(&run);
    wait("all jobs are done", || {
        let left = probe.look();
        async move { left == 0 }
    })
    .await;
    assert!(probe.most > 2 * CONCURRENCY, "nobody ever held more than {}, which shows nothing", probe.most);
    assert!(probe.longest < SPELL_MAX, "one idled for {:?} while the other held too much", probe.longest);
    let history = scene.history();
    assert_eq!(history.faults(&ids), Vec::<String>::new());
    let runs_of = |process: u32| ids.iter().filter(|id| history.process_of(id) == Some(process)).count();
    assert!(runs_of(second.id()) > JOBS / 4, "the second one ran {} of {JOBS}", runs_of(second.id()));
    for worker in [first, second] {
        worker.signal("TERM");
        assert_eq!(worker.wait().await.code, Some(0));
    }
}

/// The probe sees one that idles beside one that keeps what it holds.
#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_keeps_what_it_cannot_run_is_seen() {
    let scene = Scene::on_file().await;
    let worker = scene.start(&["run", "--concurrency", &CONCURRENCY.to_string()]);
    let short = publish_long_jobs(&scene, 1, 0).await;
    scene.wait_history("the worker runs", |history| history.ended() == short.len()).await;
    worker.signal("TSTP");
    worker.wait_log("Quiet").await;
    publish_long_jobs(&scene, 3 * CONCURRENCY, 0).await;
    let window = Window::exact(3 * CONCURRENCY);
    let mut hoarder = scene.client.broker().consume(&queue(), window).await.expect("the queue is declared");
    assert!(hoarder.ready().await.expect("it can claim"));
    worker.signal("CONT");
    let mut probe = Probe::new(&scene.database());
    wait("the probe has seen enough", || {
        probe.look();
        let longest = probe.longest;
        async move { longest >= SPELL_MAX }
    })
    .await;
    hoarder.close().await;
    scene.wait_history("the worker runs them", |history| history.ended() == 1 + 3 * CONCURRENCY).await;
}
