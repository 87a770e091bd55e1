//! A disk of 64 MB that is full for a while: what was stored stays stored, what ended is recorded once there is room.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rusqlite::{Connection, OpenFlags};
use tempfile::TempDir;

use crate::scene::{Process, Scene, patience, wait};

/// A file system in memory; needs the right to mount.
struct SmallDisk {
    mount: PathBuf,
    _folder: TempDir,
}

impl SmallDisk {
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mount = folder.path().join("disk");
        fs::create_dir(&mount).expect("a folder to mount at");
        let status = Command::new("mount").args(["-t", "tmpfs", "-o", "size=64m", "tmpfs"]).arg(&mount).status();
        status.is_ok_and(|status| status.success()).then_some(Self { mount, _folder: folder })
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.mount).status();
    }
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").expect("this process").uid() == 0
}

/// Returns how many jobs the database holds, done or not.
fn rows(database: &Path) -> usize {
    let conn = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("the database");
    conn.busy_timeout(patience()).expect("a limit");
    let count: i64 = conn.query_row("SELECT count(*) FROM jobs", [], |row| row.get(0)).expect("a count");
    usize::try_from(count).expect("a count")
}

/// Enqueues jobs until one is rejected or there are enough, and returns the ids of those that were stored.
async fn enqueue(scene: &Scene, jobs: usize) -> (Vec<String>, bool) {
    let mut stored = Vec::new();
    for _ in 0..jobs {
        let payload = serde_json::json!({ "milliseconds": 20, "failures": 0, "filling": "x".repeat(2_000) });
        match scene.client.enqueue_raw("work", payload.to_string()).await {
            Ok(id) => stored.push(id.to_string()),
            Err(error) => {
                assert!(error.is_rejected(), "{error:?}");
                return (stored, true);
            }
        }
    }
    (stored, false)
}

/// Waits until jobs have ended, and for a while none of that could be recorded.
async fn wait_unrecorded(scene: &Scene, stored: usize) {
    let mut looks = 0;
    wait("what has ended cannot be recorded", || {
        let is_unrecorded = scene.history().ended() + rows(&scene.database()) > stored;
        looks = if is_unrecorded { looks + 1 } else { 0 };
        let is_enough = looks > 50;
        async move { is_enough }
    })
    .await;
}

async fn stop(worker: Process) {
    worker.signal("TERM");
    assert_eq!(worker.wait().await.code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_outlives_a_full_disk_and_nothing_is_lost() {
    let Some(disk) = SmallDisk::mount() else {
        assert!(!is_root(), "root can mount a file system in memory");
        return;
    };
    let scene = Scene::on_disk(&disk.mount).await;
    // So many that some still run when the disk is full, however slowly it is filled.
    let (mut stored, _) = enqueue(&scene, 1_000).await;
    fs::write(disk.mount.join("most"), vec![0; 30_000_000]).expect("there is room");
    let worker = scene.start(&["run", "--concurrency", "4"]);
    scene.wait_history("the worker runs", |history| history.ended() > 10).await;
    let ballast = disk.mount.join("ballast");
    // Fails when the disk is full, which is what it is for.
    let _ = fs::write(&ballast, vec![0; 80_000_000]);
    let (more, is_full) = enqueue(&scene, 100_000).await;
    assert!(is_full, "the disk is full");
    stored.extend(more);
    wait_unrecorded(&scene, stored.len()).await;
    fs::remove_file(&ballast).expect("room again");
    let (more, is_full) = enqueue(&scene, 200).await;
    assert!(!is_full, "there is room");
    stored.extend(more);
    wait("all jobs are done", || {
        let left = rows(&scene.database());
        async move { left == 0 }
    })
    .await;
    // The same process all the time.
    stop(worker).await;
    let history = scene.history();
    assert_eq!(history.faults(&stored), Vec::<String>::new());
    assert_eq!((history.ended(), history.duplicates()), (stored.len(), 0));
}
