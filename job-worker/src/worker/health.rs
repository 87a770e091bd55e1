//! What the probes of an orchestrator are told.

use std::sync::Arc;

use job_core::observation::Phase;

use crate::admin::Health;
use crate::intake::Intake;
use crate::shutdown::StopHandle;

/// The state of a worker that runs.
pub(crate) struct WorkerHealth {
    pub(crate) intakes: Vec<Arc<Intake>>,
    pub(crate) stop: StopHandle,
}

impl Health for WorkerHealth {
    /// A stuck runtime does not get here: the probe times out, and the monitor ends the process.
    fn live(&self) -> Result<(), String> {
        Ok(())
    }

    fn ready(&self) -> Result<(), String> {
        match self.stop.phase() {
            Phase::Running => {}
            Phase::Quiet => return Err("the worker is quiet".into()),
            _ => return Err("the worker is stopping".into()),
        }
        let idle: Vec<&str> =
            self.intakes.iter().filter(|i| !*i.is_consuming.borrow()).map(|i| i.queue.name.as_str()).collect();
        if idle.is_empty() { Ok(()) } else { Err(format!("not consuming: {}", idle.join(", "))) }
    }
}
