//! RabbitMQ nodes for tests: `scripts/rabbitmq` brings them up, and every test program of a checkout shares one of them.
//!
//! A node that cannot be had fails the test that wants it; nothing is skipped. The shared one outlives the tests, so
//! each test takes a namespace of its own in it. One that is to be killed or throttled is a [`Node`] of that test alone.

#![allow(dead_code, reason = "each test program uses its part")]

use std::path::Path;
use std::process::{Command, Output};
use std::sync::OnceLock;

use lapin::options::QueueDeleteOptions;
use lapin::{Connection, ConnectionProperties};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/rabbitmq");

/// Returns the URL of the shared node, which it starts when it does not run.
pub(crate) fn url() -> &'static str {
    static URL: OnceLock<String> = OnceLock::new();
    URL.get_or_init(|| last_line(&script(&["start"])))
}

/// Runs `rabbitmqctl` against the shared node, and returns what it printed.
pub(crate) fn ctl(args: &[&str]) -> String {
    url();
    let output = script(&[&["ctl"], args].concat());
    String::from_utf8(output.stdout).expect("rabbitmqctl prints UTF-8")
}

/// Makes a durable exchange exist on the shared node, as its owner would. It stays.
pub(crate) fn declare_exchange(name: &str, kind: &str) {
    let resource = format!("rabbit_misc:r(<<\"/\">>, exchange, <<\"{name}\">>)");
    ctl(&["eval", &format!("rabbit_exchange:declare({resource}, {kind}, true, false, false, [], <<\"tests\">>).")]);
}

/// Deletes the delay slots of a namespace of the shared node, as well as that can be done: with those of a hundred
/// namespaces, the node would run out of files.
pub(crate) fn forget(namespace: &str) {
    // In a thread: a test runs on a runtime, which cannot be blocked. And it may have failed: no second panic.
    std::thread::scope(|scope| {
        let deleting = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(delete_slots(namespace))
        });
        let _ = deleting.join();
    });
}

async fn delete_slots(namespace: &str) -> lapin::Result<()> {
    let connection = Connection::connect(url(), ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    for slot in (0..4).flat_map(|level| (0..32).map(move |index| format!("{level}.{index}"))) {
        let queue = format!("{namespace}.jobs.delay.v1.{slot}");
        channel.queue_delete(queue.into(), QueueDeleteOptions::default()).await?;
    }
    connection.close(200, "OK".into()).await
}

/// One node, or a cluster, of one test: stopped and forgotten with this value.
pub(crate) struct Node {
    name: &'static str,
    verb: &'static str,
    url: String,
}

impl Node {
    /// Starts a single node. The name must be no other test's.
    pub(crate) fn single(name: &'static str) -> Self {
        Self::bring_up(name, "start")
    }

    /// Starts three nodes that are one cluster; the URL lists all of them. The name must be no other test's.
    pub(crate) fn cluster(name: &'static str) -> Self {
        Self::bring_up(name, "cluster")
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Returns the process of the first node.
    pub(crate) fn pid(&self) -> u32 {
        let pid = last_line(&script(&["pid", "--name", self.name]));
        pid.parse().expect("a process has a number")
    }

    /// Kills a node, as a crash does; the first is 1.
    pub(crate) fn kill(&self, node: usize) {
        script(&["kill", "--name", self.name, "--node", &node.to_string()]);
    }

    /// Brings back every node that was killed, with its data and on its port.
    pub(crate) fn bring_back(&self) {
        assert_eq!(last_line(&script(&[self.verb, "--name", self.name])), self.url, "a node came back elsewhere");
    }

    /// Runs `rabbitmqctl` against the first node that is given, and returns what it printed.
    pub(crate) fn ctl(&self, node: usize, args: &[&str]) -> String {
        let node = node.to_string();
        let output = script(&[&["ctl", "--name", self.name, "--node", &node], args].concat());
        String::from_utf8(output.stdout).expect("rabbitmqctl prints UTF-8")
    }

    fn bring_up(name: &'static str, verb: &'static str) -> Self {
        Self { name, verb, url: last_line(&script(&[verb, "--name", name])) }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // A second panic would hide the first: a test that fails may leave its node behind, never its message.
        if let Ok(output) = run(&["stop", "--name", self.name, "--wipe"])
            && !output.status.success()
        {
            eprintln!("{}", String::from_utf8_lossy(&output.stderr));
        }
    }
}

fn script(args: &[&str]) -> Output {
    let output = run(args).unwrap_or_else(|error| panic!("{SCRIPT} cannot be run: {error}"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "scripts/rabbitmq {}: {}\n{stderr}", args.join(" "), output.status);
    output
}

fn run(args: &[&str]) -> std::io::Result<Output> {
    Command::new(Path::new(SCRIPT)).args(args).output()
}

fn last_line(output: &Output) -> String {
    let stdout = String::from_utf8_lossy(&output.stdout);
    stdout.lines().last().unwrap_or_else(|| panic!("scripts/rabbitmq printed no URL")).to_owned()
}
