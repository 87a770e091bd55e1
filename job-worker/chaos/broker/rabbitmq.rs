//! A RabbitMQ node of the run's own: brought up, killed, throttled and asked by `scripts/rabbitmq`.

use std::io;
use std::path::Path;
use std::process::Command;

use crate::broker::Blow;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/rabbitmq");

/// The folder of the node in that of the run.
const NODE: &str = "rabbitmq";

/// What is set while nothing is to be short, and what makes it so.
const MEMORY: [&str; 2] = ["0.4", "0.00001"];
const DISK: [&str; 2] = ["50MB", "1000000GB"];

/// Starts the node, or brings it back, and returns its URL.
pub(super) fn start(folder: &Path) -> io::Result<String> {
    let output = script(folder, "start", &[])?;
    output.lines().last().map(str::to_owned).ok_or_else(|| io::Error::other("scripts/rabbitmq printed no URL"))
}

/// Stops the node.
pub(super) fn stop(folder: &Path) -> io::Result<()> {
    script(folder, "stop", &[]).map(drop)
}

/// Says that the node has ended by itself, if so.
pub(super) fn damage(folder: &Path) -> Option<String> {
    script(folder, "pid", &[]).err().map(|error| error.to_string())
}

pub(super) fn strike(folder: &Path, blow: Blow) -> io::Result<()> {
    match blow {
        Blow::Kill => script(folder, "kill", &[]).map(drop),
        Blow::Cut => cut(folder),
        Blow::Memory | Blow::Disk => set_limit(folder, blow, 1),
    }
}

pub(super) fn heal(folder: &Path, blow: Blow) -> io::Result<()> {
    match blow {
        Blow::Kill => start(folder).map(drop),
        Blow::Cut => Ok(()),
        Blow::Memory | Blow::Disk => set_limit(folder, blow, 0),
    }
}

fn cut(folder: &Path) -> io::Result<()> {
    let output = ctl(folder, &["close_all_connections", "the harness cuts them"])?;
    if output.contains("Closed 0 ") {
        return Err(io::Error::other("there was no connection to cut"));
    }
    Ok(())
}

/// Makes the node short of something, or not any more; `alarms` is how many it must ring afterwards.
fn set_limit(folder: &Path, blow: Blow, alarms: usize) -> io::Result<()> {
    match blow {
        Blow::Memory => ctl(folder, &["set_vm_memory_high_watermark", MEMORY[alarms]])?,
        _ => ctl(folder, &["set_disk_free_limit", DISK[alarms]])?,
    };
    let rung = ctl(folder, &["eval", "length(rabbit_alarm:get_alarms())."])?;
    // A fault that did not happen would prove nothing.
    if rung.trim() != alarms.to_string() {
        return Err(io::Error::other(format!("{} alarms are on, not {alarms}", rung.trim())));
    }
    Ok(())
}

/// Returns what every queue holds, waiting or handed out, by the broker's own count.
pub(super) fn queues(folder: &Path) -> io::Result<Vec<(String, u64)>> {
    let output = ctl(folder, &["list_queues", "--no-table-headers", "name", "messages"])?;
    let read = |line: &str| {
        let (name, count) = line.rsplit_once('\t')?;
        Some((name.to_owned(), count.trim().parse().ok()?))
    };
    // A queue that has no count just now must not pass as an empty one.
    let unread = |line: &str| io::Error::other(format!("rabbitmqctl counts no messages: {line:?}"));
    output.lines().map(|line| read(line).ok_or_else(|| unread(line))).collect()
}

fn ctl(folder: &Path, args: &[&str]) -> io::Result<String> {
    script(folder, "ctl", args)
}

fn script(folder: &Path, verb: &str, args: &[&str]) -> io::Result<String> {
    let output = Command::new(SCRIPT).arg(verb).arg("--folder").arg(folder.join(NODE)).args(args).output()?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("scripts/rabbitmq {verb} {}: {}; {stderr}", args.join(" "), output.status)))
}
