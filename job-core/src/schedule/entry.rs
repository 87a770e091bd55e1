//! What the ledger keeps of schedules: what they are, their last ticks, pauses, and runs that were asked for.
//!
//! Fields are only ever added: programs of several versions read them.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::clock::Timestamp;
use crate::error::Result;
use crate::name::{JobId, Kind, QueueName};
use crate::schedule::{Schedule, check_name};

/// The schedule of one application; the ledger's keys and the broker's ticks are named by it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ScheduleKey {
    application: String,
    name: String,
}

/// What a schedule is. A worker announces those of its code, which it makes jobs for by itself; a client's has its job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScheduleEntry {
    /// When, and its policies.
    #[serde(flatten)]
    pub schedule: Schedule,
    /// Where it was written.
    pub origin: Origin,
    /// The kind of its jobs.
    pub kind: Kind,
    /// Their queue.
    pub queue: QueueName,
    /// Their payload, for a client's.
    #[serde(default)]
    pub payload: Value,
    /// Within which time after its tick the first run must start, for a client's.
    #[serde(default)]
    pub expires_seconds: Option<f64>,
}

/// Where a schedule was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// In a worker's code.
    Code,
    /// At run time, by a client.
    Client,
}

/// How far a schedule has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TickEntry {
    /// The latest tick that is dealt with; at first, when the schedule was first seen.
    pub last: Timestamp,
    /// The latest tick that has a job.
    #[serde(default)]
    pub fired: Option<Timestamp>,
    /// What recurred, in words: ticks of another recurrence were not missed.
    pub recurrence: String,
}

/// Whether a schedule pauses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PauseEntry {
    /// It does.
    pub is_paused: bool,
    /// Since when; ticks before the end of a pause were not missed.
    pub since: Timestamp,
}

/// A run that was asked for; removed once its job is enqueued.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunEntry {
    /// When it was asked for.
    pub at: Timestamp,
    /// The id of its job.
    pub id: JobId,
}

impl ScheduleKey {
    /// Names a schedule.
    ///
    /// # Errors
    /// When one of the names cannot be.
    pub fn new(application: &str, name: &str) -> Result<Self> {
        check_name(application)?;
        check_name(name)?;
        Ok(Self { application: application.into(), name: name.into() })
    }

    /// Returns the schedule that an entry of the ledger defines, if it does.
    pub fn of_entry(key: &str) -> Option<Self> {
        let (application, name) = key.strip_prefix("schedule/")?.split_once('/')?;
        Self::new(application, name).ok()
    }

    /// Returns the application.
    pub fn application(&self) -> &str {
        &self.application
    }

    /// Returns the name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the key of its [`ScheduleEntry`].
    pub fn entry(&self) -> String {
        format!("schedule/{self}")
    }

    /// Returns the key of its [`TickEntry`].
    pub fn tick(&self) -> String {
        format!("tick/{self}")
    }

    /// Returns the key of its [`PauseEntry`].
    pub fn pause(&self) -> String {
        format!("schedule-pause/{self}")
    }

    /// Returns the key of a [`RunEntry`]: each has its own, so that one never replaces another.
    pub fn run(&self, id: &JobId) -> String {
        format!("{}{id}", self.runs())
    }

    /// Returns how the keys of all its [`RunEntry`]s begin.
    pub fn runs(&self) -> String {
        format!("schedule-run/{self}/")
    }

    /// Returns the key of the latest [`RunEntry`] whose job was enqueued, with the instant under which it was.
    pub fn ran(&self) -> String {
        format!("schedule-ran/{self}")
    }

    /// Returns the id of the job of a tick: the same, whoever fires it.
    pub fn tick_id(&self, tick: Timestamp) -> JobId {
        root().derive(&format!("{self}@{}", tick.to_rfc3339()))
    }
}

impl std::fmt::Display for ScheduleKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.application, self.name)
    }
}

/// The namespace of all ticks, ours and never changed.
fn root() -> JobId {
    JobId::parse("ticks of schedules").expect("a text of printable characters is an id")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_a_tick_is_the_same_for_ever() {
        let key = ScheduleKey::new("shop", "nightly").unwrap();
        let tick = "2026-11-24T03:00:00Z".parse().unwrap();
        assert_eq!(key.tick_id(tick).to_string(), "bcda6119-88ae-56c1-919d-6baaf51c0a1f");
        assert_ne!(key.tick_id(tick), ScheduleKey::new("shop", "hourly").unwrap().tick_id(tick));
    }

    #[test]
    fn keys_lead_back_to_their_schedules() {
        let key = ScheduleKey::new("shop", "nightly").unwrap();
        assert_eq!(ScheduleKey::of_entry(&key.entry()), Some(key));
        assert_eq!(ScheduleKey::of_entry("kind/nightly"), None);
        assert!(ScheduleKey::new("a/b", "c").is_err());
    }
}
