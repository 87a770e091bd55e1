//! Schedules that are made, changed and stopped at run time: settings in the ledger, which the workers act upon.

use serde::Serialize;
use serde_json::Value;

use crate::application;
use crate::broker::{Entry, Ledger};
use crate::client::Client;
use crate::error::{Error, Result};
use crate::job::Job;
use crate::name::JobId;
use crate::schedule::{Origin, PauseEntry, RunEntry, Schedule, ScheduleEntry, ScheduleKey};

/// Largest payload of a schedule, in bytes: every process reads the whole ledger.
const PAYLOAD_BYTES_MAX: usize = 64 * 1024;

/// The schedules of one application, to be changed.
#[derive(Clone, Debug)]
pub struct Schedules {
    client: Client,
    application: Option<String>,
}

impl Client {
    /// Returns the schedules of this program's [application](crate::application!), to be changed.
    pub fn schedules(&self) -> Schedules {
        Schedules { client: self.clone(), application: None }
    }
}

impl Schedules {
    /// Turns to another application's schedules.
    #[must_use]
    pub fn of(mut self, application: &str) -> Self {
        self.application = Some(application.to_owned());
        self
    }

    /// Makes a schedule that enqueues a copy of `job` at each tick, or changes the one of this name. Its first tick is the
    /// next one from now on.
    ///
    /// The expression is read by the workers, since this crate cannot: check one that people wrote with
    /// `job_worker::schedule::check` first. Workers leave one alone that they cannot read, and `schedules list` says why.
    ///
    /// # Errors
    /// When a bound is passed, the schedule stands in a worker's code, or the ledger cannot be written.
    pub async fn upsert<J: Job>(&self, name: &str, schedule: Schedule, job: J) -> Result<()> {
        let key = self.key(name)?;
        schedule.check()?;
        let message = self.client.enqueue(job).into_message()?;
        let payload = &message.envelope.payload;
        if payload.len() > PAYLOAD_BYTES_MAX {
            let bytes = payload.len();
            return Err(Error::invalid(format!(
                "the payload of a schedule has at most {PAYLOAD_BYTES_MAX} bytes, this one has {bytes}"
            )));
        }
        let payload = serde_json::from_slice(payload)
            .map_err(|e| Error::invalid(format!("the job \"{}\" is not JSON", J::KIND)).caused_by(e))?;
        let (Some(kind), Some(queue)) = (message.envelope.kind, message.target.queue().cloned()) else {
            return Err(Error::invalid("a schedule needs a job with a kind and a queue"));
        };
        let expires_seconds = J::OPTIONS.expires.map(|d| d.as_secs_f64());
        let entry = ScheduleEntry { schedule, origin: Origin::Client, kind, queue, payload, expires_seconds };
        if let Some(known) = self.find(&key).await? {
            is_client_s(&key, &known)?;
        }
        self.write(&key.entry(), Some(&entry), |_| true).await.map(drop)
    }

    /// Removes a schedule that [`upsert`](Self::upsert) made; false when there is none.
    ///
    /// # Errors
    /// When it stands in a worker's code, or the ledger cannot be written.
    pub async fn remove(&self, name: &str) -> Result<bool> {
        let key = self.key(name)?;
        let Some(known) = self.find(&key).await? else {
            return Ok(false);
        };
        is_client_s(&key, &known)?;
        let runs = key.runs();
        let entries = self.client.broker().ledger().read().await?;
        let runs = entries.into_iter().map(|entry| entry.key).filter(|key| key.starts_with(&runs));
        for key in [key.entry(), key.tick(), key.pause()].into_iter().chain(runs) {
            self.write::<()>(&key, None, |known| known.is_some()).await?;
        }
        Ok(true)
    }

    /// Lets no tick of a schedule run until [`resume`](Self::resume). False when it pauses already.
    ///
    /// # Errors
    /// When there is no such schedule, or the ledger cannot be written.
    pub async fn pause(&self, name: &str) -> Result<bool> {
        self.set_paused(name, true).await
    }

    /// Lets its ticks run again, from the next one on. False when it does not pause.
    ///
    /// # Errors
    /// When there is no such schedule, or the ledger cannot be written.
    pub async fn resume(&self, name: &str) -> Result<bool> {
        self.set_paused(name, false).await
    }

    /// Asks for one run besides the ticks, and returns the id of its job, which the leading scheduler enqueues at once, or
    /// as soon as there is one.
    ///
    /// # Errors
    /// When there is no such schedule, or the ledger cannot be written.
    pub async fn run(&self, name: &str) -> Result<JobId> {
        let key = self.key(name)?;
        self.must_exist(&key).await?;
        let at = self.client.broker().clock().now();
        let entry = RunEntry { at, id: JobId::new(at) };
        self.write(&key.run(&entry.id), Some(&entry), |_| true).await?;
        Ok(entry.id)
    }

    async fn set_paused(&self, name: &str, is_paused: bool) -> Result<bool> {
        let key = self.key(name)?;
        self.must_exist(&key).await?;
        let entry = PauseEntry { is_paused, since: self.client.broker().clock().now() };
        let is_news = |known: Option<&Value>| known.is_some_and(|known| known["is_paused"] == true) != is_paused;
        self.write(&key.pause(), Some(&entry), is_news).await
    }

    async fn must_exist(&self, key: &ScheduleKey) -> Result<()> {
        match self.find(key).await? {
            Some(_) => Ok(()),
            None => Err(Error::invalid(format!("no schedule is called \"{key}\"; `schedules list` shows all"))),
        }
    }

    async fn find(&self, key: &ScheduleKey) -> Result<Option<Value>> {
        let entries = self.client.broker().ledger().read().await?;
        Ok(entries.into_iter().find(|entry| entry.key == key.entry()).map(|entry| entry.value))
    }

    /// Writes an entry, or removes it, if it is to be; returns whether it was.
    async fn write<T: Serialize>(
        &self,
        key: &str,
        value: Option<&T>,
        is_wanted: impl FnOnce(Option<&Value>) -> bool,
    ) -> Result<bool> {
        let ledger = self.client.broker().ledger();
        let known = read(&*ledger, key).await?;
        if !is_wanted(known.as_ref().map(|entry| &entry.value)) {
            return Ok(false);
        }
        let value = value.map_or(Ok(Value::Null), serde_json::to_value);
        let value = value.map_err(|e| Error::invalid(format!("\"{key}\" cannot be written as JSON")).caused_by(e))?;
        // A removed entry is not read, and wins over lower versions: the time is above them all.
        let now = u64::try_from(self.client.broker().clock().now().timestamp_millis()).unwrap_or(0);
        let version = known.map_or(now, |entry| now.max(entry.version + 1));
        ledger.append(Entry { key: key.to_owned(), version, value }).await?;
        Ok(true)
    }

    fn key(&self, name: &str) -> Result<ScheduleKey> {
        match &self.application {
            Some(application) => ScheduleKey::new(application, name),
            None => ScheduleKey::new(application::name()?.ok_or_else(nameless)?, name),
        }
    }
}

fn nameless() -> Error {
    Error::invalid(
        "schedules belong to an application; name it once in the program, with job_core::application!(\"…\"), or here, \
         with .of(\"…\")",
    )
}

fn is_client_s(key: &ScheduleKey, known: &Value) -> Result<()> {
    match known["origin"] == "client" {
        true => Ok(()),
        false => Err(Error::invalid(format!("the schedule \"{key}\" stands in a worker's code; change it there"))),
    }
}

async fn read(ledger: &dyn Ledger, key: &str) -> Result<Option<Entry>> {
    Ok(ledger.read().await?.into_iter().find(|entry| entry.key == key))
}
