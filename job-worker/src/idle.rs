//! Stops a worker that was to exit when idle: nothing ready, delayed or running on the queues that it consumes.
//!
//! A broker that cannot tell for which queues jobs are delayed makes it wait for all of them.

use std::sync::Arc;
use std::time::Duration;

use job_core::broker::{Broker, Inspect, QueueStats};
use job_core::clock::Clock;
use job_core::error::{Error, Result};
use job_core::name::QueueName;

use crate::in_flight::InFlight;
use crate::shutdown::StopHandle;

const PAUSE: Duration = Duration::from_millis(100);

/// The pause while jobs are delayed: to count them costs such a broker a tenth of a second.
const DELAYED_PAUSE: Duration = Duration::from_secs(1);

/// Readings in a row that must find nothing: a job on its way from one state to another is not missed twice.
const READINGS: u32 = 2;

/// Looks at the queues from time to time.
pub(crate) struct IdleWatch {
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) queues: Vec<QueueName>,
    pub(crate) in_flight: InFlight,
    pub(crate) stop: StopHandle,
    pub(crate) clock: Clock,
}

/// What a reading found.
enum Found {
    Nothing,
    Work,
    /// Nothing but jobs that are not due, of whichever queues.
    Delayed,
}

impl IdleWatch {
    /// Drains the worker once it is idle.
    pub(crate) async fn run(self) -> Result<()> {
        let mut idle_readings = 0;
        let mut pause = PAUSE;
        while idle_readings < READINGS {
            self.clock.sleep(pause).await;
            let found = self.look().await?;
            idle_readings = if matches!(found, Found::Nothing) { idle_readings + 1 } else { 0 };
            pause = if matches!(found, Found::Delayed) { DELAYED_PAUSE } else { PAUSE };
        }
        self.stop.drain();
        Ok(())
    }

    async fn look(&self) -> Result<Found> {
        if self.in_flight.count() > 0 {
            return Ok(Found::Work);
        }
        let inspect = self
            .broker
            .inspect()
            .ok_or_else(|| Error::unsupported("this broker cannot tell when its queues are empty"))?;
        match self.look_at(inspect).await {
            // Not now, then: the intakes tell of a broker that is gone.
            Err(error) if error.is_unavailable() => Ok(Found::Work),
            found => found,
        }
    }

    async fn look_at(&self, inspect: &dyn Inspect) -> Result<Found> {
        let all = inspect.queues().await?;
        let consumed: Vec<&QueueStats> = all.iter().filter(|stats| self.is_consumed(stats)).collect();
        if consumed.iter().any(|stats| is_busy(stats)) {
            return Ok(Found::Work);
        }
        if consumed.iter().all(|stats| stats.delayed.is_some()) {
            return Ok(Found::Nothing);
        }
        let delayed = inspect.delayed().await?;
        Ok(if delayed.unwrap_or(0) > 0 { Found::Delayed } else { Found::Nothing })
    }

    fn is_consumed(&self, stats: &QueueStats) -> bool {
        !stats.name.is_dead() && self.queues.contains(&stats.name.work())
    }
}

fn is_busy(stats: &QueueStats) -> bool {
    [stats.ready, stats.delayed, stats.running].into_iter().any(|count| count.unwrap_or(0) > 0)
}
