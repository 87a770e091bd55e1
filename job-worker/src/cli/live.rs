//! The line that `run` keeps on a terminal: how fast jobs end, and how many run, wait and are dead.
//!
//! An observer counts what this process does, the broker tells what waits. Log lines go above the line.

use std::collections::VecDeque;
use std::io::{Write, stderr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use job_core::broker::{Broker, QueueStats};
use job_core::name::QueueName;
use job_core::observation::{FinishedOutcome, Observation, Observer};
use tokio_util::task::AbortOnDropHandle;
use tracing_subscriber::fmt::MakeWriter;

const DRAWS_PER_SECOND: u8 = 4;
const TICK: Duration = Duration::from_millis(250);

/// Rates are those of the latest two seconds.
const SAMPLES_MAX: usize = 9;

/// After looking at the queues, the line waits this many times as long as that took, and at least a second: counting a
/// million jobs must not be what the broker is busy with.
const LOOK_FACTOR: u32 = 20;
const LOOK_PAUSE_MIN: Duration = Duration::from_secs(1);

/// The line, not drawn yet.
pub(super) struct LiveLine {
    bar: ProgressBar,
    counts: Arc<Counts>,
}

/// The line while it is drawn; it is cleared when this is dropped.
pub(super) struct Drawing {
    bar: ProgressBar,
    task: AbortOnDropHandle<()>,
}

/// What this process did.
#[derive(Default)]
struct Counts {
    started: AtomicU64,
    ended: AtomicU64,
    done: AtomicU64,
    failed: AtomicU64,
}

/// What the line says; what the broker cannot tell is `None`.
#[derive(Debug, Default, PartialEq)]
struct Figures {
    done_rate: f64,
    failed_rate: f64,
    running: u64,
    waiting: Option<u64>,
    delayed: Option<u64>,
    dead: Option<u64>,
}

impl LiveLine {
    /// Makes the line; `None` where stderr is no terminal.
    pub(super) fn new() -> Option<Self> {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(DRAWS_PER_SECOND));
        let style = ProgressStyle::with_template("{wide_msg}").expect("a template that indicatif knows");
        (!bar.is_hidden()).then(|| Self { bar: bar.with_style(style), counts: Arc::default() })
    }

    /// Returns a stderr that writes above the line.
    pub(super) fn stderr(&self) -> impl for<'a> MakeWriter<'a> + Send + Sync + 'static {
        let bar = self.bar.clone();
        move || AboveLine(bar.clone())
    }

    /// Returns the observer that counts.
    pub(super) fn observer(&self) -> Arc<dyn Observer> {
        Arc::clone(&self.counts) as _
    }

    /// Draws until the result is dropped.
    pub(super) fn start(self, broker: Arc<dyn Broker>, queues: Vec<QueueName>) -> Drawing {
        let bar = self.bar.clone();
        Drawing { bar, task: AbortOnDropHandle::new(tokio::spawn(self.draw(broker, queues))) }
    }

    async fn draw(self, broker: Arc<dyn Broker>, queues: Vec<QueueName>) {
        let clock = broker.clock().clone();
        let mut samples = VecDeque::from([self.counts.sample(clock.monotonic())]);
        let mut figures = Figures::default();
        let mut look_at = clock.monotonic();
        loop {
            clock.sleep(TICK).await;
            let now = clock.monotonic();
            if now >= look_at
                && let Some(inspect) = broker.inspect()
            {
                // The worker itself tells of a broker that fails; the line shows the last it knew.
                if let Ok(stats) = inspect.queues().await {
                    figures.look(&stats, &queues);
                }
                let end = clock.monotonic();
                look_at = end + LOOK_PAUSE_MIN.max((end - now) * LOOK_FACTOR);
            }
            samples.push_back(self.counts.sample(clock.monotonic()));
            if samples.len() > SAMPLES_MAX {
                samples.pop_front();
            }
            figures.rate(&samples);
            figures.running = self.counts.running();
            self.bar.set_message(figures.text());
        }
    }
}

impl Drop for Drawing {
    fn drop(&mut self) {
        self.task.abort();
        self.bar.finish_and_clear();
    }
}

impl Counts {
    fn sample(&self, at: Instant) -> (Instant, u64, u64) {
        (at, self.done.load(Ordering::Relaxed), self.failed.load(Ordering::Relaxed))
    }

    fn running(&self) -> u64 {
        // In this order: a run that ends in between must not make it negative.
        let ended = self.ended.load(Ordering::Acquire);
        self.started.load(Ordering::Acquire).saturating_sub(ended)
    }
}

impl Observer for Counts {
    fn observe(&self, observation: &Observation<'_>) {
        let add = |count: &AtomicU64| {
            count.fetch_add(1, Ordering::Release);
        };
        match observation {
            Observation::Started { .. } => add(&self.started),
            Observation::Finished { outcome, .. } => {
                add(&self.ended);
                match outcome {
                    FinishedOutcome::Completed => add(&self.done),
                    FinishedOutcome::Retried | FinishedOutcome::Dead(_) | FinishedOutcome::Forgotten => {
                        add(&self.failed)
                    }
                    _ => {}
                }
            }
            Observation::Refused { .. } => add(&self.failed),
            _ => {}
        }
    }
}

impl Figures {
    /// Adds up what the consumed queues hold.
    fn look(&mut self, stats: &[QueueStats], queues: &[QueueName]) {
        let ours = || stats.iter().filter(|stats| queues.contains(&stats.name.work()));
        let alive = || ours().filter(|stats| !stats.name.is_dead());
        self.waiting = alive().map(|stats| stats.ready).sum();
        self.delayed = alive().map(|stats| stats.delayed).sum();
        self.dead = ours().filter(|stats| stats.name.is_dead()).map(|stats| stats.ready).sum();
    }

    fn rate(&mut self, samples: &VecDeque<(Instant, u64, u64)>) {
        let (Some(first), Some(last)) = (samples.front(), samples.back()) else { return };
        let seconds = (last.0 - first.0).as_secs_f64().max(f64::EPSILON);
        #[allow(clippy::cast_precision_loss, reason = "for people")]
        let rate = |before: u64, after: u64| (after - before) as f64 / seconds;
        self.done_rate = rate(first.1, last.1);
        self.failed_rate = rate(first.2, last.2);
    }

    fn text(&self) -> String {
        // Small rates need a digit more, or a job every few seconds would look like none.
        let rate = |rate: f64| if rate > 0.0 && rate < 10.0 { format!("{rate:.1}/s") } else { format!("{rate:.0}/s") };
        let count = |count: Option<u64>| count.map_or_else(|| "-".into(), |count| count.to_string());
        format!(
            "done {}, failed {} | running {}, waiting {}, delayed {}, dead {}",
            rate(self.done_rate),
            rate(self.failed_rate),
            self.running,
            count(self.waiting),
            count(self.delayed),
            count(self.dead)
        )
    }
}

/// Writes above the line.
struct AboveLine(ProgressBar);

impl Write for AboveLine {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.suspend(|| stderr().write(bytes))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        stderr().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats(name: &str, ready: Option<u64>) -> QueueStats {
        let name = QueueName::parse_any(name).unwrap();
        QueueStats { name, ready, delayed: Some(1), running: None, oldest_ready: None }
    }

    #[test]
    fn the_line_adds_up_the_consumed_queues_and_shows_a_dash_for_the_unknown() {
        let queues = ["a", "b"].map(|name| QueueName::parse(name).unwrap());
        let mut figures = Figures { done_rate: 1234.4, failed_rate: 0.26, running: 16, ..Figures::default() };
        let all = [stats("a", Some(3)), stats("a.dead", Some(2)), stats("b", Some(4)), stats("c", Some(9))];
        figures.look(&all, &queues);
        let expected = "done 1234/s, failed 0.3/s | running 16, waiting 7, delayed 2, dead 2";
        assert_eq!(figures.text(), expected);
        figures.look(&[stats("a", None), stats("b", Some(4))], &queues);
        let expected = "done 1234/s, failed 0.3/s | running 16, waiting -, delayed 2, dead 0";
        assert_eq!(figures.text(), expected);
    }

    #[test]
    fn rates_are_those_of_the_samples() {
        let begin = job_core::clock::Clock::system().monotonic();
        let mut figures = Figures::default();
        figures.rate(&[(begin, 10, 0), (begin + Duration::from_secs(2), 30, 1)].into());
        assert_eq!((figures.done_rate, figures.failed_rate), (10.0, 0.5));
        assert_eq!(Figures::default().text(), "done 0/s, failed 0/s | running 0, waiting -, delayed -, dead -");
    }
}
