//! Fires the ticks of schedules: one among the workers of an application does, and the others stand by.
//!
//! It follows the leader within 15 s when that one's process dies, and at once when it stops in an orderly way: the
//! leader's last word in the ledger wakes the others. What is due is decided by `schedule`, who leads by the broker.

use std::sync::Arc;
use std::time::Duration;

use job_core::broker::{Broker, Entry, Leadership, Ledger};
use job_core::client::Client;
use job_core::clock::Clock;
use job_core::error::Result;
use job_core::observation::{Observation, Observers};
use serde_json::json;
use tokio::sync::watch;

use crate::schedule::plan::Plan;
use crate::scheduler::reign::Reign;
use crate::shutdown::StopHandle;

mod book;
mod reign;
mod settings;

pub(crate) use settings::Settings;

/// Tries of a follower are so far apart, and up to twice as far: each refused one is an error line in RabbitMQ's log.
const RETRY_MIN: Duration = Duration::from_secs(5);

/// After the leader's last word its lock may take a moment to be free.
const HURRY: Duration = Duration::from_millis(500);
const HURRIED_TRIES: u32 = 4;

/// How long the last ticks may take to be written at a stop; without them, others look into the ticks once more.
const END_GRACE: Duration = Duration::from_secs(5);

/// The part of a worker that fires ticks.
pub(crate) struct Scheduler {
    pub(crate) application: String,
    /// The schedules of the program's code; those of clients are in the ledger.
    pub(crate) plans: Vec<Plan>,
    pub(crate) client: Client,
    pub(crate) clock: Clock,
    pub(crate) observers: Observers,
    pub(crate) stop: StopHandle,
    /// It has put down its books, or never leads again.
    pub(crate) is_ended: watch::Sender<bool>,
}

impl Scheduler {
    /// Stands by, leads, and stands by again, until the worker drains.
    ///
    /// # Errors
    /// When the broker fails.
    pub(crate) async fn run(&self) -> Result<()> {
        let led = self.lead_until_stop().await;
        // What fails now is not tried again.
        if led.is_ok() || self.stop.is_draining() {
            self.is_ended.send_replace(true);
        }
        led
    }

    /// Waits until nothing is left to be written, but not for a broker that does not answer; a worker that closes its
    /// broker waits for that.
    pub(crate) async fn wait_ended(&self) {
        let mut is_ended = self.is_ended.subscribe();
        self.clock.timeout(END_GRACE, is_ended.wait_for(|is_ended| *is_ended)).await;
    }

    async fn lead_until_stop(&self) -> Result<()> {
        let role = format!("schedules.{}", self.application);
        let ledger = self.broker().ledger();
        let mut seen = self.last_words(&*ledger).await?;
        let mut hurried = 0_u32;
        while !self.stop.is_draining() {
            match self.broker().lead(&role).await {
                Ok(Some(leadership)) => {
                    self.reign(leadership, &ledger).await?;
                    continue;
                }
                Ok(None) => {}
                Err(error) if error.is_unsupported() => return self.cannot_lead(&error),
                Err(error) => return Err(error),
            }
            let pause = if hurried > 0 { HURRY } else { RETRY_MIN.mul_f64(1.0 + fastrand::f64()) };
            hurried = hurried.saturating_sub(1);
            tokio::select! {
                biased;
                () = self.stop.wait_draining() => {}
                released = self.wait_released(&*ledger, seen) => {
                    seen = released?;
                    hurried = HURRIED_TRIES;
                }
                () = self.clock.sleep(pause) => {}
            }
        }
        Ok(())
    }

    /// Leads, until the worker drains or the leadership is lost.
    async fn reign(&self, leadership: Box<dyn Leadership>, ledger: &Arc<dyn Ledger>) -> Result<()> {
        self.tell_leading(true);
        let ended = Reign::new(self, &*leadership, &**ledger).run().await;
        drop(leadership);
        self.tell_leading(false);
        let is_orderly = ended?;
        if is_orderly {
            let key = self.last_word_key();
            let now = u64::try_from(self.clock.now().timestamp_millis()).unwrap_or(0);
            let version = now.max(self.last_words(&**ledger).await? + 1);
            ledger.append(Entry { key, version, value: json!("released") }).await?;
        }
        Ok(())
    }

    /// Waits for a last word that is newer than `seen`.
    async fn wait_released(&self, ledger: &dyn Ledger, seen: u64) -> Result<u64> {
        loop {
            ledger.changed().await?;
            let version = self.last_words(ledger).await?;
            if version > seen {
                return Ok(version);
            }
        }
    }

    async fn last_words(&self, ledger: &dyn Ledger) -> Result<u64> {
        let key = self.last_word_key();
        Ok(ledger.read().await?.into_iter().find(|entry| entry.key == key).map_or(0, |entry| entry.version))
    }

    fn last_word_key(&self) -> String {
        format!("schedules-leader/{}", self.application)
    }

    fn cannot_lead(&self, error: &job_core::error::Error) -> Result<()> {
        if !self.plans.is_empty() {
            let error = format!("its schedules are not run: {error}");
            self.observers.emit(&Observation::ComponentFailed { component: "scheduler", error: &error, failures: 1 });
        }
        Ok(())
    }

    fn tell_leading(&self, is_leading: bool) {
        self.observers.emit(&Observation::Leads { application: &self.application, is_leading });
    }

    fn broker(&self) -> &Arc<dyn Broker> {
        self.client.broker()
    }
}
