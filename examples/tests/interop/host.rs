//! A virtual host of one test, and the programs in Ruby that are started on it.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use job_core::Client;
use job_core::clock::Clock;
use job_worker::apply_topology;

use crate::amqp_node;
use crate::crew::PATIENCE;

/// The folder of the programs.
pub(crate) const PROGRAMS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/interop");

pub(crate) struct Host {
    name: String,
    url: String,
}

/// A program that runs until it is dropped.
pub(crate) struct Program {
    child: Child,
    lines: Receiver<String>,
}

impl Host {
    pub(crate) fn new(name: &str) -> Self {
        let name = format!("interop-{name}-{:08x}", fastrand_of_the_clock());
        amqp_node::ctl(&["add_vhost", &name]);
        amqp_node::ctl(&["set_permissions", "-p", &name, "guest", ".*", ".*", ".*"]);
        let (server, _) = amqp_node::url().rsplit_once('/').unwrap();
        Self { url: format!("{server}/{name}"), name }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Connects, and makes everything exist, as a deployment does. Somebody else has declared what is theirs.
    pub(crate) async fn deployed(&self) -> Client {
        let queue = format!("rabbit_misc:r(<<\"{}\">>, queue, <<\"awesome_task_queue\">>)", self.name);
        amqp_node::ctl(&["eval", &format!("rabbit_amqqueue:declare({queue}, true, false, [], none, <<\"tests\">>).")]);
        let client = Client::connect(&self.url).await.unwrap();
        apply_topology(&client).await.unwrap();
        client
    }

    /// Runs a program to its end, and returns what it printed.
    pub(crate) fn ruby(&self, program: &str) -> String {
        let output = self.command(program).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program}: {}\n{stderr}", output.status);
        String::from_utf8(output.stdout).unwrap()
    }

    /// Starts a program.
    pub(crate) fn start(&self, program: &str) -> Program {
        let mut child = self.command(program).stdout(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in stdout.lines() {
                if line.is_err() || sender.send(line.unwrap()).is_err() {
                    return;
                }
            }
        });
        Program { child, lines }
    }

    /// Returns how many messages wait in a queue or are handed out, as the node itself tells.
    pub(crate) fn waiting(&self, queue: &str) -> u64 {
        let listed = amqp_node::ctl(&["list_queues", "-p", &self.name, "--no-table-headers", "name", "messages"]);
        let line = listed.lines().find_map(|line| line.strip_prefix(queue)?.strip_prefix('\t'));
        line.unwrap_or_else(|| panic!("no queue {queue} in\n{listed}")).trim().parse().unwrap()
    }

    /// Waits until so many do: the node counts what is in quorum queues seconds late.
    pub(crate) async fn wait_until_waiting(&self, queue: &str, count: u64) {
        let clock = Clock::system();
        let reached = async {
            while self.waiting(queue) != count {
                clock.sleep(Duration::from_millis(100)).await;
            }
        };
        assert!(clock.timeout(PATIENCE, reached).await.is_some(), "{queue} has {}, not {count}", self.waiting(queue));
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ruby");
        command.arg(PathBuf::from(PROGRAMS).join(program)).env("RABBITMQ_URL", &self.url);
        command
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        amqp_node::ctl(&["delete_vhost", &self.name]);
    }
}

impl Program {
    /// Waits until it prints a line.
    pub(crate) async fn wait_for_line(&self, expected: &str) {
        let clock = Clock::system();
        let begun = clock.monotonic();
        let mut printed = Vec::new();
        while clock.monotonic() - begun < PATIENCE {
            match self.lines.recv_timeout(Duration::from_secs(1)) {
                Ok(line) if line == expected => return,
                Ok(line) => printed.push(line),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        panic!("it printed {printed:?}, not {expected:?}");
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A number that no other run has had: a run that was killed leaves its virtual host behind.
fn fastrand_of_the_clock() -> u32 {
    Clock::system().now().timestamp_subsec_nanos()
}
