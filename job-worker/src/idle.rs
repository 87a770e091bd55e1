//! Stops a worker that was to exit when idle: nothing ready, delayed or running on the queues that it consumes.

use std::sync::Arc;
use std::time::Duration;

use job_core::broker::{Broker, QueueStats};
use job_core::clock::Clock;
use job_core::error::{Error, Result};
use job_core::name::QueueName;

use crate::in_flight::InFlight;
use crate::shutdown::StopHandle;

const PAUSE: Duration = Duration::from_millis(100);

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

impl IdleWatch {
    /// Drains the worker once it is idle.
    pub(crate) async fn run(self) -> Result<()> {
        let mut idle_readings = 0;
        while idle_readings < READINGS {
            self.clock.sleep(PAUSE).await;
            idle_readings = if self.is_idle().await? { idle_readings + 1 } else { 0 };
        }
        self.stop.drain();
        Ok(())
    }

    async fn is_idle(&self) -> Result<bool> {
        if self.in_flight.count() > 0 {
            return Ok(false);
        }
        let inspect = self
            .broker
            .inspect()
            .ok_or_else(|| Error::unsupported("this broker cannot tell when its queues are empty"))?;
        match inspect.queues().await {
            Ok(stats) => Ok(!stats.iter().any(|stats| self.is_consumed(stats) && is_busy(stats))),
            // Not now, then: the intakes tell of a broker that is gone.
            Err(error) if error.is_unavailable() => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn is_consumed(&self, stats: &QueueStats) -> bool {
        !stats.name.is_dead() && self.queues.contains(&stats.name.work())
    }
}

fn is_busy(stats: &QueueStats) -> bool {
    [stats.ready, stats.delayed, stats.running].into_iter().any(|count| count.unwrap_or(0) > 0)
}
