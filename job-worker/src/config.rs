//! How a worker behaves: plain data, checked as a whole.

use std::time::Duration;

use job_core::error::{Error, Result};
use job_core::name::QueueName;

/// Most jobs that one worker runs at once; more belongs into more processes.
pub const CONCURRENCY_MAX: usize = 10_000;

/// Deepest JSON nesting that is decoded unless told otherwise: half of what serde_json itself takes.
pub const DEPTH_MAX_DEFAULT: usize = 64;

/// Largest payload that is decoded unless told otherwise: 8 MiB. Clients stop far below it.
pub const PAYLOAD_BYTES_MAX_DEFAULT: usize = 8 * 1024 * 1024;

/// The settings of a worker.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkerConfig {
    /// The queues to consume; empty means all queues of the linked jobs. Defaults to empty.
    pub queues: Vec<QueueConfig>,
    /// Jobs that run at once, in all queues together. Defaults to 16.
    pub concurrency: usize,
    /// How long running jobs may finish after a stop was asked for. Defaults to 25 s.
    pub grace: Duration,
    /// Stop when nothing is ready, delayed or running on the consumed queues. Defaults to false.
    pub exit_when_idle: bool,
    /// Whether it fires the ticks of schedules. Defaults to [`Scheduling::With`].
    pub scheduling: Scheduling,
    /// Largest payload that is decoded, in bytes; a larger one is dead at once. Defaults to
    /// [`PAYLOAD_BYTES_MAX_DEFAULT`].
    pub payload_bytes_max: usize,
    /// Deepest nesting that is decoded; a deeper payload is dead at once. Defaults to [`DEPTH_MAX_DEFAULT`].
    pub depth_max: usize,
}

/// Whether a worker fires the ticks of schedules, besides running jobs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scheduling {
    /// It does both. The default.
    #[default]
    With,
    /// It runs jobs only; another worker of the application must fire.
    Without,
    /// It fires only.
    Only,
}

/// One consumed queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueConfig {
    /// Its name.
    pub name: QueueName,
    /// Its share of the slots when several queues compete for them. Defaults to 1.
    pub weight: u32,
    /// Jobs of this queue that run at once; `None` is no limit of its own. Defaults to `None`.
    pub concurrency: Option<usize>,
}

impl Default for WorkerConfig {
    fn default() -> Self {
        Self {
            queues: Vec::new(),
            concurrency: 16,
            grace: Duration::from_secs(25),
            exit_when_idle: false,
            scheduling: Scheduling::With,
            payload_bytes_max: PAYLOAD_BYTES_MAX_DEFAULT,
            depth_max: DEPTH_MAX_DEFAULT,
        }
    }
}

impl WorkerConfig {
    /// Checks all settings, and reports every problem at once.
    ///
    /// # Errors
    /// One line a problem, each naming the field and the fix.
    pub fn validate(&self) -> Result<()> {
        let mut problems = Vec::new();
        if !(1..=CONCURRENCY_MAX).contains(&self.concurrency) {
            problems.push(format!("concurrency is {}; use 1 to {CONCURRENCY_MAX}", self.concurrency));
        }
        for (i, queue) in self.queues.iter().enumerate() {
            problems.extend(queue.problems());
            if self.queues[..i].iter().any(|q| q.name == queue.name) {
                problems.push(format!("queue \"{}\" is listed twice; list it once", queue.name));
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(Error::invalid(problems.join("\n"))) }
    }
}

impl QueueConfig {
    /// Makes the configuration of a queue with weight 1 and no limit of its own.
    pub fn new(name: QueueName) -> Self {
        Self { name, weight: 1, concurrency: None }
    }

    /// Parses `name`, `name=weight` or `name=weight/concurrency`, such as `mail=3/10`.
    ///
    /// # Errors
    /// Says which part is wrong.
    pub fn parse(text: &str) -> Result<Self> {
        let (name, rest) = text.split_once('=').map_or((text, None), |(n, r)| (n, Some(r)));
        let mut queue = Self::new(QueueName::parse_any(name.trim())?);
        let Some(rest) = rest else {
            return Ok(queue);
        };
        let (weight, limit) = rest.split_once('/').map_or((rest, None), |(w, l)| (w, Some(l)));
        queue.weight = parse_number(text, "weight", weight)?;
        queue.concurrency = limit.map(|l| parse_number(text, "concurrency", l)).transpose()?;
        Ok(queue)
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if !(1..=1000).contains(&self.weight) {
            problems.push(format!("the weight of queue \"{}\" is {}; use 1 to 1000", self.name, self.weight));
        }
        if self.concurrency == Some(0) {
            problems.push(format!("the concurrency of queue \"{}\" is 0; use 1 or more", self.name));
        }
        problems
    }
}

fn parse_number<N: std::str::FromStr>(text: &str, what: &str, number: &str) -> Result<N> {
    number.trim().parse().map_err(|_| {
        Error::invalid(format!(
            "the {what} in \"{text}\" is {number:?}, no number; write name=weight or name=weight/concurrency, such as mail=3/10"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(name: &str) -> QueueConfig {
        QueueConfig::new(QueueName::parse(name).unwrap())
    }

    #[test]
    fn queues_are_written_with_weight_and_concurrency() {
        assert_eq!(QueueConfig::parse("mail").unwrap(), queue("mail"));
        assert_eq!(QueueConfig::parse("mail=3").unwrap(), QueueConfig { weight: 3, ..queue("mail") });
        let full = QueueConfig { weight: 3, concurrency: Some(10), ..queue("mail") };
        assert_eq!(QueueConfig::parse("mail=3/10").unwrap(), full);
        assert_eq!(
            QueueConfig::parse("mail=x").unwrap_err().to_string(),
            "the weight in \"mail=x\" is \"x\", no number; write name=weight or name=weight/concurrency, such as mail=3/10"
        );
    }

    #[test]
    fn every_problem_is_reported_at_once() {
        let config = WorkerConfig {
            concurrency: 0,
            queues: vec![QueueConfig { weight: 0, concurrency: Some(0), ..queue("a") }, queue("a")],
            ..WorkerConfig::default()
        };
        assert_eq!(
            config.validate().unwrap_err().to_string(),
            "concurrency is 0; use 1 to 10000\n\
             the weight of queue \"a\" is 0; use 1 to 1000\n\
             the concurrency of queue \"a\" is 0; use 1 or more\n\
             queue \"a\" is listed twice; list it once"
        );
        assert!(WorkerConfig::default().validate().is_ok());
    }
}
