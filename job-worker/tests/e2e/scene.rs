//! The stage of an end-to-end test: a folder, a broker, and worker processes.
//!
//! The broker is a database in that folder; with `JOB_TEST_BROKER=rabbitmq` in the environment, a namespace of its own on
//! the node that the tests share. What is only true of a file has its scene [on a file](Scene::on_file).

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use job_core::clock::Clock;
use job_core::{Client, JobId};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::amqp_node::{self, Node};
use crate::history::History;

/// How long a condition may take to come true: a bound on liveness, not a measure of speed.
pub(crate) fn patience() -> Duration {
    let factor = if std::env::var_os("CI").is_some() { 4 } else { 1 };
    Duration::from_secs(30) * factor
}

pub(crate) struct Scene {
    folder: TempDir,
    url: String,
    pub(crate) client: Client,
    processes: AtomicUsize,
    /// Last, so that nobody uses what it deletes.
    namespace: Option<Namespace>,
}

/// A namespace that nobody has used, on the shared node.
struct Namespace(String);

/// A worker process; killed when the test ends before it does.
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

/// How a process ended, and what it said.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stderr: String,
}

/// What a command printed, and how it ended.
pub(crate) struct Answer {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Scene {
    /// On the broker that this run of the tests is to try.
    pub(crate) async fn new() -> Self {
        match std::env::var("JOB_TEST_BROKER").as_deref() {
            Ok("rabbitmq") => Self::on_rabbitmq().await,
            Ok(other) => panic!("JOB_TEST_BROKER is \"rabbitmq\" or not set, not {other:?}"),
            Err(_) => Self::on_file().await,
        }
    }

    pub(crate) async fn on_file() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let url = url(&folder.path().join("jobs.db"));
        Self::set(folder, url, None).await
    }

    /// In a namespace of the shared node, whatever broker this run is to try.
    pub(crate) async fn on_rabbitmq() -> Self {
        let namespace = Namespace(format!("e2e-{:016x}", fastrand::u64(..)));
        let url = format!("{}?namespace={}", amqp_node::url(), namespace.0);
        Self::set(tempfile::tempdir().expect("a temporary folder"), url, Some(namespace)).await
    }

    /// On a node, or a cluster, of this test alone.
    pub(crate) async fn on_node(node: &Node) -> Self {
        Self::set(tempfile::tempdir().expect("a temporary folder"), node.url().to_owned(), None).await
    }

    /// A scene whose database stands alone on some other disk.
    pub(crate) async fn on_disk(disk: &Path) -> Self {
        Self::set(tempfile::tempdir().expect("a temporary folder"), url(&disk.join("jobs.db")), None).await
    }

    async fn set(folder: TempDir, url: String, namespace: Option<Namespace>) -> Self {
        let client = Client::connect(&url).await.expect("a broker of its own");
        Self { folder, url, client, processes: AtomicUsize::new(0), namespace }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The database of a scene on a file.
    pub(crate) fn database(&self) -> PathBuf {
        self.url.strip_prefix("sqlite:").expect("this scene is on a file").into()
    }

    pub(crate) fn url(&self) -> String {
        self.url.clone()
    }

    /// The namespace of a scene on RabbitMQ.
    pub(crate) fn namespace(&self) -> &str {
        &self.namespace.as_ref().expect("this scene is on RabbitMQ").0
    }

    pub(crate) fn history(&self) -> History {
        History::read(&self.path("history"))
    }

    /// All lines of the history.
    pub(crate) fn history_text(&self) -> String {
        crate::history::text(&self.path("history"))
    }

    pub(crate) async fn enqueue(&self, kind: &str, payload: Value) -> JobId {
        self.client.enqueue_raw(kind, payload.to_string()).await.expect("stored")
    }

    pub(crate) async fn enqueue_work(&self, milliseconds: u64, failures: u32) -> JobId {
        self.enqueue("work", json!({ "milliseconds": milliseconds, "failures": failures })).await
    }

    /// A command of the fixture worker, which finds its database and history by the environment.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        self.program(env!("CARGO_BIN_EXE_fixture-worker"), args)
    }

    /// Runs a command of the stock program, which has nobody's jobs.
    pub(crate) fn stock(&self, args: &[&str]) -> Answer {
        Answer::of(self.program(env!("CARGO_BIN_EXE_job-worker"), args), "")
    }

    /// Runs a command of the fixture worker, which knows its own jobs.
    pub(crate) fn fixture(&self, args: &[&str]) -> Answer {
        Answer::of(self.command(args), "")
    }

    /// A command of the worker with schedules.
    pub(crate) fn scheduler(&self, args: &[&str]) -> Command {
        self.program(env!("CARGO_BIN_EXE_fixture-scheduler"), args)
    }

    /// Runs a command of the worker with subscriptions.
    pub(crate) fn subscriber(&self, args: &[&str]) -> Answer {
        Answer::of(self.program(env!("CARGO_BIN_EXE_fixture-subscriber"), args), "")
    }

    /// Runs a command of the stock program that reads from stdin.
    pub(crate) fn stock_reading(&self, args: &[&str], stdin: &str) -> Answer {
        Answer::of(self.program(env!("CARGO_BIN_EXE_job-worker"), args), stdin)
    }

    /// Runs a line in a shell, in which `my-worker` is the stock program, and returns all that it prints.
    pub(crate) fn shell(&self, line: &str) -> String {
        let line = format!("exec 2>&1; {}", line.replace("my-worker", env!("CARGO_BIN_EXE_job-worker")));
        let answer = Answer::of(self.program("/bin/sh", &["-c", &line]), "");
        assert_eq!(answer.stderr, "");
        answer.stdout
    }

    /// Runs a command of the stock program on a terminal, and returns what that shows.
    pub(crate) fn on_terminal(&self, args: &[&str], typed: &str) -> String {
        self.program_on_terminal(env!("CARGO_BIN_EXE_job-worker"), args, typed)
    }

    /// Runs a command of the fixture worker on a terminal, and returns what that shows.
    pub(crate) fn fixture_on_terminal(&self, args: &[&str]) -> String {
        self.program_on_terminal(env!("CARGO_BIN_EXE_fixture-worker"), args, "")
    }

    fn program_on_terminal(&self, path: &str, args: &[&str], typed: &str) -> String {
        let line = [&[path], args].concat().join(" ");
        let mut command = self.program("script", &["-qec", &line, "/dev/null"]);
        command.env("PATH", std::env::var_os("PATH").expect("a PATH")).env("TERM", "xterm");
        Answer::of(command, typed).stdout
    }

    fn program(&self, path: &str, args: &[&str]) -> Command {
        let mut command = Command::new(path);
        command
            .args(args)
            .env_clear()
            .env("JOB_BROKER", self.url())
            .env("JOB_TEST_HISTORY", self.path("history"))
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        command
    }

    pub(crate) fn start(&self, args: &[&str]) -> Process {
        self.start_as(self.command(args))
    }

    /// Starts the worker with subscriptions.
    pub(crate) fn start_subscriber(&self, args: &[&str]) -> Process {
        self.start_as(self.program(env!("CARGO_BIN_EXE_fixture-subscriber"), args))
    }

    /// Starts a worker that is another program than the usual one.
    pub(crate) fn start_as(&self, mut command: Command) -> Process {
        let log = self.path(&format!("log.{}", self.processes.fetch_add(1, Ordering::Relaxed)));
        let file = File::create(&log).expect("a log file");
        let child = command.stderr(file).spawn().expect("the fixture worker starts");
        Process { child, log }
    }

    /// Runs until nothing is left to do.
    pub(crate) async fn run_until_idle(&self, args: &[&str]) -> Ended {
        let args: Vec<&str> = ["run", "--exit-when-idle"].iter().chain(args).copied().collect();
        self.start(&args).wait().await
    }

    /// Waits until a condition on the history is true.
    pub(crate) async fn wait_history(&self, what: &str, condition: impl Fn(&History) -> bool) {
        wait(what, || {
            let holds = condition(&self.history());
            async move { holds }
        })
        .await;
    }

    pub(crate) async fn dead(&self, queue: &str) -> Vec<job_core::envelope::Envelope> {
        let inspect = self.client.broker().inspect().expect("this broker can be inspected");
        let queue = job_core::QueueName::parse(queue).expect("a queue's name").dead();
        inspect.peek(&queue, job_core::broker::Page { offset: 0, limit: 1000 }).await.expect("readable")
    }
}

impl Answer {
    pub(crate) fn of(mut command: Command, stdin: &str) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        // A program that reads nothing may have gone.
        let _ = child.stdin.take().expect("a pipe").write_all(stdin.as_bytes());
        let output = child.wait_with_output().expect("it ends");
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// What it printed as JSON; it must have succeeded and said nothing else.
    pub(crate) fn json(&self) -> Value {
        assert_eq!((self.code, self.stderr.as_str()), (Some(0), ""));
        serde_json::from_str(&self.stdout).expect("one JSON document")
    }

    /// Asserts how it failed, to the letter; `DIR` stands for the scene's folder.
    pub(crate) fn assert_failed(&self, scene: &Scene, code: i32, expected: &str) {
        let folder = scene.path("").display().to_string();
        assert_eq!(self.stderr.replace(&folder, "DIR/"), expected);
        assert_eq!((self.code, self.stdout.as_str()), (Some(code), ""));
    }
}

impl Process {
    pub(crate) fn signal(&self, signal: &str) {
        let status = Command::new("kill").args(["-s", signal, &self.child.id().to_string()]).status();
        assert!(status.expect("kill runs").success(), "the process has gone before {signal}");
    }

    /// Kills it, if it has not ended by itself.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("our own child");
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has said so far.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).expect("its log")).into_owned()
    }

    /// Waits until it has said something.
    pub(crate) async fn wait_log(&self, text: &str) {
        wait(&format!("the worker says {text:?}"), || {
            let says = self.log().contains(text);
            async move { says }
        })
        .await;
    }

    /// Waits for the end of the process.
    pub(crate) async fn wait(mut self) -> Ended {
        let mut status: Option<ExitStatus> = None;
        let child = &mut self.child;
        let has_ended = comes_true(|| {
            status = child.try_wait().expect("our own child");
            let has_ended = status.is_some();
            async move { has_ended }
        })
        .await;
        assert!(has_ended, "the worker process does not end; it said:\n{}", self.log());
        Ended { code: status.and_then(|s| s.code()), stderr: self.log() }
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        amqp_node::forget(&self.0);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until a condition is true, and fails with `what` when it does not become so.
pub(crate) async fn wait<F: Future<Output = bool>>(what: &str, condition: impl FnMut() -> F) {
    assert!(comes_true(condition).await, "it did not come true that {what}");
}

async fn comes_true<F: Future<Output = bool>>(mut condition: impl FnMut() -> F) -> bool {
    let clock = Clock::system();
    let waiting = async {
        while !condition().await {
            clock.sleep(Duration::from_millis(5)).await;
        }
    };
    clock.timeout(patience(), waiting).await.is_some()
}

fn url(database: &Path) -> String {
    format!("sqlite:{}", database.display())
}
