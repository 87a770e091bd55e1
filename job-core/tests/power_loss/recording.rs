//! Runs the script under `strace`, and reads what it did to its files.
//!
//! What is watched is what users run: SQLite's own VFS, whose flushes of files and directories are half of the promise. A
//! recording VFS would stand in its place, with locks, shared memory and flushes of our own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use job_core::sabotage::Mutant;
use tempfile::TempDir;

use crate::content::DATABASE;
use crate::disk::{Disk, Image};
use crate::record::Event;
use crate::trace;

/// Tells this program to run the script in a directory.
pub(crate) const DIRECTORY: &str = "JOB_POWER_DIRECTORY";

/// The files that are lost or kept. The shared memory is not among them: SQLite makes it anew when nobody has it open.
const FILES: [&str; 3] = [DATABASE, "jobs.db-journal", "jobs.db-wal"];

/// Runs the script, with a promise broken by `mutant`, and returns what it did.
pub(crate) fn record(mutant: Option<Mutant>) -> Vec<Event> {
    let scratch = scratch();
    // By its whole path, as the trace has it.
    let base = scratch.path().canonicalize().expect("the directory exists");
    let (directory, out) = (base.join("files"), base.join("trace"));
    fs::create_dir(&directory).expect("a directory for the files");
    run(&directory, &out, mutant);
    let text = fs::read(&out).expect("strace has written its trace");
    let events = trace::read(text.split(|b| *b == b'\n').filter(|line| !line.is_empty()), &directory, &FILES);
    check_whole(&events, &directory);
    events
}

/// Makes a directory in memory where there is such a place: nothing is flushed in earnest.
pub(crate) fn scratch() -> TempDir {
    let memory = PathBuf::from("/dev/shm");
    let base = if memory.is_dir() { memory } else { std::env::temp_dir() };
    TempDir::with_prefix_in("job-power-", base).expect("a directory for the test")
}

fn run(directory: &Path, out: &Path, mutant: Option<Mutant>) {
    let program = std::env::current_exe().expect("this program is a file");
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-y", "--seccomp-bpf", "-s", "1000000", "-e", "signal=none"]);
    command.arg("-e").arg(format!("trace={}", trace::CALLS)).arg("-o").arg(out);
    command.arg(program).args(["as_recorded", "--exact", "--nocapture"]).env(DIRECTORY, directory);
    if let Some(mutant) = mutant {
        command.env("JOB_MUTANT", mutant.name());
    }
    let output = command.output().unwrap_or_else(|error| panic!("cannot run strace, please install it: {error}"));
    assert!(output.status.success(), "the recorded program failed: {output:?}");
}

/// Fails when the record, played to its end, does not give the files that are there: it would have missed a write.
fn check_whole(events: &[Event], directory: &Path) {
    let mut disk = Disk::default();
    events.iter().for_each(|event| disk.apply(event));
    let found = FILES.iter().filter_map(|name| Some(((*name).to_owned(), fs::read(directory.join(name)).ok()?)));
    let (found, seen): (Image, Image) = (found.collect(), disk.seen());
    let lengths = |image: &Image| image.iter().map(|(name, bytes)| (name.clone(), bytes.len())).collect::<Vec<_>>();
    assert_eq!(lengths(&seen), lengths(&found), "the record ends with other files");
    assert!(seen == found, "the record ends with other bytes");
}
