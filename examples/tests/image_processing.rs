//! Runs the main example as its users do: whole, in two roles, twice, and with broken photographs.

#![allow(clippy::unwrap_used, reason = "the helpers of tests unwrap as tests do")]

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};

const PROGRAM: &str = env!("CARGO_BIN_EXE_image_processing");
const PHOTOS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/photos");

/// What a worker says once it can be stopped.
const READY: &str = "working; Ctrl-C stops when what runs is finished\n";

/// What a run that succeeded printed.
struct Printed {
    stdout: String,
    stderr: String,
}

impl Printed {
    fn of(child: Child) -> Self {
        let output = child.wait_with_output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let printed = Self { stdout: text(output.stdout), stderr: text(output.stderr) };
        assert!(output.status.success(), "{}: {}{}", output.status, printed.stdout, printed.stderr);
        printed
    }

    /// Returns the number after `name=` in the last line.
    fn count(&self, name: &str) -> u64 {
        let line = self.stdout.lines().last().unwrap();
        let value = line.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
        value.unwrap_or_else(|| panic!("no {name} in {line:?}")).parse().unwrap()
    }
}

fn start(folder: &Path, args: &[&str]) -> Child {
    let mut command = Command::new(PROGRAM);
    command.current_dir(folder).args(args).env_remove("JOB_BROKER");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn run(folder: &Path, args: &[&str]) -> Printed {
    Printed::of(start(folder, args))
}

/// Returns the files of a folder and their content.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries.map(|e| (e.file_name().into_string().unwrap(), fs::read(e.path()).unwrap())).collect()
}

/// Makes a folder with one photograph, and two files that only look like one.
fn broken_photos(folder: &Path) -> String {
    let photos = folder.join("photos");
    fs::create_dir(&photos).unwrap();
    let rocket = fs::read(Path::new(PHOTOS).join("rocket.jpg")).unwrap();
    fs::write(photos.join("whole.jpg"), &rocket).unwrap();
    let coffee = fs::read(Path::new(PHOTOS).join("coffee.png")).unwrap();
    fs::write(photos.join("torn.png"), &coffee[..coffee.len() / 2]).unwrap();
    fs::write(photos.join("text.jpg"), "no photograph").unwrap();
    photos.to_str().unwrap().to_owned()
}

#[test]
fn a_second_run_makes_the_same_files_again() {
    let folder = tempfile::tempdir().unwrap();
    let first = run(folder.path(), &[]);
    let made = files(&folder.path().join("resized"));
    assert_eq!(made.len(), 12);
    let second = run(folder.path(), &[]);
    assert_eq!(files(&folder.path().join("resized")), made);
    for printed in [first, second] {
        assert_eq!(["processed", "failed", "dead"].map(|name| printed.count(name)), [12, 0, 0]);
        assert_eq!(printed.stderr, READY);
    }
}

#[test]
fn broken_photographs_end_dead_with_the_reason_and_the_rest_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let photos = broken_photos(folder.path());
    let printed = run(folder.path(), &["--photos", &photos, "--out", "small", "--widths", "50,100"]);
    assert_eq!(["processed", "failed", "dead"].map(|name| printed.count(name)), [2, 0, 4]);
    let names: Vec<String> = files(&folder.path().join("small")).into_keys().collect();
    assert_eq!(names, ["whole-100.jpg", "whole-50.jpg"]);
    for reason in ["torn.png: unexpected end of file", "text.jpg: The image format could not be determined"] {
        assert_eq!(printed.stderr.matches(reason).count(), 2, "{}", printed.stderr);
    }
}

#[test]
fn app_and_worker_are_processes_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let mut worker = start(folder.path(), &["--role", "worker"]);
    let mut ready = [0; READY.len()];
    worker.stderr.as_mut().unwrap().read_exact(&mut ready).unwrap();
    assert_eq!(ready, READY.as_bytes());
    let app = run(folder.path(), &["--role", "app"]);
    assert_eq!(app.count("enqueued"), 12);
    // Ends when nobody has anything left to do.
    let other = run(folder.path(), &["--role", "worker", "--exit-when-idle"]);
    assert!(Command::new("sh").args(["-c", &format!("kill {}", worker.id())]).status().unwrap().success());
    let worker = Printed::of(worker);
    assert_eq!(worker.count("processed") + other.count("processed"), 12);
    assert_eq!(files(&folder.path().join("resized")).len(), 12);
}

#[test]
fn jobs_of_an_earlier_run_are_worked_off_and_do_not_count_as_ours() {
    let folder = tempfile::tempdir().unwrap();
    let photos = broken_photos(folder.path());
    run(folder.path(), &["--role", "app", "--photos", &photos]);
    let printed = run(folder.path(), &[]);
    assert_eq!(["processed", "failed", "dead"].map(|name| printed.count(name)), [15, 0, 6]);
}

#[test]
fn mistakes_on_the_command_line_are_named() {
    let folder = tempfile::tempdir().unwrap();
    for (args, expected) in [
        (["--photos", "nowhere"], "cannot find the folder nowhere"),
        (["--photos", "."], "has no photographs"),
        (["--widths", "0"], "invalid value '0' for '--widths"),
        (["--broker", "redis://localhost"], "no broker speaks \"redis:\""),
    ] {
        let output = start(folder.path(), &args).wait_with_output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && stderr.contains(expected), "{stderr}");
    }
}
