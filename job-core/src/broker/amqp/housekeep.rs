//! The chores of one process among all: moving what is unrouted, and keeping the ledger short.
//!
//! Each worker tries to become the housekeeper, seldom: RabbitMQ writes a line into its log for each try in vain, and
//! nothing of this is urgent. Who declares a queue looks after its unrouted jobs at once, and who appends to a ledger that
//! nobody has shortened does that, too.

use std::sync::Arc;
use std::time::Duration;

use crate::broker::Leadership;
use crate::broker::amqp::lead::{HOUSEKEEPING, Leaders};
use crate::broker::amqp::ledger::Log;
use crate::broker::amqp::unrouted::{Mover, Sweep};
use crate::clock::Clock;

/// The time between two tries to lead is a random one in between.
const TRY_MIN: Duration = Duration::from_secs(60);
const TRY_MAX: Duration = Duration::from_secs(120);

/// The time between two rounds, while there is something to do, and the longest while what is left cannot be moved:
/// each look counts as a delivery of it.
const ROUND_MIN: Duration = Duration::from_secs(10);
const ROUND_MAX: Duration = Duration::from_secs(300);

/// Does the chores, where no other process does.
pub(super) struct Housekeeper {
    pub(super) leaders: Leaders,
    pub(super) mover: Arc<Mover>,
    pub(super) log: Arc<Log>,
    pub(super) clock: Clock,
}

impl Housekeeper {
    /// Works until it is dropped.
    pub(super) async fn run(self) {
        loop {
            match self.leaders.lead(HOUSEKEEPING).await {
                Ok(Some(leadership)) => self.lead(&leadership).await,
                Ok(None) => {}
                Err(error) => tracing::debug!(target: "job", %error, "cannot ask for the role of the housekeeper"),
            }
            self.clock.sleep(TRY_MIN + (TRY_MAX - TRY_MIN).mul_f64(fastrand::f64())).await;
        }
    }

    async fn lead(&self, leadership: &dyn Leadership) {
        let chores = async {
            let mut pause = ROUND_MIN;
            let mut queues = 0;
            loop {
                let swept = self.round().await;
                self.clock.sleep(pause).await;
                let known = self.log.noted("queue/").len();
                pause = next_pause(pause, swept, known != queues);
                queues = known;
            }
        };
        tokio::select! {
            () = leadership.lost() => {}
            () = chores => {}
        }
    }

    async fn round(&self) -> Sweep {
        if let Err(error) = self.log.write_snapshot_when_due().await {
            tracing::debug!(target: "job", %error, "the ledger is not shortened yet");
        }
        self.mover.sweep().await.unwrap_or_else(|error| {
            tracing::debug!(target: "job", %error, "unrouted jobs are not moved yet");
            Sweep::default()
        })
    }
}

/// Looks less often at what cannot be moved, until there are other queues.
fn next_pause(pause: Duration, swept: Sweep, has_news: bool) -> Duration {
    let is_stuck = swept.left > 0 && swept.moved == 0;
    if is_stuck && !has_news { (pause * 2).min(ROUND_MAX) } else { ROUND_MIN }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_moved_is_looked_at_less_and_less_often() {
        let stuck = Sweep { moved: 0, left: 3 };
        let mut pauses = vec![ROUND_MIN];
        for _ in 0..6 {
            pauses.push(next_pause(pauses[pauses.len() - 1], stuck, false));
        }
        assert_eq!(pauses.iter().map(Duration::as_secs).collect::<Vec<_>>(), [10, 20, 40, 80, 160, 300, 300]);
        assert_eq!(next_pause(ROUND_MAX, stuck, true), ROUND_MIN);
        assert_eq!(next_pause(ROUND_MAX, Sweep { moved: 1, left: 3 }, false), ROUND_MIN);
        assert_eq!(next_pause(ROUND_MAX, Sweep::default(), false), ROUND_MIN);
    }
}
