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
}

/// A measurement under way.
pub(crate) struct Stopwatch {
    begun: Instant,
    cpu: f64,
}

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self { cpu: usage::cpu_seconds(), begun: Instant::now() }
    }

    /// Ends the measurement of so many jobs.
    pub(crate) fn stop(self, jobs: usize) -> Sample {
        let seconds = self.begun.elapsed().as_secs_f64();
        let cpu = usage::cpu_seconds() - self.cpu;
        Sample { rate: jobs as f64 / seconds, cpu: cpu * 100_000.0 / jobs as f64 }
    }
}
