//! Keeps jobs from being held for longer than the broker lets a process hold them. Pure.
//!
//! Such a job would be taken away in the middle of its run, with all others of its channel, and begun again elsewhere. Half
//! of the time is for the run, so kinds that may take longer are refused; the other half is for the wait, of which two
//! thirds may pass [before it is read](Unread) and one third [in line](line_max) for its kind or its queue.

use std::time::{Duration, Instant};

use job_core::broker::Capabilities;
use job_core::options::JobOptions;

/// What is left for the end of a run to be recorded, and for a broker that looks once a minute.
const RESERVE: Duration = Duration::from_secs(120);

/// As a part of a limit that is shorter than RabbitMQ's own.
const RESERVE_PART: u32 = 15;

/// Deliveries per slot that a broker claims ahead, at the most.
pub(crate) const AHEAD_PER_SLOT_MAX: usize = 10;

/// How long that may have waited, at the most, which the broker has sent ahead and nobody has read yet.
#[derive(Debug)]
pub(crate) struct Unread {
    /// As many deliveries as can be held at once: when they have been read, all that is held came later.
    held_max: usize,
    /// Nothing unread is older.
    since: Instant,
    /// Once `held_max` more were read since then, nothing unread is older than this.
    next: Instant,
    read: usize,
}

impl Unread {
    /// Begins with a consumer that runs so many jobs at once.
    pub(crate) fn new(slots: usize, now: Instant) -> Self {
        Self { held_max: slots.saturating_mul(AHEAD_PER_SLOT_MAX), since: now, next: now, read: 0 }
    }

    /// Notes that nothing was unread at that moment.
    pub(crate) fn none(&mut self, now: Instant) {
        (self.since, self.next, self.read) = (now, now, 0);
    }

    /// Notes that some were read.
    pub(crate) fn read(&mut self, count: usize, now: Instant) {
        self.read += count;
        if self.read >= self.held_max {
            (self.since, self.next, self.read) = (self.next, now, 0);
        }
    }

    /// Returns what is left of the time that something unread may wait.
    pub(crate) fn left(&self, hold_max: Duration, now: Instant) -> Duration {
        unread_max(hold_max).saturating_sub(now.saturating_duration_since(self.since))
    }
}

/// Returns how long a job may wait in this process before it is read.
fn unread_max(hold_max: Duration) -> Duration {
    hold_max / 3
}

/// Returns how long a job that was read may wait until it runs.
pub(crate) fn line_max(hold_max: Duration) -> Duration {
    hold_max / 6
}

/// Returns how long a run may take at the most: a job may have waited in the process for half of the time.
fn run_max(hold_max: Duration) -> Duration {
    (hold_max / 2).saturating_sub(RESERVE.min(hold_max / RESERVE_PART))
}

/// Says what is wrong with a kind, if something is.
pub(crate) fn problem(kind: &str, options: &JobOptions, capabilities: &Capabilities) -> Option<String> {
    let hold_max = capabilities.hold_max?;
    let run_max = run_max(hold_max);
    if options.timeout.is_some_and(|timeout| timeout <= run_max) {
        return None;
    }
    let runs = options.timeout.map_or_else(|| "without end".to_owned(), |timeout| format!("for {}", words(timeout)));
    Some(format!(
        "the job \"{kind}\" may run {runs}, and \"{}\" takes a job away from a process that holds it for {}; give it a \
         timeout of at most {}, let it come back with continue_with(cursor), or raise the server's consumer_timeout and \
         state it in the URL, as in \"?consumer_timeout=24h\"",
        capabilities.name,
        words(hold_max),
        words(run_max),
    ))
}

fn words(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}

#[cfg(test)]
mod tests {
    use job_core::clock::Clock;

    use super::*;

    const HALF_AN_HOUR: Duration = Duration::from_secs(1800);

    fn problem_of(timeout: Option<u64>, hold_max: Option<Duration>) -> Option<String> {
        let capabilities = Capabilities {
            name: "rabbitmq",
            can_cancel: false,
            can_find: false,
            is_then_atomic: false,
            is_fire_exact: false,
            is_deduplicating: false,
            delay_min: Duration::ZERO,
            hold_max,
        };
        let options = JobOptions { timeout: timeout.map(Duration::from_secs), ..JobOptions::DEFAULT };
        problem("resize", &options, &capabilities)
    }

    #[test]
    fn what_is_unread_came_after_all_that_could_be_held_before_it_was_read() {
        let begun = Clock::system().monotonic();
        let second = |n: u64| begun + Duration::from_secs(n);
        let mut unread = Unread::new(1, begun);
        let left = |unread: &Unread, now: u64| unread.left(HALF_AN_HOUR, second(now)).as_secs();
        assert_eq!((left(&unread, 0), left(&unread, 599), left(&unread, 601)), (600, 1, 0));
        // What is read one by one, every minute: ten could be held, so the eleventh may have come with the first.
        (0..9).for_each(|minute| unread.read(1, second(minute * 60)));
        assert_eq!(left(&unread, 540), 60);
        unread.read(1, second(540));
        assert_eq!(left(&unread, 540), 60, "what came while the first ten were read may be as old");
        unread.read(10, second(550));
        assert_eq!(left(&unread, 550), 590, "whatever is held now came after the first ten were read");
        unread.none(second(700));
        assert_eq!(left(&unread, 700), 600);
    }

    #[test]
    fn the_waits_and_the_run_fit_into_the_limit() {
        let waits = unread_max(HALF_AN_HOUR) + line_max(HALF_AN_HOUR);
        assert!(waits + run_max(HALF_AN_HOUR) + RESERVE <= HALF_AN_HOUR);
    }

    #[test]
    fn what_fits_into_half_of_the_time_may_run() {
        assert_eq!(problem_of(Some(13 * 60), Some(HALF_AN_HOUR)), None);
        assert_eq!(problem_of(Some(600), Some(HALF_AN_HOUR)), None);
        assert_eq!(problem_of(None, None), None);
    }

    #[test]
    fn what_may_be_taken_away_in_the_middle_is_told_with_the_ways_out() {
        assert_eq!(
            problem_of(Some(13 * 60 + 1), Some(HALF_AN_HOUR)).unwrap(),
            "the job \"resize\" may run for 13m 1s, and \"rabbitmq\" takes a job away from a process that holds it for 30m; \
             give it a timeout of at most 13m, let it come back with continue_with(cursor), or raise the server's \
             consumer_timeout and state it in the URL, as in \"?consumer_timeout=24h\""
        );
        assert!(problem_of(None, Some(HALF_AN_HOUR)).unwrap().contains("may run without end"));
        assert!(problem_of(Some(27), Some(Duration::from_secs(60))).is_some());
    }
}
