//! Stores jobs: one by one, by a thread that commits for many callers, and a thousand a commit.

use std::iter::StepBy;
use std::ops::Range;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use rusqlite::{Connection, ToSql, params};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use crate::job::Noop;
use crate::sqlite::table::{INSERT, INSERT_COPY, open};

/// Jobs of one commit.
const BATCH: usize = 1000;

/// How long a commit waits for a caller that is about to come back.
const COMPANY: Duration = Duration::from_micros(200);

type Request = (Vec<u8>, oneshot::Sender<()>);

pub(super) fn one_by_one(path: &Path, jobs: usize) {
    let conn = open(path, "FULL");
    let mut insert = conn.prepare(INSERT).expect("sound SQL");
    for account in 0..jobs {
        insert.execute(params!["noop", Noop::new(account).to_json()]).expect("it is stored");
    }
}

pub(super) fn many(path: &Path, jobs: usize) {
    let mut conn = open(path, "FULL");
    for begin in (0..jobs).step_by(BATCH) {
        insert_all(&mut conn, (begin..jobs.min(begin + BATCH)).map(|account| Noop::new(account).to_json()));
    }
}

/// Stores a copy of each event in each queue; the copies of an event are in one commit.
pub(super) fn publish(path: &Path, events: usize, queues: &[String]) {
    let mut conn = open(path, "FULL");
    for begin in (0..events).step_by(BATCH) {
        let transaction = conn.transaction().expect("it begins");
        {
            let mut insert = transaction.prepare_cached(INSERT_COPY).expect("sound SQL");
            for account in begin..events.min(begin + BATCH) {
                let payload = Noop::new(account).to_json();
                for queue in queues {
                    insert.execute(params!["noop", payload, queue]).expect("it is stored");
                }
            }
        }
        transaction.commit().expect("it is on the disk");
    }
}

pub(super) fn for_callers(path: &Path, jobs: usize, callers: usize) {
    let (sender, requests) = channel();
    let conn = open(path, "FULL");
    let writer = std::thread::spawn(move || commit_groups(conn, &requests, callers));
    let runtime = Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let call = |caller: usize| tokio::spawn(call(sender.clone(), (caller..jobs).step_by(callers)));
        let tasks: Vec<_> = (0..callers).map(call).collect();
        for task in tasks {
            task.await.expect("the caller has ended");
        }
    });
    drop(sender);
    writer.join().expect("the thread that writes has ended");
}

async fn call(sender: Sender<Request>, accounts: StepBy<Range<usize>>) {
    for account in accounts {
        let (answer, stored) = oneshot::channel();
        sender.send((Noop::new(account).to_json(), answer)).expect("the thread that writes is there");
        stored.await.expect("it is stored");
    }
}

fn commit_groups(mut conn: Connection, requests: &Receiver<Request>, callers: usize) {
    while let Ok(first) = requests.recv() {
        let mut group = vec![first];
        while group.len() < callers
            && let Ok(next) = requests.recv_timeout(COMPANY)
        {
            group.push(next);
        }
        insert_all(&mut conn, group.iter().map(|(payload, _)| payload));
        for (_, answer) in group {
            let _ = answer.send(());
        }
    }
}

fn insert_all(conn: &mut Connection, payloads: impl Iterator<Item = impl ToSql>) {
    let transaction = conn.transaction().expect("it begins");
    {
        let mut insert = transaction.prepare_cached(INSERT).expect("sound SQL");
        for payload in payloads {
            insert.execute(params!["noop", payload]).expect("it is stored");
        }
    }
    transaction.commit().expect("it is on the disk");
}
