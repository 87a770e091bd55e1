//! What this process uses, and how busy the machine is: read from `/proc`, so on Linux only.

use std::fmt::Display;
use std::fs;

/// Ticks of a second in proc_pid_stat(5): USER_HZ, which is 100 for every program on Linux.
const TICKS: f64 = 100.0;

/// Returns the user and system time of this process, in steps of 10 ms: fields 14 and 15, after the command's name.
pub(crate) fn cpu_seconds() -> f64 {
    cpu_seconds_of("self")
}

/// Returns that of another process of this machine.
pub(crate) fn cpu_seconds_of(process: impl Display) -> f64 {
    let stat = read(&format!("/proc/{process}/stat"));
    let fields: Vec<&str> = stat.rsplit(')').next().expect("a line").split_whitespace().collect();
    let ticks = |at: usize| fields[at].parse::<f64>().expect("a number");
    (ticks(11) + ticks(12)) / TICKS
}

/// Returns the largest resident size that this process has had, in MiB.
pub(crate) fn rss_peak_mib() -> f64 {
    let status = read("/proc/self/status");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("a peak of the resident size");
    let kib: f64 = line.split_whitespace().nth(1).expect("a number").parse().expect("a number");
    kib / 1024.0
}

/// Says on what machine the figures were taken.
pub(crate) fn conditions() -> String {
    let load = read("/proc/loadavg");
    let load: Vec<&str> = load.split_whitespace().take(3).collect();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("cores={cores} load_average={} steal={:.1}%", load.join("/"), steal_percent())
}

/// Returns the share of time since the machine's start that its host gave to others: field 8 of the line `cpu`.
fn steal_percent() -> f64 {
    let stat = read("/proc/stat");
    let line = stat.lines().next().expect("the line of all processors");
    let times: Vec<f64> = line.split_whitespace().skip(1).take(8).map(|t| t.parse().expect("a number")).collect();
    100.0 * times[7] / times.iter().sum::<f64>()
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}
