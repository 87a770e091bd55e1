//! Takes jobs and completes them: one transaction deletes the latest batch and claims the next one.

use std::hint::black_box;
use std::path::Path;

use rusqlite::Transaction;

use crate::sqlite::table::{CLAIM, DELETE, open};

/// Jobs of one transaction.
const BATCH: i64 = 100;

pub(super) fn drain(path: &Path, jobs: usize, synchronous: &str) {
    let mut conn = open(path, synchronous);
    let mut claimed = Vec::new();
    let mut done = 0;
    while done < jobs {
        done += claimed.len();
        let transaction = conn.transaction().expect("it begins");
        delete(&transaction, &claimed);
        claimed = claim(&transaction);
        transaction.commit().expect("it is committed");
    }
    assert!(claimed.is_empty() && done == jobs);
}

fn delete(transaction: &Transaction<'_>, ids: &[i64]) {
    let mut delete = transaction.prepare_cached(DELETE).expect("sound SQL");
    for id in ids {
        delete.execute([id]).expect("it is deleted");
    }
}

fn claim(transaction: &Transaction<'_>) -> Vec<i64> {
    let mut claim = transaction.prepare_cached(CLAIM).expect("sound SQL");
    let rows = claim.query_map([BATCH], |row| {
        let (kind, payload): (String, Vec<u8>) = (row.get(1)?, row.get(2)?);
        black_box((kind, payload));
        row.get(0)
    });
    rows.expect("they are claimed").collect::<Result<_, _>>().expect("they are read")
}
