//! The settings of an application's schedules, as they stand in the ledger.

use std::collections::BTreeMap;

use job_core::broker::{Entry, Ledger};
use job_core::clock::Clock;
use job_core::error::Result;
use job_core::schedule::{Origin, PauseEntry, RunEntry, ScheduleEntry, ScheduleKey, TickEntry};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// What was read at one moment.
#[derive(Default)]
pub(crate) struct Settings {
    entries: BTreeMap<String, Entry>,
}

impl Settings {
    /// Reads all of them.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub(crate) async fn read(ledger: &dyn Ledger) -> Result<Self> {
        Ok(Self { entries: ledger.read().await?.into_iter().map(|entry| (entry.key.clone(), entry)).collect() })
    }

    /// Returns every schedule of every application, in the order of their names. What this version cannot read is left
    /// out.
    pub(crate) fn schedules(&self) -> impl Iterator<Item = (ScheduleKey, ScheduleEntry)> {
        self.entries.keys().filter_map(|key| {
            let schedule = ScheduleKey::of_entry(key)?;
            Some((schedule, self.get(key)?))
        })
    }

    /// Returns the schedules of one application that were written there or by its code.
    pub(crate) fn of(&self, application: &str, origin: Origin) -> impl Iterator<Item = (ScheduleKey, ScheduleEntry)> {
        self.schedules().filter(move |(key, entry)| key.application() == application && entry.origin == origin)
    }

    pub(crate) fn tick(&self, key: &ScheduleKey) -> Option<TickEntry> {
        self.get(&key.tick())
    }

    pub(crate) fn pause(&self, key: &ScheduleKey) -> Option<PauseEntry> {
        self.get(&key.pause())
    }

    /// Returns the runs that were asked for, in that order.
    pub(crate) fn runs(&self, key: &ScheduleKey) -> Vec<RunEntry> {
        let prefix = key.runs();
        let keys = self.entries.range(prefix.clone()..).map(|(key, _)| key).take_while(|key| key.starts_with(&prefix));
        let mut runs: Vec<RunEntry> = keys.filter_map(|key| self.get(key)).collect();
        runs.sort_by(|one, other| (one.at, &one.id).cmp(&(other.at, &other.id)));
        runs
    }

    /// Returns the run whose job was enqueued last, with the instant under which it was.
    pub(crate) fn ran(&self, key: &ScheduleKey) -> Option<RunEntry> {
        self.get(&key.ran())
    }

    /// Writes a value if it is another one; `null` removes it.
    ///
    /// # Errors
    /// When nobody knows whether it was stored.
    pub(crate) async fn write(&mut self, ledger: &dyn Ledger, clock: &Clock, key: String, value: Value) -> Result<()> {
        let before = self.entries.get(&key);
        if before.map_or(&Value::Null, |entry| &entry.value) == &value {
            return Ok(());
        }
        // A removed entry is not read, and wins over lower versions: the time is above them all.
        let now = u64::try_from(clock.now().timestamp_millis()).unwrap_or(0);
        let version = before.map_or(now, |entry| now.max(entry.version + 1));
        let entry = Entry { key: key.clone(), version, value };
        ledger.append(entry.clone()).await?;
        self.entries.insert(key, entry);
        Ok(())
    }

    fn get<T: DeserializeOwned>(&self, key: &str) -> Option<T> {
        serde_json::from_value(self.entries.get(key)?.value.clone()).ok()
    }
}
