//! What the embedded broker does with files that are damaged, foreign, locked, full or gone: it says so, and loses nothing.

#![allow(clippy::unwrap_used, reason = "a test program")]

mod sqlite_bench;

use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use job_core::broker::sqlite::SqliteOptions;
use job_core::broker::{Broker, Inspect};
use job_core::clock::Clock;

use sqlite_bench::{
    Place, check_kept, consume, done, drain, envelope, open, open_error, open_with, options, publish, sql, within,
};

fn damaged(path: &Path) -> String {
    let path = path.display();
    format!(
        "database \"{path}\" is damaged; stop all programs that use it, keep a copy of its files, and restore a backup \
         or try \"sqlite3 {path} .recover\""
    )
}

fn overwrite(path: &Path, offset: u64, bytes: &[u8]) {
    let mut file = fs::File::options().write(true).open(path).unwrap();
    file.seek(SeekFrom::Start(offset)).unwrap();
    file.write_all(bytes).unwrap();
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let (place, _) = Place::with_messages(1).await;
    sql(&place.path).execute_batch("PRAGMA user_version = 9").unwrap();
    let error = open_error(&place.path).await;
    assert!(error.is_corrupt());
    assert_eq!(
        error.to_string(),
        format!(
            "database \"{}\" has schema version 9, and this program knows 3; update this program before it opens the file",
            place.text()
        )
    );
}

#[tokio::test]
async fn a_foreign_database_is_refused_and_left_as_it_is() {
    let place = Place::new();
    sql(&place.path).execute_batch("CREATE TABLE cats(name TEXT)").unwrap();
    let before = fs::read(&place.path).unwrap();
    let error = open_error(&place.path).await;
    assert!(error.is_corrupt());
    assert_eq!(
        error.to_string(),
        format!("database \"{}\" belongs to another program; choose a file of its own for the jobs", place.text())
    );
    assert_eq!(fs::read(&place.path).unwrap(), before);
    let names: Vec<_> = fs::read_dir(place.directory.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, ["jobs.db"]);
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_and_left_as_it_is() {
    let place = Place::new();
    fs::write(&place.path, "a shopping list\n".repeat(1000)).unwrap();
    let error = open_error(&place.path).await;
    assert!(error.is_corrupt());
    assert_eq!(
        error.to_string(),
        format!("file \"{}\" is not an SQLite database; check the path, or restore a backup", place.text())
    );
    assert_eq!(fs::read(&place.path).unwrap(), b"a shopping list\n".repeat(1000));
}

#[tokio::test]
async fn a_damaged_header_is_reported_and_left_as_it_is() {
    let (place, _) = Place::with_messages(20).await;
    overwrite(&place.path, 0, b"SQLite forgot  \0");
    let before = fs::read(&place.path).unwrap();
    assert!(open_error(&place.path).await.is_corrupt());
    assert_eq!(fs::read(&place.path).unwrap(), before);
}

#[tokio::test]
async fn a_damaged_page_is_reported() {
    let (place, _) = Place::with_messages(200).await;
    let pages = fs::metadata(&place.path).unwrap().len() / 4096;
    for page in 4..pages {
        overwrite(&place.path, page * 4096, &[0xa5; 64]);
    }
    let error = open_error(&place.path).await;
    assert!(error.is_corrupt());
    assert_eq!(error.to_string(), damaged(&place.path));
}

#[tokio::test]
async fn a_truncated_file_is_reported() {
    let (place, _) = Place::with_messages(200).await;
    let length = fs::metadata(&place.path).unwrap().len();
    fs::File::options().write(true).open(&place.path).unwrap().set_len(length / 8192 * 4096).unwrap();
    let error = open_error(&place.path).await;
    assert!(error.is_corrupt());
    assert_eq!(error.to_string(), damaged(&place.path));
}

#[tokio::test]
async fn damage_that_shows_while_running_stops_everything() {
    let (place, _) = Place::with_messages(0).await;
    let broker = open(&place.path).await;
    let mut consumer = consume(&*broker).await;
    // An index whose pages are not there.
    let other = sql(&place.path);
    other
        .execute_batch(
            "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET rootpage = 9999 WHERE name = 'jobs_ready'; PRAGMA schema_version = 999",
        )
        .unwrap();
    drop(other);
    let error = publish(&*broker, envelope(10)).await.unwrap_err();
    assert!(error.is_corrupt(), "{error:?}");
    assert_eq!(error.to_string(), damaged(&place.path));
    assert!(within(10, consumer.next_many(1)).await.unwrap_err().is_corrupt());
    assert!(publish(&*broker, envelope(10)).await.unwrap_err().is_corrupt(), "nothing is written any more");
}

#[tokio::test]
async fn an_empty_file_is_a_fresh_database() {
    let place = Place::new();
    fs::write(&place.path, "").unwrap();
    let broker = open(&place.path).await;
    let sent = envelope(10);
    publish(&*broker, sent.clone()).await.unwrap();
    broker.close().await.unwrap();
    check_kept(&place.path, &[sent.id]).await;
}

#[tokio::test]
async fn a_missing_directory_is_named() {
    let place = Place::new();
    let directory = place.directory.path().join("data");
    let path = directory.join("jobs.db");
    let error = open_error(&path).await;
    assert!(error.is_invalid());
    let (directory, path) = (directory.display(), path.display());
    assert_eq!(
        error.to_string(),
        format!("directory \"{directory}\" of database \"{path}\" does not exist; create it first")
    );
}

#[tokio::test]
async fn a_full_database_rejects_and_goes_on_when_there_is_room() {
    let place = Place::new();
    let broker = open_with(&place.path, SqliteOptions { pages_max: Some(60), ..options() }).await;
    let mut kept = Vec::new();
    let error = loop {
        let sent = envelope(10_000);
        match publish(&*broker, sent.clone()).await {
            Ok(_) => kept.push(sent.id),
            Err(error) => break error,
        }
    };
    assert!(error.is_rejected() && !error.is_unconfirmed());
    assert_eq!(
        error.to_string(),
        format!("disk full while writing database \"{}\"; free some space and try again", place.text())
    );
    // Jobs still run and finish, which makes room.
    let ids = drain(&*broker, kept.len()).await;
    assert_eq!(ids, kept);
    let sent = envelope(10_000);
    publish(&*broker, sent.clone()).await.unwrap();
    broker.close().await.unwrap();
    check_kept(&place.path, &[sent.id]).await;
}

#[tokio::test]
async fn one_message_too_large_for_the_space_spoils_no_other() {
    let place = Place::new();
    let broker = open_with(&place.path, SqliteOptions { pages_max: Some(60), ..options() }).await;
    let (small, large) = (envelope(100), envelope(1_000_000));
    let (one, two) = tokio::join!(publish(&*broker, small.clone()), publish(&*broker, large));
    assert_eq!(one.unwrap().copies, Some(1));
    assert!(two.unwrap_err().is_rejected());
    broker.close().await.unwrap();
    check_kept(&place.path, &[small.id]).await;
}

/// A small file system in memory; needs the right to mount.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(path: PathBuf) -> Option<Self> {
        fs::create_dir(&path).unwrap();
        let status = Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(&path).status();
        status.is_ok_and(|status| status.success()).then_some(Self(path))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test]
async fn a_full_disk_rejects_and_goes_on_when_there_is_room() {
    let place = Place::new();
    let Some(disk) = SmallDisk::mount(place.directory.path().join("disk")) else {
        assert!(!is_root(), "root can mount a file system in memory");
        return;
    };
    let (path, ballast) = (disk.0.join("jobs.db"), disk.0.join("ballast"));
    let broker = open(&path).await;
    let mut kept = Vec::new();
    for _ in 0..5 {
        let sent = envelope(100);
        publish(&*broker, sent.clone()).await.unwrap();
        kept.push(sent.id);
    }
    // Fails when the disk is full, which is what it is for.
    let _ = fs::write(&ballast, vec![0; 2_000_000]);
    let error = loop {
        let sent = envelope(2_000);
        match publish(&*broker, sent.clone()).await {
            Ok(_) => kept.push(sent.id),
            Err(error) => break error,
        }
    };
    assert!(error.is_rejected(), "{error:?}");
    fs::remove_file(&ballast).unwrap();
    let sent = envelope(2_000);
    publish(&*broker, sent.clone()).await.unwrap();
    kept.push(sent.id);
    broker.close().await.unwrap();
    check_kept(&path, &kept).await;
}

#[tokio::test]
async fn a_locked_file_rejects_a_publish_and_keeps_a_settlement_waiting() {
    let (place, ids) = Place::with_messages(2).await;
    let busy_timeout = Duration::from_millis(50);
    let broker = open_with(&place.path, SqliteOptions { busy_timeout, ..options() }).await;
    let mut consumer = consume(&*broker).await;
    let first = within(10, consumer.next_many(1)).await.unwrap().remove(0);
    let locker = sql(&place.path);
    locker.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let error = publish(&*broker, envelope(10)).await.unwrap_err();
    assert!(error.is_rejected() && !error.is_unconfirmed());
    assert_eq!(
        error.to_string(),
        format!(
            "database \"{}\" stayed locked by another process for 50ms; end its transaction, or raise busy_timeout",
            place.text()
        )
    );
    assert_eq!(first.envelope.id, ids[0]);
    let settled = tokio::spawn(done(first));
    // Answered after the settlement was tried, and failed.
    assert!(publish(&*broker, envelope(10)).await.unwrap_err().is_rejected());
    assert!(!settled.is_finished());
    locker.execute_batch("COMMIT").unwrap();
    within(10, settled).await.unwrap();
    consumer.close().await;
    broker.close().await.unwrap();
    check_kept(&place.path, &ids[1..]).await;
}

#[tokio::test]
async fn a_locked_file_does_not_open() {
    let (place, ids) = Place::with_messages(1).await;
    let locker = sql(&place.path);
    locker.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let options = SqliteOptions { busy_timeout: Duration::from_millis(20), ..options() };
    let error = sqlite_bench::try_open(&place.path, options).await.unwrap_err();
    assert!(error.is_rejected(), "{error:?}");
    assert!(error.to_string().contains("stayed locked by another process for 20ms"), "{error}");
    locker.execute_batch("COMMIT").unwrap();
    drop(locker);
    check_kept(&place.path, &ids).await;
}

#[tokio::test]
async fn a_removed_file_is_reported_and_not_made_anew() {
    let (place, ids) = Place::with_messages(1).await;
    let broker = open(&place.path).await;
    let aside = place.directory.path().join("aside.db");
    fs::rename(&place.path, &aside).unwrap();
    let error = publish(&*broker, envelope(10)).await.unwrap_err();
    assert!(error.is_unavailable());
    assert_eq!(
        error.to_string(),
        format!(
            "database \"{}\" was removed or replaced while it was open; put it back, or restart to begin anew",
            place.text()
        )
    );
    assert!(!place.path.exists());
    // Another one in its place is not ours either.
    fs::write(&place.path, "").unwrap();
    assert!(publish(&*broker, envelope(10)).await.is_err());
    assert_eq!(fs::metadata(&place.path).unwrap().len(), 0);
    fs::rename(&aside, &place.path).unwrap();
    let sent = envelope(10);
    publish(&*broker, sent.clone()).await.unwrap();
    broker.close().await.unwrap();
    check_kept(&place.path, &[ids[0].clone(), sent.id]).await;
}

#[tokio::test]
async fn files_stay_small_however_many_jobs_pass() {
    const ROUNDS: usize = 60;
    const JOBS: usize = 1000;
    let place = Place::new();
    let broker = open(&place.path).await;
    for _ in 0..ROUNDS {
        let messages = (0..JOBS).map(|_| job_core::broker::Outgoing::to_queue(sqlite_bench::mail(), envelope(200)));
        for answer in broker.publish(messages.collect()).await {
            answer.unwrap();
        }
        drain(&*broker, JOBS).await;
    }
    let length = |path: PathBuf| fs::metadata(path).map_or(0, |metadata| metadata.len());
    let bytes = length(place.path.clone()) + length(place.directory.path().join("jobs.db-wal"));
    // One round's rows, their indexes, and a WAL of 4000 pages and one commit. All rows together would be 20 MB more.
    assert!(bytes < 20_000_000, "{bytes} bytes after {} jobs", ROUNDS * JOBS);
    let stats = broker.queues().await.unwrap();
    assert!(stats.iter().all(|queue| queue.ready == Some(0) && queue.running == Some(0)), "{stats:?}");
    broker.close().await.unwrap();
}

#[tokio::test]
async fn a_reader_that_held_up_the_wal_leaves_it_small_again() {
    const LIMIT: u64 = 64 * 1024 * 1024;
    let place = Place::new();
    let broker = open(&place.path).await;
    let reader = sql(&place.path);
    reader.execute_batch("BEGIN; SELECT count(*) FROM jobs").unwrap();
    let wal = place.directory.path().join("jobs.db-wal");
    let length = || fs::metadata(&wal).unwrap().len();
    while length() <= LIMIT {
        publish(&*broker, envelope(4_000_000)).await.unwrap();
    }
    drop(reader);
    within(10, async {
        while length() > LIMIT {
            Clock::system().sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    broker.close().await.unwrap();
}

#[tokio::test]
async fn handles_of_one_process_share_a_thread_and_close_one_by_one() {
    let place = Place::new();
    let first = open_with(&place.path, SqliteOptions::default()).await;
    let link = place.directory.path().join("link.db");
    std::os::unix::fs::symlink(&place.path, &link).unwrap();
    let second = open_with(&link, SqliteOptions::default()).await;
    let mut consumer = consume(&*first).await;
    let lead = first.lead("role").await.unwrap().unwrap();
    let owners: i64 = sql(&place.path).query_row("SELECT count(*) FROM owners", [], |row| row.get(0)).unwrap();
    assert_eq!(owners, 1);
    first.close().await.unwrap();
    assert!(within(10, consumer.next_many(1)).await.unwrap().is_empty());
    within(10, lead.lost()).await;
    assert!(second.lead("role").await.unwrap().is_some());
    assert!(publish(&*first, envelope(10)).await.unwrap_err().is_unavailable());
    let sent = envelope(10);
    publish(&*second, sent.clone()).await.unwrap();
    second.close().await.unwrap();
    let locks = fs::read_dir(place.directory.path().join("jobs.db.locks")).unwrap();
    let names: Vec<_> = locks.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["lead-role"], "no owner is left");
    check_kept(&place.path, &[sent.id]).await;
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").unwrap().uid() == 0
}
