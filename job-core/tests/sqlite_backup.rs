//! A backup of the embedded broker: whole, as of one moment, never over something else, and restored by opening it.

#![allow(clippy::unwrap_used, reason = "a test program")]

use std::path::Path;

use job_core::Client;
use job_core::broker::memory::MemoryBroker;
use job_core::broker::{Broker, Page};
use job_core::clock::Clock;
use job_core::name::QueueName;

async fn client(path: &Path) -> Client {
    Client::connect(&format!("sqlite:{}", path.display())).await.unwrap()
}

async fn ids(client: &Client) -> Vec<String> {
    let page = Page { offset: 0, limit: 10_000 };
    let queue = QueueName::parse("default").unwrap();
    let waiting = client.broker().inspect().unwrap().peek(&queue, page).await.unwrap();
    waiting.iter().map(|envelope| envelope.id.to_string()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_under_load_holds_a_whole_beginning_of_what_was_stored() {
    let dir = tempfile::tempdir().unwrap();
    let (source, copy) = (dir.path().join("jobs.db"), dir.path().join("copy.db"));
    let client = client(&source).await;
    let store = async {
        for n in 0..500 {
            client.enqueue_raw("work", "{}").id(&n.to_string()).await.unwrap();
        }
    };
    client.enqueue_raw("work", "{}").id("first").await.unwrap();
    let (backup, ()) = tokio::join!(client.broker().backup(&copy), store);
    let backup = backup.unwrap();
    let restored = self::client(&copy).await;
    let (kept, all) = (ids(&restored).await, ids(&client).await);
    assert_eq!(backup.jobs, kept.len() as u64);
    assert_eq!(kept, all[..kept.len()]);
    assert_eq!(kept[0], "first");
    assert!(!dir.path().join("copy.db.partial").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_never_replaces_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let client = client(&dir.path().join("jobs.db")).await;
    let file = dir.path().join("notes.txt");
    std::fs::write(&file, "keep me").unwrap();
    let error = client.broker().backup(&file).await.unwrap_err();
    assert!(error.is_invalid());
    assert_eq!(error.to_string(), format!("file \"{}\" exists already; name a new one", file.display()));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "keep me");
    let itself = client.broker().backup(&dir.path().join("jobs.db")).await.unwrap_err();
    assert!(itself.is_invalid(), "{itself:?}");
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_as_secret_as_the_database() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let (source, copy) = (dir.path().join("jobs.db"), dir.path().join("copy.db"));
    let client = client(&source).await;
    std::fs::set_permissions(&source, std::fs::Permissions::from_mode(0o600)).unwrap();
    client.broker().backup(&copy).await.unwrap();
    assert_eq!(std::fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_missing_and_a_broker_without_a_file_say_so() {
    let dir = tempfile::tempdir().unwrap();
    let client = client(&dir.path().join("jobs.db")).await;
    let file = dir.path().join("missing/copy.db");
    let error = client.broker().backup(&file).await.unwrap_err();
    assert!(error.is_invalid());
    assert_eq!(error.to_string(), format!("file \"{}.partial\" cannot be written", file.display()));
    let error = MemoryBroker::new(Clock::system()).backup(Path::new("copy.db")).await.unwrap_err();
    assert!(error.is_unsupported());
    assert_eq!(error.to_string(), "the broker \"memory\" cannot back up to \"copy.db\"; only \"sqlite\" can");
}
