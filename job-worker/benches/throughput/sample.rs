//! One measurement of one program.

use std::time::Instant;

use crate::usage;

/// What a program reached.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// Jobs a second.
    pub(crate) rate: f64,
    /// Seconds of processor time for 100 000 jobs, the threads of this process together.
    pub(crate) cpu: f64,
    /// The same of the broker's own process, where it has one.
    pub(crate) server_cpu: Option<f64>,
}

/// A measurement under way.
pub(crate) struct Stopwatch {
    begun: Instant,
    cpu: f64,
    server: Option<(u32, f64)>,
}

impl Stopwatch {
    /// Starts it; `server` is the process that keeps the jobs, where that is not this one.
    pub(crate) fn start(server: Option<u32>) -> Self {
        let server = server.map(|process| (process, usage::cpu_seconds_of(process)));
        Self { server, cpu: usage::cpu_seconds(), begun: Instant::now() }
    }

    /// Ends the measurement of so many jobs.
    pub(crate) fn stop(self, jobs: usize) -> Sample {
        let seconds = self.begun.elapsed().as_secs_f64();
        let cpu = usage::cpu_seconds() - self.cpu;
        let server_cpu = self.server.map(|(process, before)| usage::cpu_seconds_of(process) - before);
        let per_100k = |cpu: f64| cpu * 100_000.0 / jobs as f64;
        Sample { rate: jobs as f64 / seconds, cpu: per_100k(cpu), server_cpu: server_cpu.map(per_100k) }
    }
}
