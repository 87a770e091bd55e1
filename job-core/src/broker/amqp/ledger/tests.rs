//! The ledger on a node: what counts outlives the cap, a lost connection and a deleted stream.

use serde_json::json;

use super::*;
use crate::broker::amqp::link::Purpose;
use crate::broker::amqp::node;
use crate::broker::amqp::runtime::Runtime;
use crate::broker::amqp::scene::{LIMIT, namespace, within};
use crate::broker::amqp::url::AmqpUrl;

/// As small as segments may be, so that it is full soon.
const SMALL: Size =
    Size { bytes_max: 128 * 1024, segment_bytes: 16 * 1024, snapshot_bytes: 16 * 1024, entry_bytes_max: 4 * 1024 };

struct Process {
    log: Arc<Log>,
    link: Arc<Link>,
    _runtime: Runtime,
}

impl Process {
    fn open(namespace: &str, size: Size) -> Self {
        let (runtime, clock) = (Runtime::start().unwrap(), Clock::system());
        let url = Arc::new(AmqpUrl::parse(&format!("{}?namespace={namespace}", node::url())).unwrap());
        let link = Link::open(Purpose::Admin, url, runtime.handle().clone(), clock.clone());
        let names = Arc::new(Names::new(Some(namespace)));
        let log = Log::new(Arc::clone(&link), names, size, runtime.handle().clone(), clock);
        Self { log, link, _runtime: runtime }
    }

    async fn append(&self, key: &str, version: u64, value: Value) {
        self.log.ledger().append(entry(key, version, value)).await.unwrap();
    }

    async fn read(&self) -> Vec<Entry> {
        self.log.ledger().read().await.unwrap()
    }

    async fn value(&self, key: &str) -> Option<Value> {
        self.read().await.into_iter().find(|entry| entry.key == key).map(|entry| entry.value)
    }

    async fn close(self) {
        self.log.close();
        self.link.close().await;
    }
}

fn entry(key: &str, version: u64, value: Value) -> Entry {
    Entry { key: key.into(), version, value }
}

#[tokio::test]
async fn every_process_reads_what_any_process_appended_before() {
    let namespace = namespace();
    let (one, two) = (Process::open(&namespace, SMALL), Process::open(&namespace, SMALL));
    within("reading and writing in turn", async {
        for version in (10..=300).step_by(10) {
            one.append("a", version, json!("one")).await;
            assert_eq!(two.read().await, [entry("a", version, json!("one"))]);
            two.append("a", version + 1, json!("two")).await;
            assert_eq!(one.read().await, [entry("a", version + 1, json!("two"))]);
            one.append("a", version + 2, Value::Null).await;
            assert!(two.read().await.is_empty());
            one.append("a", version + 2, json!("equal")).await;
            assert!(two.read().await.is_empty());
        }
        let late = Process::open(&namespace, SMALL);
        late.append("b", 1, json!(1)).await;
        assert_eq!(late.read().await, [entry("b", 1, json!(1))], "a new process reads all of it");
    })
    .await;
}

#[tokio::test]
async fn an_empty_ledger_is_read_as_empty() {
    let process = Process::open(&namespace(), SMALL);
    assert!(within("read", process.read()).await.is_empty());
    assert!(within("read again", process.read()).await.is_empty());
}

/// Appends ten times the cap of one setting that changes, a part by each process.
async fn fill(processes: &[&Process], mut append: impl AsyncFnMut(&Process, Entry)) {
    const ENTRY_BYTES: usize = 2000;
    let value = "v".repeat(ENTRY_BYTES);
    let count = 10 * usize::try_from(SMALL.bytes_max).unwrap() / ENTRY_BYTES;
    for number in 0..count {
        let process = processes[number % processes.len()];
        append(process, entry("noise", u64::try_from(number).unwrap() + 1, json!(value))).await;
    }
}

#[tokio::test]
async fn a_setting_outlives_ten_times_the_cap_while_two_write_snapshots_at_once() {
    let namespace = namespace();
    let (one, two) = (Process::open(&namespace, SMALL), Process::open(&namespace, SMALL));
    one.append("kept", 7, json!("since long ago")).await;
    one.append("removed", 7, json!(1)).await;
    one.append("removed", 8, Value::Null).await;
    one.log.note("queue/mail", 1, json!(true)).await.unwrap();
    within("ten times the cap", async {
        one.read().await;
        two.read().await;
        fill(&[&one, &two], async |process, noise| {
            process.log.ledger().append(noise).await.unwrap();
            let (first, second) = tokio::join!(one.log.write_snapshot_when_due(), two.log.write_snapshot_when_due());
            first.and(second).unwrap();
        })
        .await;
        let late = Process::open(&namespace, SMALL);
        late.append("removed", 7, json!("late")).await;
        assert_eq!(late.value("kept").await, Some(json!("since long ago")));
        assert_eq!(late.value("removed").await, None);
        assert_eq!(late.log.noted("queue/"), [entry("mail", 1, json!(true))]);
        let kept = late.read().await.into_iter().find(|entry| entry.key == "kept");
        assert_eq!(kept.map(|entry| entry.version), Some(7), "a snapshot keeps the version");
    })
    .await;
}

#[tokio::test]
async fn without_a_leader_those_who_append_write_the_snapshots() {
    let namespace = namespace();
    let one = Process::open(&namespace, SMALL);
    one.append("kept", 7, json!("since long ago")).await;
    within("ten times the cap", async {
        fill(&[&one], async |process, noise| process.log.ledger().append(noise).await.unwrap()).await;
        assert_eq!(Process::open(&namespace, SMALL).value("kept").await, Some(json!("since long ago")));
    })
    .await;
}

#[tokio::test]
async fn without_snapshots_the_setting_is_lost_so_the_cap_is_real() {
    let namespace = namespace();
    let one = Process::open(&namespace, SMALL);
    one.append("kept", 7, json!("since long ago")).await;
    within("ten times the cap", async {
        fill(&[&one], async |process, noise| {
            process.log.writer.send(&Packet::Entries(vec![noise]), LIMIT).await.unwrap();
        })
        .await;
        let late = Process::open(&namespace, SMALL);
        assert_eq!(late.value("kept").await, None);
        assert!(late.value("noise").await.is_some());
    })
    .await;
}

#[tokio::test]
async fn a_lost_connection_or_stream_is_followed_by_another() {
    let process = Process::open(&namespace(), SMALL);
    process.append("a", 1, json!(1)).await;
    within("going on", async {
        assert_eq!(process.value("a").await, Some(json!(1)));
        let ledger = process.log.ledger();
        ledger.read().await.unwrap();
        process.link.session(LIMIT).await.unwrap().condemn();
        process.append("a", 2, json!(2)).await;
        ledger.changed().await.unwrap();
        assert_eq!(process.value("a").await, Some(json!(2)));
        let session = process.link.session(LIMIT).await.unwrap();
        let channel = session.channel().await.unwrap();
        let options = lapin::options::QueueDeleteOptions::default();
        channel.queue_delete(process.log.names.ledger().into(), options).await.unwrap();
        ledger.read().await.unwrap();
        process.append("a", 3, json!(3)).await;
        ledger.changed().await.unwrap();
        assert_eq!(process.value("a").await, Some(json!(3)));
    })
    .await;
}

#[tokio::test]
async fn a_closed_ledger_says_so_to_those_who_wait() {
    let process = Process::open(&namespace(), SMALL);
    within("closing", async {
        let ledger = process.log.ledger();
        ledger.read().await.unwrap();
        let changed = ledger.changed();
        process.close().await;
        assert_eq!(changed.await.unwrap_err().to_string(), link::closed().to_string());
        assert!(ledger.read().await.unwrap_err().is_unavailable());
        assert!(ledger.append(entry("a", 1, json!(1))).await.unwrap_err().is_unavailable());
    })
    .await;
}

#[tokio::test]
async fn what_would_burst_the_ledger_is_refused() {
    let process = Process::open(&namespace(), SMALL);
    let ledger = process.log.ledger();
    within("refusing", async {
        let error = ledger.append(entry("a", 1, json!("v".repeat(5000)))).await.unwrap_err();
        assert!(error.is_invalid() && error.to_string().contains("at most 4096"), "{error}");
        assert!(ledger.append(entry("broker/queue/x", 1, json!(1))).await.unwrap_err().is_invalid());
        let mut number = 0;
        let error = loop {
            number += 1;
            if let Err(error) = ledger.append(entry(&format!("key {number}"), 1, json!("v".repeat(3000)))).await {
                break error;
            }
            ledger.read().await.unwrap();
        };
        assert!(error.is_invalid() && error.to_string().contains("takes no new key beyond 32768"), "{error}");
        // What is there can be changed, and removed.
        process.append("key 1", 2, Value::Null).await;
        assert_eq!(ledger.read().await.unwrap().len(), number - 2);
    })
    .await;
}

/// RabbitMQ ends the connection of one who uses a stream that another one declares at the same time.
#[tokio::test]
async fn those_who_begin_at_once_all_get_there() {
    within("all of them", async {
        for _ in 0..5 {
            let namespace = namespace();
            let processes: Vec<Process> = (0..8).map(|_| Process::open(&namespace, SMALL)).collect();
            let begin = processes.iter().enumerate().map(|(number, process)| async move {
                process.append(&number.to_string(), 1, json!(number)).await;
                process.read().await;
            });
            futures_util::future::join_all(begin).await;
            assert_eq!(processes[0].read().await.len(), processes.len());
        }
    })
    .await;
}
