//! A schedule as a scheduler has it: its name, when it is due, and how its job is made.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use job_core::broker::Outgoing;
use job_core::client::Client;
use job_core::clock::{Timestamp, later};
use job_core::error::{Error, Result};
use job_core::job::{Job, JobType};
use job_core::name::{JobId, Kind, QueueName};
use job_core::schedule::{LinkedSchedule, Origin, Schedule, ScheduleEntry, ScheduleKey};
use job_core::topology::Target;
use job_schedule::Recurrence;
use serde_json::Value;

use crate::schedule::read;

/// Makes the message of a tick's job, with any id.
type Make = Arc<dyn Fn(&Client) -> Result<Outgoing> + Send + Sync>;

/// One schedule.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) key: ScheduleKey,
    pub(crate) entry: ScheduleEntry,
    pub(crate) recurrence: Recurrence,
    make: Make,
}

/// A schedule of the program's code, before its application is known.
#[derive(Clone)]
pub(crate) struct Draft {
    pub(crate) name: String,
    pub(crate) kind: &'static str,
    schedule: Schedule,
    queue: Result<QueueName, String>,
    make: Make,
}

impl Draft {
    /// Takes one from the attribute of a job.
    pub(crate) fn linked(linked: &'static LinkedSchedule, job: &JobType) -> Self {
        let make: Make = Arc::new(|client| client.enqueue_any(&*(linked.make)()).into_message());
        let (name, schedule) = (linked.name(), linked.schedule());
        Self { name, kind: linked.kind, schedule, queue: job.queue().map_err(|e| e.to_string()), make }
    }

    /// Takes one that was given to the builder.
    pub(crate) fn given<J: Job>(name: &str, schedule: Schedule, make: impl Fn() -> J + Send + Sync + 'static) -> Self {
        let make: Make = Arc::new(move |client| client.enqueue(make()).into_message());
        let queue = JobType::of::<J>().queue().map_err(|e| e.to_string());
        Self { name: name.to_owned(), kind: J::KIND, schedule, queue, make }
    }

    /// Reads it.
    ///
    /// # Errors
    /// Names it, and says what is wrong.
    pub(crate) fn plan(&self, application: &str) -> Result<Plan, String> {
        let named = |error: &dyn std::fmt::Display| format!("the schedule \"{}\": {error}", self.name);
        let recurrence = read(&self.schedule).map_err(|e| named(&e))?;
        let key = ScheduleKey::new(application, &self.name).map_err(|e| named(&e))?;
        let kind = Kind::parse(self.kind).map_err(|e| named(&e))?;
        let queue = self.queue.clone().map_err(|e| named(&e))?;
        let (schedule, payload) = (self.schedule.clone(), Value::Null);
        let entry = ScheduleEntry { schedule, origin: Origin::Code, kind, queue, payload, expires_seconds: None };
        Ok(Plan { key, entry, recurrence, make: Arc::clone(&self.make) })
    }
}

impl Plan {
    /// Reads one that a client wrote into the ledger.
    ///
    /// # Errors
    /// When its expression or zone is wrong.
    pub(crate) fn of_client(key: ScheduleKey, entry: ScheduleEntry) -> Result<Self> {
        let recurrence = read(&entry.schedule)?;
        let (kind, queue, payload) = (entry.kind.clone(), entry.queue.clone(), entry.payload.to_string());
        let expires = entry.expires_seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        let make: Make = Arc::new(move |client| {
            let mut message = client.enqueue_raw(kind.as_str(), payload.clone()).into_message()?;
            message.target = Target::Queue(queue.clone());
            let envelope = &mut message.envelope;
            envelope.details.expires = expires.map(|expires| later(envelope.enqueued_at, expires));
            Ok(message)
        });
        Ok(Self { key, entry, recurrence, make })
    }

    /// Makes the message of a tick. Its id follows from schedule and tick, whoever makes it.
    ///
    /// # Errors
    /// When the program's code panics or makes a job that cannot be written.
    pub(crate) fn tick(&self, client: &Client, tick: Timestamp) -> Result<Outgoing> {
        let mut message = self.message(client, self.key.tick_id(tick), tick)?;
        let due = later(tick, self.jitter(&message.envelope.id));
        let now = message.envelope.enqueued_at;
        message.envelope.not_before = (due > now && due > tick).then_some(due);
        Ok(message)
    }

    /// Makes the message of a run that was asked for.
    ///
    /// # Errors
    /// As [`tick`](Self::tick).
    pub(crate) fn message(&self, client: &Client, id: JobId, tick: Timestamp) -> Result<Outgoing> {
        let made = catch_unwind(AssertUnwindSafe(|| (self.make)(client)));
        let mut message = made.map_err(|_| Error::invalid("the code that makes its job panicked"))??;
        message.envelope.id = id;
        let headers = &mut message.envelope.details.headers;
        headers.insert("schedule".into(), self.key.to_string());
        headers.insert("schedule-tick".into(), tick.to_rfc3339());
        Ok(message)
    }

    /// Spreads ticks evenly over the jitter, by their ids: the same tick always waits as long.
    fn jitter(&self, id: &JobId) -> Duration {
        let bytes = id.as_uuid_bytes().and_then(|bytes| bytes.last_chunk::<4>());
        let spread = bytes.map_or(0, |bytes| u64::from(u32::from_be_bytes(*bytes)));
        let milliseconds = self.entry.schedule.jitter_seconds.saturating_mul(1000);
        Duration::from_millis(milliseconds.saturating_mul(spread) >> 32)
    }
}
