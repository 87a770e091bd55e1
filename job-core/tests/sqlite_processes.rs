//! The embedded broker between real processes: this program starts itself again, and kills or hampers what it started.

#![allow(clippy::unwrap_used, reason = "a test program")]

mod sqlite_bench;

use std::fs;
use std::io::{BufRead, BufReader, Lines, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use job_core::broker::Broker;
use job_core::clock::Clock;
use job_core::name::JobId;

use sqlite_bench::{Place, check_kept, consume, done, envelope, open, options, publish, try_open, within};

const ROLE: &str = "JOB_SQLITE_ROLE";
const PATH: &str = "JOB_SQLITE_PATH";

/// What the program does when it was started by one of its tests; nothing else.
#[tokio::test]
async fn as_child() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let path = PathBuf::from(std::env::var(PATH).unwrap());
    match role.as_str() {
        "open" => match try_open(&path, options()).await {
            Ok(_) => say("opened"),
            Err(error) => say(&format!("denied={} {error}", error.is_denied())),
        },
        "hold" => hold(&path).await,
        "fill" => fill(&path).await,
        _ => panic!("no role {role:?}"),
    }
}

/// Takes messages, and keeps them until it is killed.
async fn hold(path: &Path) {
    let broker = open(path).await;
    let mut consumer = consume(&*broker).await;
    let mut held = Vec::new();
    while held.len() < 10 {
        held.extend(within(10, consumer.next_many(10 - held.len())).await.unwrap());
    }
    say("holding");
    std::future::pending::<()>().await;
}

/// Publishes until that fails.
async fn fill(path: &Path) {
    let broker = open(path).await;
    loop {
        let sent = envelope(20_000);
        match publish(&*broker, sent.clone()).await {
            Ok(_) => say(&format!("stored {}", sent.id)),
            Err(error) => return say(&format!("unconfirmed={} {error}", error.is_unconfirmed())),
        }
    }
}

fn say(text: &str) {
    // Past the capture of test output.
    let mut out = std::io::stdout().lock();
    writeln!(out, "child: {text}").unwrap();
    out.flush().unwrap();
}

struct Started {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Started {
    fn new(mut command: Command, role: &str, path: &Path) -> Self {
        command.args(["as_child", "--exact", "--nocapture"]).env(ROLE, role).env(PATH, path);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// Returns what it says next; it ends the wait by ending.
    fn line(&mut self) -> String {
        let mut said = self.lines.by_ref().map_while(Result::ok);
        let line = said.find_map(|line| line.split_once("child: ").map(|(_, text)| text.to_owned()));
        line.expect("the child says something before it ends")
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn this_program() -> Command {
    Command::new(std::env::current_exe().unwrap())
}

/// Returns this program, to be run by somebody for whom permissions count.
fn this_program_as_nobody() -> Command {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        return this_program();
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(std::env::current_exe().unwrap());
    command
}

#[tokio::test]
async fn the_jobs_of_a_killed_process_are_back_within_two_seconds() {
    let (place, mut ids) = Place::with_messages(30).await;
    ids.sort();
    let broker = open(&place.path).await;
    let mut victim = Started::new(this_program(), "hold", &place.path);
    assert_eq!(victim.line(), "holding");
    let mut consumer = consume(&*broker).await;
    victim.kill();
    let clock = Clock::system();
    let killed = clock.monotonic();
    let mut seen: Vec<(JobId, u32)> = Vec::new();
    while seen.len() < ids.len() {
        for delivery in within(2, consumer.next_many(100)).await.unwrap() {
            seen.push((delivery.envelope.id.clone(), delivery.redeliveries));
            done(delivery).await;
        }
    }
    let elapsed = clock.monotonic() - killed;
    let limit = if std::env::var_os("CI").is_some() { 8 } else { 2 };
    assert!(elapsed.as_secs() < limit, "{elapsed:?}");
    seen.sort();
    assert_eq!(seen.iter().map(|(id, _)| id.clone()).collect::<Vec<_>>(), ids);
    // What it had only claimed counts as well: nobody can know that it had not begun.
    assert!(seen.iter().filter(|(_, redeliveries)| *redeliveries == 1).count() >= 10, "{seen:?}");
    broker.close().await.unwrap();
    check_kept(&place.path, &[]).await;
}

#[tokio::test]
async fn a_living_process_keeps_its_jobs() {
    let (place, ids) = Place::with_messages(10).await;
    let mut holder = Started::new(this_program(), "hold", &place.path);
    assert_eq!(holder.line(), "holding");
    let broker = open(&place.path).await;
    let mut consumer = consume(&*broker).await;
    // Three rounds of looking for the dead.
    let next = Clock::system().timeout(std::time::Duration::from_secs(3), consumer.next_many(100)).await;
    assert!(next.is_none(), "{next:?}");
    holder.kill();
    assert_eq!(within(2, consumer.next_many(100)).await.unwrap().len(), ids.len());
}

#[tokio::test]
async fn a_read_only_directory_is_reported() {
    let (place, ids) = Place::with_messages(1).await;
    check_denied(&place, 0o444, 0o555);
    check_kept(&place.path, &ids).await;
}

#[tokio::test]
async fn a_read_only_file_is_reported() {
    let (place, ids) = Place::with_messages(1).await;
    check_denied(&place, 0o444, 0o777);
    check_kept(&place.path, &ids).await;
}

#[tokio::test]
async fn a_directory_in_which_nothing_can_be_made_is_reported() {
    let place = Place::new();
    fs::set_permissions(place.directory.path(), fs::Permissions::from_mode(0o555)).unwrap();
    let line = Started::new(this_program_as_nobody(), "open", &place.path).line();
    assert_eq!(line, format!("denied=true {}", cannot_be_written(&place)));
    fs::set_permissions(place.directory.path(), fs::Permissions::from_mode(0o777)).unwrap();
}

/// Opens the database under permissions that forbid to write it.
fn check_denied(place: &Place, file: u32, directory: u32) {
    fs::set_permissions(&place.path, fs::Permissions::from_mode(file)).unwrap();
    fs::set_permissions(place.directory.path(), fs::Permissions::from_mode(directory)).unwrap();
    let line = Started::new(this_program_as_nobody(), "open", &place.path).line();
    fs::set_permissions(place.directory.path(), fs::Permissions::from_mode(0o777)).unwrap();
    fs::set_permissions(&place.path, fs::Permissions::from_mode(0o666)).unwrap();
    assert_eq!(line, format!("denied=true {}", cannot_be_written(place)));
}

fn cannot_be_written(place: &Place) -> String {
    format!(
        "database \"{}\" cannot be written; allow this user to write the file and its directory",
        place.path.display()
    )
}

#[tokio::test]
async fn a_write_that_fails_half_way_is_unconfirmed_and_loses_nothing_confirmed() {
    let place = Place::new();
    // A limit on the size of files makes writing fail in the middle of a commit.
    let mut command = Command::new("sh");
    command.args(["-c", r#"trap "" XFSZ; ulimit -f 2000; exec "$0" "$@""#]).arg(std::env::current_exe().unwrap());
    let mut filler = Started::new(command, "fill", &place.path);
    let mut kept: Vec<JobId> = Vec::new();
    let error = loop {
        let line = filler.line();
        match line.strip_prefix("stored ") {
            Some(id) => kept.push(JobId::parse(id).unwrap()),
            None => break line,
        }
    };
    assert_eq!(
        error,
        format!(
            "unconfirmed=true a commit to database \"{}\" failed half-way; check its disk, and publish again under the \
             same id",
            place.path.display()
        )
    );
    filler.kill();
    assert!(!kept.is_empty());
    check_kept(&place.path, &kept).await;
}
