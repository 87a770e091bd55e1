//! Stores a job, tells the thread that waits, and notes when that one has claimed it.

use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rusqlite::params;

use crate::job::Noop;
use crate::sqlite::table::{CLAIM, DELETE, INSERT, open};

pub(super) fn latencies(path: &Path, jobs: usize, every: Duration) -> Vec<Duration> {
    let (sender, stored) = channel();
    std::thread::scope(|scope| {
        let consumer = scope.spawn(move || claim_each(path, &stored));
        let conn = open(path, "FULL");
        let mut insert = conn.prepare(INSERT).expect("sound SQL");
        let begun = Instant::now();
        for turn in 0..u32::try_from(jobs).expect("few") {
            wait_until(begun + every * (turn + 1));
            let sent = Instant::now();
            insert.execute(params!["noop", Noop::new(jobs).to_json()]).expect("it is stored");
            sender.send(sent).expect("somebody waits");
        }
        drop(sender);
        consumer.join().expect("the consumer has ended")
    })
}

/// A claim may be lost with the power, as ours.
fn claim_each(path: &Path, stored: &Receiver<Instant>) -> Vec<Duration> {
    let conn = open(path, "NORMAL");
    let mut claim = conn.prepare(CLAIM).expect("sound SQL");
    let mut delete = conn.prepare(DELETE).expect("sound SQL");
    let mut late = Vec::new();
    while let Ok(sent) = stored.recv() {
        let rows = claim.query_map([1], |row| Ok((row.get(0)?, row.get(2)?))).expect("it is claimed");
        let claimed: Vec<(i64, Vec<u8>)> = rows.collect::<Result<_, _>>().expect("it is read");
        late.push(sent.elapsed());
        for (id, _) in claimed {
            delete.execute([id]).expect("it is deleted");
        }
    }
    late
}

fn wait_until(at: Instant) {
    // Nobody sends: this is a pause that needs no name.
    let (_sender, nothing) = channel::<()>();
    let left = at.saturating_duration_since(Instant::now());
    assert_eq!(nothing.recv_timeout(left), Err(RecvTimeoutError::Timeout));
}
